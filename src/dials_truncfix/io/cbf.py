"""Read and write miniCBF images: a text header and one compressed array."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import PathLike, atomic_write
from dials_truncfix.io.byte_offset import compress, decompress
from dials_truncfix.io.cbf_header import (
    BINARY_START,
    CHECK_SUM,
    CONVENTION,
    MAX_LINE,
    PADDING,
    SECTION,
    CBFHeader,
    check_sum,
    format_header,
    parse_header,
)

__all__ = [
    "CONVENTION",
    "MAX_LINE",
    "CBFHeader",
    "read_checked_header",
    "read_compressed",
    "read_header",
    "read_pixels",
    "write",
    "write_compressed",
]

_MAX_HEADER_BYTES = 1 << 18


def read_header(path: PathLike) -> CBFHeader:
    """Read the text part of a file.

    Parameters
    ----------
    path : str or os.PathLike
        Image file.

    Returns
    -------
    CBFHeader

    Raises
    ------
    ValueError
        If the file is not a miniCBF image.
    """
    data = b""
    with open(path, "rb") as stream:
        while BINARY_START not in data and len(data) < _MAX_HEADER_BYTES:
            block = stream.read(8192)
            if not block or (not data and not block.startswith(b"###CBF")):
                break
            data += block
    try:
        return parse_header(data)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def read_checked_header(path: PathLike) -> CBFHeader:
    """Read a header and make sure that the file holds what it announces.

    Parameters
    ----------
    path : str or os.PathLike
        Image file.

    Returns
    -------
    CBFHeader

    Raises
    ------
    ValueError
        If the file is not a byte-offset miniCBF image, or is shorter than it
        claims.
    """
    header = read_header(path)
    name = os.fspath(path)
    mime = header.mime
    try:
        n_bytes = header.n_bytes
        ny, nx = header.shape
    except (KeyError, ValueError) as error:
        raise ValueError(f"{name}: bad binary section in header: {error}") from None
    if mime.get("conversions") != "x-CBF_BYTE_OFFSET":
        raise ValueError(f"{name}: compression {mime.get('conversions')} not supported")
    held = os.path.getsize(path) - header.data_offset
    # A pixel takes at least one byte, so this bounds every allocation.
    if n_bytes < 0 or n_bytes > held or nx < 1 or ny < 1 or nx * ny > n_bytes:
        raise ValueError(
            f"{name}: the header claims {nx} x {ny} pixels in {n_bytes} bytes, "
            f"but the file holds {held} bytes; copy or write it again"
        )
    return header


def read_compressed(path: PathLike) -> tuple[CBFHeader, bytes]:
    """Read header and compressed pixels of a byte-offset file.

    Parameters
    ----------
    path : str or os.PathLike
        Image file.

    Returns
    -------
    header : CBFHeader
    data : bytes
        Compressed pixels, checked against their check sum.

    Raises
    ------
    ValueError
        If the file is not a byte-offset miniCBF image, if it is shorter than
        it claims, or if its check sum is wrong.
    """
    header = read_checked_header(path)
    with open(path, "rb") as stream:
        stream.seek(header.data_offset)
        data = stream.read(header.n_bytes)
    claimed = header.mime.get(CHECK_SUM)
    if claimed and claimed != check_sum(zlib.crc32(data)):
        raise ValueError(
            f"{os.fspath(path)}: the check sum of the pixels is wrong; the file is "
            "damaged"
        )
    return header, data


def read_pixels(path: PathLike) -> npt.NDArray[np.int32]:
    """Read the pixels of a byte-offset file.

    Parameters
    ----------
    path : str or os.PathLike
        Image file.

    Returns
    -------
    ndarray of int32, shape (ny, nx)

    Raises
    ------
    ValueError
        As `read_compressed`, or if the pixels are not as many as claimed.
    """
    header, data = read_compressed(path)
    ny, nx = header.shape
    try:
        return decompress(data, nx * ny).reshape(ny, nx)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def write(
    path: PathLike,
    pixels: npt.NDArray[np.int32],
    header_lines: Sequence[str],
    convention: str = CONVENTION,
) -> None:
    """Write an image.

    Parameters
    ----------
    path : str or os.PathLike
        File to write.
    pixels : ndarray of int32, shape (ny, nx)
        Pixels.
    header_lines : sequence of str
        Lines of the header contents.
    convention : str
        Value of ``_array_data.header_convention``.

    Raises
    ------
    ValueError
        If the pixels are no image, or the header cannot be written.
    """
    if pixels.ndim != 2:
        raise ValueError(f"an image has two dimensions, not {pixels.ndim}")
    shape = (pixels.shape[0], pixels.shape[1])
    write_compressed(path, [compress(pixels)], shape, header_lines, convention)


def write_compressed(
    path: PathLike,
    pieces: Iterable[bytes],
    shape: tuple[int, int],
    header_lines: Sequence[str],
    convention: str = CONVENTION,
) -> None:
    """Write an image that is compressed already.

    Parameters
    ----------
    path : str or os.PathLike
        File to write.
    pieces : iterable of bytes
        The pixels, byte-offset compressed.
    shape : tuple of int
        (slow, fast) size of the image.
    header_lines, convention
        As for `write`.

    Raises
    ------
    ValueError
        If the header cannot be written.
    """
    held, n_bytes, sum_ = [], 0, 0
    for piece in pieces:
        held.append(piece)
        n_bytes += len(piece)
        # while the piece is in the cache
        sum_ = zlib.crc32(piece, sum_)
    header = format_header(
        Path(path).stem, header_lines, n_bytes, check_sum(sum_), shape, convention
    )
    with atomic_write(path) as stream:
        stream.write(header)
        for piece in held:
            stream.write(piece)
        stream.write(b"\0" * PADDING)
        stream.write(f"\r\n{SECTION[:-2]}----\r\n;\r\n".encode("ascii"))
