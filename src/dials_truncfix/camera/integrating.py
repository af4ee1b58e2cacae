"""Cameras that integrate charge: electrons to pulses, noise, dark and flat field.

The camera subtracts a dark image, multiplies by a flat field and stores integers; where
these are unsigned, whatever the dark subtraction made negative is written as zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from dials_truncfix.camera.recording import Recording
from dials_truncfix.camera.streams import (
    ELECTRONS,
    FIXED_PATTERN,
    READOUT,
    WHOLE_SERIES,
    random_stream,
)

FloatArray = npt.NDArray[np.float32]


class Integrating(Protocol):
    """Response of a camera.

    Pulse heights follow a gamma distribution, as skewed as the Landau-like ones of
    scintillators and thin sensors.
    """

    @property
    def gain(self) -> float:
        """Mean signal of one electron, ADU/e⁻."""

    @property
    def pulse_variance(self) -> float:
        """Variance of the signal of one electron over its squared mean."""

    @property
    def read_noise(self) -> float:
        """Standard deviation of the read noise of a recorded pixel, ADU."""

    @property
    def flat_sd(self) -> float:
        """Standard deviation of the flat field around 1."""

    @property
    def psf_sigma(self) -> float:
        """Width of the spread of light or charge, recorded pixels."""

    @property
    def dark_images(self) -> int:
        """Images averaged for the dark reference; 0 for one without noise."""

    @property
    def dark_drift(self) -> float:
        """Drift of the dark level since the reference was taken, ADU per image."""

    @property
    def pedestal(self) -> int:
        """Added before storing, ADU."""

    @property
    def stored_type(self) -> npt.DTypeLike:
        """Type of integers that are stored."""


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


def check(camera: Integrating) -> None:
    """Raise a ValueError for a response that no camera has."""
    if not camera.gain > 0:
        raise ValueError(f"gain {camera.gain} is not positive")
    if not 0 <= camera.flat_sd < 0.2:
        raise ValueError(f"flat_sd {camera.flat_sd} is not within 0 to 0.2")
    for name in ("pulse_variance", "read_noise", "psf_sigma", "dark_images"):
        if not getattr(camera, name) >= 0:
            raise ValueError(f"{name} {getattr(camera, name)} is negative")
    highest = np.iinfo(camera.stored_type).max
    if not 0 <= camera.pedestal < highest:
        raise ValueError(f"pedestal {camera.pedestal} is not within 0 to {highest - 1}")


def fixed_pattern(
    camera: Integrating, shape: tuple[int, int], seed: int
) -> FixedPattern:
    """Make flat field and dark reference of a series.

    Parameters
    ----------
    camera : Integrating
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
    camera: Integrating,
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
    camera : Integrating
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
    limits = np.iinfo(camera.stored_type)
    return Recording(
        np.clip(unclipped, limits.min, limits.max).astype(camera.stored_type),
        np.minimum(unclipped, limits.max),
    )


def _pulses(
    camera: Integrating,
    electrons: npt.NDArray[np.integer[Any]],
    rng: np.random.Generator,
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
    camera: Integrating,
    expected: npt.NDArray[np.floating[Any]],
    pattern: FixedPattern,
    seed: int,
    image_number: int,
) -> Recording:
    """Draw the electrons of an image and pass them through the camera.

    Parameters
    ----------
    camera : Integrating
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
