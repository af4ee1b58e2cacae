"""Areas of an image in which every pixel is zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]

# A rectangle of zeros by chance is to be rarer than this, and holds at least 6 × 6.
_CHANCE = 1e-12
_SMALLEST_AREA = 36
_STRIP_WIDTH = 4
# Rows handled at once, besides those that an area can reach: the temporaries of a whole
# image would be the largest thing in memory.
_BAND_ROWS = 256


def solid_zeros(image: IntArray, mask: BoolArray) -> BoolArray:
    """
    Find areas in which every pixel is zero: gaps, dead areas, full shadows.

    Such zeros say nothing about how the detector counts. The smallest area grows
    with the fraction of zeros, so that scattered zeros rarely form one: an area of
    n pixels with fraction p has p**n < 10⁻¹². Squares are looked for, and strips of
    four pixels' width and twice the area: read-out noise can be common to a row.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    mask : ndarray, shape (ny, nx), bool
        True for the pixels that can be used. The others may be part of an area.

    Returns
    -------
    ndarray, shape (ny, nx), bool
        True for unmasked pixels in such an area.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if image.shape != mask.shape:
        raise ValueError(f"image {image.shape} and mask {mask.shape} differ in shape")
    solid = np.zeros(image.shape, dtype=bool)
    bands = [slice(i, i + _BAND_ROWS) for i in range(0, len(image), _BAND_ROWS)]
    n_used = int(np.count_nonzero(mask))
    n_zero = sum(
        int(np.count_nonzero((image[rows] == 0) & mask[rows])) for rows in bands
    )
    if n_zero == 0:
        return solid
    if n_zero == n_used:
        return mask.copy()
    area = max(int(np.log(_CHANCE) / np.log(n_zero / n_used)) + 1, _SMALLEST_AREA)
    side = int(np.ceil(np.sqrt(area)))
    shapes = [
        shape
        for shape in (
            (side, side),
            (_STRIP_WIDTH, area // 2),
            (area // 2, _STRIP_WIDTH),
        )
        if shape[0] <= image.shape[0] and shape[1] <= image.shape[1]
    ]
    reach = max((shape[0] for shape in shapes), default=1) - 1
    for rows in bands:
        first = max(rows.start - reach, 0)
        around = slice(first, rows.stop + reach)
        zero = image[around] == 0
        zero |= ~mask[around]
        mine = slice(rows.start - first, rows.stop - first)
        for shape in shapes:
            # one that is higher than what is left cannot lie in it
            if shape[0] <= len(zero):
                solid[rows] |= _opening(zero, shape)[mine]
    solid &= mask
    return solid


def _opening(area: BoolArray, shape: tuple[int, int]) -> BoolArray:
    """
    Morphological opening by a rectangle that must lie inside the image.

    Parameters
    ----------
    area : ndarray, shape (ny, nx), bool
        Candidates.
    shape : tuple of int
        Rectangle, not larger than the image.

    Returns
    -------
    ndarray of bool
        Pixels covered by a rectangle all of whose pixels are candidates.
    """
    opened = area
    for axis, length in enumerate(shape):
        opened = _all_of_run(opened, length, axis)
    if not opened.any():
        return np.zeros(area.shape, dtype=bool)
    for axis, length in enumerate(shape):
        # Adding the run's length minus one in front and behind turns "all from here
        # on" into "any that ends here", by De Morgan's law.
        width = [(0, 0), (0, 0)]
        width[axis] = (length - 1, length - 1)
        outside = np.pad(~opened, width, constant_values=True)
        opened = ~_all_of_run(outside, length, axis)
    return opened


def _all_of_run(area: BoolArray, length: int, axis: int) -> BoolArray:
    """
    Tell whether all of `length` successive pixels are set, by doubling the run.

    Parameters
    ----------
    area : ndarray, shape (ny, nx), bool
        Pixels.
    length : int
        Length of the run, at most the length of the axis.
    axis : int
        0 or 1.

    Returns
    -------
    ndarray of bool
        Shorter by ``length - 1`` along the axis.
    """
    done = 1
    moved = np.moveaxis(area, axis, 0)
    while done < length:
        step = min(done, length - done)
        moved = moved[:-step] & moved[step:]
        done += step
    return np.asarray(np.moveaxis(moved, 0, axis))
