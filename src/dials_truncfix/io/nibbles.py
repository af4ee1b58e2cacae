"""Pixels of four bits, two to a byte: the even column in the low half."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Largest value that four bits hold.
HIGHEST = 15

# Rows are unpacked in pieces that stay in the processor's cache.
_BYTES_AT_ONCE = 1 << 17


def row_bytes(width: int) -> int:
    """Bytes of a row of so many pixels; the last half byte of an odd row is unused."""
    return (width + 1) // 2


def unpack(
    packed: npt.NDArray[np.uint8],
    width: int,
    out: npt.NDArray[np.uint8] | None = None,
) -> npt.NDArray[np.uint8]:
    """Give every pixel a byte of its own.

    Parameters
    ----------
    packed : ndarray of uint8, shape (ny, (width + 1) // 2)
        Rows as stored.
    width : int
        Pixels in a row.
    out : ndarray of uint8, shape (ny, width), optional
        Where to put the pixels.

    Returns
    -------
    ndarray of uint8, shape (ny, width)
        Values 0 to 15.

    Raises
    ------
    ValueError
        If rows have another length than the width asks for.
    """
    if packed.ndim != 2 or packed.shape[1] != row_bytes(width):
        raise ValueError(
            f"rows of {width} pixels take {row_bytes(width)} bytes, "
            f"got shape {packed.shape}"
        )
    if out is None:
        out = np.empty((packed.shape[0], width), dtype=np.uint8)
    step = max(1, _BYTES_AT_ONCE // max(1, packed.shape[1]))
    for first in range(0, packed.shape[0], step):
        # One 16-bit number for each byte, its low half in front: whole registers are
        # worked on, where a table or every second byte would go pixel by pixel.
        pairs = packed[first : first + step].astype("<u2")
        pairs |= np.left_shift(pairs, np.uint16(4))
        pairs &= np.uint16(0x0F0F)
        out[first : first + step] = pairs.view(np.uint8)[:, :width]
    return out


def pack(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Put two pixels into each byte.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (ny, nx)
        Values 0 to 15.

    Returns
    -------
    ndarray of uint8, shape (ny, (nx + 1) // 2)

    Raises
    ------
    ValueError
        If a value does not fit.
    """
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise ValueError(f"need 2-d uint8, got {pixels.ndim}-d {pixels.dtype}")
    if pixels.size and pixels.max() > HIGHEST:
        raise ValueError(
            f"a pixel of {int(pixels.max())} does not fit into 4 bits (0 to {HIGHEST})"
        )
    packed = pixels[:, ::2].copy()
    odd = pixels[:, 1::2]
    packed[:, : odd.shape[1]] |= np.left_shift(odd, np.uint8(4))
    return packed
