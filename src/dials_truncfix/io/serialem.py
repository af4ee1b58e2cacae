"""Frames of K2 and K3 cameras, as SerialEM's plugin saves them: MRC or TIFF, one array.

Whatever the file, a frame comes with its top row first, in the orientation of all
other images of SerialEM: rows of MRC files, which begin at the bottom, are turned
around, and an operation that the title says was left out ("need") is applied.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io import mrc as mrc_stack
from dials_truncfix.io import nibbles, tiff_stack
from dials_truncfix.io.atomic import PathLike
from dials_truncfix.io.frame_orientation import rotate_flip, swaps_sides
from dials_truncfix.io.mrc import MRCStack
from dials_truncfix.io.mrc_header import HEADER_BYTES, header_labels
from dials_truncfix.io.serialem_title import (
    FrameTitle,
    format_title,
    is_serialem_title,
    mrc_labels,
    parse_title,
    was_processed,
)
from dials_truncfix.io.tiff_stack import TIFFStack

#: Ways to store 4-bit pixels: mode 101 of MRC, or bytes of images of half the width.
PACKINGS = mrc_stack.PACKINGS


@dataclass(frozen=True)
class FrameStack:
    """Frames in one file. Holds no file open, so it can be pickled and shared.

    Attributes
    ----------
    stack : MRCStack or TIFFStack
        The file.
    title : FrameTitle
        What SerialEM says of the frames; the defaults where it says nothing.
    from_serialem : bool
        Whether it says anything, and no other program worked on them since.
    """

    stack: MRCStack | TIFFStack
    title: FrameTitle
    from_serialem: bool

    @property
    def path(self) -> Path:
        """The file."""
        return self.stack.path

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.stack.n_frames

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""
        return self.stack.dtype

    @property
    def pixel_spacing(self) -> float:
        """Size of a pixel at the specimen (Å); 0 when unknown."""
        if isinstance(self.stack, MRCStack):
            return self.stack.header.pixel_spacing
        return self.stack.pixel_spacing

    @property
    def is_packed(self) -> bool:
        """Whether two pixels share a byte in the file."""
        if isinstance(self.stack, MRCStack):
            return self.stack.header.is_packed
        return self.title.packed

    @property
    def stored_shape(self) -> tuple[int, int]:
        """Rows and columns of a frame as it was saved, see `read_stored`."""
        rows, columns = self.stack.shape
        if self.is_packed and isinstance(self.stack, TIFFStack):
            columns *= 2
        return rows, columns

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame, see `read_frame`."""
        rows, columns = self.stored_shape
        if swaps_sides(self.title.needed_rotation_flip):
            return columns, rows
        return rows, columns

    def read_stored(self, index: int) -> npt.NDArray[Any]:
        """Read a frame in the orientation in which it was saved.

        This is where its gain reference fits, turned by ``title.rotation_flip``.

        Parameters
        ----------
        index : int
            Frame number from 0.

        Returns
        -------
        ndarray, shape `stored_shape`
            Top row first; uint8 where two pixels shared a byte.

        Raises
        ------
        IndexError
            If there is no such frame.
        ValueError
            If it cannot be read.
        """
        pixels = self.stack.read_frame(index)
        if isinstance(self.stack, MRCStack):
            return pixels[::-1]
        if self.is_packed:
            return nibbles.unpack(pixels, self.stored_shape[1])
        return pixels

    def read_frame(self, index: int) -> npt.NDArray[Any]:
        """Read a frame in the orientation of SerialEM's other images.

        Parameters
        ----------
        index : int
            Frame number from 0.

        Returns
        -------
        ndarray, shape `shape`
            Top row first; uint8 where two pixels shared a byte.

        Raises
        ------
        IndexError
            If there is no such frame.
        ValueError
            If it cannot be read.
        """
        return rotate_flip(self.read_stored(index), self.title.needed_rotation_flip)


def open_frames(path: PathLike) -> FrameStack:
    """Open a file of frames, from SerialEM or not.

    Parameters
    ----------
    path : str or os.PathLike
        MRC or TIFF file.

    Returns
    -------
    FrameStack

    Raises
    ------
    ValueError
        If it is neither, damaged, or holds less than it claims.
    OSError
        If it cannot be read.
    """
    name = os.fspath(path)
    with open(path, "rb") as file:
        start = file.read(4)
    stack: MRCStack | TIFFStack
    if tiff_stack.is_tiff(start):
        stack = TIFFStack.open(path)
        lines = stack.description.splitlines()
    else:
        stack = MRCStack.open(path)
        lines = list(stack.header.labels)
    if not is_serialem_title(lines) or was_processed(lines):
        return FrameStack(stack, FrameTitle(), False)
    try:
        title = parse_title(lines)
        if isinstance(stack, TIFFStack) and title.packed and stack.dtype != np.uint8:
            raise ValueError(f"two pixels cannot share a byte in {stack.dtype}")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return FrameStack(stack, title, True)


def has_serialem_title(path: PathLike) -> bool:
    """Whether a file is titled as SerialEM's plugin left it, be it damaged or not.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        start = file.read(HEADER_BYTES)
    if tiff_stack.is_tiff(start):
        lines = tiff_stack.read_description(path).splitlines()
    else:
        lines = header_labels(start)
    return is_serialem_title(lines) and not was_processed(lines)


def write_frames(
    path: PathLike,
    frames: Iterable[npt.NDArray[Any]],
    title: FrameTitle,
    *,
    packing: str | None = None,
    compression: str = "lzw",
    pixel_spacing: float = 0.0,
    date: str = "",
) -> int:
    """Write frames as SerialEM's plugin does, holding one in memory at a time.

    Parameters
    ----------
    path : str or os.PathLike
        File to write; a TIFF file where it is named ``.tif`` or ``.tiff``, else MRC.
        It appears after the last frame.
    frames : iterable of ndarray, shape (ny, nx)
        In the orientation in which they shall be saved, top row first.
    title : FrameTitle
        What to say of them; `packed` is set as `packing` asks for.
    packing : str, optional
        One of `PACKINGS`: store uint8 frames of values 0 to 15 two pixels to a byte.
        TIFF knows only ``squeezed``.
    compression : str
        Of a TIFF file: ``none``, ``zip`` or ``lzw``.
    pixel_spacing : float
        Size of a pixel at the specimen (Å); 0 for unknown.
    date : str
        For the title of an MRC file, such as ``08-Oct-21  07:47:29``.

    Returns
    -------
    int
        Number of frames.

    Raises
    ------
    ValueError
        If there is no frame, if frames differ in shape or type, or if something
        cannot be stored.
    """
    title = replace(title, packed=packing is not None)
    if not tiff_stack.has_tiff_name(path):
        return mrc_stack.write_stack(
            path,
            (frame[::-1] for frame in frames),
            packing=packing,
            labels=mrc_labels(title, date),
            pixel_spacing=pixel_spacing,
        ).nz
    if packing not in (None, "squeezed"):
        raise ValueError(f"{os.fspath(path)}: a TIFF file cannot hold {packing}")
    return tiff_stack.write_stack(
        path,
        frames if packing is None else (_squeeze(frame) for frame in frames),
        description="\n".join(format_title(title)),
        compression=compression,
        pixel_spacing=pixel_spacing,
    )


def _squeeze(frame: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if frame.ndim == 2 and frame.shape[1] % 2:
        raise ValueError("only frames of even width can be squeezed")
    return nibbles.pack(frame)
