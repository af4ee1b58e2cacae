"""Damped Gauss-Newton minimisation of many lattices side by side.

Each lattice has its own damping and converges by itself; the loop runs over iterations
only. Nothing of a lattice depends on the lattices beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dials_truncfix.postrefine.lattice.geometry import FloatArray
from dials_truncfix.postrefine.lattice.lattices import BoolArray, IntArray, Lattices
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.target import N_PARAMETERS, calculate

_FIRST_DAMPING = 1e-3
_LEAST_DAMPING = 1e-9
_MOST_DAMPING = 1e9
#: Largest step of log G, B (Å²), θx, θy (rad) and log rs: beyond, the model is not linear.
_LARGEST_STEP = np.array([2.0, 20.0, 0.004, 0.004, 0.5])
#: And of strains.
_LARGEST_STRAIN = 0.004
#: Converged when a full step is this part of a standard deviation.
_TOLERANCE = 1e-5
#: Or this part where nothing lowers the target any more: at the edge of the sphere it has kinks.
_TOLERANCE_STUCK = 0.5
_RELATIVE_ROUNDING = 1e-14
#: Added to the unit diagonal, so that parameters that say the same do not stop the run.
_SINGULAR = 1e-12


@dataclass(frozen=True)
class GaussianPriors:
    """What is known of the parameters of lattices before their observations.

    Attributes
    ----------
    centre : ndarray, shape (n_lattices, n_parameters)
        Expected values.
    precision : ndarray, shape (n_parameters,)
        Inverse variances; 0 where nothing is known.
    """

    centre: FloatArray
    precision: FloatArray

    def select(self, lattices: IntArray) -> GaussianPriors:
        """Take those of some lattices."""
        return GaussianPriors(self.centre[lattices], self.precision)


@dataclass(frozen=True)
class NormalEquations:
    """Second-order description of the target of each lattice.

    Attributes
    ----------
    cost : ndarray, shape (n_lattices,)
        Half the sum of squares, as far as residuals are not cut down, priors included.
    gradient : ndarray, shape (n_lattices, n_parameters)
        Of the cost.
    matrix : ndarray, shape (n_lattices, n_parameters, n_parameters)
        Gauss-Newton approximation of its second derivatives.
    """

    cost: FloatArray
    gradient: FloatArray
    matrix: FloatArray

    def select(self, lattices: IntArray) -> NormalEquations:
        """Take those of some lattices."""
        return NormalEquations(
            self.cost[lattices], self.gradient[lattices], self.matrix[lattices]
        )


@dataclass(frozen=True)
class Minimum:
    """Where the targets of lattices are smallest.

    Attributes
    ----------
    parameters : ndarray, shape (n_lattices, n_parameters)
        log G, B, θx, θy, log rs, strains.
    converged : ndarray, shape (n_lattices,), bool
        Whether the last step was negligible.
    n_iterations : ndarray, shape (n_lattices,)
        Steps tried.
    """

    parameters: FloatArray
    converged: BoolArray
    n_iterations: IntArray


def weighted_sums(
    lattices: Lattices, jacobian: FloatArray, weights: FloatArray
) -> FloatArray:
    """Jᵀ W J of each lattice.

    Parameters
    ----------
    lattices : Lattices
        Observations.
    jacobian : ndarray, shape (n_parameters, n)
        Derivatives.
    weights : ndarray, shape (n,)
        Diagonal of W.

    Returns
    -------
    ndarray, shape (n_lattices, n_parameters, n_parameters)
    """
    n = len(jacobian)
    first, second = np.triu_indices(n)
    weighted = jacobian * weights
    products = jacobian[first]
    products *= weighted[second]
    upper = lattices.sums(products)
    result = np.empty((len(lattices), n, n))
    result[:, first, second] = upper.T
    result[:, second, first] = upper.T
    return result


def normal_equations(
    lattices: Lattices,
    parameters: FloatArray,
    model: Model,
    root_weight: FloatArray,
    huber: float,
    priors: GaussianPriors,
) -> NormalEquations:
    """Build the normal equations of each lattice.

    Parameters
    ----------
    lattices : Lattices
        Observations.
    parameters : ndarray, shape (n_lattices, n_parameters)
        Where.
    model : Model
        Partiality.
    root_weight : ndarray, shape (n,)
        Inverse standard deviations of the residuals; 0 for observations left out.
    huber : float
        Where the loss turns from quadratic to linear, standard deviations.
    priors : GaussianPriors
        On the parameters.

    Returns
    -------
    NormalEquations
    """
    calculated = calculate(lattices, parameters, model)
    z = (calculated.intensity - lattices.intensity) * root_weight
    size = np.abs(z)
    # quadratic up to the limit, then linear
    limited = np.minimum(size, huber)
    loss = limited * (size - 0.5 * limited)
    down = np.divide(limited, size, out=np.ones_like(z), where=size > 0)
    jacobian = calculated.jacobian
    jacobian *= root_weight
    away = parameters - priors.centre
    cost = lattices.sums(loss) + 0.5 * np.sum(away * away * priors.precision, axis=1)
    gradient = lattices.sums(jacobian * (down * z)).T + away * priors.precision
    matrix = weighted_sums(lattices, jacobian, down)
    matrix += np.diag(priors.precision)
    return NormalEquations(cost, gradient, matrix)


def free_part(matrix: FloatArray, free: BoolArray) -> FloatArray:
    """Give parameters that are held a row and column of the unit matrix.

    Parameters
    ----------
    matrix : ndarray, shape (n_lattices, n_parameters, n_parameters)
        Normal matrices.
    free : ndarray, shape (n_lattices, n_parameters), bool
        Parameters that move.

    Returns
    -------
    ndarray, shape (n_lattices, n_parameters, n_parameters)
        Also a free parameter on which nothing depends gets 1 on its diagonal, so that the
        matrix has an inverse.
    """
    both = free[:, :, None] & free[:, None, :]
    result = np.where(both, matrix, 0.0)
    diagonal = np.arange(free.shape[1])
    values = result[:, diagonal, diagonal]
    result[:, diagonal, diagonal] = np.where(values > 0, values, 1.0)
    return result


def _steps(
    equations: NormalEquations, free: BoolArray, damping: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Damped steps, cut to where the model is about linear, and squared Newton decrements.

    The decrement is the length of the full step in standard deviations: how far the minimum
    is, whatever the damping.
    """
    matrix = free_part(equations.matrix, free)
    diagonal = np.sqrt(np.einsum("ljj->lj", matrix))
    # unit diagonal: the parameters have very different scales
    scaled = matrix / (diagonal[:, :, None] * diagonal[:, None, :])
    gradient = np.where(free, equations.gradient, 0.0) / diagonal
    unit = np.eye(free.shape[1])
    systems = np.stack(
        [scaled + _SINGULAR * unit, scaled + damping[:, None, None] * unit]
    )
    full, damped = np.linalg.solve(systems, np.stack([gradient, gradient])[..., None])
    decrement = np.sum(full[:, :, 0] * gradient, axis=1)
    step = -damped[:, :, 0] / diagonal
    strains = np.full(free.shape[1] - N_PARAMETERS, _LARGEST_STRAIN)
    largest = np.concatenate([_LARGEST_STEP, strains])
    excess = np.max(np.abs(step) / largest, axis=1)
    return step / np.maximum(1.0, excess)[:, None], decrement


