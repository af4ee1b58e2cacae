"""K2 and K3 in linear mode: charge that many read-outs add up, each with its noise.

References
----------
"Image Acquisition from CCD Cameras and Direct Electron Detectors", manual of SerialEM:
"one unit of read-out noise is added to each pixel during each frame".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.camera import integrating
from dials_truncfix.camera.gatan_modes import LINEAR, ReadMode
from dials_truncfix.camera.integrating import FixedPattern
from dials_truncfix.camera.recording import Recording

#: Counts of an electron, where nobody says. A property of the installation, which SerialEM
#: makes agree with that of counting.
DEFAULT_GAIN = 16.0
#: Noise of one read-out, e⁻. Neither source states it; with this the noise of a tenth of a
#: second of a K2 is that of one electron.
READ_OUT_NOISE = 0.16
#: Variance of the signal of an electron over its squared mean, a model's of Landau pulses.
PULSE_VARIANCE = 0.25


@dataclass(frozen=True)
class DirectLinear:
    """A K2 or K3 in linear mode.

    Attributes
    ----------
    mode : ReadMode
        Camera and mode.
    frame_time : float
        Exposure of a frame, s: of as many read-outs.
    frames_per_image : int
        Frames of an image.
    gain : float
        Mean signal of one electron, ADU/e⁻.
    pulse_variance : float
        Variance of the signal of one electron over its squared mean.
    read_out_noise : float
        Standard deviation of one read-out of a physical pixel, ADU.
    flat_sd, psf_sigma, dark_images, dark_drift, pedestal
        See `integrating.Integrating`.
    unsigned : bool
        Whether frames are stored as unsigned integers, which cuts off what the dark
        subtraction made negative.

    Raises
    ------
    ValueError
        For what no camera can be.
    """

    mode: ReadMode
    frame_time: float
    frames_per_image: int = 1
    gain: float = DEFAULT_GAIN
    pulse_variance: float = PULSE_VARIANCE
    read_out_noise: float = READ_OUT_NOISE * DEFAULT_GAIN
    flat_sd: float = 0.03
    psf_sigma: float = 0.0
    dark_images: int = 0
    dark_drift: float = 0.0
    pedestal: int = 0
    unsigned: bool = False

    def __post_init__(self) -> None:
        """Refuse what no camera can be."""
        if self.mode.name != LINEAR:
            raise ValueError(f"mode {self.mode.name} is not linear")
        self.mode.timing.read_outs(self.frame_time)
        if self.frames_per_image < 1:
            raise ValueError(f"{self.frames_per_image} frames in an image")
        integrating.check(self)
        if not self.read_out_noise >= 0:
            raise ValueError(f"read_out_noise {self.read_out_noise} is negative")

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
        return np.dtype(np.uint16 if self.unsigned else self.mode.normalized_type)

    @property
    def saturation(self) -> int:
        """Largest value that a frame can hold, ADU."""
        return int(np.iinfo(self.stored_type).max)

    @property
    def adu_per_electron(self) -> float:
        """Mean signal of one electron, ADU/e⁻."""
        return self.gain

    @property
    def counts_per_electron(self) -> float:
        """What the metadata say that an electron gives."""
        return self.gain

    @property
    def variance_slope(self) -> float:
        """Slope of variance on mean over pixels, ADU; the gain integration needs."""
        return self.gain * (1.0 + self.pulse_variance)

    @property
    def read_noise(self) -> float:
        """Standard deviation of the noise of a frame: that of its read-outs, ADU."""
        n_read_outs = self.mode.timing.read_outs(self.frame_time)
        return self.read_out_noise * math.sqrt(n_read_outs)

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
        """Draw the electrons of a frame and pass them through the camera."""
        return integrating.expose(self, expected, pattern, seed, frame_number)
