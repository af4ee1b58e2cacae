"""What rounding of normalized frames to integers costs: the manual's model of it.

A frame's electrons are a Poisson deviate N; 0.13 of all trials give nothing, and the
others N + 0.05 N g, with a normal deviate g, times the scale; that is rounded or not.

References
----------
"Image Acquisition from CCD Cameras and Direct Electron Detectors", manual of SerialEM,
section "Signal loss from saving normalized frames as integers".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from scipy.stats import poisson

from dials_truncfix.camera.coincidence import CONVERSION

#: Standard deviation of normalized counts over their number.
SPREAD = 0.05
#: "The smallest multiplier applied when saving frames."
SCALE = 16.0
#: Electrons per pixel and loss of DQE, as the manual prints them.
MANUAL_TABLE = ((0.1, 5e-4), (0.5, 4e-4), (1.0, 3e-4), (2.0, 2e-4))

_REACH = 8.0


@dataclass(frozen=True)
class RoundingLoss:
    """Detective quantum efficiency with and without rounding.

    Attributes
    ----------
    floating, rounded : float
        Square of the ratio of signal to noise of the output, over that of the input.
    """

    floating: float
    rounded: float

    @property
    def absolute(self) -> float:
        """Loss by rounding."""
        return self.floating - self.rounded

    @property
    def relative(self) -> float:
        """Loss by rounding as a part of what there was."""
        return self.absolute / self.floating


def rounding_loss(electrons: float, scale: float = SCALE) -> RoundingLoss:
    """Sum the model up over all its outcomes.

    Parameters
    ----------
    electrons : float
        Mean electrons per pixel.
    scale : float
        Stored counts of an electron.

    Returns
    -------
    RoundingLoss

    Raises
    ------
    ValueError
        If a number is not positive.
    """
    if not (electrons > 0 and scale > 0):
        raise ValueError(f"{electrons} electrons a pixel of {scale} counts each")
    last = int(poisson.isf(1e-16, electrons)) + 1
    n = np.arange(1, last + 1)
    weights = CONVERSION * poisson.pmf(n, electrons)
    mean, second = scale * n, scale**2 * n**2 * (1 + SPREAD**2)
    floating = _dqe(weights @ mean, weights @ second, electrons)
    first_rounded = second_rounded = 0.0
    for weight, number in zip(weights, n):
        middle, sd = scale * number, scale * SPREAD * number
        values = np.arange(
            np.floor(middle - _REACH * sd), np.ceil(middle + _REACH * sd) + 1
        )
        part = np.diff(ndtr((np.append(values, values[-1] + 1) - 0.5 - middle) / sd))
        first_rounded += weight * float(part @ values)
        second_rounded += weight * float(part @ values**2)
    return RoundingLoss(floating, _dqe(first_rounded, second_rounded, electrons))


def rounding_loss_by_draws(
    electrons: float, n_draws: int, seed: int, scale: float = SCALE
) -> RoundingLoss:
    """Draw the model's deviates, the same ones for both outputs.

    Parameters
    ----------
    electrons : float
        Mean electrons per pixel.
    n_draws : int
        Pixels.
    seed : int
        Seed of the draws.
    scale : float
        Stored counts of an electron.

    Returns
    -------
    RoundingLoss
    """
    rng = np.random.default_rng(seed)
    sums = np.zeros(4)
    for start in range(0, n_draws, _BLOCK):
        size = min(_BLOCK, n_draws - start)
        n = rng.poisson(electrons, size)
        output = scale * n * (1 + SPREAD * rng.standard_normal(size))
        output[rng.random(size) >= CONVERSION] = 0
        rounded = np.rint(output)
        sums += output.sum(), (output**2).sum(), rounded.sum(), (rounded**2).sum()
    means = sums / n_draws
    return RoundingLoss(
        _dqe(means[0], means[1], electrons), _dqe(means[2], means[3], electrons)
    )


_BLOCK = 1 << 22


def _dqe(mean: float, second_moment: float, electrons: float) -> float:
    """(mean² / variance) of the output over that of a Poisson input, its mean."""
    return float(mean**2 / (second_moment - mean**2) / electrons)
