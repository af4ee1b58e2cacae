"""Square tiles of an image, compared with the tiles of the same scattering angle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.medians import MAD_TO_SD, grouped_median
from dials_truncfix.correction.regions.scattering import Radii

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

"""Standard deviation of a normal distribution over its median absolute deviation."""

_SMALLEST_VALID_FRACTION = 0.75
# Pixels handled at once: their temporaries of floating point fit into the cache.
_BAND = 1 << 16


@dataclass(frozen=True)
class Tiles:
    """
    Mean of every tile of an image and the level of the tiles at its radius.

    Attributes
    ----------
    mean : ndarray, shape (n_slow, n_fast), float64
        Mean of the valid pixels, ADU; NaN where fewer than a quarter are valid.
    ring : ndarray, shape (n_slow, n_fast), int64
        Number of the tile-wide ring, from the centre outwards.
    level : ndarray, shape (n_rings,), float64
        Median of the tiles of each ring, ADU; NaN in an empty ring.
    spread : ndarray, shape (n_rings,), float64
        Standard deviation of the tiles of each ring by the median absolute
        deviation, ADU.
    """

    mean: npt.NDArray[np.float64]
    ring: npt.NDArray[np.int64]
    level: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]


def tile_levels(
    image: IntArray,
    mask: BoolArray,
    radius: Radii,
    tile: int = 16,
    row_step: int = 2,
    values: Callable[[IntArray], IntArray] | None = None,
) -> Tiles:
    """
    Average an image over square tiles and compare tiles of one scattering angle.

    Pixels beyond the last whole tile of a row or column are left out.

    Parameters
    ----------
    image, mask, radius
        As for `find_beam_stop`.
    tile : int
        Edge of a tile, pixels; smaller images are one tile.
    row_step : int
        One row in so many is averaged, where a tile holds a multiple of them: every
        second is enough for most uses.
    values : callable, optional
        What is averaged, given some rows of the image: integers. If not given, the image.

    Returns
    -------
    Tiles

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if image.shape != mask.shape or image.shape != radius.shape:
        raise ValueError(
            f"image {image.shape}, mask {mask.shape} and radius {radius.shape} "
            "differ in shape"
        )
    tile = min(tile, *image.shape)
    n_slow, n_fast = (n // tile for n in image.shape)
    step = 1 if tile % row_step else row_step
    size = (tile // step, tile)
    everywhere = bool(mask.all())
    if everywhere and values is None:
        total = _sum_tiles(image[: n_slow * tile : step], size)
        count = np.full(total.shape, float(size[0] * size[1]))
    else:
        total, count = np.empty((2, n_slow, n_fast))
        for band, pixels in _bands((n_slow, n_fast), tile):
            rows = slice(pixels.start, pixels.stop, step)
            some = image[rows] if values is None else values(image[rows])
            total[band] = _sum_tiles(some if everywhere else some * mask[rows], size)
            count[band] = _sum_tiles(mask[rows], size)
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=4 * count >= size[0] * size[1])
    half = tile // 2
    centre = radius[half::tile, half::tile][:n_slow, :n_fast].astype(np.float64)
    ring = rings_of_tiles(centre)
    level, spread = _median_and_spread(mean, ring)
    return Tiles(mean=mean, ring=ring, level=level, spread=spread)


def _bands(n_tiles: tuple[int, int], tile: int) -> Iterator[tuple[slice, slice]]:
    """Yield a few rows of tiles after the other, and the rows of their pixels."""
    n_slow, n_fast = n_tiles
    height = max(_BAND // (tile * max(n_fast * tile, 1)), 1)
    for start in range(0, n_slow, height):
        stop = min(start + height, n_slow)
        yield slice(start, stop), slice(start * tile, stop * tile)


def tile_means(
    image: npt.NDArray[Any], mask: BoolArray, tile: int
) -> npt.NDArray[np.float64]:
    """
    Measure only the mean within each tile.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Integer or bool.
    mask, tile
        As for `tile_moments`.

    Returns
    -------
    ndarray, shape (ny // tile, nx // tile), float64
        ADU; NaN where too few pixels are usable.
    """
    n_slow, n_fast = (n // tile for n in image.shape)
    total, count = np.empty((2, n_slow, n_fast))
    for band, rows in _bands((n_slow, n_fast), tile):
        total[band] = _sum_tiles(image[rows] * mask[rows], (tile, tile))
        count[band] = _sum_tiles(mask[rows], (tile, tile))
    mean = np.full(count.shape, np.nan)
    enough = count >= _SMALLEST_VALID_FRACTION * tile * tile
    np.divide(total, count, out=mean, where=enough)
    return mean


def tile_moments(
    image: IntArray, mask: BoolArray, tile: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """
    Measure mean and variance within each tile, the latter about a plane.

    Parameters
    ----------
    image, mask : ndarray, shape (ny, nx)
        Values and usable pixels.
    tile : int
        Edge of a tile, pixels.

    Returns
    -------
    tuple of ndarray
        Each of shape (ny // tile, nx // tile), ADU and ADU²; NaN where too few
        pixels are usable.
    """
    n_slow, n_fast = (n // tile for n in image.shape)
    mean, variance = np.empty((2, n_slow, n_fast))
    for band, rows in _bands((n_slow, n_fast), tile):
        mean[band], variance[band] = _moments_of_band(image[rows], mask[rows], tile)
    return mean, variance


def _moments_of_band(
    image: IntArray, mask: BoolArray, tile: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """
    Measure the tiles of a few rows; see `tile_moments`.

    Parameters
    ----------
    image, mask, tile
        As for `tile_moments`.

    Returns
    -------
    tuple of ndarray
        As from `tile_moments`.
    """
    n_slow, n_fast = (n // tile for n in image.shape)
    shape = (n_slow, tile, n_fast, tile)
    cut = (slice(n_slow * tile), slice(n_fast * tile))
    if mask[cut].all():
        return _moments_of_whole_tiles(image[cut].reshape(shape))
    weight = mask[cut].reshape(shape).astype(np.float64)
    value = image[cut].reshape(shape) * weight
    count = weight.sum(axis=(1, 3))
    enough = count >= _SMALLEST_VALID_FRACTION * tile * tile
    mean = np.full(count.shape, np.nan)
    np.divide(value.sum(axis=(1, 3)), count, out=mean, where=enough)
    # Unusable pixels do not deviate.
    away = (value - mean[:, None, :, None]) * weight
    square = np.einsum("ijkl,ijkl->ik", away, away)
    offset = np.arange(tile) - 0.5 * (tile - 1)
    for slope, spread in (
        (np.einsum("ijkl,j->ik", away, offset), "ijkl,j->ik"),
        (np.einsum("ijkl,l->ik", away, offset), "ijkl,l->ik"),
    ):
        moment = np.einsum(spread, weight, offset**2)
        square -= np.divide(slope**2, moment, out=np.zeros_like(mean), where=enough)
    return mean, square / np.maximum(count - 3.0, 1.0)


def _moments_of_whole_tiles(
    image: IntArray,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """
    Measure tiles all of whose pixels are usable, in fewer passes.

    Parameters
    ----------
    image : ndarray, shape (n_slow, tile, n_fast, tile)
        Values, ADU.

    Returns
    -------
    tuple of ndarray
        As from `tile_moments`.
    """
    tile = image.shape[1]
    n = tile * tile
    value = image.astype(np.float64)
    offset = np.arange(tile) - 0.5 * (tile - 1)
    # Over the slow axis first, where rows are contiguous.
    columns = value.sum(axis=1)
    slopes_slow = np.einsum("ijkl,j->ikl", value, offset).sum(axis=2)
    slopes_fast = np.einsum("ikl,l->ik", columns, offset)
    mean = columns.sum(axis=2) / n
    # Doubles hold the squares of 16 bits so well that the mean can come off at the end.
    square = np.einsum("ijkl,ijkl->ik", value, value) - n * mean**2
    square -= (slopes_slow**2 + slopes_fast**2) / (tile * np.sum(offset**2))
    return mean, square / max(n - 3.0, 1.0)


def rings_of_tiles(centre: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """
    Assign the tiles to rings that are one tile wide.

    Parameters
    ----------
    centre : ndarray, shape (n_slow, n_fast)
        Radial coordinate of the tiles.

    Returns
    -------
    ndarray of int64
        The same shape.
    """
    if min(centre.shape) < 2:
        return np.zeros(centre.shape, dtype=np.int64)
    step = float(np.median(np.hypot(*np.gradient(centre))))
    if step <= 0:
        return np.zeros(centre.shape, dtype=np.int64)
    # Far from flat coordinates would make more rings than tiles.
    number = np.minimum((centre - centre.min()) / step, centre.size)
    return np.asarray(number.astype(np.int64))


def _sum_tiles(
    image: npt.NDArray[Any], size: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """
    Sum an image over rectangular tiles.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Integer or bool.
    size : tuple of int
        Edges of a tile (slow, fast), pixels.

    Returns
    -------
    ndarray, shape (ny // size[0], nx // size[1]), float64
    """
    n_slow, n_fast = (n // edge for n, edge in zip(image.shape, size))
    cut = image[: n_slow * size[0], : n_fast * size[1]]
    # Along the slow axis first, over contiguous rows, in the smallest type that
    # holds the sums: the time goes into moving bytes.
    bound = max(abs(int(cut.max())), abs(int(cut.min()))) * size[0]
    narrow = np.int16 if bound < 2**15 else np.int32 if bound < 2**31 else np.int64
    columns = cut.reshape(n_slow, size[0], -1).sum(axis=1, dtype=narrow)
    sums = columns.reshape(n_slow, n_fast, size[1]).sum(axis=2, dtype=np.int64)
    return np.asarray(sums.astype(np.float64))


def _median_and_spread(
    mean: npt.NDArray[np.float64], ring: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """
    Median and standard deviation (from the MAD) of the tiles of each ring.

    Parameters
    ----------
    mean, ring
        As in `Tiles`.

    Returns
    -------
    tuple of ndarray
        Level and spread, each of shape (n_rings,).
    """
    n_rings = int(ring.max()) + 1
    valid = np.isfinite(mean)
    value, number = mean[valid], ring[valid]
    level = grouped_median(value, number, n_rings)
    away = np.abs(value - level[number])
    return level, MAD_TO_SD * grouped_median(away, number, n_rings)
