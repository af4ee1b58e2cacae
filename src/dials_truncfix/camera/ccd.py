"""A fibre-coupled CCD: binned on the chip and read once, cleared before each exposure.

References
----------
"Image Acquisition from CCD Cameras and Direct Electron Detectors", manual of SerialEM,
first part. Its read-out time, 12 s for 2048 x 2048 pixels through one port, and its
clearing times, 0.8 s and 0.25 s of a 4K camera with one and four ports, are taken here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dials_truncfix.camera import integrating
from dials_truncfix.camera.integrating import FixedPattern
from dials_truncfix.camera.recording import Recording

SENSOR_PIXELS = 4096
SENSOR_PIXEL_MM = 0.015
SATURATION = 65535
#: Time in which the chip is cleared, s, for one port and for four.
CLEARING_TIMES = {1: 0.8, 4: 0.25}
#: Read-out through one port: 12 s for 2048 lines, which take nearly all of the time.
_TIME_PER_LINE = 12.0 / 2048


@dataclass(frozen=True)
class CCD:
    """Response and timing of a camera of 4096 × 4096 pixels.

    Attributes
    ----------
    binning : int
        Binning factor, the same in both directions, on the chip.
    gain : float
        Mean signal of one electron, ADU/e⁻.
    pulse_variance : float
        Variance of the signal of one electron over its squared mean.
    read_noise : float
        Standard deviation of the reading of one recorded pixel, ADU, whatever the
        binning and the exposure.
    flat_sd, psf_sigma, dark_images, dark_drift, pedestal
        See `integrating.Integrating`.
    exposure : float
        Time of an exposure, s.
    ports : int
        Ports through which the chip is read, 1 or 4.
    beam_while_clearing : bool
        Whether the beam is on the camera while it is cleared, which leaves a ramp of
        smeared image; it grows with the distance from the edge that charges move to.

    Raises
    ------
    ValueError
        For what no camera can be.
    """

    name: ClassVar[str] = "CCD"
    stored_type: ClassVar[npt.DTypeLike] = np.uint16

    binning: int = 4
    gain: float = 6.0
    pulse_variance: float = 0.5
    read_noise: float = 3.0
    flat_sd: float = 0.03
    psf_sigma: float = 0.0
    dark_images: int = 0
    dark_drift: float = 0.0
    pedestal: int = 0
    exposure: float = 1.0
    ports: int = 4
    beam_while_clearing: bool = False

    def __post_init__(self) -> None:
        """Refuse what no camera can be."""
        if self.binning < 1 or SENSOR_PIXELS % self.binning:
            raise ValueError(f"binning {self.binning} does not divide {SENSOR_PIXELS}")
        if self.ports not in CLEARING_TIMES:
            raise ValueError(
                f"a camera of {self.ports} ports: there are those of 1 and 4"
            )
        if not self.exposure > 0:
            raise ValueError(f"exposure {self.exposure} s is not positive")
        integrating.check(self)

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast) of the whole image."""
        return (SENSOR_PIXELS // self.binning,) * 2

    @property
    def pixel_size(self) -> float:
        """Edge of a recorded pixel, mm."""
        return SENSOR_PIXEL_MM * self.binning

    @property
    def frames_per_image(self) -> int:
        """Frames of an image: it is read once."""
        return 1

    @property
    def saturation(self) -> int:
        """Largest value that the storage format holds, ADU."""
        return SATURATION

    @property
    def adu_per_electron(self) -> float:
        """Mean signal of one electron, ADU/e⁻."""
        return self.gain

    @property
    def variance_slope(self) -> float:
        """Slope of variance on mean over pixels, ADU; the gain integration needs."""
        return self.gain * (1.0 + self.pulse_variance)

    @property
    def clearing_time(self) -> float:
        """Time in which the chip is cleared before an exposure, s."""
        return CLEARING_TIMES[self.ports]

    @property
    def read_out_time(self) -> float:
        """Time of the read-out after an exposure, s: in proportion to the lines."""
        # four ports read a quarter of the chip each, half of the lines at a time
        lines = SENSOR_PIXELS / self.binning / (1 if self.ports == 1 else 2)
        return lines * _TIME_PER_LINE

    @property
    def capture_time(self) -> float:
        """Time from one image to the next: clearing, exposure and read-out, s."""
        return self.clearing_time + self.exposure + self.read_out_time

    def fixed_pattern(self, shape: tuple[int, int], seed: int) -> FixedPattern:
        """Make flat field and dark reference of a series."""
        return integrating.fixed_pattern(self, shape, seed)

    def expose(
        self,
        expected: npt.NDArray[np.floating[Any]],
        pattern: FixedPattern,
        seed: int,
        frame_number: int,
    ) -> Recording:
        """Draw the electrons of an image and pass them through the camera."""
        electrons = expected
        if self.beam_while_clearing:
            relative = self.clearing_time / self.exposure
            electrons = expected + clearing_ramp(expected, relative)
        return integrating.expose(self, electrons, pattern, seed, frame_number)

    def record(
        self,
        electrons: npt.NDArray[np.integer[Any]],
        pattern: FixedPattern,
        seed: int,
        image_number: int,
    ) -> Recording:
        """Pass electrons through the camera."""
        return integrating.record(self, electrons, pattern, seed, image_number)


def clearing_ramp(
    expected: npt.NDArray[np.floating[Any]], clearing_time: float
) -> npt.NDArray[np.float64]:
    """Electrons that the beam leaves on a chip that is being cleared.

    Charges move towards row 0, one row after the other over all rows in the clearing
    time. What lies in row y at the end began in the last row, and has collected in every
    row from there on, so that the ramp is a sum along columns.

    Parameters
    ----------
    expected : ndarray, shape (ny, nx)
        Electrons of an exposure, e⁻.
    clearing_time : float
        Time of clearing over that of the exposure.

    Returns
    -------
    ndarray, shape (ny, nx)
        e⁻.
    """
    rows = len(expected)
    sums = np.cumsum(expected[::-1], axis=0, dtype=float)[::-1]
    return np.asarray(sums * (clearing_time / rows))
