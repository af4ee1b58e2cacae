"""Header of MRC files: layout, parsing and packing.

References
----------
Cheng, A. et al. (2015). J. Struct. Biol. 192, 146-150 (MRC2014).
https://doi.org/10.1016/j.jsb.2015.04.002
The words of IMOD at bytes 152 and 156, and mode 101, are those of IMOD's own
description of the format.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from dials_truncfix.io import nibbles

HEADER_BYTES = 1024
LABEL_CHARACTERS = 80
MAX_LABELS = 10

#: What IMOD and SerialEM write at byte 152, and the bits at byte 156.
IMOD_STAMP = 1146047817
SIGNED_BYTES = 1
FOUR_BITS_SQUEEZED = 16

BYTE_MODE = 0
FOUR_BIT_MODE = 101
_MODES = {
    BYTE_MODE: "u1",
    1: "i2",
    2: "f4",
    6: "u2",
    12: "f2",
    FOUR_BIT_MODE: "u1",
}
_UNSUPPORTED = {3: "complex integers", 4: "complex numbers", 16: "colours"}

# Side length beyond any camera sold; a header that claims more is not one.
MAX_SIDE = 65536
_MAX_SECTIONS = 2**31 - 1
_LARGEST_SIGNED_BYTE = 127

_STAMPS = {"<": b"DD\0\0", ">": b"\x11\x11\0\0"}
_MAP_OFFSET = 208
_MAP = b"MAP "

_START = struct.Struct("10i6f3i3f2i")  # nx ... nsymbt, up to byte 96
_IMOD = struct.Struct("2i")
_IMOD_OFFSET = 152
_EXTTYP_OFFSET = 104
_LABELS_OFFSET = 220


@dataclass(frozen=True)
class MRCHeader:
    """What a header says about the pixels, and its labels.

    Attributes
    ----------
    nx, ny, nz : int
        Columns, rows and sections of the images; `nx` counts pixels, also where two
        share a byte.
    mode : int
        0, 1, 2, 6, 12 or 101.
    signed : bool
        Whether the bytes of mode 0 are signed.
    squeezed : bool
        Whether the bytes of mode 0 hold two pixels each.
    labels : tuple of str
        At most ten, without trailing blanks.
    byte_order : str
        ``<`` or ``>``.
    extended_bytes : int
        Size of the extended header between this one and the pixels.
    extended_type : str
        Four letters that name its kind; may be empty.
    pixel_spacing : float
        Size of a pixel at the specimen (Å); 0 when unknown.
    lowest, highest, mean : float
        Of all pixels, as the writer noted them.
    """

    nx: int
    ny: int
    nz: int
    mode: int
    signed: bool = False
    squeezed: bool = False
    labels: tuple[str, ...] = ()
    byte_order: str = "<"
    extended_bytes: int = 0
    extended_type: str = ""
    pixel_spacing: float = 0.0
    lowest: float = 0.0
    highest: float = 0.0
    mean: float = 0.0

    @property
    def is_packed(self) -> bool:
        """Whether a byte holds two pixels."""
        return self.squeezed or self.mode == FOUR_BIT_MODE

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel in the file, of a byte where two pixels share one."""
        code = "i1" if self.signed and self.mode == BYTE_MODE else _MODES[self.mode]
        return np.dtype(self.byte_order + code)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of pixels."""
        if self.is_packed:
            return nibbles.row_bytes(self.nx)
        return self.nx * self.dtype.itemsize

    @property
    def image_bytes(self) -> int:
        """Bytes of one section."""
        return self.ny * self.row_bytes

    @property
    def data_offset(self) -> int:
        """Where the first section begins."""
        return HEADER_BYTES + self.extended_bytes


def parse_header(data: bytes) -> MRCHeader:
    """Read the first 1024 bytes of a file.

    Bytes of mode 0 are signed where IMOD's flag says so, and unsigned where its stamp
    stands without the flag or where SerialEM's label says who wrote them. Without any
    of these they are signed, as MRC2014 has it, unless the header itself notes a value
    that no signed byte holds.

    Parameters
    ----------
    data : bytes
        At least 1024 bytes.

    Returns
    -------
    MRCHeader

    Raises
    ------
    ValueError
        If a field has a value that no such file can have, or that is not supported.
    """
    if len(data) < HEADER_BYTES:
        raise ValueError(f"a header needs {HEADER_BYTES} bytes, got {len(data)}")
    byte_order = _byte_order(data)
    fields = struct.unpack_from(byte_order + _START.format, data)
    nx, ny, nz, mode = fields[:4]
    mx, my = fields[7:9]
    x_length = fields[10]
    lowest, highest, mean = fields[19:22]
    extended_bytes = fields[23]
    if mode in _UNSUPPORTED:
        raise ValueError(f"mode {mode} ({_UNSUPPORTED[mode]}) is no image of a camera")
    if mode not in _MODES:
        raise ValueError(f"mode {mode} is not one of {', '.join(map(str, _MODES))}")
    if not (0 < nx <= MAX_SIDE and 0 < ny <= MAX_SIDE and 0 < nz <= _MAX_SECTIONS):
        raise ValueError(f"{nx} x {ny} pixels in {nz} sections are impossible")
    if extended_bytes < 0:
        raise ValueError(f"an extended header of {extended_bytes} bytes is impossible")
    labels = tuple(header_labels(data))
    stamp, flags = struct.unpack_from(byte_order + _IMOD.format, data, _IMOD_OFFSET)
    stamped = stamp == IMOD_STAMP
    from_serialem = any(label.startswith("SerialEMCCD:") for label in labels)
    packed_label = from_serialem and any("4 bits packed" in label for label in labels)
    # A program that unpacks pixels clears the flag, and keeps the label.
    squeezed = mode == BYTE_MODE and (
        bool(flags & FOUR_BITS_SQUEEZED) if stamped else packed_label
    )
    if stamped:
        signed = bool(flags & SIGNED_BYTES) and not squeezed
    else:
        signed = not from_serialem and not (
            lowest >= 0 and _LARGEST_SIGNED_BYTE < highest <= 255
        )
    if squeezed:
        nx *= 2
        if nx > MAX_SIDE:
            raise ValueError(f"{nx} x {ny} pixels are impossible")
    spacing = x_length / mx if mx > 0 and 0 < x_length < 1e9 and my > 0 else 0.0
    return MRCHeader(
        nx=nx,
        ny=ny,
        nz=nz,
        mode=mode,
        signed=signed and mode == BYTE_MODE,
        squeezed=squeezed,
        labels=labels,
        byte_order=byte_order,
        extended_bytes=extended_bytes,
        extended_type=_text(data[_EXTTYP_OFFSET : _EXTTYP_OFFSET + 4]),
        pixel_spacing=spacing / 2 if squeezed else spacing,
        lowest=lowest,
        highest=highest,
        mean=mean,
    )


def pack_header(header: MRCHeader) -> bytes:
    """Inverse of `parse_header`.

    Parameters
    ----------
    header : MRCHeader
        What to write. IMOD's stamp is set, as SerialEM does.

    Returns
    -------
    bytes
        1024 of them.

    Raises
    ------
    ValueError
        If a value cannot be written.
    """
    if header.squeezed and (header.nx % 2 or header.mode != BYTE_MODE):
        raise ValueError("only byte images of even width can be squeezed")
    if len(header.labels) > MAX_LABELS:
        raise ValueError(f"{len(header.labels)} labels, where {MAX_LABELS} fit")
    nx = header.nx // 2 if header.squeezed else header.nx
    # A pixel size of 1 Å where none is known, as SerialEM writes.
    spacing = header.pixel_spacing or 1.0
    lengths = (header.nx * spacing, header.ny * spacing, header.nz * spacing)
    grid = (nx, header.ny, header.nz)
    data = bytearray(HEADER_BYTES)
    struct.pack_into(
        header.byte_order + _START.format,
        data,
        0,
        *(*grid, header.mode),
        *(0, 0, 0),
        *grid,
        *lengths,
        *(90.0, 90.0, 90.0),
        *(1, 2, 3),
        *(header.lowest, header.highest, header.mean),
        *(0, header.extended_bytes),
    )
    data[_EXTTYP_OFFSET : _EXTTYP_OFFSET + 4] = header.extended_type.encode(
        "ascii"
    ).ljust(4, b"\0")[:4]
    flags = SIGNED_BYTES if header.signed else 0
    flags |= FOUR_BITS_SQUEEZED if header.squeezed else 0
    struct.pack_into(
        header.byte_order + _IMOD.format, data, _IMOD_OFFSET, IMOD_STAMP, flags
    )
    data[_MAP_OFFSET : _MAP_OFFSET + 8] = _MAP + _STAMPS[header.byte_order]
    struct.pack_into(header.byte_order + "i", data, _LABELS_OFFSET, len(header.labels))
    for index, label in enumerate(header.labels):
        text = label.encode("latin-1", "replace")
        if len(text) > LABEL_CHARACTERS:
            raise ValueError(
                f"the label {label[:60]!r}... has more than {LABEL_CHARACTERS} characters"
            )
        at = _LABELS_OFFSET + 4 + index * LABEL_CHARACTERS
        data[at : at + LABEL_CHARACTERS] = text.ljust(LABEL_CHARACTERS)
    return bytes(data)


def header_labels(data: bytes) -> list[str]:
    """Return the labels of a header that need not be a possible one."""
    if len(data) < HEADER_BYTES:
        return []
    (count,) = struct.unpack_from(_byte_order(data) + "i", data, _LABELS_OFFSET)
    return list(_labels(data, count))


def _byte_order(data: bytes) -> str:
    """Take the order of the machine stamp, or the one that gives a possible header."""
    stamped = ">" if data[212:214] == _STAMPS[">"][:2] else "<"
    for order in (stamped, "<", ">"):
        nx, ny, _, mode = struct.unpack_from(order + "4i", data)
        if 0 < nx <= MAX_SIDE and 0 < ny <= MAX_SIDE and 0 <= mode <= FOUR_BIT_MODE:
            return order
    return stamped


def _labels(data: bytes, count: int) -> tuple[str, ...]:
    labels = []
    for index in range(min(max(count, 0), MAX_LABELS)):
        at = _LABELS_OFFSET + 4 + index * LABEL_CHARACTERS
        labels.append(_text(data[at : at + LABEL_CHARACTERS]))
    return tuple(labels)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("latin-1").rstrip()