def _damping_factor(
    here: NormalEquations, there: NormalEquations, step: FloatArray, better: BoolArray
) -> FloatArray:
    """How damping changes: by how much of the fall that was expected came true."""
    slope = np.sum(here.gradient * step, axis=1)
    bend = np.sum(step * np.sum(here.matrix * step[:, None, :], axis=2), axis=1)
    expected = np.maximum(-slope - 0.5 * bend, 0.0)
    fall = here.cost - there.cost
    # near the minimum both are rounding errors
    rounding = _RELATIVE_ROUNDING * here.cost
    good = better & (fall + rounding >= 0.75 * expected)
    poor = better & (fall + rounding < 0.25 * expected)
    return np.select([good, poor, better], [0.1, 4.0, 1.0], 8.0)


def minimise(
    lattices: Lattices,
    start: FloatArray,
    free: BoolArray,
    model: Model,
    root_weight: FloatArray,
    huber: float,
    priors: GaussianPriors,
    max_iterations: int,
) -> Minimum:
    """Minimise the target of every lattice.

    Parameters
    ----------
    lattices : Lattices
        Observations.
    start : ndarray, shape (n_lattices, n_parameters)
        Start values.
    free : ndarray, shape (n_lattices, n_parameters), bool
        Parameters to refine.
    model, root_weight, huber, priors
        As for `normal_equations`.
    max_iterations : int
        Most steps of a lattice.

    Returns
    -------
    Minimum

    References
    ----------
    Marquardt, D. W. (1963). J. Soc. Ind. Appl. Math. 11, 431-441.
    https://doi.org/10.1137/0111030
    """
    n_lattices = len(lattices)
    parameters = start.copy()
    converged = np.zeros(n_lattices, dtype=bool)
    n_iterations = np.zeros(n_lattices, dtype=np.int64)
    damping = np.full(n_lattices, _FIRST_DAMPING)

    moving = np.arange(n_lattices)
    part, weight, prior = lattices, root_weight, priors
    here = normal_equations(part, start, model, weight, huber, prior)
    for _ in range(max_iterations):
        step, decrement = _steps(here, free[moving], damping[moving])
        stuck = damping[moving] > _MOST_DAMPING
        limit = np.where(stuck, _TOLERANCE_STUCK, _TOLERANCE) ** 2
        converged[moving] = decrement <= limit
        going = np.flatnonzero(~converged[moving] & ~stuck)
        if len(going) == 0:
            break
        if len(going) < len(moving):
            moving, here, step = moving[going], here.select(going), step[going]
            part = part.select(going)
            weight = root_weight[np.isin(lattices.row, moving)]
            prior = priors.select(moving)
        trial = parameters[moving] + step
        there = normal_equations(part, trial, model, weight, huber, prior)
        better = there.cost <= here.cost * (1 + _RELATIVE_ROUNDING)
        damping[moving] *= _damping_factor(here, there, step, better)
        damping = np.maximum(damping, _LEAST_DAMPING)
        parameters[moving[better]] = trial[better]
        n_iterations[moving] += 1
        choose = better[:, None]
        here = NormalEquations(
            np.where(better, there.cost, here.cost),
            np.where(choose, there.gradient, here.gradient),
            np.where(choose[:, :, None], there.matrix, here.matrix),
        )
    return Minimum(parameters, converged, n_iterations)
