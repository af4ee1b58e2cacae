"""Cameras that share no code with the program's own: from electrons to signed pixels.

Poisson ⊗ Gauss: every electron gives the same signal.
Compound Poisson: signals of electrons follow a lognormal distribution, which is not
the gamma distribution that the program assumes.
PSF-blurred: the same, and light spreads into neighbouring pixels before the read noise.
Low gain: an electron gives much less than the read noise, so that the dose is higher.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class IndependentCamera:
    """Response of a camera.

    Attributes
    ----------
    adu_per_electron : float
        Mean signal of an electron, ADU.
    pulse_variance : float
        Variance of the signal of an electron over its squared mean.
    read_noise : float
        Standard deviation of the read noise, ADU.
    blur : float
        Standard deviation of the spread of light, pixels.
    flat_sd : float
        Standard deviation of the flat field, by which the read noise is multiplied.
    dose : float
        Electrons, spots and background alike, relative to the other cameras.
    """

    adu_per_electron: float = 6.0
    pulse_variance: float = 0.0
    read_noise: float = 6.0
    blur: float = 0.0
    flat_sd: float = 0.03
    dose: float = 1.0

    def flat(self, shape: tuple[int, int], seed: int) -> FloatArray:
        """Draw the flat field of a series."""
        return 1 + self.flat_sd * np.random.default_rng(seed).standard_normal(shape)

    def signed(
        self, expected: FloatArray, flat: FloatArray, rng: np.random.Generator
    ) -> npt.NDArray[np.int32]:
        """Record an image before its negative pixels are cut off.

        Parameters
        ----------
        expected : ndarray, shape (ny, nx)
            Expected electrons in each pixel, e⁻.
        flat : ndarray, shape (ny, nx)
            From `flat`.
        rng : numpy.random.Generator
            Source of all noise of the image.

        Returns
        -------
        ndarray, shape (ny, nx), int32
            ADU.
        """
        electrons = rng.poisson(expected)
        signal = self.adu_per_electron * electrons.astype(float)
        if self.pulse_variance:
            width = np.log1p(self.pulse_variance)
            pulses = rng.lognormal(-width / 2, np.sqrt(width), electrons.sum())
            pixel = np.repeat(np.arange(electrons.size), electrons.ravel())
            heights = np.bincount(pixel, pulses, minlength=electrons.size)
            signal = self.adu_per_electron * heights.reshape(electrons.shape)
        if self.blur:
            signal = gaussian_filter(signal, self.blur, mode="nearest")
        noise = self.read_noise * rng.standard_normal(signal.shape)
        return np.rint(signal + noise * flat).astype(np.int32)


INDEPENDENT = {
    "poisson-gauss": IndependentCamera(),
    "compound": IndependentCamera(pulse_variance=0.5),
    "blurred": IndependentCamera(pulse_variance=0.5, read_noise=5.0, blur=0.7),
    "low-gain": IndependentCamera(adu_per_electron=1.5, read_noise=7.0, dose=4.0),
}
