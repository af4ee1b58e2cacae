"""One camera for a whole sweep: what its readings are like at any mean rate.

A pixel receives a Poisson number of electrons. Each gives a pulse whose height has a
gamma distribution, the sensor adds normal read noise and what the dark subtraction
left, and the sum is made an integer and clipped at zero. Gain, pulse heights, read
noise and dark level belong to the camera; the mean number of electrons, the rate, is
all in which the pixels differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.laws.intervals import THRESHOLDS

Array = NDArray[np.float64]

NAME = "camera"
#: Smallest shape of the pulse heights, as a bound of the pulse variance: below it
#: pulses are so uneven that ever more and smaller ones describe the data as well.
LARGEST_PULSE_VARIANCE = 1.0 / 0.3

# What a record may hold that somebody wrote: numbers no camera has would ask for grids
# without end.
_GAIN_RANGE = (1e-4, 1e4)
_READ_NOISE_RANGE = (0.1, 1e4)
_LARGEST_DARK = 1e4
# Of a drift: so many to the read noise.
_DARK_STEPS = 64


@dataclass(frozen=True)
class CameraModel:
    """Law of the readings of a camera.

    The reading x of a pixel of rate λ has the characteristic function

        exp(λ[(1 - iωGc)^(-1/c) - 1] + iωd - ω²σ²/2).

    Attributes
    ----------
    gain : float
        G, mean signal of an electron, ADU/e⁻.
    pulse_variance : float
        c, variance of the signal of an electron over its squared mean: 1/k for a
        gamma distribution of shape k. 0 makes every electron give the same signal.
    read_noise : float
        σ, standard deviation of the reading without electrons, ADU.
    dark : float
        d, mean reading without electrons, ADU.
    rounding : {'round', 'floor'}
        How readings become integers.

    Raises
    ------
    ValueError
        For numbers that no camera can have.

    References
    ----------
    Feller, W. (1971). An Introduction to Probability Theory and Its Applications,
    vol. II, 2nd ed. New York: Wiley (compound Poisson distributions).
    """

    gain: float
    pulse_variance: float
    read_noise: float
    dark: float = 0.0
    rounding: str = "round"

    def __post_init__(self) -> None:
        """Refuse what no camera can be."""
        _check("gain", self.gain, *_GAIN_RANGE)
        _check("read_noise", self.read_noise, *_READ_NOISE_RANGE)
        _check("dark", self.dark, -_LARGEST_DARK, _LARGEST_DARK)
        _check("pulse_variance", self.pulse_variance, 0.0, LARGEST_PULSE_VARIANCE)
        if self.rounding not in THRESHOLDS:
            raise ValueError(
                f"rounding must be 'round' or 'floor', not {self.rounding!r}"
            )

    @property
    def shape(self) -> float:
        """Shape k of the pulse heights; infinite where all are equal."""
        return 1.0 / self.pulse_variance if self.pulse_variance > 0 else math.inf

    @property
    def threshold(self) -> float:
        """Readings below this one are recorded as zero, ADU."""
        return THRESHOLDS[self.rounding]

    @property
    def effective_gain(self) -> float:
        """Slope of the variance on the mean, G(1 + c), ADU."""
        return self.gain * (1.0 + self.pulse_variance)

    @property
    def pedestal(self) -> float:
        """Integer value at which the variance would be zero, ADU.

        Variance = effective gain · (value - pedestal), for the integers made of the
        readings: rounding adds 1/12 to their variance, and rounding down takes 1/2.
        """
        offset = self.dark - (self.threshold - 0.5)
        return offset - (self.read_noise**2 + 1.0 / 12.0) / self.effective_gain

    def mean(self, rate: Array) -> Array:
        """Return the mean reading, ADU, for rates in e⁻, of the same shape."""
        return np.asarray(self.dark + self.gain * np.asarray(rate, dtype=np.float64))

    def variance(self, rate: Array) -> Array:
        """Return the variance of the readings, ADU², for rates in e⁻."""
        signal = self.gain * np.asarray(rate, dtype=np.float64)
        return np.asarray(self.read_noise**2 + self.effective_gain * signal)


@dataclass(frozen=True)
class SweepCamera:
    """A camera whose dark level may drift slowly along a sweep.

    Attributes
    ----------
    model : CameraModel
        At image number 0.
    dark_drift : float
        Change of the dark level per image, ADU.

    Raises
    ------
    ValueError
        For a drift that no camera can have.
    """

    model: CameraModel
    dark_drift: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no camera can be."""
        _check("dark_drift", self.dark_drift, -_LARGEST_DARK, _LARGEST_DARK)

    def at(self, image_number: float) -> CameraModel:
        """Return the camera at an image.

        The dark level goes in steps of 1/64 of the read noise, so that neighbouring
        images share one camera and its tables.
        """
        if self.dark_drift == 0.0:
            return self.model
        step = self.model.read_noise / _DARK_STEPS
        drifted = self.model.dark + self.dark_drift * image_number
        return replace(self.model, dark=step * round(drifted / step))


def _check(name: str, value: float, lowest: float, highest: float) -> None:
    # not a number fails both comparisons
    if not lowest <= value <= highest:
        raise ValueError(
            f"the camera's {name} must be from {lowest:.4g} to {highest:.4g}, not "
            f"{value}"
        )
