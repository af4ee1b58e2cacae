"""Read and write SMV images: a text header and uncompressed pixels.

The header is ``{``, lines ``KEY=VALUE;`` and ``}``, padded to the number of
bytes that its first key HEADER_BYTES states.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import PathLike, atomic_write

_START = re.compile(rb"\{\s*HEADER_BYTES\s*=\s*(\d{1,9})\s*;")
_PADDED_TO = 512
# Far above any header in use; what claims more is not one.
_MAX_HEADER_BYTES = 1 << 20

_TYPES = {
    "unsigned_char": "u1",
    "unsigned_byte": "u1",
    "signed_char": "i1",
    "unsigned_short": "u2",
    "mad": "u2",
    "signed_short": "i2",
    "short": "i2",
    "short_int": "i2",
    "unsigned_long": "u4",
    "unsigned_int": "u4",
    "unsigned_long_int": "u4",
    "signed_long": "i4",
    "signed_int": "i4",
    "long": "i4",
    "long_int": "i4",
    "int": "i4",
    "float": "f4",
    "double": "f8",
}
_TYPE_NAMES = {np.dtype(np.uint16): "unsigned_short", np.dtype(np.int32): "signed_long"}
_BYTE_ORDERS = {"little_endian": "<", "big_endian": ">"}


def parse_header(data: bytes) -> dict[str, str]:
    """Parse the text of an SMV header.

    Parameters
    ----------
    data : bytes
        The start of the file, at least the number of bytes that HEADER_BYTES
        states.

    Returns
    -------
    dict of str to str
        Values as written, without surrounding blanks.

    Raises
    ------
    ValueError
        If this is not an SMV header, or not a whole one.
    """
    start = _START.match(data)
    if start is None:
        raise ValueError("no SMV header")
    n_bytes = int(start[1])
    if not start.end() < n_bytes <= _MAX_HEADER_BYTES:
        raise ValueError(f"HEADER_BYTES={n_bytes} is impossible")
    if len(data) < n_bytes:
        raise ValueError(
            f"HEADER_BYTES={n_bytes}, but only {len(data)} bytes are there"
        )
    text = data[1:n_bytes].decode("latin-1").partition("}")[0]
    header: dict[str, str] = {}
    for item in text.replace("\n", ";").split(";"):
        key, equals, value = item.partition("=")
        if equals and key.strip():
            header[key.strip()] = value.strip()
    return header


def read_header(path: PathLike) -> dict[str, str]:
    """Read the header of a file.

    Parameters
    ----------
    path : str or os.PathLike
        Image file.

    Returns
    -------
    dict of str to str

    Raises
    ------
    ValueError
        If the file is not an SMV image or its header is cut short.
    """
    with open(path, "rb") as stream:
        data = stream.read(512)
        start = _START.match(data)
        if start is not None and int(start[1]) <= _MAX_HEADER_BYTES:
            data += stream.read(max(0, int(start[1]) - len(data)))
    try:
        return parse_header(data)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


def is_truncfix(header: Mapping[str, str]) -> bool:
    """Whether a header is that of an image corrected by this package."""
    return "TRUNCFIX_VERSION" in header


def image_layout(header: Mapping[str, str]) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Shape and type of the pixels that a header announces.

    Parameters
    ----------
    header : mapping of str to str
        From `read_header`.

    Returns
    -------
    shape : tuple of int
        (slow, fast) in pixels.
    dtype : numpy.dtype
        Type with its byte order.

    Raises
    ------
    ValueError
        If a key is missing or has an impossible value.
    """
    try:
        sizes = header["SIZE1"], header["SIZE2"]
        nx, ny = map(int, sizes)
    except KeyError as error:
        raise ValueError(f"the header has no {error.args[0]}") from None
    except ValueError:
        raise ValueError(
            f"SIZE1={sizes[0][:20]}, SIZE2={sizes[1][:20]} are not integers"
        ) from None
    if nx < 1 or ny < 1:
        raise ValueError(f"SIZE1={nx}, SIZE2={ny} is impossible")
    order = header.get("BYTE_ORDER", "little_endian").lower()
    if order not in _BYTE_ORDERS:
        raise ValueError(f"BYTE_ORDER={order} is neither little_endian nor big_endian")
    kind = header.get("TYPE", "unsigned_short").lower()
    if kind not in _TYPES:
        raise ValueError(f"TYPE={kind} is not known")
    return (ny, nx), np.dtype(_BYTE_ORDERS[order] + _TYPES[kind])


