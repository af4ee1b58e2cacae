"""Byte-offset compression of 32-bit integer images.

Each pixel is stored as its difference from the one before: in one byte where
that suffices, else behind an escape value in two, and behind a second escape
in four bytes.

References
----------
International Tables for Crystallography Vol. G (2006), chapter 5.6 (CBFlib),
section on the x-CBF_BYTE_OFFSET conversion. doi:10.1107/97809553602060000756
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ESCAPE_8 = -128
_LARGEST_8 = 127
_ESCAPE_16 = -32768
_ESCAPE_32 = -(2**31)
# Pixels handled at once: the temporaries of a block fit into the second-level cache.
_BLOCK = 1 << 16


def compress(pixels: npt.NDArray[np.int32]) -> bytes:
    """Compress an image.

    Parameters
    ----------
    pixels : ndarray of int32, any shape
        Pixels in C order.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If the type is not int32, or values differ by 2**31 or more.
    """
    if pixels.dtype != np.int32:
        raise ValueError(f"byte-offset compression wants int32, got {pixels.dtype}")
    values = np.ascontiguousarray(pixels).reshape(-1)
    if values.size == 0:
        return b""
    low, high = int(values.min()), int(values.max())
    if max(high, 0) - min(low, 0) >= 2**31:
        raise ValueError(f"values from {low} to {high} differ by more than 31 bits")
    narrow, escaped, wide = _differences(values)
    if escaped.size == 0:
        return narrow.tobytes()

    in_four = (wide > 32767) | (wide <= _ESCAPE_16)
    extra = np.where(in_four, 6, 2)
    ends = np.cumsum(extra)
    after_escape = escaped + ends - extra + 1
    out = np.empty(values.size + int(ends[-1]), dtype=np.int8)
    in_two_at = after_escape[:, None] + np.arange(2)
    in_four_at = after_escape[in_four][:, None] + np.arange(2, 6)
    keep = np.ones(out.size, dtype=bool)
    keep[in_two_at] = False
    keep[in_four_at] = False
    narrow[escaped] = _ESCAPE_8
    out[keep] = narrow
    two = np.where(in_four, _ESCAPE_16, wide).astype("<i2")
    out[in_two_at] = two.view(np.int8).reshape(-1, 2)
    out[in_four_at] = wide[in_four].astype("<i4").view(np.int8).reshape(-1, 4)
    return out.tobytes()


def _differences(
    values: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.intp], npt.NDArray[np.int32]]:
    """Subtract from each value the one before.

    Parameters
    ----------
    values : ndarray of int32, shape (n,)
        Pixels; the first one stays as it is.

    Returns
    -------
    narrow : ndarray of int8, shape (n,)
        Differences, right where a byte holds them.
    escaped : ndarray of intp, shape (m,)
        Where it does not.
    wide : ndarray of int32, shape (m,)
        The differences there.
    """
    narrow = np.empty(values.size, dtype=np.int8)
    before = np.zeros(1, dtype=np.int32)
    escaped, wide = [], []
    for start in range(0, values.size, _BLOCK):
        block = values[start : start + _BLOCK]
        deltas = np.empty_like(block)
        np.subtract(block[:1], before, out=deltas[:1])
        np.subtract(block[1:], block[:-1], out=deltas[1:])
        before = block[-1:]
        narrow[start : start + _BLOCK] = deltas
        # One comparison for both limits: what is below wraps to large numbers.
        shifted = (deltas + np.int32(_LARGEST_8)).view(np.uint32)
        far = np.flatnonzero(shifted > np.uint32(2 * _LARGEST_8))
        escaped.append(far + start)
        wide.append(deltas[far])
    return narrow, np.concatenate(escaped), np.concatenate(wide)


def decompress(data: bytes, n_pixels: int) -> npt.NDArray[np.int32]:
    """Inverse of `compress`.

    Parameters
    ----------
    data : bytes
        Compressed image.
    n_pixels : int
        Number of pixels in it.

    Returns
    -------
    ndarray of int32, shape (n_pixels,)

    Raises
    ------
    ValueError
        If the data do not hold exactly so many pixels.
    """
    raw = np.frombuffer(data, dtype=np.int8)
    if not 0 <= n_pixels <= raw.size:
        raise ValueError(f"{raw.size} bytes cannot hold {n_pixels} pixels")
    two_at: list[int] = []
    four_at: list[int] = []
    resume = 0
    # A byte of -128 is an escape unless it lies in the payload of the one before.
    for position in np.flatnonzero(raw == _ESCAPE_8).tolist():
        if position < resume:
            continue
        low = data[position + 1 : position + 3]
        if low == b"\x00\x80":
            four_at.append(position)
            resume = position + 7
            if data[position + 3 : resume] == b"\x00\x00\x00\x80":
                raise ValueError("differences of more than 32 bits are not supported")
        else:
            two_at.append(position)
            resume = position + 3
    if resume > raw.size:
        raise ValueError("compressed data are cut short")

    two = np.array(two_at, dtype=np.intp)
    four = np.array(four_at, dtype=np.intp)
    keep = np.ones(raw.size, dtype=bool)
    two_payload = two[:, None] + np.arange(1, 3)
    four_payload = four[:, None] + np.arange(3, 7)
    keep[two_payload] = False
    keep[four[:, None] + np.arange(1, 7)] = False
    deltas = np.zeros(raw.size, dtype=np.int64)
    deltas[:] = raw
    deltas[two] = np.ascontiguousarray(raw[two_payload]).view("<i2")[:, 0]
    deltas[four] = np.ascontiguousarray(raw[four_payload]).view("<i4")[:, 0]
    deltas = deltas[keep]
    if deltas.size != n_pixels:
        raise ValueError(f"{n_pixels} pixels expected, {deltas.size} found")
    values: npt.NDArray[np.int32] = np.cumsum(deltas).astype(np.int32)
    return values
