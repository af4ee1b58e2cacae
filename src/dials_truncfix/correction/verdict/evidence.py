"""Gather from a few images what the verdict on their zeros needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from dials_truncfix.correction.histogram import ring_histograms
from dials_truncfix.correction.regions.annuli import OUTSIDE
from dials_truncfix.correction.regions.scattering import Radii
from dials_truncfix.correction.regions.tiles import Tiles, tile_levels, tile_moments
from dials_truncfix.correction.verdict.solid_zeros import solid_zeros

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

_N_REGIONS = 12
_N_BINS = 1024
_TILE = 16
_LARGEST_LEVEL = 65536
_BAND_ROWS = 64


@dataclass(frozen=True)
class Evidence:
    """
    What a few images of a sweep say about how zeros came about.

    Attributes
    ----------
    histograms : ndarray, shape (n_regions, n_bins), int64
        Pixels of each value in regions of similar brightness, from dark to bright,
        summed over the images; the last bin holds all larger values. Negative
        values and solid areas of zeros are left out.
    mean, variance : ndarray, shape (n_regions,), float64
        Medians over the tiles of each region of their mean and of their variance
        about a plane, ADU and ADU²; NaN in an empty region.
    n_images : int
        Number of images.
    n_pixels : int
        Unmasked pixels in all images.
    n_negative : int
        Negative ones among them.
    n_solid_zeros : int
        Zeros in solid areas: gaps, dead areas, full shadows.
    n_levels : int
        Number of different values, at most 65536.
    lowest, highest : int
        Smallest and largest value, ADU.
    anisotropy : float
        Scatter of the zero fraction around the rings: standard deviation of the
        local mean in units of the pixels' own standard deviation; 0 where the rings
        are uniform.
    zeros_trusted : bool
        False when the image format declares zero to be no measurement.
    pedestal : float
        Known offset of the values, ADU.
    """

    histograms: npt.NDArray[np.int64]
    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    n_images: int
    n_pixels: int
    n_negative: int
    n_solid_zeros: int
    n_levels: int
    lowest: int
    highest: int
    anisotropy: float = 0.0
    zeros_trusted: bool = True
    pedestal: float = 0.0


def collect_evidence(
    frames: Iterable[tuple[IntArray, BoolArray]],
    radius: Radii,
    *,
    zeros_trusted: bool = True,
    pedestal: float = 0.0,
) -> Evidence:
    """
    Gather the evidence from some images of a sweep.

    The regions hold tiles of 16 × 16 pixels of similar mean rather than annuli, so
    that shadows, modules of different sensitivity or a wrong beam centre do not mix
    distributions.

    Parameters
    ----------
    frames : iterable of (image, mask)
        Recorded values, shape (ny, nx), any integer type, ADU, and True for the
        pixels that the detector measures. Zeros must not be masked for being zero.
    radius : array, shape (ny, nx), float
        Coordinate that grows with the scattering angle.
    zeros_trusted : bool
        Whether the image format counts zeros as measured.
    pedestal : float
        Offset of the values, if the format states one, ADU.

    Returns
    -------
    Evidence

    Raises
    ------
    ValueError
        If there is no image or the shapes differ.
    """
    histograms = np.zeros((_N_REGIONS, _N_BINS), dtype=np.int64)
    seen = np.zeros(_LARGEST_LEVEL, dtype=bool)
    means: list[npt.NDArray[np.float64]] = []
    variances: list[npt.NDArray[np.float64]] = []
    anisotropies: list[float] = []
    n_images = n_pixels = n_negative = n_solid = 0
    lowest, highest = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    for image, mask in frames:
        n_images += 1
        if not mask.any():
            continue
        for values in _bands(image, mask):
            n_pixels += values.size
            low, high = int(values.min()), int(values.max())
            lowest, highest = min(lowest, low), max(highest, high)
            if low < 0:
                n_negative += int(np.count_nonzero(values < 0))
            if low < 0 or high >= _LARGEST_LEVEL:
                values = values[(values >= 0) & (values < _LARGEST_LEVEL)]
            seen[values] = True
        solid = solid_zeros(image, mask)
        n_solid += int(np.count_nonzero(solid))
        # in the mask, and in no solid area
        used = np.greater(mask, solid, out=solid)
        tiles = tile_levels(image, used, radius, _TILE)
        region = _regions_of_tiles(tiles)
        histograms += _histograms(image, used, region)
        mean, variance = _moments(image, used, region)
        means.append(mean)
        variances.append(variance)
        anisotropies.append(_anisotropy(image, used, radius))
        # before the next image is read
        del image, mask, used, solid
    if n_images == 0:
        raise ValueError("a verdict needs at least one image")
    if n_pixels == 0:
        lowest = highest = 0
    return Evidence(
        histograms=histograms,
        mean=_median_of_images(means),
        variance=_median_of_images(variances),
        n_images=n_images,
        n_pixels=n_pixels,
        n_negative=n_negative,
        n_solid_zeros=n_solid,
        n_levels=int(np.count_nonzero(seen)),
        lowest=lowest,
        highest=highest,
        anisotropy=float(np.median(anisotropies)) if anisotropies else 0.0,
        zeros_trusted=zeros_trusted,
        pedestal=pedestal,
    )


def _bands(image: IntArray, mask: BoolArray) -> Iterator[IntArray]:
    """
    Take the usable pixels of a few rows at a time, which keeps the memory small.

    Parameters
    ----------
    image, mask : ndarray, shape (ny, nx)
        Values, ADU, and usable pixels.

    Yields
    ------
    ndarray, shape (n,)
        At least one value.
    """
    for start in range(0, len(image), _BAND_ROWS):
        band = slice(start, start + _BAND_ROWS)
        used = mask[band]
        values = image[band].ravel() if used.all() else image[band][used]
        if values.size:
            yield values


def _regions_of_tiles(tiles: Tiles) -> npt.NDArray[np.int8]:
    """
    Sort the tiles into regions of equally many tiles by their mean.

    Parameters
    ----------
    tiles : Tiles
        Means of the tiles.

    Returns
    -------
    ndarray, shape (n_slow, n_fast), int8
        0 (dark) … _N_REGIONS - 1 (bright), OUTSIDE where there is no mean.
    """
    region = np.full(tiles.mean.shape, OUTSIDE, dtype=np.int8)
    flat = np.flatnonzero(np.isfinite(tiles.mean))
    order = flat[np.argsort(tiles.mean.ravel()[flat], kind="stable")]
    region.ravel()[order] = np.arange(order.size) * _N_REGIONS // max(order.size, 1)
    return region


def _histograms(
    image: IntArray, used: BoolArray, region: npt.NDArray[np.int8]
) -> npt.NDArray[np.int64]:
    """
    Count the values of the pixels in the tiles of each region, a few tiles at a time.

    Parameters
    ----------
    image, used : ndarray, shape (ny, nx)
        Values and usable pixels.
    region : ndarray, shape (n_slow, n_fast), int8
        Region of each tile.

    Returns
    -------
    ndarray, shape (_N_REGIONS, _N_BINS), int64
        Without the pixels beyond the last whole tile.
    """
    tile = min(_TILE, *used.shape)
    total = np.zeros((_N_REGIONS, _N_BINS), dtype=np.int64)
    columns = slice(region.shape[1] * tile)
    height = max(_BAND_ROWS // tile, 1)
    for start in range(0, len(region), height):
        labels = np.repeat(region[start : start + height], tile, axis=0)
        labels = np.repeat(labels, tile, axis=1)
        rows = slice(start * tile, start * tile + len(labels))
        labels[~used[rows, columns]] = OUTSIDE
        total += ring_histograms(image[rows, columns], labels, _N_REGIONS, _N_BINS)
    return total


def _moments(
    image: IntArray, used: BoolArray, region: npt.NDArray[np.int8]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """
    Median over the tiles of each region of the tile's mean and variance.

    Parameters
    ----------
    image, used : ndarray, shape (ny, nx)
        Values and usable pixels.
    region : ndarray, shape (n_slow, n_fast), int8
        Region of each tile.

    Returns
    -------
    tuple of ndarray
        Each of shape (_N_REGIONS,), ADU and ADU².
    """
    mean, variance = tile_moments(image, used, min(_TILE, *image.shape))
    result = np.full((2, _N_REGIONS), np.nan)
    for i in range(_N_REGIONS):
        members = (region == i) & np.isfinite(mean)
        if members.any():
            result[:, i] = np.median(mean[members]), np.median(variance[members])
    return result[0], result[1]


def _anisotropy(image: IntArray, used: BoolArray, radius: Radii) -> float:
    """
    Scatter of the local mean among tiles of one scattering angle, from their zeros.

    A fraction p of zeros places the local mean at -Φ⁻¹(p) standard deviations of
    the pixels above zero. What the scatter of this number among the tiles of a ring
    exceeds chance is the spread of the mean.

    Parameters
    ----------
    image, used, radius : ndarray, shape (ny, nx)
        Values, usable pixels and radial coordinate.

    Returns
    -------
    float
        Root mean square over all tiles, in standard deviations of the pixels.
    """
    tile = min(_TILE, *image.shape)
    # 0 and 10 000 keep four digits of the mean through the integer sums of tiles.
    tiles = tile_levels(
        image, used, radius, tile, values=lambda rows: (rows == 0) * np.int16(10_000)
    )
    p = tiles.mean / 10_000
    n = tile * tile / 2
    valid = np.isfinite(p) & (tiles.level[tiles.ring] > 100)
    valid &= tiles.level[tiles.ring] < 9900
    if not valid.any():
        return 0.0
    level = tiles.level[tiles.ring][valid] / 10_000
    shift = special.ndtri(np.clip(p[valid], 0.5 / n, 1 - 0.5 / n))
    shift -= special.ndtri(level)
    density = np.exp(-0.5 * special.ndtri(level) ** 2) / np.sqrt(2 * np.pi)
    chance = level * (1 - level) / (n * density**2)
    return float(np.sqrt(max(np.mean(shift**2 - chance), 0.0)))


def _median_of_images(
    rows: list[npt.NDArray[np.float64]],
) -> npt.NDArray[np.float64]:
    """
    Median over the images, NaN where no image has a number.

    Parameters
    ----------
    rows : list of ndarray, shape (_N_REGIONS,)
        One row an image.

    Returns
    -------
    ndarray, shape (_N_REGIONS,), float64
    """
    result = np.full(_N_REGIONS, np.nan)
    table = np.array(rows).reshape(-1, _N_REGIONS)
    some = np.isfinite(table).any(axis=0)
    result[some] = np.nanmedian(table[:, some], axis=0)
    return result
