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
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from dials_truncfix.camera.streams import (
    ELECTRONS,
    FIXED_PATTERN,
    READOUT,
    WHOLE_SERIES,
    random_stream,
)

FloatArray = npt.NDArray[np.float32]

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
        if not self.gain > 0:
            raise ValueError(f"gain {self.gain} is not positive")
        if not 0 <= self.flat_sd < 0.2:
            raise ValueError(f"flat_sd {self.flat_sd} is not within 0 to 0.2")
        for name in ("pulse_variance", "sensor_read_noise", "psf_sigma", "dark_images"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} {getattr(self, name)} is negative")
        if not 0 <= self.pedestal < SATURATION:
            raise ValueError(f"pedestal {self.pedestal} is not within 0 to 65534")

    @property
    def pixel_size(self) -> float:
        """Edge of a recorded pixel, mm."""
        return SENSOR_PIXEL_MM * self.binning

    @property
    def image_size(self) -> int:
        """Pixels along an edge of the whole image."""
        return SENSOR_PIXELS // self.binning

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


@dataclass(frozen=True)
class FixedPattern:
    """What the images of a series have in common.

    Attributes
    ----------
    flat : ndarray, shape (ny, nx), float32
        Factor of the flat-field correction; the response of a pixel is its inverse.
    dark_error : ndarray, shape (ny, nx), float32
        Dark reference minus true dark level, ADU.
    """

    flat: FloatArray
    dark_error: FloatArray


@dataclass(frozen=True)
class Recording:
    """One image.

    Attributes
    ----------
    clipped : ndarray, shape (ny, nx), uint16
        What the camera stores, ADU.
    unclipped : ndarray, shape (ny, nx), int32
        What it would store if it could hold negative numbers, ADU.
    """

    clipped: npt.NDArray[np.uint16]
    unclipped: npt.NDArray[np.int32]


def fixed_pattern(camera: F416, shape: tuple[int, int], seed: int) -> FixedPattern:
    """Make flat field and dark reference of a series.

    Parameters
    ----------
    camera : F416
        Response of the camera.
    shape : tuple of int
        (ny, nx).
    seed : int
        Seed of the series.

    Returns
    -------
    FixedPattern
    """
    rng = random_stream(seed, WHOLE_SERIES, FIXED_PATTERN)
    flat = 1.0 + camera.flat_sd * rng.standard_normal(shape, dtype=np.float32)
    # a dead pixel is a defect, not the tail of the flat field
    flat = np.clip(flat, 1.0 - 4 * camera.flat_sd, 1.0 + 4 * camera.flat_sd)
    dark_error = np.zeros(shape, dtype=np.float32)
    if camera.dark_images:
        sd = camera.read_noise / np.sqrt(camera.dark_images)
        dark_error += np.float32(sd) * rng.standard_normal(shape, dtype=np.float32)
    return FixedPattern(flat.astype(np.float32), dark_error)


def count_electrons(
    expected: npt.NDArray[np.floating[Any]], seed: int, image_number: int
) -> npt.NDArray[np.int64]:
    """Draw the electrons that hit each pixel.

    Parameters
    ----------
    expected : ndarray, shape (ny, nx)
        Expected number, e⁻.
    seed, image_number : int
        Key of the draws.

    Returns
    -------
    ndarray, shape (ny, nx), int64
        Poisson distributed numbers, e⁻.
    """
    return random_stream(seed, image_number, ELECTRONS).poisson(expected)


def record(
    camera: F416,
    electrons: npt.NDArray[np.integer[Any]],
    pattern: FixedPattern,
    seed: int,
    image_number: int,
) -> Recording:
    """Pass electrons through the camera.

    Pulse heights and gain, spread of light, response of the pixel, read noise, minus
    dark reference, times flat field, rounding, pedestal, and clipping at zero.

    Parameters
    ----------
    camera : F416
        Response of the camera.
    electrons : ndarray of int, shape (ny, nx)
        Electrons that hit each pixel, e⁻.
    pattern : FixedPattern
        From `fixed_pattern`, of the same shape.
    seed, image_number : int
        Key of the draws; images are numbered from 1.

    Returns
    -------
    Recording

    Raises
    ------
    ValueError
        If the shapes differ or a number of electrons is negative.
    """
    if electrons.shape != pattern.flat.shape:
        raise ValueError(
            f"electrons have shape {electrons.shape}, the flat field "
            f"{pattern.flat.shape}"
        )
    if electrons.min() < 0:
        raise ValueError(f"{electrons.min()} electrons in a pixel")
    rng = random_stream(seed, image_number, READOUT)
    signal = _pulses(camera, electrons, rng)
    if camera.psf_sigma > 0:
        gaussian_filter(signal, camera.psf_sigma, output=signal, mode="nearest")
    # response × flat = 1: the correction restores the signal, and scales the noise
    noise = rng.standard_normal(electrons.shape, dtype=np.float32)
    noise *= np.float32(camera.read_noise)
    noise += np.float32(camera.dark_drift * (image_number - 1))
    noise -= pattern.dark_error
    noise *= pattern.flat
    signal += noise
    unclipped = np.rint(signal).astype(np.int32)
    unclipped += camera.pedestal
    return Recording(
        np.clip(unclipped, 0, SATURATION).astype(np.uint16),
        np.minimum(unclipped, SATURATION),
    )


def _pulses(
    camera: F416, electrons: npt.NDArray[np.integer[Any]], rng: np.random.Generator
) -> FloatArray:
    """Signal of the electrons, ADU, shape (ny, nx)."""
    signal = electrons.astype(np.float32)
    if camera.pulse_variance > 0:
        # the sum of n gamma variates of shape k is a gamma variate of shape n k
        hit = electrons > 0
        shape_parameter = electrons[hit] / camera.pulse_variance
        signal[hit] = rng.standard_gamma(shape_parameter) * camera.pulse_variance
    signal *= np.float32(camera.gain)
    return signal


def expose(
    camera: F416,
    expected: npt.NDArray[np.floating[Any]],
    pattern: FixedPattern,
    seed: int,
    image_number: int,
) -> Recording:
    """Draw the electrons of an image and pass them through the camera.

    Parameters
    ----------
    camera : F416
        Response of the camera.
    expected : ndarray, shape (ny, nx)
        Expected number of electrons in each pixel, e⁻.
    pattern : FixedPattern
        From `fixed_pattern`.
    seed, image_number : int
        Key of the draws; images are numbered from 1.

    Returns
    -------
    Recording
    """
    electrons = count_electrons(expected, seed, image_number)
    return record(camera, electrons, pattern, seed, image_number)
