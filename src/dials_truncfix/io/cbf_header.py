"""Text that precedes the pixels of a miniCBF file: parsing and composing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: CBF allows lines of this many characters.
MAX_LINE = 2048
CONVENTION = "TRUNCFIX_1.0"
BINARY_START = b"\x0c\x1a\x04\xd5"
SECTION = "--CIF-BINARY-FORMAT-SECTION--"
#: MIME field of the check sum.
CHECK_SUM = "X-CRC-32"
#: Zeros that follow the compressed pixels.
PADDING = 4095


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
    def n_bytes(self) -> int:
        """Size of the compressed array in bytes."""
        return int(self.mime["X-Binary-Size"])

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
    text_bytes, mark, _ = data.partition(BINARY_START)
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
    _, section, mime_text = text.partition(SECTION)
    if not section:
        raise ValueError("no binary section in the CBF header")
    mime = {
        key: value.strip().strip('"')
        for key, value in re.findall(
            r"^[ \t]*([A-Za-z][\w-]*)[ \t]*[:=]([^\n]*)", mime_text, re.M
        )
    }
    return CBFHeader(
        convention=convention[1],
        lines=tuple(line for line in lines if line.strip()),
        mime=mime,
        data_offset=len(text_bytes) + len(BINARY_START),
    )


def check_sum(crc32: int) -> str:
    """CRC-32 of the compressed array as the header states it.

    An MD5 sum, for which CBF has a field of its own, takes as long as the compression.
    """
    return f"{crc32:08x}"


def format_header(
    name: str,
    header_lines: Sequence[str],
    n_bytes: int,
    sum_: str,
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
    n_bytes : int
        Size of the compressed array.
    sum_ : str
        Its check sum.
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
            SECTION,
            "Content-Type: application/octet-stream;",
            '     conversions="x-CBF_BYTE_OFFSET"',
            "Content-Transfer-Encoding: BINARY",
            f"X-Binary-Size: {n_bytes}",
            "X-Binary-ID: 1",
            'X-Binary-Element-Type: "signed 32-bit integer"',
            "X-Binary-Element-Byte-Order: LITTLE_ENDIAN",
            f"{CHECK_SUM}: {sum_}",
            f"X-Binary-Number-of-Elements: {shape[0] * shape[1]}",
            f"X-Binary-Size-Fastest-Dimension: {shape[1]}",
            f"X-Binary-Size-Second-Dimension: {shape[0]}",
            f"X-Binary-Size-Padding: {PADDING}",
            "",
            "",
        ]
    )
    return text.replace("\n", "\r\n").encode("ascii") + BINARY_START
