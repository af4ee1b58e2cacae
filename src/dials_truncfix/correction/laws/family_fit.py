"""Fit of one family to the intervals of many rings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.laws.distributions import Distribution, distribution
from dials_truncfix.correction.laws.intervals import Intervals
from dials_truncfix.correction.laws.likelihood import (
    LocalModel,
    exact_model,
    exact_nll,
    paper_model,
    paper_nll,
)
from dials_truncfix.correction.laws.scoring import Optimum, minimise
from dials_truncfix.correction.laws.start import quantile_starts

Array = NDArray[np.float64]

_PAPER_SHAPE_BOUNDS = (1e-3, 2.0)
_WORTH_A_RESTART = 1e-8


@dataclass(frozen=True)
class FamilyFit:
    """One family fitted to n rings.

    Attributes
    ----------
    family : str
        "lognormal", "emg" or "paper".
    theta : NDArray[np.float64]
        (n, 3) parameters.
    nll : NDArray[np.float64]
        (n,) nat per pixel of the fitted range.
    converged : NDArray[np.bool_]
        (n,) the optimiser met its tolerance.
    """

    family: str
    theta: Array
    nll: Array
    converged: NDArray[np.bool_]


@dataclass(frozen=True)
class _Objective:
    """A likelihood bound to its family."""

    family: Distribution
    shape_bounds: tuple[float, float]
    nll: Callable[[Array, Intervals], Array]
    model: Callable[[Array, Intervals], LocalModel]


def fit_family(name: str, intervals: Intervals, image: NDArray[np.intp]) -> FamilyFit:
    """Fit one family to every ring.

    Each ring starts from the best of its quantile starts. Where the solution of the
    next ring inwards or outwards in the same image describes a ring better than its
    own, the fit is repeated from there.

    Parameters
    ----------
    name : str
        "lognormal", "emg" or "paper".
    intervals : Intervals
        n rings that can be fitted, ordered by image and from the centre outwards.
    image : NDArray[np.intp]
        (n,) image each ring belongs to.

    Returns
    -------
    FamilyFit
        n rings.
    """
    objective = _objective(name)
    best = _best(quantile_starts(objective.family, intervals), objective, intervals)
    optimum = _minimise(best, objective, intervals)
    optimum = _from_neighbours(optimum, objective, intervals, image)
    theta = objective.family.theta_from_working(optimum.working)
    return FamilyFit(name, theta, optimum.nll, optimum.converged)


def _objective(name: str) -> _Objective:
    family = distribution(name)
    if name == "paper":
        return _Objective(family, _PAPER_SHAPE_BOUNDS, paper_nll, paper_model)
    return _Objective(
        family,
        family.shape_bounds,
        partial(exact_nll, family),
        partial(exact_model, family),
    )


def _best(starts: Array, objective: _Objective, intervals: Intervals) -> Array:
    """Return each ring's start of lowest negative log-likelihood, (n, 3)."""
    starts = starts.copy()
    starts[..., 2] = np.clip(starts[..., 2], *objective.shape_bounds)
    nll = objective.nll(starts, intervals)
    return np.asarray(starts[np.argmin(nll, axis=0), np.arange(starts.shape[1])])


def _minimise(start: Array, objective: _Objective, intervals: Intervals) -> Optimum:
    def model_of(rows: NDArray[np.intp]) -> Callable[[Array], LocalModel]:
        chosen = intervals.take(rows)
        return lambda point: objective.model(point, chosen)

    return minimise(model_of, start, objective.shape_bounds)


def _from_neighbours(
    optimum: Optimum,
    objective: _Objective,
    intervals: Intervals,
    image: NDArray[np.intp],
) -> Optimum:
    n_rings = len(image)
    own = np.arange(n_rings)
    inner = np.maximum(own - 1, 0)
    outer = np.minimum(own + 1, n_rings - 1)
    neighbours = np.stack(
        [np.where(image[other] == image, other, own) for other in (inner, outer)]
    )
    nll = objective.nll(optimum.working[neighbours], intervals)
    nearer = np.argmin(nll, axis=0)
    rows = np.flatnonzero(nll[nearer, own] < optimum.nll - _WORTH_A_RESTART)
    if rows.size == 0:
        return optimum
    start = optimum.working[neighbours[nearer[rows], rows]]
    again = _minimise(start, objective, intervals.take(rows))
    working, nll_kept, converged = (
        optimum.working.copy(),
        optimum.nll.copy(),
        optimum.converged.copy(),
    )
    working[rows], nll_kept[rows] = again.working, again.nll
    converged[rows] = again.converged
    return Optimum(working, nll_kept, converged)
