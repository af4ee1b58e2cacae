"""A small picture of an image, and a piece of it at full size around a weak spot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dials_truncfix.correction.regions.scattering import Radii
from dials_truncfix.correction.regions.tiles import tile_levels, tile_means

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

#: Edges of the small picture and of the close-up, pixels.
_PICTURE_SIDE = 176
_CLOSE_UP_SIDE = 33
_TILE = 3
# Edge of the part of a large image in which a spot is looked for, pixels.
_SEARCHED_SIDE = 1024
# A spot stands out from the squares of its radius by this many of their deviations.
_WEAKEST, _STRONGEST = 8.0, 25.0
# A single pixel that holds more of a square's excess is no spot.
_LARGEST_SHARE = 0.5
# Of the pixels: near the centre rings are short, and their deviations uncertain.
_INNER_PART = 0.3


@dataclass(frozen=True)
class CloseUp:
    """
    Where to look closely.

    Attributes
    ----------
    slow, fast : slice
        Rows and columns.
    shows_spot : bool
        False for a piece of background, where no weak spot was found.
    """

    slow: slice
    fast: slice
    shows_spot: bool

    @property
    def centre(self) -> tuple[int, int]:
        """Row and column of the middle, pixels."""
        return (
            (self.slow.start + self.slow.stop) // 2,
            (self.fast.start + self.fast.stop) // 2,
        )


def small_picture(image: IntArray, mask: BoolArray) -> tuple[FloatArray, int]:
    """
    Average an image over squares of pixels.

    Parameters
    ----------
    image, mask : ndarray, shape (ny, nx)
        Values, ADU, and usable pixels.

    Returns
    -------
    picture : ndarray, float64
        At most 176 in both directions, ADU; NaN where hardly any pixel is usable.
    binning : int
        Edge of a square, pixels. What is left of the last squares is cut off.
    """
    binning = -(-max(image.shape) // _PICTURE_SIDE)
    return tile_means(image, mask, binning), binning


def find_close_up(image: IntArray, mask: BoolArray, radius: Radii) -> CloseUp:
    """
    Look for a weak, isolated spot far from the centre.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    mask : ndarray, shape (ny, nx), bool
        Usable pixels.
    radius : array, shape (ny, nx), float
        Coordinate that grows with the scattering angle.

    Returns
    -------
    CloseUp
        A square of 33 pixels, or all of a smaller image. Without any weak spot a
        piece of the background in the outer part.
    """
    # of a large image, the middle of its left side: from the edge far inwards
    first = max((image.shape[0] - _SEARCHED_SIDE) // 2, 0)
    part = (slice(first, first + _SEARCHED_SIDE), slice(_SEARCHED_SIDE))
    found = _find(image[part], mask[part], radius[part])
    rows = slice(found.slow.start + first, found.slow.stop + first)
    return CloseUp(rows, found.fast, found.shows_spot)


def _find(image: IntArray, mask: BoolArray, radius: FloatArray) -> CloseUp:
    """
    Look in a part of the image; see `find_close_up`.

    Parameters
    ----------
    image, mask, radius
        As for `find_close_up`.

    Returns
    -------
    CloseUp
    """
    sides = [min(_CLOSE_UP_SIDE, n) for n in image.shape]
    if min(image.shape) < 3 * _TILE or not mask.any():
        return CloseUp(slice(0, sides[0]), slice(0, sides[1]), shows_spot=False)
    tiles = tile_levels(image, mask, radius, _TILE)
    # squares of two by two tiles overlap, so that one of them holds all of a spot
    mean = _average_of_four(tiles.mean)
    level = _average_of_four(tiles.level[tiles.ring])
    spread = _average_of_four(tiles.spread[tiles.ring]) / 2.0
    centre = radius[_TILE::_TILE, _TILE::_TILE][: mean.shape[0], : mean.shape[1]]
    is_outer = centre > np.quantile(radius[mask], _INNER_PART)
    # in the corners rings are short, and chance makes some of them quiet
    known = spread[is_outer & np.isfinite(spread)]
    spread = np.maximum(spread, np.median(known) if known.size else 0.0)
    excess = np.nan_to_num(mean - level)
    strength = np.zeros_like(excess)
    np.divide(excess, spread, out=strength, where=spread > 0)

    around = -(-_CLOSE_UP_SIDE // _TILE)
    alone = strength == ndimage.maximum_filter(strength, size=around, mode="nearest")
    whole = ~ndimage.maximum_filter(
        ~np.isfinite(mean), size=around, mode="constant", cval=True
    )
    weak = alone & whole & (strength > _WEAKEST) & (strength < _STRONGEST)
    weak &= is_outer
    places = np.argwhere(weak)
    farthest = np.argsort(-centre[weak], kind="stable")
    for slow, fast in places[farthest]:
        square = image[
            slow * _TILE : (slow + 2) * _TILE, fast * _TILE : (fast + 2) * _TILE
        ]
        highest = float(square.max()) - level[slow, fast]
        if highest < _LARGEST_SHARE * excess[slow, fast] * square.size:
            row, column = np.unravel_index(square.argmax(), square.shape)
            at = (slow * _TILE + int(row), fast * _TILE + int(column))
            return CloseUp(*_around(at, image.shape, sides), shows_spot=True)

    outer = np.where(whole if whole.any() else np.isfinite(centre), centre, np.inf)
    wanted = np.quantile(radius[mask], 0.8)
    flat = int(np.abs(outer - wanted).argmin())
    slow, fast = np.unravel_index(flat, outer.shape)
    at = (int(slow + 1) * _TILE, int(fast + 1) * _TILE)
    return CloseUp(*_around(at, image.shape, sides), shows_spot=False)


def _average_of_four(tiles: FloatArray) -> FloatArray:
    """
    Average over two by two neighbours.

    Parameters
    ----------
    tiles : ndarray, shape (n, m)
        One value a tile.

    Returns
    -------
    ndarray, shape (n - 1, m - 1)
    """
    rows = tiles[1:] + tiles[:-1]
    return np.asarray((rows[:, 1:] + rows[:, :-1]) / 4.0)


def _around(
    at: tuple[int, int], shape: tuple[int, ...], sides: list[int]
) -> tuple[slice, slice]:
    """
    Put a window around a pixel, moved where it would stick out of the image.

    Parameters
    ----------
    at : tuple of int
        Row and column.
    shape, sides : sequence of int
        Of the image and of the window.

    Returns
    -------
    tuple of slice
    """
    starts = [
        min(max(place - side // 2, 0), n - side)
        for place, side, n in zip(at, sides, shape)
    ]
    slow, fast = (slice(start, start + side) for start, side in zip(starts, sides))
    return slow, fast
