"""TVIPS TemCam-F416 in rolling-shutter mode: from electrons to truncated images.

The camera subtracts a dark image, multiplies by a flat field and stores unsigned
integers: whatever the dark subtraction made negative is written as zero.

References
----------
Hattne, J., Shi, D., de la Cruz, M. J., Reyes, F. E. & Gonen, T. (2016).
J. Appl. Cryst. 49, 1029-1034. https://doi.org/10.1107/S1600576716007196
Stumpf, M., Bobolas, K., Daberkow, I., Fanderl, U., Heike, T., Huber, T.,
Kofler, C., Maniette, Y. & Tietz, H. (2010). Microsc. Microanal. 16, 856-857.
https://doi.org/10.1017/S1431927610055248
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
SENSOR_PIXEL_MM = 0.0156
#: Largest value that the storage format holds, ADU.
SATURATION = 65535


@dataclass(frozen=True)
class F416:
    """Response of the camera. A recorded pixel sums binning × binning of the sensor's.

    Attributes
    ----------
    binning : int
        Binning factor, the same in both directions.
    gain : float
        Mean signal of one electron, ADU/e⁻.
    pulse_variance : float
        Variance of the signal of one electron over its squared mean. Pulse heights
        follow a gamma distribution, as skewed as the Landau-like ones of
        scintillators; 0 makes every electron give the same signal.
    sensor_read_noise : float
        Standard deviation of one reading of one pixel of the sensor, ADU. Each is
        read by itself, so that a binned pixel holds `binning` times as much.
    flat_sd : float
        Standard deviation of the flat field around 1.
    psf_sigma : float
        Width of the spread of light in the scintillator, recorded pixels. It comes
        after the pulse heights and before the read noise, hence the noise of
        neighbouring pixels is correlated.
    dark_images : int
        Images averaged for the dark reference; 0 for a reference without noise.
    dark_drift : float
        Drift of the dark level since the reference was taken, ADU per image.
    pedestal : int
        Added before storing, ADU. The rolling-shutter mode has none.
    """

    name: ClassVar[str] = "TemCam-F416"
    stored_type: ClassVar[npt.DTypeLike] = np.uint16

    binning: int = 4
    gain: float = 6.0
    pulse_variance: float = 0.5
    sensor_read_noise: float = 1.5
    flat_sd: float = 0.03
    psf_sigma: float = 0.0
    dark_images: int = 0
    dark_drift: float = 0.0
    pedestal: int = 0

    def __post_init__(self) -> None:
        """Refuse what no camera can be."""
        if self.binning < 1 or SENSOR_PIXELS % self.binning:
            raise ValueError(f"binning {self.binning} does not divide {SENSOR_PIXELS}")
        if not self.sensor_read_noise >= 0:
            raise ValueError(f"sensor_read_noise {self.sensor_read_noise} is negative")
        integrating.check(self)

    @property
    def pixel_size(self) -> float:
        """Edge of a recorded pixel, mm."""
        return SENSOR_PIXEL_MM * self.binning

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast) of the whole image."""
        return (SENSOR_PIXELS // self.binning,) * 2

    @property
    def read_noise(self) -> float:
        """Standard deviation of the read noise of a recorded pixel, ADU."""
        return self.sensor_read_noise * self.binning

    @property
    def variance_slope(self) -> float:
        """Slope of variance on mean over pixels, ADU; the gain integration needs.

        It holds for a sharp camera: a point spread lowers it.
        """
        return self.gain * (1.0 + self.pulse_variance)

    @property
    def frames_per_image(self) -> int:
        """Frames of an image: it is read once."""
        return 1

    @property
    def adu_per_electron(self) -> float:
        """Mean signal of one electron, ADU/e⁻."""
        return self.gain

    @property
    def saturation(self) -> int:
        """Largest value that the storage format holds, ADU."""
        return SATURATION

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
        return integrating.expose(self, expected, pattern, seed, frame_number)

    def record(
        self,
        electrons: npt.NDArray[np.integer[Any]],
        pattern: FixedPattern,
        seed: int,
        image_number: int,
    ) -> Recording:
        """Pass electrons through the camera."""
        return integrating.record(self, electrons, pattern, seed, image_number)
