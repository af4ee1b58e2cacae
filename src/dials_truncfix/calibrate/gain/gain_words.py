"""What was found of a camera, in tables, sentences, plain values and parameters."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from dials_truncfix import __version__
from dials_truncfix.calibrate.gain.camera_numbers import (
    CAMERA,
    LARGEST_DISAGREEMENT,
    PHOTON_TRANSFER,
    CameraNumbers,
    Measured,
    adu_per_electron,
    by_camera,
    by_photon_transfer,
    disagreement,
    spread_factor,
    to_be_used,
)
from dials_truncfix.calibrate.gain.gain_calibration import GainCalibration
from dials_truncfix.compare.record import finite_values
from dials_truncfix.compare.tables import Table

#: Changes when the meaning of an entry does.
SCHEMA = "dials.truncfix_calibrate.gain/1"

_ROWS = (
    ("gain of single pixels (ADU)", "pixel_gain"),
    ("effective gain (ADU)", "gain"),
    ("pedestal (ADU)", "pedestal"),
    ("read noise (ADU)", "read_noise"),
    ("ADU per electron", "adu_per_electron"),
    ("excess variance of pulses", "excess"),
)


def gain_table(result: GainCalibration) -> Table:
    """Both methods side by side."""
    both = [by_photon_transfer(result), by_camera(result)]
    rows = [
        [name, *("-" if m is None else with_error(getattr(m, key)) for m in both)]
        for name, key in _ROWS
    ]
    return Table("Gain and noise by two methods", ["", PHOTON_TRANSFER, CAMERA], rows)


def image_table(result: GainCalibration) -> Table:
    """List the images, or some of many."""
    levels = [*result.dark, *result.images]
    some = levels[:: -(-len(levels) // 20)]
    rows = [
        [level.name.rsplit("/", 1)[-1], f"{level.mean:.5g}", f"{level.sd:.4g}",
         f"{100 * level.zeros:.2f}"]
        for level in some
    ]  # fmt: skip
    return Table(
        "Images", ["image", "mean (ADU)", "sd of pixels (ADU)", "zeros (%)"], rows
    )


def with_error(number: Measured) -> str:
    """Write a number with its uncertainty to two digits."""
    if not number.known:
        return "-"
    if not (math.isfinite(number.sd) and number.sd > 0):
        return f"{number.value:.4g}"
    places = min(max(1 - math.floor(math.log10(number.sd)), 0), 6)
    return f"{number.value:.{places}f} ± {number.sd:.{places}f}"


def findings(result: GainCalibration) -> list[str]:
    """Say what was measured, in sentences."""
    used = to_be_used(result)
    sentences = [
        f"Effective gain {with_error(used.gain)} ADU and pedestal "
        f"{with_error(used.pedestal)} ADU, by {_method(used, result)}: variance = gain × "
        "(value − pedestal), which is what DIALS needs."
    ]
    if used.read_noise.known:
        words = f"Read noise {with_error(used.read_noise)} ADU"
        if used.method == PHOTON_TRANSFER and not math.isfinite(result.dark_level):
            words += ", if images without electrons have a mean of zero"
        sentences.append(words + ".")
    per_electron, source = adu_per_electron(result)
    if per_electron.known:
        ratio = used.gain.value / per_electron.value
        sentences.append(
            f"An electron gives {with_error(per_electron)} ADU on average, by {source}: "
            f"{with_error(_inverse(per_electron))} electrons per ADU. "
            f"The effective gain is {ratio:.2f} times that, as electrons give unequal "
            "signals: count electrons with the former, weigh intensities with the latter."
        )
    else:
        sentences.append(
            "How many ADU an electron gives is not known: the slope of the variance "
            "contains the scatter of their signals too. Give gain.electrons where the dose "
            "was measured."
        )
    if (away := disagreement(result)) == away:
        verb = "agree" if abs(away) <= LARGEST_DISAGREEMENT else "do not agree"
        sentences.append(
            f"Both methods {verb}: their gains of single pixels differ by "
            f"{abs(away):.1f} standard uncertainties."
        )
    elif by_camera(result) is None:
        sentences.append(f"There is no camera model: {result.camera_problem}.")
    else:
        sentences.append(f"There is no photon transfer: {result.transfer_problem}.")
    sentences.append(_range(result))
    return sentences


def _method(used: CameraNumbers, result: GainCalibration) -> str:
    if used.method == CAMERA:
        return "the model of the camera fitted to the counts near zero"
    if result.transfer is not None and result.transfer.from_laws:
        return "the moments of laws fitted to truncated counts"
    if result.n_pairs == 1:
        return "the difference of a pair of images"
    return f"the differences of {result.n_pairs} pairs of images"


def _range(result: GainCalibration) -> str:
    transfer = result.transfer
    if transfer is not None:
        low, high = transfer.mean_range
    else:
        means = [level.mean for level in result.images]
        low, high = min(means), max(means)
    return f"Valid for means from {low:.4g} to {high:.4g} ADU, where the images were."


def warnings(result: GainCalibration) -> list[str]:
    """List what makes the result less sure than its uncertainty."""
    sentences = []
    factor = spread_factor(result)
    if factor.value != 1.0:
        sentences.append(
            f"Neighbouring pixels vary together: sums of pixels have {factor.value:.2f} ± "
            f"{factor.sd:.2f} times the variance of single ones, and the effective gain "
            "contains it. What spreads over more than four pixels is left out."
        )
    if result.transfer is not None and result.transfer.hint_of_spread:
        sentences.append(
            "Neighbouring pixels vary together by "
            f"{100 * result.transfer.covariance_slope / result.transfer.pixels.gain:.0f} % of "
            "their variance, as spots that are too weak to be left out make them; the gain "
            "does not contain it. Evenly lit images would tell."
        )
    if result.transfer is not None and result.transfer.bend:
        sentences.append(
            f"The brightest pixels vary {100 * abs(result.transfer.bend):.0f} % "
            f"{'more' if result.transfer.bend > 0 else 'less'} than the line says: the "
            "camera is not linear there, or the beam flickered. Leave these images out."
        )
    away = disagreement(result)
    if abs(away) > LARGEST_DISAGREEMENT:
        sentences.append(
            "The two methods do not agree. A spread of light that was not seen, an uneven "
            "dark reference or rounding down (gain.rounding=floor) can be why."
        )
    used = to_be_used(result)
    if not used.read_noise.known:
        sentences.append(
            f"The variance vanishes at {used.pedestal.value:.4g} ADU, above zero: the "
            "images stand on an offset. Give images without light as gain.dark, or "
            "gain.dark_level, to learn the read noise."
        )
    if result.scale is None and by_camera(result) is not None:
        numbers = by_camera(result)
        if (
            numbers is not None
            and numbers.excess.known
            and (
                not numbers.excess.sd > 0
                or numbers.excess.sd > 0.25 * numbers.excess.value
            )
        ):
            sentences.append(
                "The scatter of the signals of electrons is hardly determined, and so are "
                "the ADU of an electron: darker images would tell more."
            )
    return sentences


def gain_phil(result: GainCalibration) -> str:
    """Gain and pedestal as parameters of dials.import."""
    used = to_be_used(result)
    return (
        "# dials.import images … gain.phil\n"
        f"# Effective gain and pedestal by dials.truncfix_calibrate, {used.method}.\n"
        "geometry.detector.panel {\n"
        f"  gain = {used.gain.value:.5g}\n"
        f"  pedestal = {used.pedestal.value:.5g}\n"
        "}\n"
    )


def gain_record(result: GainCalibration) -> dict[str, Any]:
    """Describe a calibration by plain values; what is not finite becomes None."""
    used = to_be_used(result)
    per_electron, source = adu_per_electron(result)
    fit = result.camera
    record = {
        "schema": SCHEMA,
        "version": __version__,
        "images": [asdict(level) for level in result.images],
        "dark_images": [asdict(level) for level in result.dark],
        "truncated": result.truncated,
        "n_pairs": result.n_pairs,
        "dark_level_adu": result.dark_level,
        "dark_level_sd_adu": result.dark_level_sd,
        "method": used.method,
        "effective_gain_adu": used.gain.value,
        "effective_gain_sd_adu": used.gain.sd,
        "pedestal_adu": used.pedestal.value,
        "pedestal_sd_adu": used.pedestal.sd,
        "read_noise_adu": used.read_noise.value,
        "read_noise_sd_adu": used.read_noise.sd,
        "adu_per_electron": per_electron.value,
        "adu_per_electron_sd": per_electron.sd,
        "electrons_per_adu": _inverse(per_electron).value,
        "electrons_per_adu_sd": _inverse(per_electron).sd,
        "adu_per_electron_by": source or None,
        "photon_transfer": _plain(by_photon_transfer(result)),
        "photon_transfer_problem": result.transfer_problem or None,
        "camera_model": _plain(by_camera(result)),
        "camera_model_problem": result.camera_problem or None,
        "camera_misfit_nat": None if fit is None else fit.misfit,
        "camera": None
        if fit is None or not result.camera_holds
        else {
            "gain": fit.model.gain,
            "pulse_variance": fit.model.pulse_variance,
            "read_noise": fit.model.read_noise,
            "dark": fit.model.dark + result.shift,
        },
        "spread_factor": spread_factor(result).value,
        "spread_factor_sd": spread_factor(result).sd,
        "disagreement_sd": disagreement(result),
        "findings": findings(result),
        "warnings": warnings(result),
    }
    return dict(finite_values(record))


def _inverse(number: Measured) -> Measured:
    return Measured(1.0 / number.value, number.sd / number.value**2)


def _plain(numbers: CameraNumbers | None) -> dict[str, Any] | None:
    return None if numbers is None else asdict(numbers)
