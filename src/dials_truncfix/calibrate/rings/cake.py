"""Images in polar cells about the beam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: A pixel so many standard deviations above its neighbours on the ring is of a spot.
SPOT_DEVIATIONS = 4.5
_CLIP_PASSES = 3
#: Sectors in which spots are looked for: few, so that one spot does not hide itself.
_CLIP_SECTORS = 8


@dataclass(frozen=True)
class Pixels:
    """The pixels that measure.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
        Positions on the panel from its corner (fast, slow), mm.
    value : ndarray, shape (n,)
        ADU.
    size : float
        Edge of a pixel, mm.
    """

    x: Array
    y: Array
    value: Array
    size: float


@dataclass(frozen=True)
class Cake:
    """Means of an image in cells of radius and azimuth.

    Attributes
    ----------
    radius : ndarray, shape (n_sectors, n_bins)
        Mean radius of the pixels in each cell, mm, after the distortion was undone.
    mean : ndarray, shape (n_sectors, n_bins)
        ADU.
    error : ndarray, shape (n_sectors, n_bins)
        Standard error of the mean, from the scatter of pixels of similar radius, ADU;
        infinite for empty cells.
    azimuth : ndarray, shape (n_sectors,)
        Centres of the sectors, rad, from fast towards slow.
    """

    radius: Array
    mean: Array
    error: Array
    azimuth: Array


def polar(
    pixels: Pixels, centre: tuple[float, float], undo: Array
) -> tuple[Array, Array]:
    """Radius (mm) and azimuth (rad, from 0 to 2π) of pixels.

    Parameters
    ----------
    pixels : Pixels
        The image.
    centre : tuple of float
        Beam (fast, slow), mm.
    undo : ndarray, shape (2, 2)
        Inverse of the magnification matrix.

    Returns
    -------
    radius, azimuth : ndarray, shape (n,)
        Of the positions without distortion.
    """
    x, y = pixels.x - centre[0], pixels.y - centre[1]
    u = undo[0, 0] * x + undo[0, 1] * y
    v = undo[1, 0] * x + undo[1, 1] * y
    return np.hypot(u, v), np.arctan2(v, u) % (2 * np.pi)


def make_cake(
    pixels: Pixels,
    centre: tuple[float, float],
    undo: Array,
    *,
    radius_range: tuple[float, float],
    step: float,
    n_sectors: int,
) -> Cake:
    """Average an image in polar cells, without the pixels of spots.

    Parameters
    ----------
    pixels, centre, undo
        As for `polar`.
    radius_range : tuple of float
        First and last radius, mm.
    step : float
        Width of the cells across the rings, mm.
    n_sectors : int
        Number of sectors; a multiple of 8.

    Returns
    -------
    Cake

    Raises
    ------
    ValueError
        If the sectors are no multiple of 8, or the range is empty.
    """
    low, high = radius_range
    n_bins = int(np.ceil((high - low) / step)) if high > low else 0
    if n_bins < 1 or n_sectors < _CLIP_SECTORS or n_sectors % _CLIP_SECTORS:
        raise ValueError(f"cake of {n_sectors} sectors from {low} to {high} mm")
    radius, azimuth = polar(pixels, centre, undo)
    inside = (radius >= low) & (radius < low + n_bins * step)
    radius, azimuth, value = radius[inside], azimuth[inside], pixels.value[inside]
    bins = np.minimum(((radius - low) / step).astype(np.int64), n_bins - 1)
    sector = np.minimum(
        (azimuth * (n_sectors / (2 * np.pi))).astype(np.int64), n_sectors - 1
    )
    coarse = sector // (n_sectors // _CLIP_SECTORS) * n_bins + bins
    keep, variance = _without_spots(value, coarse, _CLIP_SECTORS * n_bins)
    cell, value, radius = (sector * n_bins + bins)[keep], value[keep], radius[keep]
    size = n_sectors * n_bins
    count = np.bincount(cell, minlength=size).reshape(n_sectors, n_bins)
    shared = np.repeat(
        variance.reshape(_CLIP_SECTORS, n_bins), n_sectors // _CLIP_SECTORS, axis=0
    )
    middle = low + (np.arange(n_bins) + 0.5) * step
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(cell, value, size).reshape(count.shape) / count
        mean_radius = np.bincount(cell, radius, size).reshape(count.shape) / count
        error = np.sqrt(shared / count)
    empty = (count == 0) | ~(error > 0)
    return Cake(
        radius=np.where(count == 0, middle, mean_radius),
        mean=np.where(empty, 0.0, mean),
        error=np.where(empty, np.inf, error),
        azimuth=(np.arange(n_sectors) + 0.5) * (2 * np.pi / n_sectors),
    )


def spot_pixels(
    pixels: Pixels, centre: tuple[float, float], undo: Array, step: float
) -> npt.NDArray[np.bool_]:
    """Pixels that stand out from those of their radius and direction.

    Parameters
    ----------
    pixels, centre, undo
        As for `polar`.
    step : float
        Width of the cells across the rings, mm.

    Returns
    -------
    ndarray, shape (n,), bool
    """
    radius, azimuth = polar(pixels, centre, undo)
    bins = (radius / step).astype(np.int64)
    n_bins = int(bins.max()) + 1
    sector = np.minimum(
        (azimuth * (_CLIP_SECTORS / (2 * np.pi))).astype(np.int64), _CLIP_SECTORS - 1
    )
    keep, _ = _without_spots(
        pixels.value, sector * n_bins + bins, _CLIP_SECTORS * n_bins
    )
    return ~keep


def _without_spots(
    value: Array, cell: IntArray, n_cells: int
) -> tuple[npt.NDArray[np.bool_], Array]:
    """Pixels that do not stand out from their cell, and the variance of those."""
    keep = np.ones(len(value), dtype=bool)
    for _ in range(_CLIP_PASSES):
        kept, of = value[keep], cell[keep]
        count = np.maximum(np.bincount(of, minlength=n_cells), 1)
        mean = np.bincount(of, kept, n_cells) / count
        square = np.bincount(of, kept * kept, n_cells) / count
        variance = np.maximum(square - mean * mean, 0.0)
        variance *= count / np.maximum(count - 1, 1)
        keep = value <= (mean + SPOT_DEVIATIONS * np.sqrt(variance))[cell]
    return keep, variance
