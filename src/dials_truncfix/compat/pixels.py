"""Pixels as every dxtbx takes them, and which of them it trusts."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from dxtbx import flumpy
from dxtbx.ext import uncompress
from dxtbx.model import (
    Panel,
)
from scitbx.array_family import flex

# No pixel is as large; trusted ranges may be infinite.
_BEYOND_PIXELS = 2.0**53


@functools.cache
def trusted_range_is_inclusive() -> bool:
    """Whether a pixel that equals an end of the trusted range is trusted."""
    panel = Panel()
    panel.set_image_size((3, 1))
    panel.set_trusted_range((0.0, 2.0))
    values = flex.int([0, 1, 2])
    values.reshape(flex.grid(1, 3))
    return bool(panel.get_trusted_range_mask(values)[0])


def trusted_limits(panel: Any) -> tuple[int, int]:
    """Trusted range of a panel as inclusive limits of integer pixels.

    Parameters
    ----------
    panel : dxtbx.model.Panel
        Panel of a detector.

    Returns
    -------
    tuple of int
        Lowest and highest pixel value (ADU) that this dxtbx trusts.
    """
    low, high = np.clip(panel.get_trusted_range(), -_BEYOND_PIXELS, _BEYOND_PIXELS)
    if trusted_range_is_inclusive():
        return math.ceil(low), math.floor(high)
    return math.floor(low) + 1, math.ceil(high) - 1


def safe_trusted_range(lowest: int, highest: int) -> tuple[float, float]:
    """Trusted range that every dxtbx understands alike.

    Parameters
    ----------
    lowest, highest : int
        Lowest and highest pixel value to trust (ADU).

    Returns
    -------
    tuple of float
        Half integers, which no pixel can equal (ADU).
    """
    return lowest - 0.5, highest + 0.5


def to_flex(pixels: npt.NDArray[Any]) -> Any:
    """Hand an image to dxtbx in a type that every release accepts.

    Parameters
    ----------
    pixels : ndarray, shape (ny, nx)
        Any real type.

    Returns
    -------
    flex.int or flex.double
        flex.int where no value can be lost, else flex.double.
    """
    if np.can_cast(pixels.dtype, np.int32, casting="safe"):
        return flumpy.from_numpy(np.ascontiguousarray(pixels, dtype=np.int32))
    return flumpy.from_numpy(np.ascontiguousarray(pixels, dtype=np.float64))


def uncompress_byte_offset(packed: bytes, shape: tuple[int, int]) -> Any:
    """Uncompress pixels of a CBF file.

    Parameters
    ----------
    packed : bytes
        Byte-offset compressed pixels.
    shape : tuple of int
        (slow, fast) size in pixels.

    Returns
    -------
    flex.int
    """
    return uncompress(packed=packed, slow=shape[0], fast=shape[1])
