"""Weights of the observations, and the spread of the weighted residuals."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray, Lattices
from dials_truncfix.postrefine.lattice.options import RefinementOptions
from dials_truncfix.postrefine.lattice.target import Calculated

#: The spread of limited residuals settles to some parts in a thousand.
_ITERATIONS = 6
#: Least spread, of the root mean square of weighted intensities: perfect fits divide by it.
_LEAST_SPREAD = 1e-9


def root_weights(
    lattices: Lattices, calculated: Calculated, weights: str
) -> FloatArray:
    """Inverse standard deviations of the residuals, as far as their variances say.

    Parameters
    ----------
    lattices : Lattices
        Observations.
    calculated : Calculated
        For the part of the variance that comes from the reference.
    weights : {'variance', 'unit'}
        unit: 1 for every observation used.

    Returns
    -------
    ndarray, shape (n,)
        0 for observations that are not used.
    """
    if weights == "unit":
        return lattices.used.astype(float)
    variance = lattices.variance + calculated.scale**2 * lattices.reference_variance
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(lattices.used, 1.0 / np.sqrt(variance), 0.0)


def mean_square_limited(huber: float) -> float:
    """Mean square of a standard normal deviate that is cut off at ±huber."""
    if math.isinf(huber):
        return 1.0
    density = math.exp(-0.5 * huber * huber) / math.sqrt(2 * math.pi)
    inside = 2.0 * ndtr(huber) - 1.0
    return float(inside - 2.0 * huber * density + huber * huber * (1.0 - inside))


def residual_spread(
    lattices: Lattices,
    calculated: Calculated,
    free: BoolArray,
    options: RefinementOptions,
) -> FloatArray:
    """Estimate the standard deviation of the weighted residuals of each lattice.

    Residuals beyond the limit of Huber's loss count as on the limit (his proposal 2).

    Parameters
    ----------
    lattices : Lattices
        Observations.
    calculated : Calculated
        At the parameters.
    free : ndarray, shape (n_lattices, 5), bool
        Parameters that were refined.
    options : RefinementOptions
        For weights and limit.

    Returns
    -------
    ndarray, shape (n_lattices,)
        1 if the variances are right.
    """
    weight = root_weights(lattices, calculated, options.weights)
    z = np.abs((calculated.intensity - lattices.intensity) * weight)
    freedom = np.maximum(lattices.n_used - free.sum(axis=1), 1)
    spread = np.sqrt(lattices.sums(z * z) / freedom)
    if not math.isinf(options.huber):
        expected = freedom * mean_square_limited(options.huber)
        for _ in range(_ITERATIONS):
            limited = np.minimum(z, (options.huber * spread)[lattices.row])
            spread = np.sqrt(lattices.sums(limited * limited) / expected)
    weighted = np.where(lattices.used, weight * lattices.intensity, 0.0)
    size = np.sqrt(lattices.sums(weighted * weighted) / np.maximum(lattices.n_used, 1))
    least = np.where(size > 0, _LEAST_SPREAD * size, 1.0)
    return np.asarray(np.maximum(spread, least))


def correlation(
    lattices: Lattices, kept: BoolArray, x: FloatArray, y: FloatArray
) -> FloatArray:
    """Pearson's coefficient over some observations of each lattice.

    Parameters
    ----------
    lattices : Lattices
        Observations.
    kept : ndarray, shape (n,), bool
        Those to correlate.
    x, y : ndarray, shape (n,)
        Two quantities of the observations.

    Returns
    -------
    ndarray, shape (n_lattices,)
        NaN without scatter.
    """
    n = np.maximum(lattices.sums(kept.astype(float)), 1.0)

    def from_mean(values: FloatArray) -> FloatArray:
        mean = (lattices.sums(np.where(kept, values, 0.0)) / n)[lattices.row]
        return np.where(kept, values - mean, 0.0)

    dx, dy = from_mean(x), from_mean(y)
    size = np.sqrt(lattices.sums(dx * dx) * lattices.sums(dy * dy))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(size > 0, lattices.sums(dx * dy) / size, math.nan)
