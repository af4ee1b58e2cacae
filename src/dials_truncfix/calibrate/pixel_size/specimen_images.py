"""Images of specimens as arrays, from MRC and TIFF files or what dxtbx reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.mrc import MRCStack
from dials_truncfix.io.tiff_stack import TIFFStack, has_tiff_name

Array = npt.NDArray[np.float64]

MRC_SUFFIXES = (".mrc", ".mrcs", ".map", ".st", ".rec")


def is_specimen_file(path: Path) -> bool:
    """Whether a file has the name of an MRC or TIFF file."""
    return path.suffix.lower() in MRC_SUFFIXES or has_tiff_name(path)


def read_specimen_image(path: Path, number: int = 1) -> Array:
    """Read one image of an MRC or TIFF file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    number : int
        Which image, from 1.

    Returns
    -------
    ndarray, shape (slow, fast)
        As it is displayed: rows of MRC files, which come bottom first, are turned over.

    Raises
    ------
    ValueError
        If the file cannot be read, or has no such image.
    OSError
        If the file is not there.
    """
    stack = _open(path)
    if not 1 <= number <= stack.n_frames:
        raise ValueError(f"{path}: there is no image {number} among {stack.n_frames}")
    return _displayed(stack, number - 1)


def read_specimen_images(path: Path) -> list[Array]:
    """Read all images of an MRC or TIFF file, as `read_specimen_image` does one.

    Raises
    ------
    ValueError
        If the file cannot be read.
    OSError
        If the file is not there.
    """
    stack = _open(path)
    return [_displayed(stack, k) for k in range(stack.n_frames)]


def _open(path: Path) -> MRCStack | TIFFStack:
    if path.suffix.lower() in MRC_SUFFIXES:
        return MRCStack.open(path)
    return TIFFStack.open(path)


def _displayed(stack: MRCStack | TIFFStack, index: int) -> Array:
    image = np.asarray(stack.read_frame(index), float)
    return image[::-1].copy() if isinstance(stack, MRCStack) else image
