"""Mean and variance of evenly lit pixels from the difference of two images.

What two images have in common, the fixed pattern of the camera among it, drops out of
their difference, whose variance is twice that of a pixel. The light of an electron that
spreads over several pixels makes neighbours vary together, and each of them less: the
variance of sums is that of a pixel plus its covariances with all pixels around it.

References
----------
Janesick, J. R., Klaasen, K. P. & Elliott, T. (1987). Opt. Eng. 26, 972-980.
https://doi.org/10.1117/12.7974183
Downing, M., Baade, D., Sinclaire, P., Deiries, S. & Christen, F. (2006). Proc. SPIE 6276,
627609. https://doi.org/10.1117/12.671457 (covariances of neighbours).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from dials_truncfix.correction.joint_camera.camera_regions import (
    TILE,
    brightness_regions,
)
from dials_truncfix.correction.medians import MAD_TO_SD, grouped_median
from dials_truncfix.correction.regions.annuli import OUTSIDE

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Pixels = npt.NDArray[Any]

#: Pixels farther apart than this along an axis are taken to be independent.
REACH = 4
_BOX = 2 * REACH + 1
# The mean of the difference is taken off in blocks of this edge: drifts of the beam.
_BLOCK = 128
# Tiles whose noise is so many of its standard deviations above the median of their region
# are left out, where the median is so near to the mean.
_LARGEST_DEVIATION, _EVEN = 4.5, 0.85


@dataclass(frozen=True)
class PairPoints:
    """Regions of one brightness each, in two images.

    Attributes
    ----------
    mean : ndarray, shape (n,)
        Mean of both images, ADU.
    variance : ndarray, shape (n,)
        Of one pixel of one image, ADU².
    covariance : ndarray, shape (n,)
        Sum of the covariances of a pixel with those around it, ADU².
    n_pixels : ndarray, shape (n,), int64
        Pixels of each region.
    zeros : ndarray, shape (n,)
        Fraction of the values that are not positive.
    """

    mean: Array
    variance: Array
    covariance: Array
    n_pixels: npt.NDArray[np.int64]
    zeros: Array


def pair_points(first: Pixels, second: Pixels, valid: BoolArray) -> PairPoints:
    """Measure mean, variance and covariance in two images of the same light.

    Parameters
    ----------
    first, second : ndarray, shape (ny, nx)
        ADU.
    valid : ndarray, shape (ny, nx), bool
        True for the pixels that measured in both.

    Returns
    -------
    PairPoints
        Tiles of 8 × 8 pixels that are brighter than those around them, or noisier than
        those of their region, hold spots or cosmic rays, and are left out.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if not first.shape == second.shape == valid.shape:
        raise ValueError(
            f"images of {first.shape} and {second.shape} pixels cannot be compared"
        )
    together = first + second
    region = brightness_regions(np.rint(together).astype(np.int64), valid)
    difference = difference_image(first, second, valid)
    region = _without_noisy_tiles(region, difference)
    used = region >= 0
    at = region[used]
    n_regions = int(at.max()) + 1 if at.size else 0
    n_pixels = np.bincount(at, minlength=n_regions)
    some = np.maximum(n_pixels, 1)

    def average(values: Pixels) -> Array:
        return np.asarray(np.bincount(at, values[used], n_regions) / some)

    mean = average(0.5 * together)
    variance = 0.5 * average(difference**2)
    others = 0.5 * average(difference * _sum_around(difference, valid))
    # the mean of a block that was taken off takes a part of the variance of its sum
    part = _BOX**2 / _BLOCK**2
    covariance = (others + part * variance) / (1.0 - part)
    zeros = average(0.5 * ((first <= 0).astype(float) + (second <= 0)))
    enough = n_pixels > 1
    return PairPoints(
        mean[enough],
        variance[enough],
        covariance[enough],
        n_pixels[enough],
        zeros[enough],
    )


