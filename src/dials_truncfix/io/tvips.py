"""Read .tvips series (EM-MENU 4 streams) frame by frame.

A series lies in one file or in numbered parts ``NAME_000.tvips``,
``NAME_001.tvips``, ... Frames are reached by seeking: opening a series costs
one header, and reading a frame costs that frame, however long the series is.
"""

from __future__ import annotations

import bisect
import itertools
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import PathLike
from dials_truncfix.io.tvips_header import (
    SERIES_HEADER_BYTES,
    FrameHeader,
    SeriesHeader,
    parse_frame_header,
    parse_series_header,
)
from dials_truncfix.io.tvips_writer import write_series

__all__ = [
    "FrameHeader",
    "SeriesHeader",
    "TVIPSSeries",
    "TVIPSWarning",
    "is_first_part",
    "read_series_header",
    "write_series",
]

_FIRST_PART = re.compile(r"(?P<stem>.*)_000(?P<ext>\.tvips)", re.IGNORECASE | re.DOTALL)


class TVIPSWarning(UserWarning):
    """A series is readable, but not whole."""


def is_first_part(path: PathLike) -> bool:
    """Whether the name is that of the part that holds the series header."""
    return _FIRST_PART.fullmatch(os.path.basename(os.fspath(path))) is not None


def read_series_header(path: PathLike) -> SeriesHeader:
    """Read the series header of a first part.

    Parameters
    ----------
    path : str or os.PathLike
        Part ``_000``, or a single file.

    Returns
    -------
    SeriesHeader

    Raises
    ------
    ValueError
        If the header is impossible.
    """
    with open(path, "rb") as stream:
        data = stream.read(SERIES_HEADER_BYTES)
    try:
        return parse_series_header(data)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} is no .tvips series: {error}") from None


def find_parts(path: PathLike) -> list[Path]:
    """List the files of a series in order.

    Parameters
    ----------
    path : str or os.PathLike
        Part ``_000``, or a file whose name carries no part number.

    Returns
    -------
    list of Path

    Raises
    ------
    ValueError
        If a part between the first and the last is missing.
    """
    first = Path(path)
    match = _FIRST_PART.fullmatch(first.name)
    if match is None:
        return [first]
    part_name = re.compile(
        re.escape(match["stem"]) + r"_(\d{3})" + re.escape(match["ext"]), re.IGNORECASE
    )
    numbered: dict[int, Path] = {0: first}
    for entry in sorted(first.parent.iterdir()):
        found = part_name.fullmatch(entry.name)
        if found and int(found[1]) > 0:
            # The same spelling as the first part is the better match where a
            # case-sensitive disk holds two.
            if int(found[1]) not in numbered or entry.name.startswith(match["stem"]):
                numbered[int(found[1])] = entry
    missing = sorted(set(range(max(numbered) + 1)) - set(numbered))
    if missing:
        names = ", ".join(f"{match['stem']}_{i:03d}{match['ext']}" for i in missing)
        raise ValueError(
            f"{first}: part(s) {names} of the series are missing; put them beside "
            "the others, or move the later parts away to read the series up to the gap"
        )
    return [numbered[i] for i in range(len(numbered))]


