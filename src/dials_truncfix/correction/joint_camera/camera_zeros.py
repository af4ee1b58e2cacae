"""What a camera recorded as zero, as a function of the rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.joint_camera.camera_law import (
    chunks,
    coarsest_step,
    grid_to,
    tilted_masses,
    tilted_model,
)
from dials_truncfix.correction.joint_camera.camera_model import CameraModel

Array = NDArray[np.float64]

# Linear interpolation of log F between edges then moves quantiles by σ / 2000.
_STEPS_PER_SD = 16.0
_TILT_ITERATIONS = 30


@dataclass(frozen=True)
class ZeroLaw:
    """Distribution of the readings that were recorded as zero, one row per rate.

    Attributes
    ----------
    edges : NDArray[np.float64]
        (m + 1,) ascending readings up to the threshold, ADU.
    below : NDArray[np.float64]
        (n, m + 1) probability of less than each edge, given a zero: 0 … 1.
    log_p : NDArray[np.float64]
        (n,) logarithm of the probability of a zero.
    """

    edges: Array
    below: Array
    log_p: Array

    @property
    def mean(self) -> Array:
        """Mean of the integers that the zeros would have been, ADU, (n,)."""
        return np.asarray(-self._deeper.sum(axis=1))

    @property
    def square(self) -> Array:
        """Mean square of these integers, ADU², (n,)."""
        deeper = self._deeper
        return np.asarray((deeper * (2 * np.arange(deeper.shape[1]) + 1)).sum(axis=1))

    @property
    def _deeper(self) -> Array:
        """Probability of an integer of at most -1, -2, …, given a zero."""
        per_unit = round(1.0 / (self.edges[1] - self.edges[0]))
        return self.below[:, -1 - per_unit :: -per_unit]

    def quantiles(self, log_u: Array) -> Array:
        """Return the readings at quantiles, (n, n_u), for ascending (n_u,) log u."""
        result = np.empty((len(self.below), len(log_u)))
        with np.errstate(divide="ignore"):
            log_below = np.log(self.below)
        for row, ordinate in enumerate(log_below):
            first = int(np.argmax(np.isfinite(ordinate)))
            result[row] = np.interp(log_u, ordinate[first:], self.edges[first:])
        return result


@dataclass(frozen=True)
class RecordedMoments:
    """Moments of recorded and of lost integers, each of shape (n,).

    Attributes
    ----------
    p_zero : NDArray[np.float64]
        Probability of being recorded as zero.
    mean_zero, square_zero : NDArray[np.float64]
        Mean and mean square of the integer that a pixel recorded as zero would have
        been, ADU and ADU².
    mean_recorded, square_recorded : NDArray[np.float64]
        Mean and mean square of the recorded, clipped integer, ADU and ADU².
    """

    p_zero: Array
    mean_zero: Array
    square_zero: Array
    mean_recorded: Array
    square_recorded: Array


def zero_law(model: CameraModel, rate: Array) -> ZeroLaw:
    """Return the distributions of the readings that were recorded as zero.

    Parameters
    ----------
    model : CameraModel
        The camera.
    rate : NDArray[np.float64]
        (n,) rates, e⁻.

    Returns
    -------
    ZeroLaw
        n rows, exact however rare a zero is. A row does not depend on the others.

    Raises
    ------
    ValueError
        For rates that are negative or no numbers.
    """
    rate = np.atleast_1d(np.asarray(rate, dtype=np.float64))
    if not (rate >= 0).all() or not np.isfinite(rate).all():
        raise ValueError(f"rates must be at least 0: {rate}")
    step = coarsest_step(model.read_noise, _STEPS_PER_SD)
    low = grid_to(model, model.threshold, step).low
    n_low = round((model.threshold - low) / step)
    tilt = _tilts(model, rate)
    tilted = tilted_model(model, rate, tilt)
    below = np.zeros((len(rate), n_low + 1))
    # a grid as long as each row needs, whatever the other rows
    size = np.array([grid_to(model, high, step).n_cells for high in tilted.highest])
    for n_cells in np.unique(size):
        rows = np.flatnonzero(size == n_cells)
        grid = grid_to(model, low + n_cells * step, step)
        for chunk in chunks(len(rows), n_cells):
            part = rows[chunk]
            p = tilted_masses(model, rate[part], tilt[part], grid)[:, :n_low]
            below[part, 1:] = np.cumsum(np.maximum(p, 0.0), axis=1)
    total = below[:, -1].copy()
    return ZeroLaw(
        edges=low + step * np.arange(n_low + 1),
        below=below / total[:, None],
        log_p=np.minimum(np.log(total) + tilted.log_factor, 0.0),
    )


def recorded_moments(model: CameraModel, rate: Array) -> RecordedMoments:
    """Return the moments of the recorded and of the lost integers.

    Parameters
    ----------
    model : CameraModel
        The camera.
    rate : NDArray[np.float64]
        (n,) rates, e⁻.

    Returns
    -------
    RecordedMoments
        n values each.

    Raises
    ------
    ValueError
        As `zero_law`.
    """
    rate = np.atleast_1d(np.asarray(rate, dtype=np.float64))
    law = zero_law(model, rate)
    mean_zero, square_zero, p_zero = law.mean, law.square, np.exp(law.log_p)
    mean = model.mean(rate) - (model.threshold - 0.5)
    square = model.variance(rate) + 1.0 / 12.0 + mean * mean
    return RecordedMoments(
        p_zero=p_zero,
        mean_zero=mean_zero,
        square_zero=square_zero,
        mean_recorded=mean - p_zero * mean_zero,
        square_recorded=square - p_zero * square_zero,
    )


def _tilts(model: CameraModel, rate: Array) -> Array:
    """Return the tilts that bring the means down to the threshold, ADU⁻¹, (n,).

    0 where the mean lies below. The mean is a falling, convex function of the tilt,
    so that Newton's method approaches its root from one side.
    """
    tilt = np.zeros_like(rate)
    # always as many, so that a row does not depend on the others
    for _ in range(_TILT_ITERATIONS):
        tilted = tilted_model(model, rate, tilt)
        excess = tilted.mean - model.threshold
        tilt = tilt + np.maximum(excess, 0.0) / tilted.variance
    return tilt
