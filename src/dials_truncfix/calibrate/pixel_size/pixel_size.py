"""Pixel size on the specimen from images of gratings and crystals of known repeat."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.pixel_size.autocorrelation import (
    SMOOTHINGS,
    Peaks,
    autocorrelation,
    find_peaks,
    flattened,
)
from dials_truncfix.calibrate.pixel_size.cell_fit import fit_cells
from dials_truncfix.calibrate.pixel_size.lattice import Lattice

Array = npt.NDArray[np.float64]

#: With fewer pixels to a repeat, peaks of the autocorrelation are mistaken for others.
SMALLEST_PITCH = 10.0
#: Room for a few repeats along both sides.
_SMALLEST_SIDE = 64
#: Repeats of catalase along its short axis, and twice those along its long one, nm.
CATALASE = (6.85, 17.5)
_NM_PER_INCH = 25.4e6


@dataclass(frozen=True)
class Specimen:
    """What was imaged.

    Attributes
    ----------
    name : str
        For messages.
    repeats : tuple of float
        Along two axes at right angles, nm.
    """

    name: str
    repeats: tuple[float, float]


def cross_grating(lines_per_mm: float) -> Specimen:
    """Make a replica of crossed lines."""
    repeat = 1e6 / lines_per_mm
    return Specimen(f"cross grating of {lines_per_mm:g} lines/mm", (repeat, repeat))


def grid_bars(mesh: float) -> Specimen:
    """Make the bars of a grid of so many openings per inch."""
    repeat = _NM_PER_INCH / mesh
    return Specimen(f"grid of mesh {mesh:g}", (repeat, repeat))


@dataclass(frozen=True)
class PixelSize:
    """What an image tells.

    Attributes
    ----------
    specimen : Specimen
        What was imaged.
    lattice : Lattice
        Its repeats, pixels.
    peaks : Peaks
        Of its autocorrelation, by which they were found.
    smoothing : float
        Half width of the local mean by which it was divided before, over its edge.
    shape : tuple of int
        Pixels of the image (slow, fast).
    """

    specimen: Specimen
    lattice: Lattice
    peaks: Peaks
    smoothing: float
    shape: tuple[int, int]

    @property
    def along(self) -> Array:
        """Pixel size along each axis, nm, shape (2,)."""
        return np.asarray(np.array(self.specimen.repeats) / self.lattice.lengths)

    @property
    def along_errors(self) -> Array:
        """Standard uncertainties of `along`, nm, shape (2,)."""
        relative = self.lattice.length_errors / self.lattice.lengths
        return np.asarray(self.along * relative)

    @property
    def mean(self) -> float:
        """Geometric mean of both, nm."""
        return float(np.sqrt(np.prod(self.along)))

    @property
    def mean_error(self) -> float:
        """Its standard uncertainty, nm."""
        relative = self.along_errors / self.along
        return 0.5 * self.mean * float(np.hypot(*relative))

    @property
    def angle(self) -> float:
        """Angle between the axes, rad."""
        first, second = self.lattice.directions
        return float(abs((second - first + math.pi) % (2 * math.pi) - math.pi))

    @property
    def angle_error(self) -> float:
        """Its standard uncertainty, rad."""
        return float(np.hypot(*self.lattice.direction_errors))

    @property
    def rotation(self) -> float:
        """Direction of the first axis from fast towards slow, rad, within ±π/2."""
        return float((self.lattice.directions[0] + math.pi / 2) % math.pi - math.pi / 2)


def measure_pixel_size(
    image: Array,
    specimen: Specimen,
    start_peak: tuple[float, float] | None = None,
) -> PixelSize:
    """Measure an image.

    Parameters
    ----------
    image : ndarray, shape (slow, fast)
        Any unit.
    specimen : Specimen
        What it shows.
    start_peak : tuple of float, optional
        About where the peak of the first axis is in the autocorrelation (fast, slow),
        pixels from its middle.

    Returns
    -------
    PixelSize

    Raises
    ------
    ValueError
        If no lattice is found, or its pitch is below 10 pixels, or the image is too small,
        blank or not finite.
    """
    _check_image(image)
    peaks, limited, smoothing = _search(image, specimen, start_peak)
    _refuse_close(peaks.axes, specimen)
    lattice = fit_cells(limited, peaks.axes)
    _refuse_close(lattice.axes, specimen)
    shape = (image.shape[0], image.shape[1])
    return PixelSize(specimen, lattice, peaks, smoothing, shape)


def _check_image(image: Array) -> None:
    if min(image.shape) < _SMALLEST_SIDE:
        raise ValueError(
            f"the image has {' × '.join(map(str, image.shape))} pixels, and at least "
            f"{_SMALLEST_SIDE} × {_SMALLEST_SIDE} are needed: give a larger one"
        )
    if not np.isfinite(image).all():
        raise ValueError("it holds values that are not finite: record it again")
    if image.min() == image.max():
        raise ValueError(
            f"all pixels of the image are {image.flat[0]:g}: give one that shows the "
            "specimen"
        )


def _search(
    image: Array, specimen: Specimen, start_peak: tuple[float, float] | None
) -> tuple[Peaks, Array, float]:
    """Peaks of the smoothing with which they stand out most, and the limited image."""
    first, second = specimen.repeats
    found: list[tuple[Peaks, Array, float]] = []
    reason = ValueError("the image has no lattice")
    for smoothing in reversed(SMOOTHINGS):
        flat, limited = flattened(image, smoothing)
        try:
            peaks = find_peaks(autocorrelation(flat), second / first, start_peak)
        except ValueError as error:
            reason = error
        else:
            box = smoothing * min(image.shape)
            # a mean over less than a repeat has the lattice in it
            if smoothing == SMOOTHINGS[0] or box > 0.6 * _longest(peaks.axes):
                found.append((peaks, limited, smoothing))
    if not found:
        raise reason
    return max(found, key=lambda candidate: candidate[0].score)


def _longest(axes: Array) -> float:
    return float(np.linalg.norm(axes, axis=1).max())


def _refuse_close(axes: Array, specimen: Specimen) -> None:
    shortest = float(np.linalg.norm(axes, axis=1).min())
    if shortest < SMALLEST_PITCH:
        raise ValueError(
            f"the {specimen.name} repeats every {shortest:.1f} pixels, and below "
            f"{SMALLEST_PITCH:.0f} its peaks are mistaken for others: record a higher "
            "magnification, or without binning"
        )
