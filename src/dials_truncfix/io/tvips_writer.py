"""Write .tvips series (EM-MENU 4 streams), in one file or in parts."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import PathLike, atomic_write
from dials_truncfix.io.tvips_header import (
    MODE_DIFFRACTION,
    V1_FRAME_HEADER_BYTES,
    FrameHeader,
    SeriesHeader,
    pack_frame_header,
    pack_series_header,
)


def write_series(
    path: PathLike,
    frames: Iterable[npt.NDArray[Any]],
    *,
    version: int = 2,
    pixel_size_nm: int = 0,
    high_tension_kv: int = 200,
    binning: tuple[int, int] = (1, 1),
    camera_length_mm: float = 0.0,
    alpha_deg: Sequence[float] | None = None,
    exposure_s: float = 0.0,
    start_time: float = 0.0,
    frame_header_bytes: int = 180,
    frames_per_part: int | None = None,
) -> list[Path]:
    """Write a series, holding one frame in memory at a time.

    Parameters
    ----------
    path : str or os.PathLike
        First file; must end in ``_000.tvips`` if the series is split.
    frames : iterable of ndarray of uint8 or uint16, shape (ny, nx)
        The first frame sets shape and type of all.
    version : int
        1 (12-byte frame headers without stage positions) or 2.
    pixel_size_nm : int
        Pixel size written to the header (nm).
    high_tension_kv : int
        Acceleration voltage (kV).
    binning : tuple of int
        Binning in x and y.
    camera_length_mm : float
        Camera length (mm), rounded to an integer in the header.
    alpha_deg : sequence of float, optional
        Stage tilt of each frame (degrees); 0 if not given.
    exposure_s : float
        Time between frames (s).
    start_time : float
        Time stamp of the first frame (s since 1970-01-01).
    frame_header_bytes : int
        Bytes per frame header of version 2.
    frames_per_part : int, optional
        Begin a new part after so many frames.

    Returns
    -------
    list of Path
        The files written. They appear together, after the last frame.

    Raises
    ------
    ValueError
        If there is no frame, if frames differ in shape or type, or if an
        argument cannot be written.
    """
    first = Path(path)
    if version not in (1, 2):
        raise ValueError(f"version must be 1 or 2, got {version}")
    if version == 1:
        frame_header_bytes = V1_FRAME_HEADER_BYTES
    if frame_header_bytes < V1_FRAME_HEADER_BYTES:
        raise ValueError(f"frame_header_bytes must be >= 12, got {frame_header_bytes}")
    if frames_per_part is not None and frames_per_part < 1:
        raise ValueError(f"frames_per_part must be positive, got {frames_per_part}")
    numbered = re.fullmatch(r"(.*_)000(\.tvips)", first.name, re.IGNORECASE)
    if frames_per_part is not None and numbered is None:
        raise ValueError(f"a series in parts must be named NAME_000.tvips, not {first}")

    remaining = iter(frames)
    try:
        head = np.asarray(next(remaining))
    except StopIteration:
        raise ValueError(f"no frame to write to {first}") from None
    if head.ndim != 2 or head.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"frames must be 2-d uint8 or uint16, got {head.ndim}-d {head.dtype}"
        )
    header = SeriesHeader(
        version=version,
        nx=head.shape[1],
        ny=head.shape[0],
        bits_per_pixel=8 * head.dtype.itemsize,
        x_binning=binning[0],
        y_binning=binning[1],
        pixel_size_nm=round(pixel_size_nm),
        high_tension_kv=round(high_tension_kv),
        magnification=round(camera_length_mm),
        frame_header_bytes=frame_header_bytes,
    )

    written: list[Path] = []
    # The stack keeps every part temporary until all frames are there, and
    # closes the first part, the one by which a series is found, last.
    with contextlib.ExitStack() as parts:
        stream: BinaryIO | None = None
        for index, frame in enumerate(itertools.chain([head], remaining)):
            if frame.shape != head.shape or frame.dtype != head.dtype:
                raise ValueError(
                    f"frame {index} is {frame.shape} {frame.dtype}, "
                    f"the first one {head.shape} {head.dtype}"
                )
            if stream is None or (frames_per_part and index % frames_per_part == 0):
                part = first
                if frames_per_part and numbered and index:
                    number = index // frames_per_part
                    if number > 999:
                        raise ValueError(f"{first}: more than 1000 parts")
                    part = first.with_name(f"{numbered[1]}{number:03d}{numbered[2]}")
                written.append(part)
                stream = parts.enter_context(atomic_write(part))
                if index == 0:
                    stream.write(pack_series_header(header))
            seconds = start_time + index * exposure_s
            milliseconds = round((seconds - math.floor(seconds)) * 1000)
            frame_header = FrameHeader(
                counter=index,
                seconds=math.floor(seconds) + milliseconds // 1000,
                milliseconds=milliseconds % 1000,
                magnification=header.magnification,
                mode=MODE_DIFFRACTION,
                alpha_deg=None if alpha_deg is None else float(alpha_deg[index]),
            )
            stream.write(pack_frame_header(frame_header, frame_header_bytes))
            stream.write(np.ascontiguousarray(frame, dtype=header.dtype).tobytes())
    return written
