"""A small picture of an image, and a piece of it at full size around a weak spot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dials_truncfix.correction.tiles import tile_levels, tile_means

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

#: Edges of the small picture and of the close-up, pixels.
_PICTURE_SIDE = 176
_CLOSE_UP_SIDE = 33
_TILE = 5
# A spot stands out from the tiles of its radius by this many of their deviations.
_WEAKEST, _STRONGEST = 8.0, 25.0
# A single pixel that holds more of a tile's excess is no spot.
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


def find_close_up(image: IntArray, mask: BoolArray, radius: FloatArray) -> CloseUp:
    """
    Look for a weak, isolated spot far from the centre.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    mask : ndarray, shape (ny, nx), bool
        Usable pixels.
    radius : ndarray, shape (ny, nx), float
        Coordinate that grows with the scattering angle.

    Returns
    -------
    CloseUp
        A square of 33 pixels, or all of a smaller image. Without any weak spot a
        piece of the background in the outer part.
    """
    sides = [min(_CLOSE_UP_SIDE, n) for n in image.shape]
    if min(image.shape) < 3 * _TILE or not mask.any():
        return CloseUp(slice(0, sides[0]), slice(0, sides[1]), shows_spot=False)
    tiles = tile_levels(image, mask, radius, _TILE)
    spread = tiles.spread[tiles.ring]
    excess = np.nan_to_num(tiles.mean - tiles.level[tiles.ring])
    strength = np.zeros_like(excess)
    np.divide(excess, spread, out=strength, where=spread > 0)
    centre = radius[_TILE // 2 :: _TILE, _TILE // 2 :: _TILE]
    centre = centre[: excess.shape[0], : excess.shape[1]]

    around = -(-_CLOSE_UP_SIDE // _TILE)
    alone = strength == ndimage.maximum_filter(strength, size=around, mode="nearest")
    whole = ~ndimage.maximum_filter(
        ~np.isfinite(tiles.mean), size=around, mode="constant", cval=True
    )
    weak = alone & whole & (strength > _WEAKEST) & (strength < _STRONGEST)
    weak &= centre > np.quantile(radius[mask], _INNER_PART)
    places = np.argwhere(weak)
    farthest = np.argsort(-centre[weak], kind="stable")
    for slow, fast in places[farthest]:
        tile = (
            slice(slow * _TILE, (slow + 1) * _TILE),
            slice(fast * _TILE, (fast + 1) * _TILE),
        )
        highest = float(image[tile].max()) - tiles.level[tiles.ring[slow, fast]]
        if highest < _LARGEST_SHARE * excess[slow, fast] * _TILE**2:
            row, column = np.unravel_index(image[tile].argmax(), image[tile].shape)
            at = (slow * _TILE + int(row), fast * _TILE + int(column))
            return CloseUp(*_around(at, image.shape, sides), shows_spot=True)

    outer = np.where(whole if whole.any() else np.isfinite(centre), centre, np.inf)
    wanted = np.quantile(radius[mask], 0.8)
    flat = int(np.abs(outer - wanted).argmin())
    slow, fast = np.unravel_index(flat, outer.shape)
    at = (int(slow) * _TILE, int(fast) * _TILE)
    return CloseUp(*_around(at, image.shape, sides), shows_spot=False)


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