def read_layout(
    path: PathLike,
) -> tuple[dict[str, str], tuple[int, int], np.dtype[Any]]:
    """Read a header and make sure that the file holds what it announces.

    Parameters
    ----------
    path : str or os.PathLike
        Image file.

    Returns
    -------
    header : dict of str to str
    shape : tuple of int
        (slow, fast) in pixels.
    dtype : numpy.dtype
        Type with its byte order.

    Raises
    ------
    ValueError
        If the file is not an SMV image, or is shorter than it claims.
    """
    header = read_header(path)
    try:
        shape, dtype = image_layout(header)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None
    claimed = int(header["HEADER_BYTES"]) + shape[0] * shape[1] * dtype.itemsize
    held = os.path.getsize(path)
    if claimed > held:
        raise ValueError(
            f"{os.fspath(path)}: the header claims {shape[1]} x {shape[0]} pixels "
            f"({claimed} bytes with the header), but the file holds {held} bytes; "
            "copy or write it again"
        )
    return header, shape, dtype


def read_pixels(path: PathLike) -> npt.NDArray[Any]:
    """Read the pixels of a file.

    Parameters
    ----------
    path : str or os.PathLike
        Image file.

    Returns
    -------
    ndarray, shape (ny, nx)
        Pixels as stored (ADU; IMAGE_PEDESTAL is not subtracted), in the
        machine's byte order.

    Raises
    ------
    ValueError
        If the file is not an SMV image, or is shorter than it claims.
    """
    header, shape, dtype = read_layout(path)
    pixels = np.fromfile(
        path,
        dtype=dtype,
        count=shape[0] * shape[1],
        offset=int(header["HEADER_BYTES"]),
    )
    return pixels.astype(dtype.newbyteorder("="), copy=False).reshape(shape)


def format_header(header: Mapping[str, str | int | float]) -> bytes:
    """Compose a header, HEADER_BYTES included, padded to a multiple of 512.

    Parameters
    ----------
    header : mapping of str to str or number
        Keys in the order they are written. HEADER_BYTES is ignored.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If a key or value holds a character that delimits SMV headers.
    """
    lines = []
    for key, value in header.items():
        text = str(value)
        if re.search(r"[={};\s]", key) or re.search(r"[{};\n\r]", text):
            raise ValueError(f"{key}={text} cannot be written to an SMV header")
        if key != "HEADER_BYTES":
            lines.append(f"{key}={text};\n")
    body = ("".join(lines) + "}\n").encode("latin-1")
    first = len("{\nHEADER_BYTES=12345;\n")
    n_bytes = -(-(first + len(body)) // _PADDED_TO) * _PADDED_TO
    return f"{{\nHEADER_BYTES={n_bytes:5d};\n".encode("ascii") + body.ljust(
        n_bytes - first
    )


def write(
    path: PathLike,
    pixels: npt.NDArray[Any],
    header: Mapping[str, str | int | float],
) -> None:
    """Write an image.

    HEADER_BYTES, DIM, BYTE_ORDER, TYPE, SIZE1 and SIZE2 are set from the
    pixels and stand first; values given for them are ignored.

    Parameters
    ----------
    path : str or os.PathLike
        File to write.
    pixels : ndarray of uint16 or int32, shape (ny, nx)
        Pixels to store.
    header : mapping of str to str or number
        Further keys.

    Raises
    ------
    ValueError
        If the pixels have another type, or a value cannot be written.
    """
    if pixels.ndim != 2 or pixels.dtype.newbyteorder("=") not in _TYPE_NAMES:
        raise ValueError(
            f"SMV stores 2-d uint16 or int32, got {pixels.ndim}-d {pixels.dtype}"
        )
    layout: dict[str, str | int | float] = {
        "DIM": 2,
        "BYTE_ORDER": "little_endian",
        "TYPE": _TYPE_NAMES[pixels.dtype.newbyteorder("=")],
        "SIZE1": pixels.shape[1],
        "SIZE2": pixels.shape[0],
    }
    layout.update((k, v) for k, v in header.items() if k not in layout)
    with atomic_write(path) as stream:
        stream.write(format_header(layout))
        stream.write(
            np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<")).tobytes()
        )
