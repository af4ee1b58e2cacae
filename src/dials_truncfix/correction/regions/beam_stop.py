"""Find the shadow of the beam stop in an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dials_truncfix.correction.regions.scattering import Radii
from dials_truncfix.correction.regions.tiles import Tiles, tile_levels

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)
# Behind a disc there is less than this fraction of the level beside it, which is
# reached, to twice this fraction, within this many rings of tiles.
_DARK = 0.4
_EDGE = 6
# So many pixels tell the mean of a tile.
_ENOUGH_PIXELS = 64


@dataclass(frozen=True)
class BeamStopSearch:
    """
    What counts as the shadow of a beam stop.

    A tile is shadowed when its mean is too low for its scattering angle, both in
    units of the scatter among the tiles of that angle and as a fraction.

    Attributes
    ----------
    seed_deviations, seed_drop : float
        A region needs tiles this far below the median of their ring, in standard
        deviations and as a fraction of the median.
    seed_tiles : int
        Number of such tiles a region needs.
    grow_deviations, grow_drop : float
        Neighbouring tiles this far below belong to the region as well.
    smallest_tiles : int
        Regions with fewer tiles are no beam stop.
    smallest_drop : float
        Shadows of less depth do no harm, ADU.
    largest_disc : float
        Fraction of the image that a disc around the beam may cover.
    """

    seed_deviations: float = 6.0
    seed_drop: float = 0.4
    seed_tiles: int = 4
    grow_deviations: float = 3.0
    grow_drop: float = 0.15
    smallest_tiles: int = 8
    smallest_drop: float = 1.0
    largest_disc: float = 0.1


def find_beam_stop(
    image: IntArray,
    mask: BoolArray,
    radius: Radii,
    search: BeamStopSearch | None = None,
) -> BoolArray:
    """
    Find the shadow of a beam stop from the image alone.

    Parameters
    ----------
    image, mask, radius, search
        As for `shadowed_tiles`.

    Returns
    -------
    ndarray, shape (ny, nx), bool
        True in the shadow and in the tiles that touch it, which may hold its edge.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    search = search or BeamStopSearch()
    tiles = shadowed_tiles(image, mask, radius, search)
    return pixels_of_tiles(with_edge(tiles), image.shape)


