"""Effective gain and pedestal of a camera from the scatter of its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.medians import MAD_TO_SD, grouped_median
from dials_truncfix.correction.regions.scattering import Radii
from dials_truncfix.correction.regions.tiles import (
    rings_of_tiles,
    tile_means,
    tile_moments,
)

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]
Array = npt.NDArray[np.float64]

_TILE = 16
# Rows handled at once, a multiple of the tiles.
_BAND = 256
_FEWEST_TILES = 8
_FEWEST_POINTS = 5
_CLIP_DEVIATIONS = 3.0
_HUBER = 1.345
# Relative error of a variance that averaging does not reduce: uneven flat fields and
# spots too weak to be left out, and, per fraction of non-positive pixels, the fitted
# values of what had been zeros.
_SYSTEMATIC = 0.02
_SYSTEMATIC_OF_ZEROS = 0.5
_LARGEST_RELATIVE_SD = 0.15


@dataclass(frozen=True)
class NoiseProfile:
    """
    Mean and variance of the pixels against the scattering angle.

    Attributes
    ----------
    mean : ndarray, shape (n_rings,), float64
        Mean over the tiles of one radius, ADU.
    variance : ndarray, shape (n_rings,), float64
        Mean variance within these tiles, ADU².
    variance_sd : ndarray, shape (n_rings,), float64
        Standard error of `variance`, ADU².
    nonpositive : ndarray, shape (n_rings,), float64
        Fraction of pixels that are not positive: those whose values were fitted.
    """

    mean: Array
    variance: Array
    variance_sd: Array
    nonpositive: Array


@dataclass(frozen=True)
class GainEstimate:
    """
    The line variance = gain · (value - pedestal).

    Attributes
    ----------
    gain : float
        Slope of the variance on the mean, ADU.
    pedestal : float
        Minus the variance of the read noise over the gain, ADU; not positive.
    gain_sd, pedestal_sd : float
        Standard deviations, ADU, without the systematic error of a few per cent.
    read_noise : float
        Standard deviation without electrons, ADU.
    mean_range : tuple of float
        Smallest and largest mean the line was fitted to, ADU.
    reliable : bool
        False when the data do not determine the line; the other numbers are then not
        to be used.
    reason : str
        Why it is not reliable, else empty.
    """

    gain: float
    pedestal: float
    gain_sd: float
    pedestal_sd: float
    read_noise: float
    mean_range: tuple[float, float]
    reliable: bool
    reason: str


def noise_profile(image: IntArray, mask: BoolArray, radius: Radii) -> NoiseProfile:
    """
    Measure mean and variance of an image without truncation in tiles.

    The fitted moments of an annulus do not do: they contain the change of the
    background across it, and a tail that no pixel up to the fit's upper limit
    determines. Within a tile of 16 × 16 pixels the background is a plane, which is
    removed. Tiles with Bragg spots stand out from the tiles of the same radius and are
    left out.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Values with their negative part: zeros must have been replaced at random, ADU.
    mask : ndarray, shape (ny, nx), bool
        True for the pixels that can be used.
    radius : array, shape (ny, nx), float
        Coordinate that grows with the scattering angle.

    Returns
    -------
    NoiseProfile
        One point per tile-wide ring that keeps at least eight tiles.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if not image.shape == mask.shape == radius.shape:
        raise ValueError(
            f"image {image.shape}, mask {mask.shape} and radius {radius.shape} "
            "differ in shape"
        )
    mean, variance = tile_moments(image, mask, _TILE)
    n_slow, n_fast = mean.shape
    if mean.size == 0:
        return NoiseProfile(*(np.empty(0) for _ in range(4)))
    centre = radius[_TILE // 2 :: _TILE, _TILE // 2 :: _TILE][:n_slow, :n_fast]
    ring = rings_of_tiles(centre.astype(np.float64))
    fitted = _nonpositive_fraction(image, mask)
    n_rings = int(ring.max()) + 1
    valid = np.isfinite(mean)
    at, mean, variance = ring[valid], mean[valid], variance[valid]
    nonpositive = grouped_median(fitted[valid], at, n_rings)
    keep = _without_outliers(at, mean, variance, n_rings)
    at, mean, variance = at[keep], mean[keep], variance[keep]
    count = np.bincount(at, minlength=n_rings)
    some = np.maximum(count, 1)
    mean = np.bincount(at, mean, n_rings) / some
    middle = np.bincount(at, variance, n_rings) / some
    square = np.bincount(at, (variance - middle[at]) ** 2, n_rings)
    error = np.sqrt(square / (np.maximum(count - 1, 1) * some))
    enough = count >= _FEWEST_TILES
    return NoiseProfile(
        mean[enough], middle[enough], error[enough], nonpositive[enough]
    )


def _nonpositive_fraction(image: IntArray, mask: BoolArray) -> Array:
    """
    Fraction of the pixels at or below zero in each tile, some rows at a time.

    Parameters
    ----------
    image, mask
        As for `noise_profile`.

    Returns
    -------
    ndarray, shape (ny // 16, nx // 16), float64
        NaN where too few pixels are usable.
    """
    # rows that fill no tile are none of a band
    firsts = range(0, len(image) - _TILE + 1, _BAND)
    rows = [slice(i, i + _BAND) for i in firsts]
    return np.concatenate([tile_means(image[r] <= 0, mask[r], _TILE) for r in rows])


def estimate_gain(profiles: Sequence[NoiseProfile]) -> GainEstimate:
    """
    Fit the variance as a straight line of the mean, robustly.

    Parameters
    ----------
    profiles : sequence of NoiseProfile
        Of some images of a sweep.

    Returns
    -------
    GainEstimate
        The pedestal is 0 where the line meets the axis at a positive mean. Without
        enough points every number is NaN.

    References
    ----------
    Huber, P. J. (1964). Ann. Math. Statist. 35, 73-101,
    doi:10.1214/aoms/1177703732.
    """
    points = np.zeros((4, 0))
    if profiles:
        points = np.concatenate(
            [[p.mean, p.variance, p.variance_sd, p.nonpositive] for p in profiles],
            axis=1,
        )
    # where all pixels are alike nothing was recorded
    mean, variance, error, fitted = points[:, points[1] > 0]
    if len(mean) < _FEWEST_POINTS:
        nan = float("nan")
        return GainEstimate(
            nan, nan, nan, nan, nan, (nan, nan), False,
            f"only {len(mean)} radii have enough tiles without spots",
        )  # fmt: skip
    sd = np.hypot(error, (_SYSTEMATIC + _SYSTEMATIC_OF_ZEROS * fitted) * variance)
    (slope, intercept), covariance = robust_line(mean, variance, sd, error)
    gain_sd = float(np.sqrt(covariance[0, 0]))
    read_variance = max(intercept, 0.0)
    pedestal = -read_variance / slope if slope > 0 else float("nan")
    gradient = np.array([-pedestal, -1.0]) / slope
    low, high = float(mean.min()), float(mean.max())
    reason = ""
    if slope <= 0 or gain_sd > _LARGEST_RELATIVE_SD * slope:
        reason = (
            f"the variance of backgrounds from {low:.1f} to {high:.1f} ADU gives a "
            f"slope of {slope:.2g} ± {gain_sd:.2g}"
        )
    return GainEstimate(
        gain=slope,
        pedestal=pedestal,
        gain_sd=gain_sd,
        pedestal_sd=float(np.sqrt(gradient @ covariance @ gradient)),
        read_noise=float(np.sqrt(read_variance)),
        mean_range=(low, high),
        reliable=not reason,
        reason=reason,
    )


def _without_outliers(
    ring: npt.NDArray[np.int64], mean: Array, variance: Array, n_rings: int
) -> npt.NDArray[np.intp]:
    """
    Leave out the tiles that are brighter or noisier than others of their radius.

    Parameters
    ----------
    ring : ndarray, shape (n_tiles,), int64
        Ring of each tile.
    mean, variance : ndarray, shape (n_tiles,)
        Of the tiles.
    n_rings : int
        Number of rings.

    Returns
    -------
    ndarray of intp
        The tiles that stay.
    """
    left = np.arange(len(ring))
    for _ in range(3):
        at = ring[left]
        keep = np.ones(len(left), dtype=bool)
        for x in (mean[left], variance[left]):
            away = x - grouped_median(x, at, n_rings)[at]
            spread = MAD_TO_SD * grouped_median(np.abs(away), at, n_rings)
            # the medians come with an error of rounding
            keep &= away <= _CLIP_DEVIATIONS * spread[at] + 1e-9 * np.abs(x)
        left = left[keep]
    return left


def robust_line(
    x: Array, y: Array, sd: Array, floor: Array
) -> tuple[tuple[float, float], npt.NDArray[np.float64]]:
    """
    Straight line by iteratively reweighted least squares with Huber's weights.

    Parameters
    ----------
    x, y, sd : ndarray, shape (n,)
        Points and the standard deviations of y.
    floor : ndarray, shape (n,)
        The part of the standard deviations that averages out: no point is taken to
        be better known than that.

    Returns
    -------
    tuple of (float, float) and ndarray
        Slope and intercept, and their covariance matrix from the residuals.

    References
    ----------
    MacKinnon, J. G. & White, H. (1985). J. Econometrics 29, 305-325,
    doi:10.1016/0304-4076(85)90158-7 (HC3).
    """
    design = np.stack([x, np.ones_like(x)], axis=1) / sd[:, None]
    target = y / sd
    weight = np.ones_like(x)
    solution = np.zeros(2)
    for _ in range(50):
        root = np.sqrt(weight)[:, None]
        new = np.linalg.lstsq(design * root, target * root[:, 0], rcond=None)[0]
        residual = target - design @ new
        scale = max(MAD_TO_SD * float(np.median(np.abs(residual))), 1e-9)
        weight = np.minimum(1.0, _HUBER * scale / np.maximum(np.abs(residual), 1e-12))
        if np.allclose(new, solution, rtol=1e-10, atol=1e-12):
            break
        solution = new
    # The residuals tell how well the line is determined, enlarged where a point pulls
    # the line to itself.
    bread = np.linalg.pinv((design * weight[:, None]).T @ design)
    leverage = np.einsum("ij,jk,ik->i", design, bread, design) * weight
    pull = weight * residual / np.maximum(1.0 - leverage, 0.1)
    score = design * np.maximum(np.abs(pull), weight * floor / sd)[:, None]
    covariance = bread @ (score.T @ score) @ bread
    return (float(new[0]), float(new[1])), covariance
