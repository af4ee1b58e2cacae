"""K2 and K3 that count electrons: frames of raw counts, or normalized and scaled.

References
----------
"Image Acquisition from CCD Cameras and Direct Electron Detectors", manual of SerialEM,
sections on scaling, saving of frames and signal loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from dials_truncfix.camera.coincidence import LossCurve
from dials_truncfix.camera.defective import random_defects
from dials_truncfix.camera.gatan_modes import ReadMode
from dials_truncfix.camera.recording import Recording
from dials_truncfix.camera.streams import (
    ELECTRONS,
    FIXED_PATTERN,
    WHOLE_SERIES,
    random_stream,
)
from dials_truncfix.io.defect_correction import DefectCorrection, plan_correction
from dials_truncfix.io.nibbles import HIGHEST

FloatArray = npt.NDArray[np.float32]

#: Spread of normalized counts around whole electrons, by the manual's histogram; here it
#: is the spread of the gain reference that makes it.
GAIN_SD = 0.05
#: Stored counts of an electron in normalized frames of K2 counting mode, where nobody
#: says: "the smallest multiplier applied when saving frames".
DEFAULT_SCALE = 16.0


@dataclass(frozen=True)
class CountingPattern:
    """What the frames of a series have in common.

    Attributes
    ----------
    reference : ndarray, shape (ny, nx), float32
        Gain reference: raw counts times this are normalized; the response of a pixel is
        its inverse.
    bad : ndarray of bool, shape (ny, nx), or None
        Pixels that count nothing.
    correction : DefectCorrection or None
        How the camera's software fills them in normalized frames.
    """

    reference: FloatArray
    bad: npt.NDArray[np.bool_] | None
    correction: DefectCorrection | None


@dataclass(frozen=True)
class CountingCamera:
    """A K2 or K3 in a mode that counts.

    Attributes
    ----------
    mode : ReadMode
        Camera and mode.
    frame_time : float
        Exposure of a frame, s; rates of electrons follow from it.
    loss : LossCurve
        Counts for a rate of electrons.
    frames_per_image : int
        Frames of an image.
    normalized : bool
        Whether frames are multiplied by the gain reference, scaled, and their bad
        pixels filled.
    packed : bool
        Whether raw counts are stored in four bits.
    scale : float or None
        Stored counts of an electron in normalized frames; None for what the mode says,
        and `DEFAULT_SCALE` where it leaves it open.
    floating : bool
        Whether normalized frames are stored as floating-point numbers, in the place of
        rounded ones.
    gain_sd : float
        Standard deviation of the gain reference around 1.
    psf_sigma : float
        Standard deviation of the places where electrons are counted around those where
        they arrive, recorded pixels.
    bad_pixels, bad_columns : int
        Pixels and columns that count nothing.

    Raises
    ------
    ValueError
        For what the camera cannot do.
    """

    mode: ReadMode
    frame_time: float
    loss: LossCurve
    frames_per_image: int = 1
    normalized: bool = True
    packed: bool = False
    scale: float | None = None
    floating: bool = False
    gain_sd: float = GAIN_SD
    psf_sigma: float = 0.0
    bad_pixels: int = 0
    bad_columns: int = 0

    def __post_init__(self) -> None:
        """Refuse what the camera cannot do."""
        name, fixed = self.name, self.mode.fixed_scale
        if not self.frame_time > 0:
            raise ValueError(f"frame time {self.frame_time} s is not positive")
        if self.frames_per_image < 1:
            raise ValueError(f"{self.frames_per_image} frames in an image")
        if self.packed and self.normalized:
            raise ValueError(
                "only raw counts are packed: frames are not normalized then"
            )
        if self.packed and not self.mode.can_pack:
            raise ValueError(f"{name} {self.mode.name} frames are not packed")
        if self.scale is not None:
            if not self.normalized:
                raise ValueError("raw counts are not scaled")
            if fixed is not None and self.scale != fixed:
                raise ValueError(
                    f"scale {self.scale:g}: a {name} stores {fixed} counts an electron"
                )
            if not self.scale > 0:
                raise ValueError(f"scale {self.scale} is not positive")
        if self.floating and not self.normalized:
            raise ValueError("raw counts are whole numbers")
        if not 0 <= self.gain_sd < 0.2:
            raise ValueError(f"gain_sd {self.gain_sd} is not within 0 to 0.2")
        for field in ("psf_sigma", "bad_pixels", "bad_columns"):
            if not getattr(self, field) >= 0:
                raise ValueError(f"{field} {getattr(self, field)} is negative")

    @property
    def name(self) -> str:
        """Name of the camera."""
        return self.mode.sensor.name

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast) of a whole frame, as the camera reads."""
        return self.mode.shape

    @property
    def pixel_size(self) -> float:
        """Edge of a recorded pixel, mm."""
        return self.mode.pixel_mm

    @property
    def stored_type(self) -> np.dtype[Any]:
        """Type of stored pixels."""
        if self.floating:
            return np.dtype(np.float32)
        mode = self.mode
        return np.dtype(mode.normalized_type if self.normalized else mode.raw_type)

    @property
    def saturation(self) -> int:
        """Largest value that a frame can hold, ADU."""
        if self.packed:
            return HIGHEST
        if self.floating:
            return 2**30
        return int(np.iinfo(self.stored_type).max)

    @property
    def counts_per_electron(self) -> float:
        """Stored counts of an electron that was counted."""
        if not self.normalized:
            return 1.0
        return self.scale or self.mode.fixed_scale or DEFAULT_SCALE

    @property
    def adu_per_electron(self) -> float:
        """Mean signal of an electron that arrives, where few do, ADU/e⁻."""
        few = 1e-3
        return self.counts_per_electron * float(self.loss.counted(few)) / few

    @property
    def variance_slope(self) -> float:
        """Slope of variance on mean over pixels, ADU: that of counted electrons."""
        return self.counts_per_electron

    @property
    def read_noise(self) -> float:
        """There is none."""
        return 0.0

    @property
    def pedestal(self) -> int:
        """There is none."""
        return 0

    def fixed_pattern(self, shape: tuple[int, int], seed: int) -> CountingPattern:
        """Make gain reference and defects of a series.

        Parameters
        ----------
        shape : tuple of int
            (ny, nx).
        seed : int
            Seed of the series.

        Returns
        -------
        CountingPattern
        """
        rng = random_stream(seed, WHOLE_SERIES, FIXED_PATTERN)
        reference = 1.0 + self.gain_sd * rng.standard_normal(shape, dtype=np.float32)
        reference = np.clip(reference, 1.0 - 4 * self.gain_sd, 1.0 + 4 * self.gain_sd)
        bad = random_defects(shape, self.bad_pixels, self.bad_columns, rng)
        return CountingPattern(
            reference.astype(np.float32),
            bad,
            None if bad is None or not self.normalized else plan_correction(bad),
        )

    def expose(
        self,
        expected: npt.NDArray[np.floating[Any]],
        pattern: CountingPattern,
        seed: int,
        frame_number: int,
    ) -> Recording:
        """Count the electrons of a frame, and store them.

        Losses by coincidence follow from the expected rate in the physical pixel that
        a recorded one is a part of. Counts are Poisson distributed: what coincidence
        takes from their variance is left out.

        Parameters
        ----------
        expected : ndarray, shape (ny, nx)
            Expected number of electrons in each pixel, e⁻.
        pattern : CountingPattern
            From `fixed_pattern`, of the same shape.
        seed, frame_number : int
            Key of the draws; frames are numbered from 1.

        Returns
        -------
        Recording

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        if expected.shape != pattern.reference.shape:
            raise ValueError(
                f"electrons have shape {expected.shape}, the gain reference "
                f"{pattern.reference.shape}"
            )
        counted = self.expected_counts(expected)
        counted /= pattern.reference
        if pattern.bad is not None:
            counted[pattern.bad] = 0
        counts = random_stream(seed, frame_number, ELECTRONS).poisson(counted)
        if not self.normalized:
            stored = np.minimum(counts, self.saturation).astype(self.stored_type)
            return Recording(stored, None)
        pixels = counts * (pattern.reference * np.float32(self.counts_per_electron))
        if not self.floating:
            # a half is added and the rest cut off, which is rounding above zero
            pixels = np.minimum(pixels + np.float32(0.5), self.saturation)
        stored = pixels.astype(self.stored_type)
        if pattern.correction is not None:
            stored = pattern.correction.apply(stored)
        return Recording(stored, None)

    def expected_counts(
        self, expected: npt.NDArray[np.floating[Any]]
    ) -> npt.NDArray[np.float64]:
        """Expect counts of a frame, after blur, coincidence and conversion.

        Parameters
        ----------
        expected : ndarray, shape (ny, nx)
            e⁻ per recorded pixel.

        Returns
        -------
        ndarray, shape (ny, nx)
            A new array.
        """
        electrons = np.array(expected, dtype=float)
        if self.psf_sigma > 0:
            gaussian_filter(electrons, self.psf_sigma, output=electrons, mode="nearest")
        per_pixel = electrons
        if self.mode.binning < 1:
            per_pixel = _sums_of_physical(electrons, int(1 / self.mode.binning))
        rate = per_pixel * (1 / self.frame_time)
        # what few electrons give, where there are none to divide by
        rate = np.maximum(rate, 1e-9)
        kept = self.loss.counted(rate) / rate
        if per_pixel is not electrons:
            step = int(1 / self.mode.binning)
            kept = kept.repeat(step, axis=0).repeat(step, axis=1)
            kept = kept[: electrons.shape[0], : electrons.shape[1]]
        electrons *= kept
        return electrons


def _sums_of_physical(image: npt.NDArray[np.float64], step: int) -> Any:
    """Add up the pixels of each physical one; one cut by the edge is completed."""
    padding = [(0, -side % step) for side in image.shape]
    whole = np.pad(image, padding, mode="edge") if any(map(max, padding)) else image
    rows, columns = (side // step for side in whole.shape)
    return whole.reshape(rows, step, columns, step).sum(axis=(1, 3))