def difference_image(first: Pixels, second: Pixels, valid: BoolArray) -> Array:
    """Difference of two images without its mean in blocks of 128 pixels, (ny, nx).

    Pixels that are not valid are zero.
    """
    difference = np.where(valid, np.asarray(first, float) - second, 0.0)
    edges = [np.arange(0, n, _BLOCK) for n in difference.shape]
    total = np.add.reduceat(np.add.reduceat(difference, edges[0], 0), edges[1], 1)
    count = np.add.reduceat(
        np.add.reduceat(valid, edges[0], 0, dtype=np.int64), edges[1], 1
    )
    level = total / np.maximum(count, 1)
    rows, columns = (np.arange(n) // _BLOCK for n in difference.shape)
    return np.where(valid, difference - level[np.ix_(rows, columns)], 0.0)


def correlation_map(difference: Array, valid: BoolArray) -> Array:
    """Correlation of pixels with those around them.

    Parameters
    ----------
    difference : ndarray, shape (ny, nx)
        From `difference_image`.
    valid : ndarray, shape (ny, nx), bool
        True for the pixels that measured in both images.

    Returns
    -------
    ndarray, shape (2 REACH + 1, 2 REACH + 1)
        1 in its middle.
    """
    ny, nx = difference.shape
    product = np.zeros((_BOX, _BOX))
    for slow in range(REACH + 1):
        for fast in range(-REACH, REACH + 1):
            here = np.s_[: ny - slow, max(0, -fast) : nx - max(0, fast)]
            there = np.s_[slow:, max(0, fast) : nx + min(0, fast)]
            pairs = np.count_nonzero(valid[here] & valid[there])
            value = np.vdot(difference[here], difference[there]) / max(pairs, 1)
            product[REACH + slow, REACH + fast] = value
            product[REACH - slow, REACH - fast] = value
    middle = product[REACH, REACH]
    return product / middle if middle > 0 else product


def _without_noisy_tiles(
    region: npt.NDArray[np.int16], difference: Array
) -> npt.NDArray[np.int16]:
    """Take tiles out of their regions whose squared difference stands out, (ny, nx)."""
    n_slow, n_fast = (n // TILE for n in region.shape)
    inside = slice(0, n_slow * TILE), slice(0, n_fast * TILE)
    tiled = (n_slow, TILE, n_fast, TILE)
    counted = (region[inside] >= 0).reshape(tiled).sum(axis=(1, 3))
    square = np.where(region[inside] >= 0, difference[inside] ** 2, 0.0)
    square = square.reshape(tiled).sum(axis=(1, 3)) / np.maximum(counted, 1)
    # the pixels of a tile share their region
    of_tile = region[inside].reshape(tiled).max(axis=(1, 3))
    chosen = np.flatnonzero((counted.ravel() == TILE**2) & (of_tile.ravel() >= 0))
    at, values = of_tile.ravel()[chosen].astype(np.int64), square.ravel()[chosen]
    if not len(at):
        return region
    n_regions = int(at.max()) + 1
    middle = grouped_median(values, at, n_regions)[at]
    mean = np.bincount(at, values) / np.maximum(np.bincount(at), 1)
    away = values - middle
    spread = MAD_TO_SD * grouped_median(np.abs(away), at, n_regions)[at]
    # of sparse counts most of the noise is in few tiles
    even = middle > _EVEN * mean[at]
    noisy = np.zeros(counted.size, dtype=bool)
    noisy[chosen] = even & (away > _LARGEST_DEVIATION * np.maximum(spread, 1e-9))
    result = region.copy()
    where = noisy.reshape(counted.shape).repeat(TILE, axis=0).repeat(TILE, axis=1)
    result[inside][where] = OUTSIDE
    return result


def _sum_around(difference: Array, valid: BoolArray) -> Array:
    """Sum over the pixels around each one, as if all of them were valid, (ny, nx)."""
    size = float(_BOX**2)
    total = size * uniform_filter(difference, _BOX, mode="constant") - difference
    if valid.all():
        count = [
            np.minimum(np.arange(n), REACH)
            + np.minimum(np.arange(n)[::-1], REACH)
            + 1.0
            for n in difference.shape
        ]
        around = np.outer(*count) - 1.0
    else:
        around = size * uniform_filter(valid.astype(float), _BOX, mode="constant") - 1.0
    return np.asarray(total * ((size - 1.0) / np.maximum(around, 1.0)))
