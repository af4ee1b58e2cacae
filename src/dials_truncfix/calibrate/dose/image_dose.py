"""Electrons of an image: rate, and dose at the specimen, with their uncertainties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.gain.flat_checks import image_level
from dials_truncfix.calibrate.gain.truncated_levels import (
    FEW_ZEROS,
    measure_level,
    true_mean,
)
from dials_truncfix.calibrate.recorded_images import RecordedImage
from dials_truncfix.camera.coincidence import LossCurve
from dials_truncfix.camera.dose import dose_rate, specimen_dose

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Pixels = npt.NDArray[Any]

#: Counts that a block of the image should have to be linearised: it then has one rate,
#: and chance does not bend the curve.
COUNTS_OF_A_BLOCK = 5000.0
_SMALLEST_BLOCK = 16
_CHANCE_DEVIATIONS = 4.5
#: Where a change of the counts means a change of the rate that is so many times larger,
#: the counts do not tell the rate.
LARGEST_AMPLIFICATION = 4.0
#: Relative error of what laws put in the place of zeros, as a part of it.
ERROR_OF_ZEROS = 0.05
#: With more zeros no law tells their mean.
MOST_ZEROS = 0.9
_STEP = 1e-3


@dataclass(frozen=True)
class Scale:
    """From stored counts to electrons, and to the specimen.

    Attributes
    ----------
    counts_per_electron, counts_per_electron_sd : float
        ADU of an electron, or stored counts of one that was counted.
    dark_level, dark_level_sd : float
        Mean without electrons, ADU.
    binning : float
        Edge of a recorded pixel in physical ones.
    loss : LossCurve or None
        Of a camera that counts.
    pixel_spacing, pixel_spacing_error : float
        Edge of a physical pixel on the specimen, Å, and its relative standard
        uncertainty; 0 where not known.
    beam_area, beam_area_error : float
        Of the specimen that is lit by the electrons of the whole image, Å², and its
        relative standard uncertainty; 0 where not known.
    """

    counts_per_electron: float
    counts_per_electron_sd: float = 0.0
    dark_level: float = 0.0
    dark_level_sd: float = 0.0
    binning: float = 1.0
    loss: LossCurve | None = None
    pixel_spacing: float = 0.0
    pixel_spacing_error: float = 0.0
    beam_area: float = 0.0
    beam_area_error: float = 0.0

    @property
    def common_error(self) -> float:
        """Relative uncertainty that all images share, of doses at the specimen."""
        parts = [self.counts_per_electron_sd / self.counts_per_electron]
        if self.pixel_spacing:
            parts.append(2.0 * self.pixel_spacing_error)
        elif self.beam_area:
            parts.append(self.beam_area_error)
        return math.hypot(*parts)


@dataclass(frozen=True)
class ImageDose:
    """One image.

    Attributes
    ----------
    name : str
        Where it is.
    exposure : float
        Time, s.
    mean : float
        Mean of the pixels above the dark level, ADU, with what was cut off.
    cut_off : float
        By how much zeros had raised it, ADU; 0 where nothing was cut off.
    electrons, electrons_sd : float
        Incident e⁻ per recorded pixel; the uncertainty is that of this image alone.
    rate, rate_sd : float
        e⁻ per physical pixel and second, likewise.
    loss : float
        Part of the electrons that was not counted.
    amplification : float
        Relative change of the rate over that of the counts.
    dose, dose_sd : float
        e⁻/Å² on the specimen, likewise; NaN where the scale is not known.
    seen : float
        Part of the pixels that measured.
    """

    name: str
    exposure: float
    mean: float
    cut_off: float
    electrons: float
    electrons_sd: float
    rate: float
    rate_sd: float
    loss: float
    amplification: float
    dose: float
    dose_sd: float
    seen: float


def image_dose(image: RecordedImage, exposure: float, scale: Scale) -> ImageDose:
    """Measure one image.

    Parameters
    ----------
    image : RecordedImage
        As recorded.
    exposure : float
        Time, s.
    scale : Scale
        From counts to electrons.

    Returns
    -------
    ImageDose

    Raises
    ------
    ValueError
        If it is saturated, has too many zeros, or more counts than can be linearised.
    """
    pixels, valid, saturated = image.read()
    level = image_level(image.name, pixels, valid, saturated)
    use = valid & ~saturated
    mean, cut_off = level.mean, 0.0
    if scale.loss is None and level.whole and level.lowest >= 0:
        mean, cut_off = _with_what_was_cut_off(
            image.name, pixels, use, level.zeros, mean
        )
    signal = mean - scale.dark_level
    # noise of sums exceeds that of pixels where light spreads: twice covers PSFs met with
    signal_sd = math.hypot(
        2.0 * level.sd / math.sqrt(level.n_pixels),
        ERROR_OF_ZEROS * cut_off,
        scale.dark_level_sd,
    )
    if scale.loss is None:
        rate = float(
            dose_rate(signal, scale.counts_per_electron, exposure, scale.binning)
        )
        amplification, loss = 1.0, 0.0
    else:
        rate, amplification, loss = _linearised(
            image.name, pixels, use, exposure, scale
        )
    relative = signal_sd / abs(signal) if signal else math.inf
    rate_sd = amplification * relative * abs(rate)
    if signal == 0:
        rate_sd = signal_sd / scale.counts_per_electron / exposure / scale.binning**2
    electrons = rate * exposure * scale.binning**2
    dose = _at_specimen(rate, exposure, scale, pixels.size)
    return ImageDose(
        name=image.name,
        exposure=exposure,
        mean=signal,
        cut_off=cut_off,
        electrons=electrons,
        electrons_sd=rate_sd * exposure * scale.binning**2,
        rate=rate,
        rate_sd=rate_sd,
        loss=loss,
        amplification=amplification,
        dose=dose,
        dose_sd=abs(dose) * rate_sd / abs(rate) if rate else math.nan,
        seen=np.count_nonzero(use) / use.size,
    )


def accumulated(images: Sequence[ImageDose], scale: Scale) -> tuple[Array, Array]:
    """Dose up to the end of each image, and its standard uncertainty, e⁻/Å².

    The time between images is not in it.
    """
    dose = np.cumsum([image.dose for image in images])
    own = np.sqrt(np.cumsum([image.dose_sd**2 for image in images]))
    return dose, np.hypot(own, scale.common_error * dose)


def highest_rate(loss: LossCurve) -> float:
    """Rate up to which a curve is taken, e⁻ per physical pixel and second."""
    rates = np.geomspace(0.01, 1000.0, 4000)
    counted = loss.counted(rates)
    growth = np.gradient(np.log(rates)) / np.maximum(
        np.gradient(np.log(counted)), 1e-12
    )
    beyond = np.flatnonzero(growth > LARGEST_AMPLIFICATION)
    limit = float(rates[beyond[0]]) if len(beyond) else float(rates[-1])
    table = getattr(loss, "rates", None)
    return min(limit, float(table[-1])) if table else limit


def _linearised(
    name: str, pixels: Pixels, use: BoolArray, exposure: float, scale: Scale
) -> tuple[float, float, float]:
    """Rate, amplification of relative errors, and loss, by blocks of the image."""
    if scale.loss is None:
        raise ValueError("no curve was given")
    counts = pixels - scale.dark_level
    mean = float(counts[use].mean()) / scale.counts_per_electron
    edge = math.sqrt(COUNTS_OF_A_BLOCK / max(mean, 1e-9))
    block = int(min(max(edge, _SMALLEST_BLOCK), max(pixels.shape)))
    counted = _block_means(counts, use, block)
    counted = counted / (scale.counts_per_electron * exposure * scale.binning**2)
    # what an even image varies by chance is no reason to bend its mean
    chance = _CHANCE_DEVIATIONS / math.sqrt(COUNTS_OF_A_BLOCK)
    if float(np.ptp(counted)) < 2.0 * chance * float(counted.mean()):
        counted = counted.mean(keepdims=True)
    limit = highest_rate(scale.loss)
    most = float(scale.loss.counted(limit))
    beyond = np.count_nonzero(counted > most)
    if beyond:
        raise ValueError(
            f"{name}: {100 * beyond / counted.size:.3g} % of the image has up to "
            f"{counted.max():.4g} counts a pixel and second, and by {scale.loss.name} "
            f"counts tell the rate up to {most:.4g} ({limit:.4g} e⁻): record it with less "
            "beam"
        )
    if float(counted.min()) < 0:
        raise ValueError(f"{name}: {counted.min():.3g} counts a pixel and second")
    rates = scale.loss.true_rate(counted)
    rate, seen = float(rates.mean()), float(counted.mean())
    if seen == 0:
        return 0.0, 1.0, 0.0
    more = float(scale.loss.true_rate(np.minimum(counted * (1 + _STEP), most)).mean())
    amplification = max((more / rate - 1.0) / _STEP, 1.0) if more > rate else 1.0
    return rate, amplification, 1.0 - seen / rate


def _block_means(pixels: Pixels, use: BoolArray, block: int) -> Array:
    """Mean of each block that is at least half seen, shape (n,)."""
    edges = [np.arange(0, max(n - block // 2, 1), block) for n in pixels.shape]

    def total(values: Pixels) -> Array:
        rows = np.add.reduceat(values.astype(float), edges[0], 0)
        return np.asarray(np.add.reduceat(rows, edges[1], 1))

    count, whole = total(use), total(np.ones(use.shape))
    means = total(np.where(use, pixels, 0.0)) / np.maximum(count, 1)
    return np.asarray(means[2 * count >= whole])


def _with_what_was_cut_off(
    name: str, pixels: Pixels, use: BoolArray, zeros: float, mean: float
) -> tuple[float, float]:
    """Mean with values below zero, and by how much they lower it, ADU."""
    if zeros < FEW_ZEROS:
        return mean, 0.0
    # a camera that integrates has read noise: without negative values they were cut off
    level = measure_level(pixels, use, 0)
    if zeros > MOST_ZEROS:
        raise ValueError(
            f"{name}: {100 * zeros:.3g} % of the pixels are zero, where values below zero "
            "were cut off, so that their mean is not known: correct the images with "
            "dials.truncfix first, or give brighter ones"
        )
    fitted, below = true_mean(level)
    if not math.isfinite(fitted):
        raise ValueError(
            f"{name}: values below zero were cut off, and no law could be fitted to the "
            "others: correct the images with dials.truncfix first"
        )
    return mean - below, below


def _at_specimen(rate: float, exposure: float, scale: Scale, n_pixels: int) -> float:
    if scale.pixel_spacing:
        return float(specimen_dose(rate, exposure, scale.pixel_spacing))
    if scale.beam_area:
        return rate * exposure * scale.binning**2 * n_pixels / scale.beam_area
    return math.nan
