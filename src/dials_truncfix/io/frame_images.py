"""Images from frames: corrected, summed, reduced, and their saturated pixels marked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io import nibbles
from dials_truncfix.io.calibration import Calibration
from dials_truncfix.io.reduction import reduce_antialiased
from dials_truncfix.io.serialem import FrameStack

_HIGHEST_PIXEL = 2**30


@dataclass(frozen=True)
class FrameImages:
    """Images of a stack, read one by one.

    Attributes
    ----------
    frames : FrameStack
        The stack.
    groups : tuple of range
        Frames of each image, counted from 0.
    reduce_by : int
        Factor by which sides are reduced.
    highest_gain : float
        Largest factor that a frame is multiplied by; 1 without a gain reference.
    """

    frames: FrameStack
    groups: tuple[range, ...]
    reduce_by: int = 1
    highest_gain: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a factor that does not divide the sides."""
        rows, columns = self.frames.shape
        if rows % self.reduce_by or columns % self.reduce_by:
            raise ValueError(
                f"{self.frames.path}: frames of {columns} x {rows} pixels cannot be "
                f"reduced by {self.reduce_by}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of an image."""
        rows, columns = self.frames.shape
        return rows // self.reduce_by, columns // self.reduce_by

    @property
    def frame_limit(self) -> int | None:
        """Value of a saturated pixel of a frame; None where nothing saturates."""
        if self.frames.is_packed:
            return nibbles.HIGHEST
        if np.issubdtype(self.frames.dtype, np.integer):
            return int(np.iinfo(self.frames.dtype).max)
        return None

    @property
    def saturated_value(self) -> int:
        """Value of a pixel that is saturated in any of its frames.

        No other reaches it: it is what all frames together could hold.
        """
        if self.frame_limit is None:
            return _HIGHEST_PIXEL
        largest = self.frame_limit * max(map(len, self.groups)) * self.reduce_by**2
        # Lanczos lobes overshoot a lone bright pixel by less than a half.
        margin = 1.5 if self.reduce_by > 1 else 1.0
        return min(_HIGHEST_PIXEL, math.ceil(largest * self.highest_gain * margin))

    @property
    def may_be_negative(self) -> bool:
        """Whether pixels below zero are to be expected."""
        return self.reduce_by > 1 or self.frames.dtype.kind != "u"

    def read(self, index: int, calibration: Calibration) -> npt.NDArray[Any]:
        """Read an image.

        Parameters
        ----------
        index : int
            Image number from 0.
        calibration : Calibration
            In the orientation of images.

        Returns
        -------
        ndarray, shape `shape`
            Counts, top row first, in the orientation of SerialEM's other images:
            int32, or float32 where there is a gain reference or a reduction, or where
            the frames hold floating-point numbers.

        Raises
        ------
        IndexError
            If there is no such image.
        ValueError
            If a frame cannot be read.
        """
        if not 0 <= index < len(self.groups):
            raise IndexError(f"image {index} of {len(self.groups)}")
        total: npt.NDArray[Any] | None = None
        saturated: npt.NDArray[np.bool_] | None = None
        for number in self.groups[index]:
            pixels = np.ascontiguousarray(self.frames.read_frame(number))
            limit = self.frame_limit
            if limit is not None and pixels.max() >= limit:
                reached = pixels == limit
                saturated = reached if saturated is None else saturated | reached
            pixels = calibration.apply(pixels)
            if total is None:
                exact = np.can_cast(pixels.dtype, np.int32, casting="safe")
                total = pixels.astype(np.int32 if exact else np.float32, copy=False)
            else:
                np.add(total, pixels, out=total, casting="unsafe")
            del pixels  # before the next one takes as much memory
        if total is None:
            raise ValueError(f"{self.frames.path}: image {index} has no frame")
        if saturated is not None and calibration.bad is not None:
            # Bad pixels were given the mean of others.
            saturated &= ~calibration.bad
        if self.reduce_by > 1:
            total = reduce_antialiased(total, self.reduce_by)
        if saturated is not None and saturated.any():
            total[self._any_of_block(saturated)] = self.saturated_value
        return total

    def bad_pixels(self, calibration: Calibration) -> npt.NDArray[np.bool_] | None:
        """Mark the bad pixels of images; None where there is no list.

        Parameters
        ----------
        calibration : Calibration
            In the orientation of images.

        Returns
        -------
        ndarray of bool, shape `shape`, or None
            True for pixels that hold a bad pixel of the frames.
        """
        if calibration.bad is None:
            return None
        return self._any_of_block(calibration.bad)

    def _any_of_block(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        if self.reduce_by == 1:
            return mask
        rows, columns = self.shape
        blocks = mask.reshape(rows, self.reduce_by, columns, self.reduce_by)
        result: npt.NDArray[np.bool_] = blocks.any(axis=(1, 3))
        return result
