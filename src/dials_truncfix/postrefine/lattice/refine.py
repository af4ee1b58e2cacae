"""Postrefinement of lattices against reference intensities."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from dials_truncfix.postrefine.lattice.fits import LatticeFits, join_fits
from dials_truncfix.postrefine.lattice.lattices import (
    BoolArray,
    FloatArray,
    IntArray,
    Lattices,
)
from dials_truncfix.postrefine.lattice.minimise import GaussianPriors, minimise
from dials_truncfix.postrefine.lattice.options import RefinementOptions
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.residuals import (
    correlation,
    residual_spread,
    root_weights,
)
from dials_truncfix.postrefine.lattice.start import start_parameters
from dials_truncfix.postrefine.lattice.target import (
    LOG_RS,
    N_PARAMETERS,
    THETA_X,
    THETA_Y,
    B,
    calculate,
)
from dials_truncfix.postrefine.lattice.uncertainties import carried, covariances

#: Observations refined side by side: their arrays stay in the cache of a processor.
_BLOCK = 6000
#: Times that a round is refined, each with the spread of the residuals of the one before.
_SPREAD_ROUNDS = 3
#: Observations that each parameter needs at least.
_FEWEST_PER_PARAMETER = 3
#: Observations that deviate by more spreads do not enter the correlations.
_WILD = 6.0
#: Which parameters are given up first where there are too few observations.
_GIVEN_UP = (LOG_RS, B, THETA_X, THETA_Y)


@dataclass(frozen=True)
class _State:
    """Where the refinement of some lattices stands."""

    parameters: FloatArray
    free: BoolArray
    dropped: BoolArray
    spread: FloatArray
    converged: BoolArray
    n_iterations: IntArray

    def select(self, lattices: IntArray) -> _State:
        return _State(**{name: array[lattices] for name, array in vars(self).items()})

    def with_rows(self, lattices: IntArray, rows: _State) -> _State:
        arrays = {name: array.copy() for name, array in vars(self).items()}
        for name, array in vars(rows).items():
            arrays[name][lattices] = array
        return _State(**arrays)


@dataclass(frozen=True)
class _Task:
    """Lattices of one block and how to refine them."""

    lattices: Lattices
    model: Model
    options: RefinementOptions
    priors: GaussianPriors

    def select(self, lattices: IntArray) -> _Task:
        return replace(
            self,
            lattices=self.lattices.select(lattices),
            priors=self.priors.select(lattices),
        )


def refine_lattices(
    lattices: Lattices, model: Model, options: RefinementOptions
) -> LatticeFits:
    """Refine every lattice against its reference intensities.

    Parameters
    ----------
    lattices : Lattices
        Observations.
    model : Model
        Partiality.
    options : RefinementOptions
        How.

    Returns
    -------
    LatticeFits
        The fit of a lattice depends on nothing but its own observations.
    """
    parts = [_refine_block(part, model, options) for _, part in lattices.blocks(_BLOCK)]
    return join_fits(parts)


def _refine_block(
    lattices: Lattices, model: Model, options: RefinementOptions
) -> LatticeFits:
    start = start_parameters(lattices, model)
    centre = start.copy()
    if lattices.strains is not None:
        centre[:, N_PARAMETERS:] = lattices.strains.expected
    priors = GaussianPriors(centre, options.priors.precisions(lattices.n_strains))
    task = _Task(lattices, model, options, priors)
    n = len(lattices)
    nothing = np.zeros(start.shape, dtype=bool)
    state = _State(
        parameters=start,
        free=nothing,
        dropped=nothing,
        spread=residual_spread(
            lattices, calculate(lattices, start, model), nothing, options
        ),
        converged=np.zeros(n, dtype=bool),
        n_iterations=np.zeros(n, dtype=np.int64),
    )
    rounds = _rounds(options, lattices.n_strains)
    for wanted in rounds:
        free = _enough_observations(lattices, wanted)
        state = replace(state, free=free, dropped=wanted & ~free)
        if np.any(wanted[N_PARAMETERS:]):
            # from here on only the cells that the observations carry
            idle = _idle(task, state)
            idle[:, :N_PARAMETERS] = False
            state = _held(state, idle, task.priors)
        # what comes next starts here, and need not be known to the last digit
        state = _refine(task, state, _SPREAD_ROUNDS if wanted is rounds[-1] else 1)
    state = _without_idle_parameters(task, state)
    return _describe(task, state)


def _rounds(options: RefinementOptions, n_strains: int) -> list[BoolArray]:
    """Parameters of each round: cells with the last, in one more, if lattices are turned."""
    rounds = [
        np.concatenate([wanted, np.zeros(n_strains, dtype=bool)])
        for wanted in options.rounds()
    ]
    if n_strains and rounds[-1][THETA_X]:
        with_cell = rounds[-1].copy()
        with_cell[N_PARAMETERS:] = True
        rounds.append(with_cell)
    return rounds


def _enough_observations(lattices: Lattices, wanted: BoolArray) -> BoolArray:
    """Which of the parameters wanted there are enough observations for."""
    free = np.repeat(wanted[None], len(lattices), axis=0)
    strains = range(N_PARAMETERS, len(wanted))
    for parameter in (*strains, *_GIVEN_UP):
        short = lattices.n_used < _FEWEST_PER_PARAMETER * free.sum(axis=1)
        free[short, parameter] = False
    return free


def _refine(task: _Task, state: _State, n_rounds: int) -> _State:
    """Refine the free parameters with the spread that their residuals then have."""
    lattices, options = task.lattices, task.options
    # without priors and limits the minimum does not depend on the spread
    plain = not np.any(task.priors.precision) and math.isinf(options.huber)
    plain = plain and not np.any(lattices.reference_variance)
    calculated = calculate(lattices, state.parameters, task.model)
    for _ in range(1 if plain else n_rounds):
        weight = root_weights(lattices, calculated, options.weights)
        minimum = minimise(
            lattices,
            state.parameters,
            state.free,
            task.model,
            weight / state.spread[lattices.row],
            options.huber,
            task.priors,
            options.max_iterations,
        )
        calculated = calculate(lattices, minimum.parameters, task.model)
        state = replace(
            state,
            parameters=minimum.parameters,
            converged=minimum.converged,
            n_iterations=state.n_iterations + minimum.n_iterations,
            spread=residual_spread(lattices, calculated, state.free, options),
        )
    return state


def _idle(task: _Task, state: _State) -> BoolArray:
    """Which free parameters the observations do not carry."""
    calculated = calculate(task.lattices, state.parameters, task.model)
    return ~carried(
        task.lattices, calculated, state.spread, state.free, task.priors, task.options
    )


def _held(state: _State, idle: BoolArray, priors: GaussianPriors) -> _State:
    """Give up parameters: from now on they are what was known of them before."""
    return replace(
        state,
        parameters=np.where(idle, priors.centre, state.parameters),
        free=state.free & ~idle,
        dropped=state.dropped | idle,
    )


def _without_idle_parameters(task: _Task, state: _State) -> _State:
    """Refine again the lattices whose observations do not carry all parameters."""
    idle = _idle(task, state)
    again = np.flatnonzero(np.any(idle, axis=1))
    if len(again) == 0:
        return state
    part = task.select(again)
    before = _held(state.select(again), idle[again], part.priors)
    return state.with_rows(again, _refine(part, before, _SPREAD_ROUNDS))


def _describe(task: _Task, state: _State) -> LatticeFits:
    lattices, options = task.lattices, task.options
    calculated = calculate(lattices, state.parameters, task.model)
    weight = root_weights(lattices, calculated, options.weights)
    z = np.abs((calculated.intensity - lattices.intensity) * weight)
    # one wild observation would make any correlation vanish
    kept = lattices.used & (z <= _WILD * state.spread[lattices.row])
    return LatticeFits(
        parameters=state.parameters,
        covariance=covariances(
            lattices,
            calculated,
            state.spread,
            state.free,
            task.priors.precision,
            options,
        ),
        free=state.free,
        dropped=state.dropped,
        converged=state.converged,
        n_iterations=state.n_iterations,
        n_obs=lattices.n_used,
        spread=state.spread,
        cc_before=correlation(lattices, kept, lattices.intensity, lattices.reference),
        cc_after=correlation(lattices, kept, lattices.intensity, calculated.intensity),
        rs_start=np.exp(task.priors.centre[:, LOG_RS].copy()),
    )
