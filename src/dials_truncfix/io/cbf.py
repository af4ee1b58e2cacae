"""Read and write miniCBF images: a text header and one compressed array."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import PathLike, atomic_write
from dials_truncfix.io.byte_offset import compress, decompress

#: CBF allows lines of this many characters.
MAX_LINE = 2048
CONVENTION = "TRUNCFIX_1.0"

_BINARY_START = b"\x0c\x1a\x04\xd5"
_MAX_HEADER_BYTES = 1 << 18
_SECTION = "--CIF-BINARY-FORMAT-SECTION--"
_PADDING = 4095


@dataclass(frozen=True)
class CBFHeader:
    """Text part of a miniCBF file.

    Attributes
    ----------
    convention : str
        Value of ``_array_data.header_convention``.
    lines : tuple of str
        Lines of ``_array_data.header_contents`` without ``# ``.
    mime : dict of str to str
        Fields that describe the binary section.
    data_offset : int
        Offset of the compressed array in the file (bytes).
    """

    convention: str
    lines: tuple[str, ...]
    mime: dict[str, str]
    data_offset: int

    @property
    def shape(self) -> tuple[int, int]:
        """Slow and fast size of the image in pixels."""
        return (
            int(self.mime["X-Binary-Size-Second-Dimension"]),
            int(self.mime["X-Binary-Size-Fastest-Dimension"]),
        )


def parse_header(data: bytes) -> CBFHeader:
    """Parse the text that precedes the binary section.

    Parameters
    ----------
    data : bytes
        The start of the file up to and including the binary start mark.

    Returns
    -------
    CBFHeader

    Raises
    ------
    ValueError
        If this is not a miniCBF header or not a whole one.
    """
    text_bytes, mark, _ = data.partition(_BINARY_START)
    if not data.startswith(b"###CBF") or not mark:
        raise ValueError("no miniCBF header")
    text = text_bytes.decode("latin-1").replace("\r\n", "\n")
    convention = re.search(r'_array_data\.header_convention\s+"?([^"\s]+)', text)
    contents = re.search(
        r"_array_data\.header_contents[^\n]*\n;([^\n]*\n(?:.*?\n)?);", text, re.DOTALL
    )
    if convention is None or contents is None:
        raise ValueError("no header_convention or header_contents in the CBF header")
    lines = (re.sub(r"^#? ?", "", line) for line in contents[1].split("\n"))
    _, section, mime_text = text.partition(_SECTION)
    if not section:
        raise ValueError("no binary section in the CBF header")
    mime = {
        key: value.strip().strip('"')
        for key, value in re.findall(
            r"^\s*([A-Za-z][\w-]*)\s*[:=]\s*([^\n]*)", mime_text, re.M
        )
    }
    return CBFHeader(
        convention=convention[1],
        lines=tuple(line for line in lines if line.strip()),
        mime=mime,
        data_offset=len(text_bytes) + len(_BINARY_START),
    )


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
        while _BINARY_START not in data and len(data) < _MAX_HEADER_BYTES:
            block = stream.read(8192)
            if not block or (not data and not block.startswith(b"###CBF")):
                break
            data += block
    try:
        return parse_header(data)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


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
        Compressed pixels, checked against their MD5 sum.

    Raises
    ------
    ValueError
        If the file is not a byte-offset miniCBF image, if it is shorter than
        it claims, or if its MD5 sum is wrong.
    """
    header = read_header(path)
    name = os.fspath(path)
    mime = header.mime
    try:
        n_bytes = int(mime["X-Binary-Size"])
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
            f"but the file holds {held} bytes"
        )
    with open(path, "rb") as stream:
        stream.seek(header.data_offset)
        data = stream.read(n_bytes)
    claimed = mime.get("Content-MD5")
    if claimed and claimed != _md5(data):
        raise ValueError(f"{name}: MD5 sum of the pixels is wrong; the file is damaged")
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


def _md5(data: bytes) -> str:
    # A check sum that the format prescribes, no protection.
    return base64.b64encode(
        hashlib.new("md5", data, usedforsecurity=False).digest()
    ).decode()


def format_header(
    name: str,
    header_lines: Sequence[str],
    data: bytes,
    shape: tuple[int, int],
    convention: str = CONVENTION,
) -> bytes:
    """Compose everything that precedes the compressed array.

    Parameters
    ----------
    name : str
        Name of the data block.
    header_lines : sequence of str
        Lines of the header contents; written behind ``# ``.
    data : bytes
        Compressed array.
    shape : tuple of int
        (slow, fast) size in pixels.
    convention : str
        Value of ``_array_data.header_convention``.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If a line is longer than CBF allows or contains a line break.
    """
    contents = []
    for line in header_lines:
        text = line if line.startswith("#") else f"# {line}"
        text = text.encode("ascii", "backslashreplace").decode("ascii")
        if len(text) > MAX_LINE or "\n" in text or "\r" in text:
            raise ValueError(
                f"{text[:60]}... is no CBF line of <= {MAX_LINE} characters"
            )
        contents.append(text)
    block = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    text = "\n".join(
        [
            "###CBF: VERSION 1.5",
            f"data_{block}",
            "",
            f'_array_data.header_convention "{convention}"',
            "_array_data.header_contents",
            ";",
            *contents,
            ";",
            "",
            "_array_data.data",
            ";",
            _SECTION,
            "Content-Type: application/octet-stream;",
            '     conversions="x-CBF_BYTE_OFFSET"',
            "Content-Transfer-Encoding: BINARY",
            f"X-Binary-Size: {len(data)}",
            "X-Binary-ID: 1",
            'X-Binary-Element-Type: "signed 32-bit integer"',
            "X-Binary-Element-Byte-Order: LITTLE_ENDIAN",
            f"Content-MD5: {_md5(data)}",
            f"X-Binary-Number-of-Elements: {shape[0] * shape[1]}",
            f"X-Binary-Size-Fastest-Dimension: {shape[1]}",
            f"X-Binary-Size-Second-Dimension: {shape[0]}",
            f"X-Binary-Size-Padding: {_PADDING}",
            "",
            "",
        ]
    )
    return text.replace("\n", "\r\n").encode("ascii") + _BINARY_START


def write(
    path: PathLike,
    pixels: npt.NDArray[np.int32] | None,
    header_lines: Sequence[str],
    convention: str = CONVENTION,
    *,
    compressed: bytes | None = None,
    shape: tuple[int, int] | None = None,
) -> None:
    """Write an image.

    Parameters
    ----------
    path : str or os.PathLike
        File to write.
    pixels : ndarray of int32, shape (ny, nx), optional
        Pixels; None if `compressed` is given.
    header_lines : sequence of str
        Lines of the header contents.
    convention : str
        Value of ``_array_data.header_convention``.
    compressed : bytes, optional
        The pixels, byte-offset compressed by the caller.
    shape : tuple of int, optional
        (slow, fast) size of what `compressed` holds.

    Raises
    ------
    ValueError
        If neither pixels nor compressed data with their shape are given, or
        the header cannot be written.
    """
    if pixels is not None and pixels.ndim == 2:
        shape = (pixels.shape[0], pixels.shape[1])
        compressed = compress(pixels)
    if compressed is None or shape is None:
        raise ValueError("2-d pixels, or compressed data with their shape, are needed")
    header = format_header(Path(path).stem, header_lines, compressed, shape, convention)
    with atomic_write(path) as stream:
        stream.write(header)
        stream.write(compressed)
        stream.write(b"\0" * _PADDING)
        stream.write(f"\r\n{_SECTION[:-2]}----\r\n;\r\n".encode("ascii"))