def shadowed_tiles(
    image: IntArray,
    mask: BoolArray,
    radius: Radii,
    search: BeamStopSearch | None = None,
) -> BoolArray:
    """
    Find the tiles of an image that a beam stop shadows.

    Tiles that are far too dark for their scattering angle form seeds, dark
    neighbours join, and large connected regions stay. A disc that covers whole
    rings has no bright tile at its own angle to be compared with: such rings are
    compared with the brightest ring, just outside the disc.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    mask : ndarray, shape (ny, nx), bool
        True for the pixels that can be used.
    radius : array, shape (ny, nx), float
        Coordinate that grows with the scattering angle.
    search : BeamStopSearch, optional
        Limits.

    Returns
    -------
    ndarray, shape `tile_shape`, bool
        True in the shadow; of the tiles with its edge, those that are mostly dark.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    search = search or BeamStopSearch()
    tile = tile_edge(image.shape)
    tiles = tile_levels(
        image, mask, radius, tile, row_step=max(tile**2 // _ENOUGH_PIXELS, 1)
    )
    level, spread = tiles.level[tiles.ring], tiles.spread[tiles.ring]
    with np.errstate(invalid="ignore"):
        below = level - tiles.mean
        # Without scatter there is no unit to measure with; a fiftieth of the level
        # keeps rings of nearly equal tiles from turning noise into outliers.
        unit = np.maximum(spread, 0.02 * np.abs(level)) + np.finfo(float).tiny
        grow = (
            (below > search.grow_deviations * unit)
            & (below > search.grow_drop * level)
            & (below > search.smallest_drop)
        )
        seed = (
            grow
            & (below > search.seed_deviations * unit)
            & (below > search.seed_drop * level)
        )
    region = _regions_with_seeds(grow, seed, search)
    return _with_centre(region, tiles, search)


def _regions_with_seeds(
    grow: BoolArray, seed: BoolArray, search: BeamStopSearch
) -> BoolArray:
    """
    Keep the connected regions that are large and hold enough seeds.

    Parameters
    ----------
    grow, seed : ndarray, shape (n_slow, n_fast), bool
        Dark and very dark tiles.
    search : BeamStopSearch
        Limits.

    Returns
    -------
    ndarray of bool
        The same shape.
    """
    number, n_regions = ndimage.label(grow, _EIGHT_NEIGHBOURS)
    size = np.bincount(number.ravel(), minlength=n_regions + 1)
    seeds = np.bincount(number[seed], minlength=n_regions + 1)
    keep = (size >= search.smallest_tiles) & (seeds >= search.seed_tiles)
    keep[0] = False
    return np.asarray(keep[number])


def _with_centre(region: BoolArray, tiles: Tiles, search: BeamStopSearch) -> BoolArray:
    """
    Add the disc that hides whole rings around the direct beam.

    In electron diffraction the background falls from the centre outwards. Where all
    rings inside the brightest one are dark, and the step up to it is sharp, something
    stands in front of them.

    Parameters
    ----------
    region : ndarray, shape (n_slow, n_fast), bool
        Shadowed tiles found so far.
    tiles : Tiles
        Means and levels.
    search : BeamStopSearch
        Limits.

    Returns
    -------
    ndarray of bool
        The same shape.
    """
    n_tiles = np.cumsum(np.bincount(tiles.ring[np.isfinite(tiles.mean)]))
    near = tiles.level[: len(n_tiles)][n_tiles <= search.largest_disc * n_tiles[-1:]]
    if not np.isfinite(near).any():
        return region
    top = int(np.nanargmax(near))
    inside = near[:top][np.isfinite(near[:top])]
    if len(inside) == 0:
        return region
    peak, floor = float(near[top]), float(inside[0])
    if floor > _DARK * peak or peak - floor < search.smallest_drop:
        return region
    limit = floor + _DARK * (peak - floor)
    n_dark = int(np.argmax(near > limit))
    if np.nanmax(near[n_dark : n_dark + _EDGE]) < floor + 2 * _DARK * (peak - floor):
        return region
    with np.errstate(invalid="ignore"):
        disc = (tiles.ring <= n_dark) & (tiles.mean < limit)
    return np.asarray(region | disc)


def with_edge(region: BoolArray) -> BoolArray:
    """
    Add the tiles that touch a shadow, which may hold its edge.

    They tell nothing about their annulus, yet most of what they show is its background:
    they are not to be fitted, but to be corrected.

    Parameters
    ----------
    region : ndarray, shape `tile_shape`, bool
        From `shadowed_tiles`.

    Returns
    -------
    ndarray of bool
        The same shape.
    """
    if not region.any():
        return region
    return np.asarray(ndimage.binary_dilation(region, _EIGHT_NEIGHBOURS))


def tile_edge(shape: tuple[int, ...]) -> int:
    """
    Choose the edge of the tiles: 1/128 of the image, so that binning changes little.

    A beam stop is as large as it is, whatever the pixels. The tiles around a shadow
    are left as recorded, so larger ones would leave more open background uncorrected;
    in ones of less than 8 × 8 pixels the noise hides more than they show.

    Parameters
    ----------
    shape : tuple of int
        Shape of the image.

    Returns
    -------
    int
        A power of two, pixels; smaller images are one tile.
    """
    edge = 8
    while 192 * edge < max(shape):
        edge *= 2
    return min(edge, *shape)


def tile_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """
    Count the whole tiles of an image.

    Parameters
    ----------
    shape : tuple of int
        Shape of the image.

    Returns
    -------
    tuple of int
        (slow, fast).
    """
    tile = tile_edge(shape)
    return shape[0] // tile, shape[1] // tile


def pixels_of_tiles(region: BoolArray, shape: tuple[int, ...]) -> BoolArray:
    """
    Enlarge a mask of tiles to pixels.

    Parameters
    ----------
    region : ndarray, shape `tile_shape`, bool
        Tiles.
    shape : tuple of int
        Shape of the image; the pixels beyond the last whole tile follow it.

    Returns
    -------
    ndarray of bool
        The shape asked for.
    """
    tile = tile_edge(shape)
    n_slow, n_fast = region.shape
    pixels = np.zeros((n_slow * tile, n_fast * tile), dtype=bool)
    # A view by tiles: only the few of the region are touched.
    pixels.reshape(n_slow, tile, n_fast, tile).swapaxes(1, 2)[region] = True
    rest = [(0, n - m) for n, m in zip(shape, pixels.shape)]
    return pixels if pixels.shape == shape else np.pad(pixels, rest, mode="edge")


def indices_of_tiles(region: BoolArray, shape: tuple[int, ...]) -> npt.NDArray[np.intp]:
    """
    List the pixels of a mask of tiles, without a mask of the whole image if possible.

    Parameters
    ----------
    region : ndarray, shape `tile_shape`, bool
        Tiles.
    shape : tuple of int
        Shape of the image.

    Returns
    -------
    ndarray, shape (n,), intp
        Indices into the image in C order, each once, in any order.
    """
    tile, (_, width) = tile_edge(shape), shape
    if (region.shape[0] * tile, region.shape[1] * tile) != shape:
        return np.flatnonzero(pixels_of_tiles(region, shape))
    slow, fast = np.nonzero(region)
    corner = (slow * width + fast) * tile
    within = np.arange(tile)[:, None] * width + np.arange(tile)
    return np.asarray((corner[:, None] + within.ravel()).ravel())
