"""The modes of Gatan's K2 and K3: what is read, when, and how it is stored.

References
----------
"Image Acquisition from CCD Cameras and Direct Electron Detectors", manual of SerialEM.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from dials_truncfix.camera.timing import TimingRules
from dials_truncfix.io.gatan import K2, K3, SUPER_RESOLUTION, Sensor

LINEAR, COUNTING, SUPER = "linear", "counting", "super_resolution"


@dataclass(frozen=True)
class ReadMode:
    """A mode.

    Attributes
    ----------
    sensor : Sensor
        The camera.
    name : str
        ``linear``, ``counting`` or ``super_resolution``. A K3 always counts in
        super-resolution; its ``counting`` is that with hardware binning by 2.
    binning : fractions.Fraction
        Edge of a recorded pixel in physical ones.
    timing : TimingRules
        Exposure and frame times.
    raw_type, normalized_type : dtype
        Of stored pixels, as counted or normalized by the gain reference.
    fixed_scale : int or None
        Stored counts of an electron in normalized frames; None where it is the scaling
        of SerialEM's summed images, a property of the installation.
    can_pack : bool
        Whether raw counts may be stored in four bits.
    """

    sensor: Sensor
    name: str
    binning: Fraction
    timing: TimingRules
    raw_type: npt.DTypeLike
    normalized_type: npt.DTypeLike
    fixed_scale: int | None
    can_pack: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast) of a frame, as the camera reads."""
        return (
            int(self.sensor.rows / self.binning),
            int(self.sensor.columns / self.binning),
        )

    @property
    def pixel_mm(self) -> float:
        """Edge of a recorded pixel, mm."""
        return float(self.binning) * self.sensor.pixel_mm


def _k2(exposure_step: Fraction) -> TimingRules:
    return TimingRules(Fraction(1, 400), exposure_step, Fraction(25, 1000))


def _k3(read_outs: int) -> TimingRules:
    read_out = Fraction(1, 1500)
    return TimingRules(read_out, read_outs * read_out, 20 * read_out)


_TENTH, _HALF = Fraction(1, 10), Fraction(1, 2)
_ONE = Fraction(1)

MODES = (
    ReadMode(K2, LINEAR, _ONE, _k2(_TENTH), np.int16, np.int16, None, False),
    ReadMode(K2, COUNTING, _ONE, _k2(_TENTH), np.uint16, np.int16, None, False),
    ReadMode(
        K2, SUPER, SUPER_RESOLUTION, _k2(_HALF), np.uint8, np.uint8, K2.byte_scale, True
    ),
    ReadMode(K3, LINEAR, _ONE, _k3(20), np.int16, np.int16, K3.byte_scale, False),
    ReadMode(K3, COUNTING, _ONE, _k3(16), np.uint8, np.uint8, K3.byte_scale, True),
    ReadMode(
        K3, SUPER, SUPER_RESOLUTION, _k3(16), np.uint8, np.uint8, K3.byte_scale, True
    ),
)


def read_mode(camera: str, mode: str) -> ReadMode:
    """Look a mode up.

    Parameters
    ----------
    camera : {'K2', 'K3'}
        The camera.
    mode : {'linear', 'counting', 'super_resolution'}
        The mode.

    Returns
    -------
    ReadMode

    Raises
    ------
    ValueError
        If there is no such mode.
    """
    for found in MODES:
        if (found.sensor.name, found.name) == (camera, mode):
            return found
    raise ValueError(f"a {camera} has no mode {mode}")
