"""Arrays as text: compressed, for JSON files that hold some."""

from __future__ import annotations

import base64
import binascii
import math
import re
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_DTYPE = re.compile(r"[<|]([iu][1248]|f[48])")
_MAX_DIMENSIONS = 4


@dataclass(frozen=True)
class PackedArray:
    """
    An array of numbers in C order.

    Attributes
    ----------
    dtype : str
        As numpy writes it, little-endian: ``<i2``, ``<f4``, …
    shape : tuple of int
        At most four numbers.
    zlib_base64 : str
        The bytes of the numbers, compressed by zlib, in base64.
    """

    dtype: str
    shape: tuple[int, ...]
    zlib_base64: str


def pack_array(array: npt.NDArray[Any]) -> PackedArray:
    """
    Write an array as text.

    Parameters
    ----------
    array : ndarray
        Integers or floating point numbers.

    Returns
    -------
    PackedArray
        Equal for equal arrays.

    Raises
    ------
    ValueError
        For other types.
    """
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    if _DTYPE.fullmatch(little.dtype.str) is None:
        raise ValueError(f"an array of {array.dtype} cannot be packed")
    packed = zlib.compress(little.tobytes(), 9)
    return PackedArray(
        little.dtype.str, array.shape, base64.b64encode(packed).decode("ascii")
    )


def unpack_array(packed: PackedArray, max_bytes: int) -> npt.NDArray[Any]:
    """
    Read an array from text that may come from anybody.

    Parameters
    ----------
    packed : PackedArray
        From `pack_array`, or a forgery.
    max_bytes : int
        Largest size of the array; no more memory is taken.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        When it is damaged, larger than allowed or of a type that is not packed.
    """
    if _DTYPE.fullmatch(packed.dtype) is None:
        raise ValueError(f"an array of {packed.dtype[:40]!r} cannot be unpacked")
    if len(packed.shape) > _MAX_DIMENSIONS or any(n < 0 for n in packed.shape):
        raise ValueError(f"an array cannot have the shape {packed.shape[:8]}")
    dtype = np.dtype(packed.dtype)
    size = math.prod(packed.shape) * dtype.itemsize
    if size > max_bytes:
        raise ValueError(f"an array of {size} bytes is larger than {max_bytes}")
    try:
        compressed = base64.b64decode(packed.zlib_base64, validate=True)
        unpacker = zlib.decompressobj()
        # one byte more than there should be tells a stream that is too long
        data = unpacker.decompress(compressed, size + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError(f"a packed array is damaged: {error}") from None
    if len(data) != size or not unpacker.eof:
        raise ValueError("a packed array is damaged: it has another size than it says")
    return np.frombuffer(data, dtype).reshape(packed.shape)
