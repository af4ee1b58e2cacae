"""Damped Fisher scoring of the camera's parameters and the signal of every row.

Each row's signal is coupled to the camera only. Eliminating the signals leaves five
equations, however many the rows.

References
----------
Osborne, M. R. (1992). Int. Stat. Rev. 60, 99-117 (Fisher's method of scoring).
doi:10.2307/1403504
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.joint_camera.camera_likelihood import (
    LARGEST_SKEWNESS,
    N_SHARED,
    CameraLocalModel,
    CameraRows,
    camera_likelihood,
)

Array = NDArray[np.float64]

#: Bounds of log g, s, log σ, d and its drift over half the sweep. With less read noise
#: than this nothing tells a truncated camera from a counting one.
LOWER = np.array([np.log(0.05), 0.0, np.log(1.0), -100.0, -30.0])
UPPER = np.array([np.log(1000.0), LARGEST_SKEWNESS, np.log(200.0), 100.0, 30.0])

_LARGEST_STEP = np.array([0.7, 0.3, 0.7, 3.0, 3.0])
# Decrease of the whole negative log-likelihood, nat.
_TOLERANCE = 0.01
_MAXIMUM_STEPS = 25
_FIRST_DAMPING = 1e-3
_SMALLEST_DAMPING = 1e-8
_LARGEST_DAMPING = 1e8
_SMALLEST_GAIN = 0.1


@dataclass(frozen=True)
class CameraOptimum:
    """End point of the optimisation.

    Attributes
    ----------
    shared : NDArray[np.float64]
        (5,) working parameters of the camera.
    signal : NDArray[np.float64]
        (n,) mean signal of the rows, ADU.
    model : CameraLocalModel
        Likelihood there.
    converged : bool
        No decrease above 0.01 nat is predicted, or none was found at any step length.
    """

    shared: Array
    signal: Array
    model: CameraLocalModel
    converged: bool

    @property
    def nll(self) -> float:
        """Negative log-likelihood, nat."""
        return float(self.model.nll.sum())

    @property
    def profile_information(self) -> Array:
        """Information on the camera with the signals unknown, (5, 5)."""
        return _profile(self.model, self._bound)[0]

    @property
    def profile_scores(self) -> Array:
        """What each row contributes to the gradient, with its signal unknown, (5, n)."""
        return _profile(self.model, self._bound)[1]

    @property
    def _bound(self) -> NDArray[np.bool_]:
        gradient = self.model.gradient[N_SHARED]
        return np.asarray((self.signal <= 0.0) & (gradient > 0.0))


def minimise_camera(
    rows: CameraRows, shared: Array, signal: Array, free: NDArray[np.bool_]
) -> CameraOptimum:
    """Minimise the negative log-likelihood of all rows together.

    Parameters
    ----------
    rows : CameraRows
        n rows.
    shared : NDArray[np.float64]
        (5,) working parameters to start from.
    signal : NDArray[np.float64]
        (n,) signals to start from, not negative, ADU.
    free : NDArray[np.bool_]
        (5,) working parameters that may change.

    Returns
    -------
    CameraOptimum
        Within the bounds, and nowhere above the start.
    """
    here = CameraOptimum(
        np.clip(shared, LOWER, UPPER),
        np.maximum(signal, 0.0),
        camera_likelihood(np.clip(shared, LOWER, UPPER), np.maximum(signal, 0), rows),
        False,
    )
    damping = _FIRST_DAMPING
    for _ in range(_MAXIMUM_STEPS):
        step, signal_step = _step(here, free, damping)
        predicted = _predicted(here.model, step, signal_step)
        if predicted < _TOLERANCE and damping <= 10.0 * _FIRST_DAMPING:
            break
        there = CameraOptimum(
            here.shared + step,
            here.signal + signal_step,
            camera_likelihood(here.shared + step, here.signal + signal_step, rows),
            False,
        )
        if here.nll - there.nll > _SMALLEST_GAIN * max(predicted, 0.0):
            here = there
            damping = max(0.1 * damping, _SMALLEST_DAMPING)
        else:
            damping *= 10.0
            if damping > _LARGEST_DAMPING:
                break
    else:
        return here
    return CameraOptimum(here.shared, here.signal, here.model, True)


def _step(
    here: CameraOptimum, free: NDArray[np.bool_], damping: float
) -> tuple[Array, Array]:
    """Return steps of the camera and of the signals that stay within the bounds."""
    matrix, scores = _profile(here.model, here._bound, damping)
    downhill = -scores.sum(axis=1)
    outwards = (here.shared <= LOWER) & (downhill < 0.0)
    outwards |= (here.shared >= UPPER) & (downhill > 0.0)
    active = np.flatnonzero(free & ~outwards)
    step = np.zeros(N_SHARED)
    if active.size:
        square = matrix[np.ix_(active, active)]
        square = square + damping * np.diag(np.diag(square) + 1e-9)
        step[active] = np.linalg.lstsq(square, downhill[active], rcond=1e-14)[0]
    step /= max(float(np.max(np.abs(step) / _LARGEST_STEP)), 1.0)
    step = np.clip(here.shared + step, LOWER, UPPER) - here.shared

    own = here.model.information[N_SHARED, N_SHARED] * (1.0 + damping)
    across = here.model.information[:N_SHARED, N_SHARED]
    target = -here.model.gradient[N_SHARED] - step @ across
    signal_step = np.where(own > 0.0, target / np.maximum(own, 1e-300), 0.0)
    longest = 0.5 * (here.signal + np.exp(here.shared[2]))
    signal_step = np.clip(signal_step, -longest, longest)
    return step, np.maximum(here.signal + signal_step, 0.0) - here.signal


def _profile(
    model: CameraLocalModel, bound: NDArray[np.bool_], damping: float = 0.0
) -> tuple[Array, Array]:
    """Eliminate the signals: information and scores of the camera's parameters."""
    own = model.information[N_SHARED, N_SHARED] * (1.0 + damping)
    inverse = np.where(bound | (own <= 0.0), 0.0, 1.0 / np.maximum(own, 1e-300))
    across = model.information[:N_SHARED, N_SHARED]
    matrix = model.information[:N_SHARED, :N_SHARED].sum(axis=-1)
    matrix = matrix - (across * inverse) @ across.T
    scores = model.gradient[:N_SHARED] - across * inverse * model.gradient[N_SHARED]
    return matrix, scores


def _predicted(model: CameraLocalModel, step: Array, signal_step: Array) -> float:
    """Return the decrease that the quadratic model predicts, nat."""
    n = len(signal_step)
    steps = np.concatenate([np.repeat(step[:, None], n, axis=1), signal_step[None]])
    linear = (model.gradient * steps).sum()
    square = np.einsum("ar,abr,br->", steps, model.information, steps, optimize=True)
    return float(-linear - 0.5 * square)
