"""Rotation and flip of frames, as SerialEM numbers them ("r/f").

An operation is a number from 0 to 7: the rotation counterclockwise over 90 degrees,
plus 4 for a flip around the vertical axis before it. It is meant for an image shown
with its first row on top.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Pixel = TypeVar("_Pixel", bound=np.generic)

N_OPERATIONS = 8
_FLIP = 4


def check_operation(operation: int) -> int:
    """Return the operation; raise ValueError where it is not from 0 to 7."""
    if not 0 <= operation < N_OPERATIONS:
        raise ValueError(f"rotation and flip {operation} is not from 0 to 7")
    return operation


def rotate_flip(image: npt.NDArray[_Pixel], operation: int) -> npt.NDArray[_Pixel]:
    """Apply an operation.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Top row first.
    operation : int
        0 to 7.

    Returns
    -------
    ndarray, shape (ny, nx), or (nx, ny) for an odd operation
        A view.

    Raises
    ------
    ValueError
        If there is no such operation.
    """
    flipped = image[:, ::-1] if check_operation(operation) >= _FLIP else image
    return np.rot90(flipped, operation % _FLIP)


def inverse(operation: int) -> int:
    """Return the operation that undoes another one."""
    # A flip with a rotation is a reflection, which undoes itself.
    if check_operation(operation) >= _FLIP:
        return operation
    return -operation % _FLIP


def combine(first: int, second: int) -> int:
    """Return the operation that equals two, one after the other."""
    check_operation(first), check_operation(second)
    # A flip turns the sense of the rotations before it.
    rotation = second % _FLIP + (-first if second >= _FLIP else first) % _FLIP
    return rotation % _FLIP + ((first ^ second) & _FLIP)


def swaps_sides(operation: int) -> bool:
    """Whether width and height change places."""
    return check_operation(operation) % 2 == 1
