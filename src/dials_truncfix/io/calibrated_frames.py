"""Frames with gain normalization and defect correction, in one orientation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import PathLike
from dials_truncfix.io.defect_correction import DefectCorrection, plan_correction
from dials_truncfix.io.defects import bad_pixels, read_defects
from dials_truncfix.io.frame_orientation import rotate_flip
from dials_truncfix.io.gain_reference import (
    apply_gain,
    find_companion,
    read_reference,
    turn_reference,
)
from dials_truncfix.io.serialem import FrameStack, open_frames


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say which file does not fit, where the sentence does not yet."""
    try:
        yield
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path}: {error}") from None


@dataclass(frozen=True)
class CalibrationFiles:
    """Where reference and defects of a stack are.

    Attributes
    ----------
    gain_reference, defects : Path or None
        None where none is needed.
    """

    gain_reference: Path | None
    defects: Path | None


@dataclass(frozen=True)
class CalibratedFrames:
    """A stack with what corrects it.

    Attributes
    ----------
    frames : FrameStack
        The stack.
    reference : ndarray of float32 or None
        Gain factors in the orientation in which the frames were saved.
    correction : DefectCorrection or None
        Of bad pixels, in the same orientation.
    bad : ndarray of bool or None
        Bad pixels, in the orientation of `read`.
    """

    frames: FrameStack
    reference: npt.NDArray[np.float32] | None
    correction: DefectCorrection | None
    bad: npt.NDArray[np.bool_] | None

    def read(self, index: int) -> npt.NDArray[Any]:
        """Read a frame, corrected, in the orientation of SerialEM's other images.

        Parameters
        ----------
        index : int
            Frame number from 0.

        Returns
        -------
        ndarray, shape ``frames.shape``
            float32 where a gain reference was applied, else of the type stored.

        Raises
        ------
        IndexError
            If there is no such frame.
        ValueError
            If it cannot be read.
        """
        pixels = self.frames.read_stored(index)
        if self.reference is not None:
            pixels = apply_gain(pixels, self.reference)
        if self.correction is not None:
            pixels = self.correction.apply(pixels)
        return rotate_flip(pixels, self.frames.title.needed_rotation_flip)


def find_calibration(frames: FrameStack) -> CalibrationFiles:
    """Find the files that a title names.

    Parameters
    ----------
    frames : FrameStack
        An opened stack.

    Returns
    -------
    CalibrationFiles

    Raises
    ------
    ValueError
        If a file is named, and neither beside the stack nor one folder up.
    """
    found: list[Path | None] = []
    for kind, name in (
        ("gain reference", frames.title.gain_reference),
        ("defects file", frames.title.defects),
    ):
        companion = None if name is None else find_companion(frames.path, name)
        if name is not None and companion is None:
            raise ValueError(
                f"{frames.path}: its title names the {kind} {name}, which is neither "
                "beside it nor in the folder above: copy it there"
            )
        found.append(companion)
    return CalibrationFiles(*found)


def calibrate(frames: FrameStack, files: CalibrationFiles) -> CalibratedFrames:
    """Read reference and defects, and bring them to the orientation of the frames.

    Parameters
    ----------
    frames : FrameStack
        An opened stack.
    files : CalibrationFiles
        What to read.

    Returns
    -------
    CalibratedFrames

    Raises
    ------
    ValueError
        If a file cannot be read, or does not fit the frames.
    """
    shape, operation = frames.stored_shape, frames.title.rotation_flip
    reference = correction = bad = None
    if files.gain_reference is not None:
        with _naming(files.gain_reference):
            reference = turn_reference(
                read_reference(files.gain_reference),
                frames.title.reference_operation,
                shape,
            )
    if files.defects is not None:
        with _naming(files.defects):
            saved = bad_pixels(read_defects(files.defects), shape, operation)
        correction = plan_correction(saved)
        bad = np.ascontiguousarray(
            rotate_flip(saved, frames.title.needed_rotation_flip)
        )
    return CalibratedFrames(frames, reference, correction, bad)


def open_calibrated(path: PathLike) -> CalibratedFrames:
    """Open a stack with the files that its title names.

    Raises
    ------
    ValueError
        If one of them is missing, cannot be read, or does not fit the others.
    OSError
        If the stack cannot be read.
    """
    frames = open_frames(path)
    return calibrate(frames, find_calibration(frames))
