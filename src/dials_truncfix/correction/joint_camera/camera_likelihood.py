"""Likelihood of interval counts under one camera, with gradient and information.

The camera's parameters are those in which the problem is nearly quadratic: the slope
of the variance on the mean, g = G(1 + c); a skewness s = c / (1 + c), by which the
third cumulant has the slope g²(1 + s); the read noise; the dark level. Each row of
counts has its mean signal, Gλ. In them the limit of ever more and smaller pulses,
s → 1, is as regular as that of equal ones, s = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.joint_camera.camera_law import (
    LawSlopes,
    grid_to,
    highest_reading,
    masses_and_slopes,
)
from dials_truncfix.correction.joint_camera.camera_model import (
    LARGEST_PULSE_VARIANCE,
    CameraModel,
)
from dials_truncfix.correction.laws.intervals import Intervals

Array = NDArray[np.float64]

#: Working parameters: log g, s, log σ, d, drift of d.
N_SHARED = 5
LARGEST_SKEWNESS = LARGEST_PULSE_VARIANCE / (1.0 + LARGEST_PULSE_VARIANCE)

# The transform knows no smaller ones; an impossible interval must cost more than an
# impossible range gains.
_SMALLEST_MASS = 1e-14
_SMALLEST_TOTAL = 1e-6
# Rows of one transform, of similar signal: some megabytes.
_ROWS = 128


@dataclass(frozen=True)
class CameraRows:
    """Counts of regions of some images.

    Attributes
    ----------
    intervals : Intervals
        n rows that can be fitted.
    recorded_mean : NDArray[np.float64]
        (n,) mean of the recorded values, ADU.
    place : NDArray[np.float64]
        (n,) place of each row's image in the sweep, for the drift.
    rounding : str
        How the camera made integers.
    """

    intervals: Intervals
    recorded_mean: NDArray[np.float64]
    place: NDArray[np.float64]
    rounding: str

    def take(self, rows: NDArray[np.intp]) -> CameraRows:
        """Return the chosen rows."""
        return CameraRows(
            self.intervals.take(rows),
            self.recorded_mean[rows],
            self.place[rows],
            self.rounding,
        )


@dataclass(frozen=True)
class CameraLocalModel:
    """Quadratic model of the negative log-likelihood, in nat, at one point.

    Attributes
    ----------
    nll : NDArray[np.float64]
        (n,) of each row.
    gradient : NDArray[np.float64]
        (6, n) derivatives with respect to the shared parameters and to the row's
        mean signal.
    information : NDArray[np.float64]
        (6, 6, n) expected information.
    """

    nll: Array
    gradient: Array
    information: Array


def model_from_working(shared: Array, rounding: str) -> CameraModel:
    """Return the camera, without its drift, of working parameters."""
    gain, s = np.exp(shared[0]), float(shared[1])
    return CameraModel(
        gain=float(gain * (1.0 - s)),
        pulse_variance=min(s / (1.0 - s), LARGEST_PULSE_VARIANCE),
        read_noise=float(np.exp(shared[2])),
        dark=float(shared[3]),
        rounding=rounding,
    )


def working_from_model(model: CameraModel, drift: float = 0.0) -> Array:
    """Return the working parameters of a camera."""
    c = model.pulse_variance
    return np.array(
        [
            np.log(model.effective_gain),
            c / (1.0 + c),
            np.log(model.read_noise),
            model.dark,
            drift,
        ]
    )


def camera_likelihood(
    shared: Array, signal: Array, rows: CameraRows
) -> CameraLocalModel:
    """Evaluate the exact likelihood, given the fitted ranges, of all rows.

    Parameters
    ----------
    shared : NDArray[np.float64]
        (5,) working parameters of the camera.
    signal : NDArray[np.float64]
        (n,) mean signal of each row, ADU.
    rows : CameraRows
        n rows.

    Returns
    -------
    CameraLocalModel
    """
    n = len(signal)
    nll, gradient = np.empty(n), np.empty((N_SHARED + 1, n))
    information = np.empty((N_SHARED + 1, N_SHARED + 1, n))
    order = np.argsort(signal, kind="stable")
    for start in range(0, n, _ROWS):
        part = order[start : start + _ROWS]
        nll[part], gradient[:, part], information[..., part] = _part(
            shared,
            signal[part],
            rows.place[part],
            rows.intervals.take(part),
            rows.rounding,
        )
    return CameraLocalModel(nll, gradient, information)


def _part(
    shared: Array,
    signal: Array,
    place: Array,
    intervals: Intervals,
    rounding: str,
) -> tuple[Array, Array, Array]:
    model = model_from_working(shared, rounding)
    drift = float(shared[4])
    shift = drift * place if drift != 0.0 else None
    high = float(highest_reading(model, signal.max() / model.gain))
    high += abs(drift) * float(np.abs(place).max())
    grid = grid_to(model, max(high, float(intervals.edges.max()) + 1.0))
    below = grid.index(intervals.edges) - 1
    cells, by = masses_and_slopes(model, signal / model.gain, grid, shift)

    def between(values: Array) -> Array:
        cumulative = np.cumsum(values, axis=-1)
        return np.diff(
            np.take_along_axis(cumulative, below, axis=1), axis=-1, prepend=0.0
        )

    mass = np.maximum(between(cells), _SMALLEST_MASS)
    total = np.maximum(mass.sum(axis=-1), _SMALLEST_TOTAL)
    slopes = np.stack(
        [between(values) for values in _working_slopes(shared, signal, by)]
    )
    real = np.diff(intervals.edges, axis=-1, prepend=-np.inf) > 0.0
    score = slopes / mass - (slopes.sum(axis=-1) / total)[..., None]
    score = np.where(real, score, 0.0)
    score = np.insert(score, 4, score[3] * place[:, None], axis=0)
    counts = intervals.fractions * intervals.n_fitted[:, None]
    nll = intervals.n_fitted * np.log(total) - (counts * np.log(mass)).sum(axis=-1)
    weight = intervals.n_fitted[:, None] * np.where(real, mass / total[:, None], 0.0)
    information = np.einsum("re,are,bre->abr", weight, score, score, optimize=True)
    return nll, -(counts * score).sum(axis=-1), information


def _working_slopes(
    shared: Array, signal: Array, by: LawSlopes
) -> tuple[Array, Array, Array, Array, Array]:
    """Return derivatives by log g, s, log σ, d and the mean signal."""
    gain = float(np.exp(shared[0]) * (1.0 - shared[1]))
    few = 1.0 - float(shared[1])
    # where the mean signal stays, a larger gain means fewer electrons
    by_gain = by.log_gain - (signal / gain)[:, None] * by.rate
    return (
        by_gain,
        by.pulse_variance / few**2 - by_gain / few,
        by.log_read_noise,
        by.dark,
        by.rate / gain,
    )
