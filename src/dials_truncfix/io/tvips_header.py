"""Headers of .tvips files (EM-MENU 4 streams): layout, parsing and packing.

All numbers are little-endian. A series header of 256 bytes opens part
``_000`` only; every frame is preceded by a frame header.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

SERIES_HEADER_BYTES = 256
V1_FRAME_HEADER_BYTES = 12
# Side length beyond any camera sold; a header that claims more is not one.
MAX_SIDE = 65536
MAX_FRAME_HEADER_BYTES = 65536

_SERIES = struct.Struct("<13i")

#: (attribute, offset in bytes, struct code) of the version 2 frame header.
FRAME_FIELDS: tuple[tuple[str, int, str], ...] = (
    ("faraday_cup", 16, "f"),
    ("magnification", 20, "I"),
    ("mode", 24, "I"),
    ("stage_x_nm", 28, "f"),
    ("stage_y_nm", 32, "f"),
    ("stage_z_nm", 36, "f"),
    ("alpha_deg", 40, "f"),
    ("beta_deg", 44, "f"),
    ("rotator_index", 48, "I"),
    ("dens_temperature", 52, "f"),
    ("dens_set_point", 56, "f"),
    ("dens_power", 60, "f"),
    ("objective_current", 64, "f"),
    ("scan_x", 68, "f"),
    ("scan_y", 72, "f"),
)

MODE_IMAGE = 1
MODE_DIFFRACTION = 2


@dataclass(frozen=True)
class SeriesHeader:
    """Header of a series, from the first 52 of its 256 bytes.

    Attributes
    ----------
    version : int
        1 or 2.
    nx, ny : int
        Fast and slow size of a frame in pixels.
    bits_per_pixel : int
        8 or 16, unsigned.
    x_offset, y_offset : int
        First pixel read out, in unbinned pixels.
    x_binning, y_binning : int
        Binning factors.
    pixel_size_nm : int
        Pixel size as the microscope software knows it (nm). Not reliable.
    high_tension_kv : int
        Acceleration voltage (kV); 0 when unknown.
    magnification : int
        Total magnification; in diffraction a camera length. Not reliable.
    frame_header_bytes : int
        Size of the header before each frame (bytes), 12 in version 1.
    """

    version: int
    nx: int
    ny: int
    bits_per_pixel: int
    x_offset: int = 0
    y_offset: int = 0
    x_binning: int = 1
    y_binning: int = 1
    pixel_size_nm: int = 0
    high_tension_kv: int = 0
    magnification: int = 0
    frame_header_bytes: int = V1_FRAME_HEADER_BYTES

    @property
    def dtype(self) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
        """Type of one pixel in the file."""
        return np.dtype("<u2") if self.bits_per_pixel == 16 else np.dtype("u1")

    @property
    def image_bytes(self) -> int:
        """Bytes of the pixels of one frame."""
        return self.nx * self.ny * (self.bits_per_pixel // 8)

    @property
    def record_bytes(self) -> int:
        """Bytes of one frame with its header."""
        return self.frame_header_bytes + self.image_bytes


@dataclass(frozen=True)
class FrameHeader:
    """Header of one frame; None for what the header is too short to hold.

    Attributes
    ----------
    counter : int
        Frame counter as written by the camera software.
    seconds, milliseconds : int
        Time stamp since 1970-01-01 and its milliseconds.
    faraday_cup : float, optional
        Faraday cup reading.
    magnification : int, optional
        Magnification, or camera length in diffraction. Not reliable.
    mode : int, optional
        1 for image, 2 for diffraction.
    stage_x_nm, stage_y_nm, stage_z_nm : float, optional
        Stage position (nm).
    alpha_deg, beta_deg : float, optional
        Stage tilts (degrees).
    rotator_index : int, optional
        Index of the image rotator.
    dens_temperature, dens_set_point, dens_power : float, optional
        DENS heating holder.
    objective_current : float, optional
        Objective lens current.
    scan_x, scan_y : float, optional
        Scan position.
    """

    counter: int
    seconds: int
    milliseconds: int
    faraday_cup: float | None = None
    magnification: int | None = None
    mode: int | None = None
    stage_x_nm: float | None = None
    stage_y_nm: float | None = None
    stage_z_nm: float | None = None
    alpha_deg: float | None = None
    beta_deg: float | None = None
    rotator_index: int | None = None
    dens_temperature: float | None = None
    dens_set_point: float | None = None
    dens_power: float | None = None
    objective_current: float | None = None
    scan_x: float | None = None
    scan_y: float | None = None

    @property
    def time(self) -> float:
        """Time stamp in seconds since 1970-01-01, milliseconds included."""
        return self.seconds + self.milliseconds * 1e-3


def parse_series_header(data: bytes) -> SeriesHeader:
    """Read the header at the start of part ``_000``.

    Parameters
    ----------
    data : bytes
        The first 256 bytes of the file (52 are enough).

    Returns
    -------
    SeriesHeader

    Raises
    ------
    ValueError
        If a field has a value that no .tvips file can have.
    """
    if len(data) < _SERIES.size:
        raise ValueError(
            f"series header needs {SERIES_HEADER_BYTES} bytes, got {len(data)}"
        )
    size, version, nx, ny, bits, x0, y0, bx, by, pixel, ht, mag, frame_bytes = (
        _SERIES.unpack_from(data)
    )
    if size != SERIES_HEADER_BYTES:
        raise ValueError(f"series header size is {size}, not {SERIES_HEADER_BYTES}")
    if version not in (1, 2):
        raise ValueError(f"series version is {version}, not 1 or 2")
    if bits not in (8, 16):
        raise ValueError(f"bits per pixel are {bits}, not 8 or 16")
    if not (0 < nx <= MAX_SIDE and 0 < ny <= MAX_SIDE):
        raise ValueError(f"frame size {nx} x {ny} is impossible")
    if version == 1:
        # The field holds no meaning in version 1.
        frame_bytes = V1_FRAME_HEADER_BYTES
    if not V1_FRAME_HEADER_BYTES <= frame_bytes <= MAX_FRAME_HEADER_BYTES:
        raise ValueError(f"frame header size of {frame_bytes} bytes is impossible")
    return SeriesHeader(
        version=version,
        nx=nx,
        ny=ny,
        bits_per_pixel=bits,
        x_offset=x0,
        y_offset=y0,
        x_binning=bx,
        y_binning=by,
        pixel_size_nm=pixel,
        high_tension_kv=ht,
        magnification=mag,
        frame_header_bytes=frame_bytes,
    )


def pack_series_header(header: SeriesHeader) -> bytes:
    """Inverse of `parse_series_header`: 256 bytes."""
    packed = _SERIES.pack(
        SERIES_HEADER_BYTES,
        header.version,
        header.nx,
        header.ny,
        header.bits_per_pixel,
        header.x_offset,
        header.y_offset,
        header.x_binning,
        header.y_binning,
        header.pixel_size_nm,
        header.high_tension_kv,
        header.magnification,
        header.frame_header_bytes if header.version == 2 else 0,
    )
    return packed.ljust(SERIES_HEADER_BYTES, b"\0")


def parse_frame_header(data: bytes) -> FrameHeader:
    """Read a frame header of any length from 12 bytes.

    Parameters
    ----------
    data : bytes
        The whole frame header.

    Returns
    -------
    FrameHeader

    Raises
    ------
    ValueError
        If fewer than 12 bytes are given.
    """
    if len(data) < V1_FRAME_HEADER_BYTES:
        raise ValueError(
            f"frame header needs {V1_FRAME_HEADER_BYTES} bytes, got {len(data)}"
        )
    counter, seconds, milliseconds = struct.unpack_from("<III", data)
    values = {
        name: struct.unpack_from("<" + code, data, offset)[0]
        for name, offset, code in FRAME_FIELDS
        if offset + 4 <= len(data)
    }
    return FrameHeader(counter, seconds, milliseconds, **values)


def pack_frame_header(header: FrameHeader, n_bytes: int) -> bytes:
    """Inverse of `parse_frame_header`; fields that do not fit are left out."""
    packed = bytearray(n_bytes)
    struct.pack_into(
        "<III", packed, 0, header.counter, header.seconds, header.milliseconds
    )
    for name, offset, code in FRAME_FIELDS:
        value = getattr(header, name)
        if value is not None and offset + 4 <= n_bytes:
            struct.pack_into("<" + code, packed, offset, value)
    return bytes(packed)