@dataclass(frozen=True)
class TVIPSSeries:
    """An opened series. Holds no file open, so it can be pickled and shared.

    Attributes
    ----------
    path : Path
        The part that was opened.
    header : SeriesHeader
        Series header.
    parts : tuple of Path
        All files of the series in order.
    first_frames : tuple of int
        Index of the first frame of each part, and the number of all frames.
    incomplete_bytes : int
        Bytes of an incomplete frame at the end, which is left out.
    """

    path: Path
    header: SeriesHeader
    parts: tuple[Path, ...]
    first_frames: tuple[int, ...]
    incomplete_bytes: int

    @classmethod
    def open(cls, path: PathLike) -> TVIPSSeries:
        """Open a series by its first part.

        Parameters
        ----------
        path : str or os.PathLike
            Part ``_000``, or a single file.

        Returns
        -------
        TVIPSSeries

        Warns
        -----
        TVIPSWarning
            If the last frame is incomplete; the series then ends before it.

        Raises
        ------
        ValueError
            If the header is impossible, if it claims more than the files hold,
            or if parts are missing or cut short.
        OSError
            If a file cannot be read.
        """
        first = Path(path)
        header = read_series_header(first)
        parts = find_parts(first)
        counts: list[int] = []
        left_over = 0
        for index, part in enumerate(parts):
            held = part.stat().st_size - (SERIES_HEADER_BYTES if index == 0 else 0)
            count, left_over = divmod(max(held, 0), header.record_bytes)
            if left_over and index + 1 < len(parts):
                raise ValueError(
                    f"{part} ends in the middle of a frame although "
                    f"{parts[index + 1].name} follows; copy it again, or move the "
                    "later parts away to read the series up to there"
                )
            counts.append(count)
        n_frames = sum(counts)
        if n_frames == 0:
            raise ValueError(
                f"{first}: the header claims frames of {header.nx} x {header.ny} "
                f"pixels ({header.record_bytes} bytes each), but the file holds "
                f"{first.stat().st_size} bytes; copy or record it again"
            )
        if left_over:
            warnings.warn(
                f"{parts[-1]} ends in the middle of a frame; {n_frames} complete "
                "frames are read",
                TVIPSWarning,
                stacklevel=2,
            )
        return cls(
            path=first,
            header=header,
            parts=tuple(parts),
            first_frames=(0, *itertools.accumulate(counts)),
            incomplete_bytes=left_over,
        )

    @property
    def n_frames(self) -> int:
        """Number of complete frames."""
        return self.first_frames[-1]

    @property
    def shape(self) -> tuple[int, int]:
        """Slow and fast size of a frame in pixels."""
        return self.header.ny, self.header.nx

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel, uint8 or little-endian uint16."""
        return self.header.dtype

    def locate(self, index: int) -> tuple[Path, int]:
        """Return the file of a frame and the offset of its header in bytes.

        Raises
        ------
        IndexError
            If the frame does not exist.
        """
        if not 0 <= index < self.n_frames:
            raise IndexError(f"frame {index} of a series of {self.n_frames}")
        # Parts without a frame share their first frame with the next part;
        # bisect_right passes over them.
        part = bisect.bisect_right(self.first_frames, index) - 1
        offset = (index - self.first_frames[part]) * self.header.record_bytes
        return self.parts[part], offset + (SERIES_HEADER_BYTES if part == 0 else 0)

    def frame_header(self, index: int) -> FrameHeader:
        """Read the header of frame `index` (from 0)."""
        path, offset = self.locate(index)
        with open(path, "rb") as stream:
            stream.seek(offset)
            return parse_frame_header(stream.read(self.header.frame_header_bytes))

    def frame_headers(self) -> list[FrameHeader]:
        """Read the headers of all frames, opening each part once."""
        headers: list[FrameHeader] = []
        for number, part in enumerate(self.parts):
            with open(part, "rb", buffering=0) as stream:
                for index in range(*self.first_frames[number : number + 2]):
                    stream.seek(self.locate(index)[1])
                    headers.append(
                        parse_frame_header(stream.read(self.header.frame_header_bytes))
                    )
        return headers

    def read_frame(self, index: int) -> npt.NDArray[Any]:
        """Read one frame.

        Parameters
        ----------
        index : int
            Frame number from 0.

        Returns
        -------
        ndarray of uint8 or uint16, shape (ny, nx)
            Recorded pixels (ADU).

        Raises
        ------
        IndexError
            If the frame does not exist.
        ValueError
            If the file became shorter since the series was opened.
        """
        path, offset = self.locate(index)
        pixels = np.empty(self.shape, dtype=self.dtype)
        with open(path, "rb", buffering=0) as stream:
            stream.seek(offset + self.header.frame_header_bytes)
            view = pixels.reshape(-1).view(np.uint8).data
            got = 0
            while got < len(view):
                n_bytes = stream.readinto(view[got:])
                if not n_bytes:
                    raise ValueError(f"{path}: frame {index} is no longer complete")
                got += n_bytes
        return pixels
