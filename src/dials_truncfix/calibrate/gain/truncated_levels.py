"""What images with values cut off at zero still tell: fitted laws, and the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.gain.photon_transfer import TransferPoints
from dials_truncfix.correction.correlation.latent_scores import normal_scores
from dials_truncfix.correction.correlation.noise_correlation import (
    NoiseCorrelation,
    measure_correlation,
)
from dials_truncfix.correction.fit import RingFits, fit_histograms
from dials_truncfix.correction.histogram import ring_histograms
from dials_truncfix.correction.joint_camera.camera_fit import CameraFit, fit_camera
from dials_truncfix.correction.joint_camera.camera_regions import brightness_regions
from dials_truncfix.correction.value_counts import value_probabilities
from dials_truncfix.correction.verdict.votes import vote

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]

N_BINS = 2048
#: With fewer zeros than this a region counts as complete.
FEW_ZEROS = 1e-3
# Laws of regions with more zeros are not trusted.
_MOST_ZEROS = 0.7
# Each region has a mean of its own; with few pixels that makes the camera's gain too
# large, by 1.6 % at 1750 pixels of evenly lit images.
_PIXELS_OF_EVEN_LIGHT, _PIXELS_OF_A_REGION = 15_000, 6_000
_HALF = 0.5
# Together they decide faster, and no worse.
_REGIONS_OF_A_VOTE = 5
# Below zero, in standard deviations of the law.
_REACH_BELOW = 6.0
_FEWEST_REGIONS = 2


@dataclass(frozen=True)
class Level:
    """One image whose values may have been cut off.

    Attributes
    ----------
    number : int
        Its number, for a drift of the dark level.
    regions : ndarray, shape (ny, nx), int16
        Regions of one brightness each, negative outside.
    histograms : ndarray, shape (n_regions, n_bins), int64
        Pixels of each value; what is negative counts as zero.
    """

    number: int
    regions: npt.NDArray[np.int16]
    histograms: npt.NDArray[np.int64]


def measure_level(
    image: IntArray, valid: BoolArray, number: int, even: bool = True
) -> Level:
    """Divide an image into regions of one brightness, and count their values.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Values above the dark level, ADU.
    valid : ndarray, shape (ny, nx), bool
        True for the pixels that measured.
    number : int
        Number of the image.
    even : bool
        Whether the image is evenly lit, so that regions may be large.

    Returns
    -------
    Level
    """
    clipped = np.maximum(image, 0)
    regions = brightness_regions(clipped, valid)
    least = _PIXELS_OF_EVEN_LIGHT if even else _PIXELS_OF_A_REGION
    n_regions = int(regions.max()) + 1
    together = -(-least * n_regions // max(np.count_nonzero(regions >= 0), 1))
    if together > 1:
        # regions are in the order of brightness
        whole = max(n_regions // together, 1)
        regions = np.where(
            regions >= 0, np.minimum(regions // together, whole - 1), regions
        ).astype(np.int16)
    n_regions = max(int(regions.max()) + 1, 1)
    return Level(number, regions, ring_histograms(clipped, regions, n_regions, N_BINS))


def is_truncated(levels: Sequence[Level]) -> bool:
    """Tell zeros that stand for all that was cut off from those of a counting camera."""
    pooled = []
    for level in levels:
        # from dark to bright, so that those of like brightness come together
        first = np.arange(0, len(level.histograms), _REGIONS_OF_A_VOTE)
        pooled.append(np.add.reduceat(level.histograms, first, axis=0))
    return bool(vote(np.concatenate(pooled)).share > _HALF)


def law_points(
    level: Level, source: int, correlation: NoiseCorrelation | None = None
) -> TransferPoints:
    """Mean and variance of what regions would hold if nothing had been cut off.

    The values of zeros are those of the law fitted to a region's counts.

    Parameters
    ----------
    level : Level
        An image.
    source : int
        Number for the points.
    correlation : NoiseCorrelation, optional
        Of neighbouring pixels of the image.

    Returns
    -------
    TransferPoints
        Of the regions with zeros whose laws could be fitted.
    """
    fits = fit_histograms(level.histograms, "auto")
    zeros = fits.n_zero / np.maximum(fits.n_pixels, 1)
    use = fits.fitted & fits.converged & (zeros >= FEW_ZEROS) & (zeros < _MOST_ZEROS)
    mean, variance = (moment[use] for moment in _completed_moments(level, fits))
    covariance = np.full(len(mean), np.nan)
    if correlation is not None and len(mean):
        covariance = score_covariance(correlation, mean) * variance
    return TransferPoints(
        mean,
        variance,
        covariance,
        fits.n_pixels[use],
        np.full(len(mean), source, dtype=np.int64),
        zeros[use],
        np.ones(len(mean), dtype=bool),
        np.ones(len(mean), dtype=bool),
    )


def _completed_moments(level: Level, fits: RingFits) -> tuple[Array, Array]:
    """Mean and variance of regions: counts above zero, and laws in the place of zeros.

    The moments of the laws themselves contain a tail that no count determines.
    """
    lowest = -int(
        np.ceil(_REACH_BELOW * np.sqrt(np.nanmax(fits.variance, initial=1.0)))
    )
    below = value_probabilities(fits, lowest, 0)
    below /= np.maximum(below.sum(axis=1), 1e-300)[:, None]
    negative = np.arange(lowest, 1)
    values = np.arange(level.histograms.shape[1])
    total = np.maximum(level.histograms.sum(axis=1), 1)
    first = level.histograms @ values + level.histograms[:, 0] * (below @ negative)
    second = level.histograms @ values**2
    second = second + level.histograms[:, 0] * (below @ negative**2)
    mean = first / total
    return mean, second / total - mean**2


def score_covariance(correlation: NoiseCorrelation, mean: Array) -> Array:
    """Sum of the covariances of a pixel with those around it, over its variance.

    Parameters
    ----------
    correlation : NoiseCorrelation
        By brightness.
    mean : ndarray, shape (n,)
        Brightnesses, ADU.

    Returns
    -------
    ndarray, shape (n,)
    """
    order = np.argsort(correlation.level)
    total = 2.0 * correlation.by_class.sum(axis=1)
    return np.asarray(np.interp(mean, correlation.level[order], total[order]))


def level_correlation(image: IntArray, level: Level) -> NoiseCorrelation | None:
    """Correlation of neighbouring pixels of an image, in spite of its zeros.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        As for `measure_level`.
    level : Level
        What that made of it.

    Returns
    -------
    NoiseCorrelation or None
        None where it cannot be measured, or is not more than chance.
    """
    eligible = level.regions >= 0
    if len(level.histograms) < _FEWEST_REGIONS or not eligible.any():
        return None
    scores = normal_scores(
        np.maximum(image, 0),
        eligible,
        np.maximum(level.regions, 0).astype(np.uint16),
        recorded_means(level.histograms),
    )
    found = measure_correlation(np.maximum(image, 0), scores)
    return found if found is not None and found.significant else None


def recorded_means(histograms: npt.NDArray[np.int64]) -> Array:
    """Return the mean of the recorded values of each region, ADU."""
    total = np.maximum(histograms.sum(axis=1), 1)
    return np.asarray(histograms @ np.arange(histograms.shape[1]) / total)


def true_mean(level: Level, fits: RingFits | None = None) -> tuple[float, float]:
    """Mean of an image, with what was cut off.

    Positive pixels keep their values; the zeros have the mean that the law of their
    region gives them.

    Parameters
    ----------
    level : Level
        An image whose values below 2047 ADU are all that there is.
    fits : RingFits, optional
        Laws of its regions; they are fitted if not given.

    Returns
    -------
    tuple of float
        Mean, and by how much zeros lower it, ADU. NaN where no law could be fitted.
    """
    fits = fit_histograms(level.histograms, "auto") if fits is None else fits
    n_pixels = level.histograms.sum()
    if n_pixels == 0:
        return float("nan"), float("nan")
    known = fits.fitted & fits.converged
    per_zero = np.where(known, fits.mean_nonpositive, np.nan)
    zeros = fits.n_zero.astype(float)
    if not known.any():
        return float("nan"), float("nan")
    # those few that could not be fitted are like the others
    lost = np.where(
        known, per_zero, np.average(per_zero[known], weights=zeros[known] + 1)
    )
    below = float((lost * zeros).sum() / n_pixels)
    recorded = float(
        (recorded_means(level.histograms) * level.histograms.sum(axis=1)).sum()
    )
    return recorded / n_pixels + below, -below


def camera_of_levels(
    levels: Sequence[Level], drift: bool, rounding: str = "round"
) -> CameraFit:
    """Fit one camera to the regions of all images.

    Parameters
    ----------
    levels : sequence of Level
        The images.
    drift : bool
        Whether the dark level may drift along them.
    rounding : {'round', 'floor'}
        How the camera made integers.

    Returns
    -------
    CameraFit

    Raises
    ------
    ValueError
        When too few regions have zeros.
    """
    histograms = np.concatenate([level.histograms for level in levels])
    numbers = np.repeat(
        [level.number if drift else 0 for level in levels],
        [len(level.histograms) for level in levels],
    )
    return fit_camera(histograms, numbers, rounding)
