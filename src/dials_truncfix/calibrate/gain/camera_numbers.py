"""The numbers of a camera that each method gives, and those to be used."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dials_truncfix.calibrate.gain.gain_calibration import GainCalibration

#: Variance of the integers that stand for values between them, ADU².
_ROUNDING = 1.0 / 12.0
#: Results that differ by more of their standard uncertainties do not agree.
LARGEST_DISAGREEMENT = 3.0

# A pedestal that is so many of its uncertainties and ADU above zero is an offset.
_OFFSET_DEVIATIONS, _OFFSET = 4.0, 0.5

PHOTON_TRANSFER, CAMERA = "photon transfer", "camera model"


@dataclass(frozen=True)
class _ErrorOfSpots:
    """What spots too weak to be left out, and uneven regions, do in sweeps.

    Relative errors seen in simulated sweeps (benchmarks/gain_and_dose.py and
    gain_cameras.py); chance is not in them.
    """

    gain: float = 0.0
    pedestal: float = 0.0


_OF_DIFFERENCES = _ErrorOfSpots(0.015, 0.03)
_OF_LAWS = _ErrorOfSpots(0.2, 0.3)
_OF_CAMERA = _ErrorOfSpots(0.035, 0.03)
_NONE = _ErrorOfSpots()
#: Where light spreads too, spots are in the gain of sums; where less than a half of the
#: variance was found between neighbours, it may be either.
_OF_SPREAD, _OF_HINT = _ErrorOfSpots(0.25, 0.5), _ErrorOfSpots(0.1, 0.1)
_HINT = 0.25
#: Heights of real pulses do not follow the gamma distribution of the model: relative
#: errors of gain and pedestal, of the ADU of an electron, for each unit of their
#: variance, as seen with lognormal ones; and of the read noise in sweeps.
_OF_PULSES, _OF_ELECTRON, _OF_NOISE = 0.1, 0.25, 0.01


@dataclass(frozen=True)
class Measured:
    """A number and its standard uncertainty; NaN where there is none."""

    value: float = math.nan
    sd: float = math.nan

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return math.isfinite(self.value)


@dataclass(frozen=True)
class CameraNumbers:
    """What one method says.

    Attributes
    ----------
    method : str
        Which one.
    pixel_gain : Measured
        Slope of the variance of single pixels on their mean, ADU.
    gain : Measured
        The same for sums of pixels, per pixel: the effective gain, ADU.
    pedestal : Measured
        Value at which the variance of sums would be zero, ADU.
    read_noise : Measured
        Standard deviation without electrons, ADU.
    adu_per_electron : Measured
        Mean signal of an electron, ADU/e⁻.
    excess : Measured
        Effective gain over `adu_per_electron`, less 1: variance of the signal of an
        electron over its squared mean.
    """

    method: str
    pixel_gain: Measured
    gain: Measured
    pedestal: Measured
    read_noise: Measured
    adu_per_electron: Measured
    excess: Measured


def by_photon_transfer(result: GainCalibration) -> CameraNumbers | None:
    """Collect the numbers of the line of variance on mean.

    The excess needs electrons that are known.
    """
    transfer = result.transfer
    if transfer is None:
        return None
    line = transfer.sums
    spots = _NONE
    if not result.flat:
        spots = _OF_LAWS if transfer.from_laws else _OF_DIFFERENCES
    together = _error_of_neighbours(result)
    gain = _wider(
        Measured(line.gain, line.gain_sd), math.hypot(spots.gain, together.gain)
    )
    per_electron = Measured()
    if result.scale is not None:
        per_electron = Measured(
            result.scale.adu_per_electron, result.scale.adu_per_electron_sd
        )
    return CameraNumbers(
        PHOTON_TRANSFER,
        _wider(Measured(transfer.pixels.gain, transfer.pixels.gain_sd), spots.gain),
        gain,
        _wider(
            Measured(line.pedestal, line.pedestal_sd),
            math.hypot(spots.pedestal, together.pedestal),
        ),
        _wider(_read_noise(result), 0.5 * (spots.gain + spots.pedestal)),
        per_electron,
        _excess(gain, per_electron),
    )


def by_camera(result: GainCalibration) -> CameraNumbers | None:
    """Collect the numbers of the camera model.

    Where the light of an electron spreads over pixels, heights of pulses are those of
    its parts: there is no signal of an electron then.
    """
    fit = result.camera
    if fit is None or not result.camera_holds:
        return None
    factor = spread_factor(result)
    spots = _NONE if result.flat else _OF_CAMERA
    # where light spreads, heights are those of parts of an electron, and vary more
    height_variance = min(fit.model.pulse_variance, 1.0)
    pulses, electron = _OF_PULSES * height_variance, _OF_ELECTRON * height_variance
    single = _wider(
        Measured(fit.effective_gain, fit.effective_gain_sd),
        math.hypot(spots.gain, pulses),
    )
    gain = Measured(
        factor.value * single.value,
        math.hypot(factor.value * single.sd, factor.sd * single.value),
    )
    together = _error_of_neighbours(result)
    gain = _wider(gain, together.gain)
    noise = (fit.model.read_noise**2 + _ROUNDING) / fit.effective_gain
    # read noise is not spread, so that it makes less of the larger gain
    pedestal = fit.pedestal + noise * (1.0 - 1.0 / factor.value) + result.shift
    spread = factor.value != 1.0
    return CameraNumbers(
        CAMERA,
        single,
        gain,
        _wider(
            Measured(pedestal, fit.pedestal_sd),
            math.hypot(spots.pedestal, together.pedestal, pulses),
        ),
        _wider(
            Measured(fit.model.read_noise, fit.read_noise_sd),
            0.0 if result.flat else _OF_NOISE,
        ),
        Measured()
        if spread
        else _wider(
            Measured(fit.model.gain, fit.gain_sd), math.hypot(spots.gain, electron)
        ),
        Measured()
        if spread
        else Measured(
            fit.model.pulse_variance,
            math.hypot(
                fit.pulse_variance_sd,
                (1.0 + fit.model.pulse_variance) * math.hypot(pulses, electron),
            ),
        ),
    )


def to_be_used(result: GainCalibration) -> CameraNumbers:
    """Choose the method that suits the data.

    Differences of images need no model, and come first. Where all that is known of
    variances follows from laws fitted to truncated counts, the camera model does, as it
    describes all images by few parameters.

    Raises
    ------
    ValueError
        When neither has a result.
    """
    transfer, camera = by_photon_transfer(result), by_camera(result)
    if camera is not None and (transfer is None or _from_laws(result)):
        return camera
    if transfer is not None:
        return transfer
    raise ValueError("neither method has a result")


def adu_per_electron(result: GainCalibration) -> tuple[Measured, str]:
    """Mean signal of an electron, and what it follows from."""
    if result.scale is not None:
        known = result.scale
        return (
            Measured(known.adu_per_electron, known.adu_per_electron_sd),
            "the electrons given",
        )
    camera = by_camera(result)
    if camera is not None and camera.adu_per_electron.known:
        return camera.adu_per_electron, "the heights of pulses in the camera model"
    return Measured(), ""


def spread_factor(result: GainCalibration) -> Measured:
    """Effective gain of sums over that of single pixels; exactly 1 where all is sharp."""
    transfer = result.transfer
    if transfer is None or not transfer.spread:
        return Measured(1.0, 0.0)
    ratio = transfer.sums.gain / transfer.pixels.gain
    together = transfer.sums.gain_sd**2 - transfer.pixels.gain_sd**2
    return Measured(ratio, math.sqrt(max(together, 0.0)) / transfer.pixels.gain)


def disagreement(result: GainCalibration) -> float:
    """Difference of both gains in standard uncertainties; NaN unless both are there."""
    transfer, camera = by_photon_transfer(result), by_camera(result)
    if transfer is None or camera is None:
        return math.nan
    first, second = transfer.pixel_gain, camera.pixel_gain
    return (first.value - second.value) / math.hypot(first.sd, second.sd)


def _error_of_neighbours(result: GainCalibration) -> _ErrorOfSpots:
    """Relative error of the gain of sums of a sweep: spots vary together, too."""
    transfer = result.transfer
    if result.flat or transfer is None:
        return _NONE
    share = abs(transfer.covariance_slope) / transfer.pixels.gain
    if transfer.spread:
        # all that neighbours share may be of spots, up to the variance of a pixel
        part = 1.0 / (1.0 + share)
        return _ErrorOfSpots(max(_OF_SPREAD.gain, part), max(_OF_SPREAD.pedestal, part))
    return _OF_HINT if transfer.hint_of_spread and share > _HINT else _NONE


def _wider(number: Measured, relative: float) -> Measured:
    """Add a relative error to the uncertainty."""
    return Measured(number.value, math.hypot(number.sd, relative * number.value))


def _from_laws(result: GainCalibration) -> bool:
    return result.transfer is not None and result.transfer.from_laws


def _read_noise(result: GainCalibration) -> Measured:
    """Square root of the variance without electrons, by the line of single pixels."""
    if result.transfer is None:
        return Measured()
    line = result.transfer.pixels
    known = math.isfinite(result.dark_level)
    if not known and line.pedestal > max(
        _OFFSET_DEVIATIONS * line.pedestal_sd, _OFFSET
    ):
        return Measured()
    level, level_sd = (result.dark_level, result.dark_level_sd) if known else (0.0, 0.0)
    variance, variance_sd = line.variance_at(level, level_sd)
    variance -= _ROUNDING if result.images[0].whole else 0.0
    if variance <= 0:
        return Measured(0.0, math.sqrt(variance_sd))
    noise = math.sqrt(variance)
    return Measured(noise, min(variance_sd / (2.0 * noise), math.sqrt(variance_sd)))


def _excess(gain: Measured, per_electron: Measured) -> Measured:
    if not per_electron.known:
        return Measured()
    ratio = gain.value / per_electron.value
    relative = math.hypot(gain.sd / gain.value, per_electron.sd / per_electron.value)
    return Measured(ratio - 1.0, ratio * relative)
