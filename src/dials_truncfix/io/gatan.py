"""Gatan's K2 and K3: the sizes of their images, and how many counts make an electron."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.serialem_title import FrameTitle


@dataclass(frozen=True)
class Sensor:
    """A camera.

    Attributes
    ----------
    name : str
        ``K2`` or ``K3``.
    columns, rows : int
        Size in physical pixels, as the camera reads.
    pixel_mm : float
        Edge of a physical pixel (mm).
    frame_rate : float
        Frames the sensor is read in a second (Hz).
    byte_scale : int
        Counts an electron has in normalized frames that are stored as bytes.
    """

    name: str
    columns: int
    rows: int
    pixel_mm: float
    frame_rate: float
    byte_scale: int


K2 = Sensor("K2", 3838, 3710, 0.005, 400.0, 16)
K3 = Sensor("K3", 5760, 4092, 0.005, 1500.0, 32)
SENSORS = (K2, K3)

#: Pixels of images over physical pixels; a half for super-resolution.
SUPER_RESOLUTION = Fraction(1, 2)
_BINNINGS = (SUPER_RESOLUTION, Fraction(1), Fraction(2), Fraction(4))
# Physical pixels by which a side may differ: read-outs with and without their margins.
_TOLERANCE = 2


@dataclass(frozen=True)
class Readout:
    """What the size of an image says.

    Attributes
    ----------
    sensor : Sensor
        The camera.
    binning : fractions.Fraction
        Edge of a pixel in physical pixels; 1/2 for super-resolution.
    """

    sensor: Sensor
    binning: Fraction

    @property
    def pixel_mm(self) -> float:
        """Edge of a pixel (mm)."""
        return float(self.sensor.pixel_mm * self.binning)


def recognise(shape: tuple[int, int]) -> Readout | None:
    """Tell the camera from the size of its images, upright or on their side.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    Readout or None
        None for a size that no whole image of these cameras has.
    """
    for sensor in SENSORS:
        for binning in _BINNINGS:
            tolerance = max(_TOLERANCE / binning, Fraction(1))
            for sides in ((sensor.rows, sensor.columns), (sensor.columns, sensor.rows)):
                if all(
                    abs(side - whole / binning) <= tolerance
                    for side, whole in zip(shape, sides)
                ):
                    return Readout(sensor, binning)
    return None


def counts_per_electron(
    title: FrameTitle, sensor: Sensor | None, dtype: npt.DTypeLike
) -> float:
    """Find how many stored counts stand for one electron.

    The title's factor is that between what DigitalMicrograph handed out and what was
    stored. For a K3, normalized frames already come as bytes of 32 counts an electron,
    and their title says 1.

    Parameters
    ----------
    title : FrameTitle
        What SerialEM says of the frames.
    sensor : Sensor or None
        The camera, where it is known.
    dtype : dtype
        Of the stored pixels.

    Returns
    -------
    float
    """
    normalized = title.gain_reference is None and not title.packed
    if (
        sensor is K3
        and normalized
        and title.scaling <= 1
        and np.dtype(dtype) == np.uint8
    ):
        return title.scaling * K3.byte_scale
    return title.scaling
