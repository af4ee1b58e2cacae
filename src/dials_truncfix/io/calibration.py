"""Gain normalization and defect correction of frames, from the files that titles name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import PathLike
from dials_truncfix.io.defect_correction import DefectCorrection, plan_correction
from dials_truncfix.io.defects import bad_pixels, read_defects
from dials_truncfix.io.frame_orientation import rotate_flip
from dials_truncfix.io.frame_recipe import FrameRecipe, is_recipe, read_recipe
from dials_truncfix.io.gain_reference import (
    apply_gain,
    find_companion,
    read_reference,
    turn_reference,
)
from dials_truncfix.io.serialem import FrameStack, has_serialem_title, open_frames


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
class Calibration:
    """What corrects frames, in their orientation.

    Attributes
    ----------
    reference : ndarray of float32 or None
        Gain factors.
    bad : ndarray of bool or None
        Bad pixels.
    correction : DefectCorrection or None
        How they are filled.
    """

    reference: npt.NDArray[np.float32] | None = None
    bad: npt.NDArray[np.bool_] | None = None
    correction: DefectCorrection | None = None

    def apply(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Normalize a frame and fill its bad pixels.

        Parameters
        ----------
        pixels : ndarray, shape (ny, nx)
            Top row first.

        Returns
        -------
        ndarray, shape (ny, nx)
            float32 where there is a gain reference, else of the same type.
        """
        if self.reference is not None:
            pixels = apply_gain(pixels, self.reference)
        if self.correction is None:
            return pixels
        return self.correction.apply(pixels, overwrite=self.reference is not None)


def find_companions(
    frames: FrameStack, *, gain_reference: bool = True, defects: bool = True
) -> CalibrationFiles:
    """Find the files that a title names.

    Parameters
    ----------
    frames : FrameStack
        An opened stack.
    gain_reference, defects : bool
        Which of them are wanted.

    Returns
    -------
    CalibrationFiles

    Raises
    ------
    ValueError
        If a file is named, and neither beside the stack nor one folder up.
    """
    title = frames.title
    return CalibrationFiles(
        _companion(frames, "gain reference", title.gain_reference, gain_reference),
        _companion(frames, "defects file", title.defects, defects),
    )


def _companion(
    frames: FrameStack, kind: str, name: str | None, wanted: bool
) -> Path | None:
    if name is None or not wanted:
        return None
    found = find_companion(frames.path, name)
    if found is None:
        raise ValueError(
            f"{frames.path}: its title names the {kind} {name}, which is neither beside "
            "it nor in the folder above: copy it there"
        )
    return found


def chosen_files(frames: FrameStack, recipe: FrameRecipe) -> CalibrationFiles:
    """Choose between the files that a title and a recipe name.

    Parameters
    ----------
    frames : FrameStack
        An opened stack.
    recipe : FrameRecipe
        What to make of it.

    Returns
    -------
    CalibrationFiles

    Raises
    ------
    ValueError
        If the recipe wants a file that the title names, and there is none.
    """
    named = {
        key: Path(value)
        for key in ("gain_reference", "defects")
        if isinstance(value := getattr(recipe, key), str)
    }
    found = find_companions(
        frames,
        gain_reference=recipe.gain_reference is True,
        defects=recipe.defects is True,
    )
    return replace(found, **named)


def files_behind(path: PathLike) -> list[Path]:
    """List the files that pixels depend on: the path itself, and what it names.

    Parameters
    ----------
    path : str or os.PathLike
        Any file. Recipes and frames of SerialEM depend on others.

    Returns
    -------
    list of Path

    Raises
    ------
    ValueError
        If something that they name is missing or damaged.
    """
    files = [Path(path)]
    recipe = FrameRecipe()
    try:
        if is_recipe(os.fspath(path)):
            stack, recipe = read_recipe(os.fspath(path))
            files.append(stack)
        elif not has_serialem_title(path):
            return files
        chosen = chosen_files(open_frames(files[-1]), recipe)
    except OSError:
        # Whoever opens the file says what is wrong with it.
        return files
    return [*files, *(f for f in (chosen.gain_reference, chosen.defects) if f)]


def load_calibration(
    files: CalibrationFiles,
    rotation_flip: int,
    needed_rotation_flip: int,
    stored_shape: tuple[int, int],
) -> Calibration:
    """Read reference and defects, and bring them to the orientation of images.

    Parameters
    ----------
    files : CalibrationFiles
        What to read.
    rotation_flip : int
        Operation that was applied to the frames before they were saved.
    needed_rotation_flip : int
        Operation that is applied to saved frames before they are corrected.
    stored_shape : tuple of int
        Rows and columns of the frames as saved.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        If a file cannot be read, or does not fit the frames.
    """
    reference = correction = bad = None
    if files.gain_reference is not None:
        with _naming(files.gain_reference):
            saved = turn_reference(
                read_reference(files.gain_reference), rotation_flip, stored_shape
            )
        reference = np.ascontiguousarray(rotate_flip(saved, needed_rotation_flip))
    if files.defects is not None:
        with _naming(files.defects):
            marked = bad_pixels(
                read_defects(files.defects), stored_shape, rotation_flip
            )
        bad = np.ascontiguousarray(rotate_flip(marked, needed_rotation_flip))
        correction = plan_correction(bad)
    return Calibration(reference, bad, correction)
