"""Raw frames of counting cameras to normalized ones: what IMOD's ``clip norm`` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.calibration import Calibration
from dials_truncfix.io.gatan import K2, K3, recognise
from dials_truncfix.io.serialem import FrameStack
from dials_truncfix.io.serialem_title import FrameTitle

#: Types of normalized frames, by the names of the parameter.
DTYPES: dict[str, npt.DTypeLike] = {
    "byte": np.uint8,
    "integer": np.int16,
    "float": np.float32,
}


@dataclass(frozen=True)
class Normalization:
    """How frames are normalized.

    Attributes
    ----------
    scale : float
        Counts of an electron in the result.
    dtype : {'byte', 'integer', 'float'}
        Type of the result.
    low, high : float
        Normalized pixels, in electrons, are limited to these.

    Raises
    ------
    ValueError
        If there is no such type, or nothing lies between the limits.
    """

    scale: float
    dtype: str = "integer"
    low: float = -np.inf
    high: float = np.inf

    def __post_init__(self) -> None:
        """Refuse what gives no image."""
        if self.dtype not in DTYPES:
            raise ValueError(f"{self.dtype!r} is not one of {', '.join(DTYPES)}")
        if not self.scale > 0:
            raise ValueError(f"scale {self.scale} is not positive")
        if not self.low < self.high:
            raise ValueError(f"no value lies between {self.low} and {self.high}")


def default_scale(shape: tuple[int, int]) -> float:
    """Choose the counts of an electron: 32 for frames of the size of a K3, else 16.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of a frame.

    Returns
    -------
    float
    """
    readout = recognise(shape)
    sensor = K2 if readout is None else readout.sensor
    return float(K3.byte_scale if sensor is K3 else K2.byte_scale)


def normalize(
    raw: npt.NDArray[Any], calibration: Calibration, how: Normalization
) -> tuple[npt.NDArray[Any], int]:
    """Normalize one frame.

    The counts times the gain factors, bad pixels filled from their neighbours, within the
    limits, times the scale; rounded to the nearest integer unless they stay floating point.

    Parameters
    ----------
    raw : ndarray, shape (ny, nx)
        Counts, e⁻.
    calibration : Calibration
        In the orientation of the frame.
    how : Normalization
        The rest.

    Returns
    -------
    frame : ndarray, shape (ny, nx)
        Of the type asked for.
    n_limited : int
        Pixels that the limits or the type cut off.
    """
    values = calibration.apply(raw).astype(np.float32, copy=False)
    dtype = np.dtype(DTYPES[how.dtype])
    low, high = np.float32(how.low), np.float32(how.high)
    limited = np.count_nonzero((values < low) | (values > high))
    values = np.clip(values, low, high) * np.float32(how.scale)
    if dtype.kind == "f":
        return values, limited
    values = np.rint(values)
    ends = np.iinfo(dtype.name)
    limited += np.count_nonzero((values < ends.min) | (values > ends.max))
    return np.clip(values, ends.min, ends.max).astype(dtype), limited


def normalized_title(title: FrameTitle, how: Normalization) -> FrameTitle:
    """Say what is true of frames after they were normalized and turned.

    Parameters
    ----------
    title : FrameTitle
        Of the raw frames.
    how : Normalization
        What was done to them.

    Returns
    -------
    FrameTitle
        With the operation that turned the frames, and without files still to be applied.
    """
    return replace(
        title,
        scaling=how.scale,
        packed=False,
        rotation_flip=title.needed_rotation_flip or title.rotation_flip,
        needed_rotation_flip=0,
        gain_reference=None,
        defects=None,
    )


def raw_frames(stacks: Sequence[FrameStack]) -> Iterator[npt.NDArray[Any]]:
    """Read the frames of one file after the other, in the orientation of images.

    Parameters
    ----------
    stacks : sequence of FrameStack
        Files.

    Yields
    ------
    ndarray, shape (ny, nx)

    Raises
    ------
    ValueError
        If a file differs from the first in size, orientation or the files it names.
    """
    first = stacks[0]
    for stack in stacks:
        for what, one, other in (
            ("size", stack.shape, first.shape),
            ("title", replace(stack.title, notes=()), replace(first.title, notes=())),
        ):
            if one != other:
                raise ValueError(
                    f"{stack.path} has another {what} than {first.path}: give files of "
                    "one recording"
                )
        for index in range(stack.n_frames):
            yield stack.read_frame(index)
