"""Damped Fisher scoring of many three-parameter problems at once.

The expected information leaves out how far the model is from the data; where that
matters plain scoring oscillates. The difference is learned from the gradients along
the way by symmetric rank-one updates, which makes the last steps Newton's.

Every operation acts on each row alone, so that a row's result does not depend on what
it is batched with.

References
----------
Dennis, Gay & Welsch (1981). ACM Trans. Math. Softw. 7, 348-368 (structured secant
updates). doi:10.1145/355958.355965
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.laws.likelihood import LocalModel
from dials_truncfix.correction.laws.symmetric3 import (
    bounded_newton_step,
    dot,
    is_positive,
    multiply,
    outer,
)

Array = NDArray[np.float64]

TOLERANCE = 1e-9
MAXIMUM_STEPS = 60

_FIRST_DAMPING = 1e-4
_SMALLEST_DAMPING = 1e-10
_LARGEST_DAMPING = 1e8
_SMALLEST_GAIN = 0.1
_GOOD_GAIN = 0.5
_LARGEST_LOG_SCALE_STEP = 1.0
_SMALLEST_ANGLE = 1e-8
# So large a part of the rows has to be done before the others are copied.
_WORTH_LEAVING = 0.2


@dataclass(frozen=True)
class Optimum:
    """End points of the optimisation, one row per problem.

    Attributes
    ----------
    working : NDArray[np.float64]
        (n, 3) parameters.
    nll : NDArray[np.float64]
        (n,) nat per pixel.
    converged : NDArray[np.bool_]
        (n,) no further decrease above `TOLERANCE` nat per pixel is predicted, or
        none was found at any step length.
    """

    working: Array
    nll: Array
    converged: NDArray[np.bool_]

    def set(
        self,
        rows: NDArray[np.intp],
        working: Array,
        nll: Array,
        converged: NDArray[np.bool_],
    ) -> None:
        """Set the chosen rows."""
        self.working[rows] = working
        self.nll[rows] = nll
        self.converged[rows] = converged


def minimise(
    model_of: Callable[[NDArray[np.intp]], Callable[[Array], LocalModel]],
    start: Array,
    shape_bounds: tuple[float, float],
) -> Optimum:
    """Minimise each row's negative log-likelihood.

    A step is taken only if it lowers the row's value by a tenth of what its model
    predicted; otherwise its damping grows tenfold. The third parameter is kept
    within its bounds, the other two then go to the minimum along the bound. Rows that
    are done leave the batch.

    Parameters
    ----------
    model_of : Callable
        (m,) of the rows -> their model: (m, 3) parameters -> LocalModel of m rows.
    start : NDArray[np.float64]
        (n, 3) start parameters (location, log scale, shape).
    shape_bounds : tuple of float
        Bounds of the shape.

    Returns
    -------
    Optimum
        n rows.
    """
    rows = np.arange(len(start))
    point = start.copy()
    model_at = model_of(rows)
    here = model_at(point)
    learned = np.zeros_like(here.information)
    damping = np.full(len(point), _FIRST_DAMPING)
    done = np.zeros(len(point), dtype=bool)
    end = Optimum(point.copy(), here.nll.copy(), done.copy())
    for _ in range(MAXIMUM_STEPS):
        curvature = _curvature(here.information, learned)
        step, predicted = bounded_newton_step(
            curvature,
            here.gradient,
            damping,
            shape_bounds[0] - point[:, 2],
            shape_bounds[1] - point[:, 2],
        )
        done |= (predicted < TOLERANCE) & (damping <= 10.0 * _FIRST_DAMPING)
        done |= damping > _LARGEST_DAMPING
        if np.count_nonzero(done) >= _WORTH_LEAVING * len(done):
            end.set(rows, point, here.nll, done)
            if done.all():
                return end
            left = np.flatnonzero(~done)
            rows, point = rows[left], point[left]
            damping, done = damping[left], done[left]
            here = here.take(left)
            learned, step = learned[:, left], step[:, left]
            predicted = predicted[left]
            model_at = model_of(rows)
        longest = np.maximum(np.abs(step[1]), _LARGEST_LOG_SCALE_STEP)
        step *= np.where(done, 0.0, _LARGEST_LOG_SCALE_STEP / longest)
        there = model_at(point + step.T)
        learned = _learn(learned, here, there, step)
        gain = (here.nll - there.nll) / np.maximum(predicted, 1e-300)
        accepted = ~done & (gain > _SMALLEST_GAIN)
        point = np.where(accepted[:, None], point + step.T, point)
        here = here.replace(accepted, there)
        lowered = np.maximum(damping * 0.1, _SMALLEST_DAMPING)
        damping = np.where(gain > _GOOD_GAIN, lowered, damping)
        damping = np.where(accepted, damping, damping * 10.0)
    end.set(rows, point, here.nll, done)
    return end


def _curvature(information: Array, learned: Array) -> Array:
    """Add what was learned where the sum is positive definite."""
    corrected = information + learned
    usable = is_positive(corrected, information)
    return np.where(usable, corrected, information)


def _learn(learned: Array, here: LocalModel, there: LocalModel, step: Array) -> Array:
    """Update the difference of curvature and information by one rank."""
    # far from the optimum of a flat row these products can overflow; such a row
    # learns nothing
    with np.errstate(over="ignore", invalid="ignore"):
        return _rank_one(learned, here, there, step)


def _rank_one(
    learned: Array, here: LocalModel, there: LocalModel, step: Array
) -> Array:
    change = there.gradient - here.gradient
    miss = change - multiply(there.information + learned, step)
    along = dot(miss, step)
    floor = _SMALLEST_ANGLE * np.sqrt(dot(miss, miss) * dot(step, step))
    useful = np.isfinite(there.nll) & (np.abs(along) > floor)
    update = outer(miss) / np.where(useful, along, 1.0)
    return np.where(useful, learned + update, learned)
