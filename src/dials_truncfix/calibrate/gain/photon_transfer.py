"""The straight line of variance on mean: gain, pedestal and read noise.

References
----------
Janesick, J. R., Klaasen, K. P. & Elliott, T. (1987). Opt. Eng. 26, 972-980.
https://doi.org/10.1117/12.7974183
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.correlation.gain_of_sums import gain_of_sums
from dials_truncfix.correction.correlation.noise_covariance import NoiseCovariance
from dials_truncfix.correction.gain import GainEstimate, robust_line

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_FEWEST_POINTS = 5
#: A slope that is less sure than this part of itself is none.
LARGEST_RELATIVE_SD = 0.15
#: Relative error of variances of fitted laws, at no zeros, and for each fraction of
#: zeros: what the laws leave out, which averaging does not reduce.
_ERROR_OF_LAWS, _ERROR_OF_ZEROS = 0.01, 0.05
# Relative error of covariances that follow from ranks of pixels.
_ERROR_OF_SCORES = 0.08
# Covariances of regions scatter less than they are wrong, as the tiles of one lie among
# those of others: by so much in simulated images (benchmarks/gain_and_dose.py).
_SHARED = 1.5
# Neighbours vary together if the slope of their covariance is so many times its error.
_SIGNIFICANT = 4.0
# A line that misses the brightest tenth by more is bent.
_BEND_DEVIATIONS, _BEND = 4.0, 0.02
_BRIGHTEST = 0.9


@dataclass(frozen=True)
class TransferPoints:
    """Means and variances of many regions.

    Attributes
    ----------
    mean, variance : ndarray, shape (n,)
        ADU and ADU².
    covariance : ndarray, shape (n,)
        Sum of the covariances with the pixels around, ADU²; NaN where not measured.
    n_pixels : ndarray, shape (n,)
        Pixels of each region.
    source : ndarray, shape (n,), int64
        Number of the pair of images, or of the image.
    zeros : ndarray, shape (n,)
        Fraction of zeros, where moments are those of a fitted law; else 0.
    from_law : ndarray, shape (n,), bool
        Whether a law was fitted, as zeros stand for values that were cut off.
    from_scores : ndarray, shape (n,), bool
        Whether the covariance follows from ranks of pixels, not from their values.
    """

    mean: Array
    variance: Array
    covariance: Array
    n_pixels: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    zeros: Array
    from_law: BoolArray
    from_scores: BoolArray

    def __len__(self) -> int:
        """Return the number of regions."""
        return len(self.mean)

    def take(self, which: BoolArray) -> TransferPoints:
        """Return some of the regions."""
        return TransferPoints(*(getattr(self, name)[which] for name in _COLUMNS))


_COLUMNS = tuple(TransferPoints.__dataclass_fields__)


def join_points(parts: Sequence[TransferPoints]) -> TransferPoints:
    """Put regions of several images together."""
    return TransferPoints(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in _COLUMNS)
    )


@dataclass(frozen=True)
class NoiseLine:
    """Variance = gain · (value - pedestal).

    Attributes
    ----------
    gain, gain_sd : float
        Slope and its standard uncertainty, ADU.
    pedestal, pedestal_sd : float
        Value at which the variance would be zero, ADU.
    covariance : float
        Of gain and pedestal, ADU².
    """

    gain: float
    gain_sd: float
    pedestal: float
    pedestal_sd: float
    covariance: float

    def variance(self, value: Array) -> Array:
        """Return the variance of pixels of a mean value, ADU²."""
        return np.asarray(self.gain * (value - self.pedestal))

    def variance_at(self, value: float, value_sd: float) -> tuple[float, float]:
        """Return the variance at one value, and its standard uncertainty, ADU²."""
        above = value - self.pedestal
        square = (
            (above * self.gain_sd) ** 2
            + self.gain**2 * (self.pedestal_sd**2 + value_sd**2)
            - 2.0 * above * self.gain * self.covariance
        )
        return self.gain * above, math.sqrt(max(square, 0.0))


@dataclass(frozen=True)
class PhotonTransfer:
    """What variances and means say.

    Attributes
    ----------
    points : TransferPoints
        What the lines were fitted to.
    pixels : NoiseLine
        Of single pixels.
    sums : NoiseLine
        Of sums over many pixels, per pixel: what integration needs. The same as
        `pixels` unless neighbours clearly vary together.
    covariance_slope, covariance_slope_sd : float
        Slope of the sum of covariances on the mean, ADU; NaN where not measured.
    bend : float
        By how much the brightest points stand above the line, as a part of their
        variance; 0 where they do not clearly.
    """

    points: TransferPoints
    pixels: NoiseLine
    sums: NoiseLine
    covariance_slope: float
    covariance_slope_sd: float
    bend: float

    @property
    def spread(self) -> bool:
        """Whether neighbours clearly vary together."""
        return self.sums is not self.pixels

    @property
    def hint_of_spread(self) -> bool:
        """Whether neighbours vary together, but too little to be taken for the camera."""
        together = abs(self.covariance_slope) > _SIGNIFICANT * self.covariance_slope_sd
        return not self.spread and together

    @property
    def mean_range(self) -> tuple[float, float]:
        """Smallest and largest mean, ADU."""
        return float(self.points.mean.min()), float(self.points.mean.max())

    @property
    def from_laws(self) -> bool:
        """Whether all variances are those of fitted laws."""
        return bool(self.points.from_law.all())


def fit_photon_transfer(
    points: TransferPoints,
    dark_level: float | None = None,
    smallest_spread: float = 0.0,
) -> PhotonTransfer:
    """Fit the lines, robustly.

    Parameters
    ----------
    points : TransferPoints
        Of all images.
    dark_level : float, optional
        Mean without electrons, ADU, if known: neighbours share no read noise there.
    smallest_spread : float
        Covariances of less than this part of the variance are not of the camera.

    Returns
    -------
    PhotonTransfer

    Raises
    ------
    ValueError
        When there are too few points, no noise, or no range of means.
    """
    points = points.take(points.variance > 0)
    if len(points) < _FEWEST_POINTS:
        raise ValueError(
            f"only {len(points)} regions of the images have any noise, and "
            f"{_FEWEST_POINTS} are needed: give images with light on all of the camera"
        )
    low, high = float(points.mean.min()), float(points.mean.max())
    if not high > low:
        raise ValueError(f"all means are {low:.4g} ADU: give images of another dose")
    line = _line(points.mean, points.variance, points, points.variance)
    # weights by the variances themselves would favour those that are small by chance
    weigh_by = np.maximum(line.variance(points.mean), 0.1 * points.variance)
    line = _line(points.mean, points.variance, points, weigh_by)
    if not line.gain > 0 or line.gain_sd > LARGEST_RELATIVE_SD * line.gain:
        raise ValueError(
            f"means from {low:.4g} to {high:.4g} ADU do not tell the slope of the variance "
            f"({line.gain:.3g} ± {line.gain_sd:.2g}): give images of another dose, or "
            "images without light as gain.dark"
        )
    measured = np.isfinite(points.covariance)
    sums, slope, slope_sd = line, math.nan, math.nan
    if np.count_nonzero(measured) >= _FEWEST_POINTS:
        some = points.take(measured)
        weigh_by = weigh_by[measured]
        of_covariance = _line(some.mean, some.covariance, some, weigh_by)
        slope, slope_sd = of_covariance.gain, _SHARED * of_covariance.gain_sd
        if abs(slope) > max(_SIGNIFICANT * slope_sd, smallest_spread * line.gain):
            sums = _of_sums(line, some, dark_level, weigh_by)
    return PhotonTransfer(points, line, sums, slope, slope_sd, _bend(points, line))


def _line(x: Array, y: Array, points: TransferPoints, variance: Array) -> NoiseLine:
    """Fit a line; its uncertainty includes what laws are wrong by all together."""
    chance = variance * np.sqrt(2.0 / points.n_pixels)
    laws = np.where(
        points.from_law,
        (_ERROR_OF_LAWS + _ERROR_OF_ZEROS * points.zeros) * variance,
        0.0,
    )
    sd = np.hypot(chance, laws)
    (slope, intercept), covariance = robust_line(x, y, sd, np.zeros_like(sd))
    # that the points scatter less by chance does not make them tell more
    plain = np.stack([x, np.ones_like(x)], axis=1) / chance[:, None]
    least = np.linalg.pinv(plain.T @ plain, hermitian=True)[0, 0]
    covariance = covariance * max(1.0, least / max(covariance[0, 0], 1e-300))
    if points.from_law.any():
        # all laws may be wrong in the same direction
        design = np.stack([x, np.ones_like(x)], axis=1) / sd[:, None]
        shift = np.linalg.lstsq(design, laws / sd, rcond=None)[0]
        covariance = covariance + np.outer(shift, shift)
    pedestal = -intercept / slope if slope else math.nan
    gradient = np.array([-pedestal, -1.0]) / slope if slope else np.zeros(2)
    return NoiseLine(
        slope,
        float(np.sqrt(covariance[0, 0])),
        pedestal,
        float(np.sqrt(gradient @ covariance @ gradient)),
        float(gradient @ covariance[:, 0]),
    )


def _of_sums(
    line: NoiseLine,
    points: TransferPoints,
    dark_level: float | None,
    weigh_by: Array,
) -> NoiseLine:
    """Fit the variance of sums, per pixel."""
    if dark_level is None or line.pedestal > dark_level:
        return _line(points.mean, points.variance + points.covariance, points, weigh_by)
    single = GainEstimate(
        gain=line.gain,
        pedestal=line.pedestal - dark_level,
        gain_sd=line.gain_sd,
        pedestal_sd=line.pedestal_sd,
        read_noise=math.sqrt(line.variance_at(dark_level, 0.0)[0]),
        mean_range=(float(points.mean.min()), float(points.mean.max())),
        reliable=True,
        reason="",
    )
    found = gain_of_sums(
        single, [NoiseCovariance(points.mean - dark_level, points.covariance)]
    )
    scores = _ERROR_OF_SCORES * (found.gain - line.gain) * points.from_scores.mean()
    chance = math.sqrt(max(found.gain_sd**2 - line.gain_sd**2, 0.0))
    ratio = line.gain / found.gain
    return NoiseLine(
        found.gain,
        math.hypot(line.gain_sd, _SHARED * chance, scores),
        found.pedestal + dark_level,
        math.hypot(ratio * line.pedestal_sd, found.pedestal_sd),
        0.0,
    )


def _bend(points: TransferPoints, line: NoiseLine) -> float:
    """By how much of their variance the brightest points leave the line."""
    low, high = np.quantile(points.mean, [0.0, _BRIGHTEST])
    bright = (points.mean >= high) & ~points.from_law
    if np.count_nonzero(bright) < _FEWEST_POINTS or high <= low:
        return 0.0
    away = points.variance[bright] / line.variance(points.mean[bright]) - 1.0
    middle = float(np.median(away))
    error = float(np.std(away, ddof=1)) / math.sqrt(len(away))
    error = math.hypot(error, line.gain_sd / line.gain)
    return middle if abs(middle) > max(_BEND, _BEND_DEVIATIONS * error) else 0.0
