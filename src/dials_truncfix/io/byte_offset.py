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

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

_ESCAPE_8 = -128
_LARGEST_8 = 127
_ESCAPE_16 = -32768
_LARGEST_16 = 32767
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
    runs = (values[i : i + _BLOCK] for i in range(0, max(values.size, 1), _BLOCK))
    return b"".join(compress_runs(runs))


def compress_runs(
    runs: Iterable[npt.NDArray[np.signedinteger[Any]]],
) -> Iterator[bytes]:
    """Compress an image that comes in runs of consecutive pixels.

    Parameters
    ----------
    runs : iterable of ndarray of int32 or int16, shape (n,)
        Pixels in C order. A run is not looked at any more once the next is asked for.

    Yields
    ------
    bytes
        Pieces that make up what `compress` returns.

    Raises
    ------
    ValueError
        As `compress`.
    """
    before = np.int32(0)
    for run in runs:
        if run.size == 0:
            continue
        low, high = int(run.min()), int(run.max())
        if max(high, int(before), 0) - min(low, int(before), 0) >= 2**31:
            raise ValueError(f"values from {low} to {high} differ by more than 31 bits")
        last = np.int32(run[-1])
        if max(high, int(before)) - min(low, int(before)) <= _LARGEST_16:
            # differences of half the bytes are right even where values are not
            narrow = run.astype(np.int16, copy=False)
            yield _compress_run(narrow, before.astype(np.int16))
        else:
            yield _compress_run(run.astype(np.int32, copy=False), before)
        before = last


def _compress_run(
    run: npt.NDArray[np.signedinteger[Any]], before: np.signedinteger[Any]
) -> bytes:
    """Compress a run of pixels, given the pixel before it."""
    deltas = np.empty_like(run)
    np.subtract(run[:1], before, out=deltas[:1])
    np.subtract(run[1:], run[:-1], out=deltas[1:])
    narrow = deltas.astype(np.int8)
    # One comparison for both limits: what is below wraps to large numbers.
    unsigned = deltas.view(f"u{deltas.itemsize}")
    far = unsigned + unsigned.dtype.type(_LARGEST_8) > 2 * _LARGEST_8
    escaped = np.flatnonzero(far)
    if escaped.size == 0:
        return narrow.tobytes()

    wide = deltas[escaped].astype(np.int32)
    in_four = (wide > _LARGEST_16) | (wide <= _ESCAPE_16)
    extra = np.where(in_four, 6, 2)
    ends = np.cumsum(extra)
    after_escape = escaped + ends - extra + 1
    out = np.empty(run.size + int(ends[-1]), dtype=np.int8)
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
