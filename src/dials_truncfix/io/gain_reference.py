"""Gain references: factors by which raw frames are multiplied.

A reference is kept as the camera reads. Frames that were rotated and flipped need it
turned by the same operation, see `FrameTitle.rotation_flip`.
"""

from __future__ import annotations

import ntpath
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io import tiff_stack
from dials_truncfix.io.atomic import PathLike
from dials_truncfix.io.frame_orientation import rotate_flip
from dials_truncfix.io.mrc import MRCStack
from dials_truncfix.io.tiff_stack import TIFFStack

_DM_SUFFIXES = (".dm3", ".dm4")
# Made from it by the usual programs, in the order in which they are looked for.
_CONVERTED = (".mrc", ".tif", ".tiff")


def read_reference(path: PathLike) -> npt.NDArray[np.float32]:
    """Read a gain reference.

    Parameters
    ----------
    path : str or os.PathLike
        MRC, TIFF, or a DigitalMicrograph file (which needs the Python package ncempy
        or rosettasciio).

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        Factors as the camera reads, top row first.

    Raises
    ------
    ValueError
        If it cannot be read, or holds something else than one image of finite factors
        of which none is negative.
    OSError
        If there is no such file.
    """
    name = os.fspath(path)
    suffix = os.path.splitext(name)[1].lower()
    if suffix in _DM_SUFFIXES:
        factors = _read_dm(name)
    elif tiff_stack.has_tiff_name(name):
        factors = TIFFStack.open(path).read_frame(0)
    else:
        factors = MRCStack.open(path).read_frame(0)[::-1]
    if factors.ndim != 2:
        raise ValueError(f"{name} holds no single image: shape {factors.shape}")
    reference: npt.NDArray[np.float32] = np.ascontiguousarray(factors, np.float32)
    if not np.isfinite(reference).all() or reference.min() < 0 or not reference.any():
        raise ValueError(f"{name} holds no gain factors: not all are finite and >= 0")
    return reference


def turn_reference(
    reference: npt.NDArray[np.float32], operation: int, shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Turn a reference to the orientation of frames.

    Parameters
    ----------
    reference : ndarray of float32
        As the camera reads.
    operation : int
        What was applied to the frames.
    shape : tuple of int
        Rows and columns of the frames.

    Returns
    -------
    ndarray of float32, shape `shape`

    Raises
    ------
    ValueError
        If the sizes do not fit.
    """
    turned = rotate_flip(reference, operation)
    if turned.shape != tuple(shape):
        raise ValueError(
            f"the gain reference has {reference.shape[1]} x {reference.shape[0]} pixels, "
            f"and with r/f {operation} it does not fit frames of {shape[1]} x {shape[0]}"
        )
    return np.ascontiguousarray(turned)


def apply_gain(
    counts: npt.NDArray[Any], reference: npt.NDArray[np.float32], scale: float = 1.0
) -> npt.NDArray[np.float32]:
    """Normalize raw counts.

    Parameters
    ----------
    counts : ndarray, shape (ny, nx)
        As recorded.
    reference : ndarray of float32, shape (ny, nx)
        In the orientation of the frame.
    scale : float
        Counts that the result shall have for an electron.

    Returns
    -------
    ndarray of float32, shape (ny, nx)

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if counts.shape != reference.shape:
        raise ValueError(
            f"frame {counts.shape} and gain reference {reference.shape} differ in shape"
        )
    normalized = np.multiply(counts, reference, dtype=np.float32)
    if scale != 1.0:
        normalized *= np.float32(scale)
    return normalized


def find_companion(stack: PathLike, name: str) -> Path | None:
    """Find a file that the title of a stack names: beside it, or one folder up.

    Frames saved one to a file lie in a folder of their own, and their reference and
    defects above it. A DigitalMicrograph file may have been converted.

    Parameters
    ----------
    stack : str or os.PathLike
        File of frames.
    name : str
        As the title has it; folders in it are ignored.

    Returns
    -------
    Path or None
    """
    # Titles are written on Windows, and cut off at 80 characters.
    base = ntpath.basename(name.strip())
    if not base or base in (".", "..") or "\0" in base:
        return None
    folder = Path(stack).absolute().parent
    names = [base]
    stem, suffix = os.path.splitext(base)
    if suffix.lower() in _DM_SUFFIXES:
        names += [stem + converted for converted in _CONVERTED]
    for candidate in names:
        for place in (folder, folder.parent):
            if (place / candidate).is_file():
                return place / candidate
    return None


def _read_dm(name: str) -> npt.NDArray[Any]:
    """Read a DigitalMicrograph file by whichever library is there."""
    with open(name, "rb"):
        pass
    try:
        from ncempy.io import dm
    except ImportError:
        dm = None
    try:
        from rsciio import digitalmicrograph
    except ImportError:
        digitalmicrograph = None
    if dm is None and digitalmicrograph is None:
        raise ValueError(
            f"{name}: reading DigitalMicrograph files needs the Python package ncempy "
            "(pip install ncempy), or rosettasciio; or convert the file with IMOD's "
            "dm2mrc and leave the result beside it"
        )
    # The parsers meet damaged files with almost any exception.
    try:
        if dm is not None:
            return np.asarray(dm.dmReader(name)["data"])
        return np.asarray(digitalmicrograph.file_reader(name)[0]["data"])
    except Exception as error:
        raise ValueError(
            f"{name}: no readable DigitalMicrograph file: {error}"
        ) from error
