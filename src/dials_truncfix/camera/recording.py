"""What a camera is to whoever records with it, and what it hands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Recording:
    """One image, or one frame of a fractionated one.

    Attributes
    ----------
    clipped : ndarray, shape (ny, nx)
        What the camera stores, ADU.
    unclipped : ndarray, shape (ny, nx), int32, or None
        What it would store if it could hold negative numbers, ADU; None from a camera
        that counts, of which nothing is ever negative.
    """

    clipped: npt.NDArray[Any]
    unclipped: npt.NDArray[np.int32] | None


class Camera(Protocol):
    """A camera in one of its modes: everything that simulation asks it for."""

    @property
    def name(self) -> str:
        """Name of the camera."""

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast) of a whole image."""

    @property
    def pixel_size(self) -> float:
        """Edge of a recorded pixel, mm."""

    @property
    def frames_per_image(self) -> int:
        """Frames of an image, exposed and stored one after the other."""

    @property
    def saturation(self) -> int:
        """Largest value that a frame can hold, ADU."""

    @property
    def adu_per_electron(self) -> float:
        """Mean signal of an electron where few arrive, ADU/e⁻."""

    @property
    def variance_slope(self) -> float:
        """Slope of variance on mean over pixels, ADU; the gain integration needs."""

    @property
    def read_noise(self) -> float:
        """Standard deviation of a frame without electrons, ADU."""

    @property
    def pedestal(self) -> int:
        """Added before storing, ADU."""

    def fixed_pattern(self, shape: tuple[int, int], seed: int) -> Any:
        """Make what the frames of a series have in common."""

    def expose(
        self,
        expected: npt.NDArray[np.floating[Any]],
        pattern: Any,
        seed: int,
        frame_number: int,
    ) -> Recording:
        """Record the electrons expected in a frame, counted from 1."""
