"""Read TIFF images written by EM-MENU (TVIPS), pixels and metadata."""

from __future__ import annotations

import calendar
import os
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import PathLike

#: Private TIFF tags registered for TVIPS.
TVIPS_TAGS = frozenset({37706, 37707, 37708})

_DIFFRACTION_MODE = 3
_MAX_TAGS = 4096


@dataclass(frozen=True)
class EMMenuHeader:
    """What EM-MENU notes in an image.

    Attributes
    ----------
    nx, ny : int
        Fast and slow size in pixels.
    dtype : numpy.dtype
        Type of the stored pixels.
    camera : str
        Camera type, such as F416.
    physical_pixel_mm : float
        Pitch of the unbinned sensor (mm); 0 when unknown.
    binning : tuple of int
        Binning in x and y.
    exposure_s : float
        Exposure time (s).
    high_tension_kv : float
        Acceleration voltage (kV); 0 when unknown.
    camera_length_mm : float or None
        Camera length as the microscope states it (mm), if it was in
        diffraction mode. Not reliable.
    stage_nm : tuple of float
        Stage x, y, z (nm).
    alpha_deg, beta_deg : float
        Stage tilts (degrees).
    timestamp : float
        Local time of recording, in seconds since 1970-01-01; 0 when unknown.
    flat_field : str
        Description of the flat-field correction.
    """

    nx: int
    ny: int
    dtype: np.dtype[Any]
    camera: str
    physical_pixel_mm: float
    binning: tuple[int, int]
    exposure_s: float
    high_tension_kv: float
    camera_length_mm: float | None
    stage_nm: tuple[float, float, float]
    alpha_deg: float
    beta_deg: float
    timestamp: float
    flat_field: str

    @property
    def pixel_size_mm(self) -> tuple[float, float]:
        """Pitch of the binned pixels in x and y (mm)."""
        return (
            round(self.physical_pixel_mm * self.binning[0], 7),
            round(self.physical_pixel_mm * self.binning[1], 7),
        )


def is_emmenu_tiff(path: PathLike) -> bool:
    """Whether the first image of a TIFF file carries a TVIPS tag.

    Parameters
    ----------
    path : str or os.PathLike
        Any file.

    Returns
    -------
    bool
    """
    with open(path, "rb") as stream:
        start = stream.read(8)
        if start[:4] not in (b"II*\0", b"MM\0*") or len(start) < 8:
            return False
        order = "<" if start[:2] == b"II" else ">"
        stream.seek(struct.unpack(order + "I", start[4:])[0])
        count = stream.read(2)
        if len(count) < 2:
            return False
        n_tags = min(struct.unpack(order + "H", count)[0], _MAX_TAGS)
        entries = stream.read(12 * n_tags)
    codes = {
        struct.unpack_from(order + "H", entries, offset)[0]
        for offset in range(0, len(entries) - 11, 12)
    }
    return not codes.isdisjoint(TVIPS_TAGS)


def _timestamp(date: int, seconds: int) -> float:
    # The date is packed as year << 16 | month << 8 | day.
    year, month, day = date >> 16, date >> 8 & 0xFF, date & 0xFF
    if not (1990 <= year < 2200 and 1 <= month <= 12 and 1 <= day <= 31):
        return 0.0
    return float(calendar.timegm((year, month, day, 0, 0, 0)) + seconds)


def _parse_metadata(
    metadata: dict[str, Any], shape: tuple[int, int], dtype: np.dtype[Any]
) -> EMMenuHeader:
    stage = [float(value) for value in metadata.get("TemStagePosition", [])]
    stage += [0.0] * (5 - len(stage))
    in_diffraction = metadata.get("TemMode") == _DIFFRACTION_MODE
    camera_length = float(metadata.get("TemMagnification", 0.0))
    return EMMenuHeader(
        nx=shape[1],
        ny=shape[0],
        dtype=dtype,
        camera=str(metadata.get("CameraType", "")).strip("\0 "),
        physical_pixel_mm=float(metadata.get("PhysicalPixelSizeX", 0.0)) * 1e-6,
        binning=(
            max(1, int(metadata.get("BinningX", 1))),
            max(1, int(metadata.get("BinningY", 1))),
        ),
        exposure_s=float(metadata.get("ExposureTime", 0.0)) * 1e-3,
        high_tension_kv=float(metadata.get("TemHighTension", 0.0)) * 1e-3,
        camera_length_mm=camera_length if in_diffraction else None,
        stage_nm=(stage[0] * 1e9, stage[1] * 1e9, stage[2] * 1e9),
        alpha_deg=stage[3],
        beta_deg=stage[4],
        timestamp=_timestamp(
            int(metadata.get("Date", 0)), int(metadata.get("Time", 0))
        ),
        flat_field=str(metadata.get("FlatfieldDescription", "")).strip("\0 "),
    )


def _open(path: PathLike, with_pixels: bool) -> tuple[EMMenuHeader, Any]:
    # tifffile takes a while to import, and only these files need it.
    import tifffile

    name = os.fspath(path)
    try:
        with tifffile.TiffFile(name) as tiff:
            page = tiff.pages[0]
            shape, dtype = tuple(page.shape), np.dtype(page.dtype)
            if len(shape) != 2:
                raise ValueError(f"shape {shape} is not that of a grey-level image")
            held = os.path.getsize(name)
            stored = sum(page.databytecounts)
            last = max(
                offset + count
                for offset, count in zip(page.dataoffsets, page.databytecounts)
            )
            needed = shape[0] * shape[1] * dtype.itemsize
            if last > held or stored < needed:
                raise ValueError(
                    f"the header claims {shape[1]} x {shape[0]} pixels ({needed} "
                    f"bytes), but the file of {held} bytes does not hold them"
                )
            metadata = tiff.tvips_metadata
            if not metadata:
                raise ValueError("no TVIPS metadata")
            header = _parse_metadata(metadata, (shape[0], shape[1]), dtype)
            return header, page.asarray() if with_pixels else None
    # The parser meets damaged files with almost any exception.
    except Exception as error:
        raise ValueError(f"{name}: no readable EM-MENU TIFF: {error}") from error


def read_header(path: PathLike) -> EMMenuHeader:
    """Read the metadata of an image.

    Parameters
    ----------
    path : str or os.PathLike
        TIFF file written by EM-MENU, uncompressed.

    Returns
    -------
    EMMenuHeader

    Raises
    ------
    ValueError
        If the file is damaged, shorter than it claims, or not from EM-MENU.
    """
    return _open(path, with_pixels=False)[0]


def read_pixels(path: PathLike) -> npt.NDArray[Any]:
    """Read the pixels of an image.

    Parameters
    ----------
    path : str or os.PathLike
        TIFF file written by EM-MENU, uncompressed.

    Returns
    -------
    ndarray, shape (ny, nx)
        Pixels as stored (ADU), in the type they are stored in.

    Raises
    ------
    ValueError
        If the file is damaged, shorter than it claims, or not from EM-MENU.
    """
    pixels: npt.NDArray[Any] = _open(path, with_pixels=True)[1]
    return pixels
