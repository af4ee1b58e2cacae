"""The Gaussian Markov random field that has given correlations of neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_GRID = 48
_MOST_STEPS = 40
_TOLERANCE = 1e-8
# Areas of 13 × 13 pixels do not vary more than 200 times as much as without
# correlation; the grid would not resolve it.
_SMALLEST_PRECISION = 0.005
# Where no such field has the correlations given, they are lowered by this factor.
_LOWER = 0.9


@dataclass(frozen=True)
class MarkovField:
    """
    How a score depends on those around it.

    Attributes
    ----------
    weights : ndarray, shape (n_lags,), float64
        Weights of the neighbours at the lags and at their opposites, of which the
        conditional mean is the weighted sum.
    sd : float
        Conditional standard deviation; 1 without correlation.
    """

    weights: Array
    sd: float


def markov_field(lags: NDArray[np.int64], correlation: Array) -> MarkovField:
    """
    Find the field of largest entropy with given correlations.

    It is Markov, with the given lags as its neighbourhood. Its precisions q minimise
    the convex function q·r - mean log Q(ω), with r the correlations and Q(ω) their
    cosine series.

    Parameters
    ----------
    lags : ndarray, shape (n_lags, 2)
        Neighbourhood, one of each pair of opposite lags.
    correlation : ndarray, shape (n_lags,)
        Correlations at the lags.

    Returns
    -------
    MarkovField
        Of correlations somewhat lower where no field has those given.

    References
    ----------
    Rue, H. & Held, L. (2005). Gaussian Markov random fields. Chapman & Hall, chapter 2,
    doi:10.1201/9780203492024.
    Dempster, A. P. (1972). Biometrics 28, 157-175, doi:10.2307/2528966.
    """
    frequency: Array = 2.0 * np.pi * np.arange(_GRID) / _GRID
    # the other half of the frequencies gives the same cosines
    half = frequency[: _GRID // 2 + 1]
    phase = half[:, None] * lags[:, 0, None, None] + frequency * lags[:, 1, None, None]
    series = np.concatenate(
        [np.ones((1, half.size * _GRID)), 2.0 * np.cos(phase).reshape(len(lags), -1)]
    )
    weights = np.full((half.size, _GRID), 2.0 / _GRID**2)
    weights[[0, -1]] = 1.0 / _GRID**2
    while True:
        moments = np.concatenate([[1.0], 2.0 * correlation])
        precision = _maximum_entropy(series, weights.ravel(), moments)
        if precision is not None:
            return MarkovField(-precision[1:] / precision[0], precision[0] ** -0.5)
        correlation = _LOWER * correlation


def _maximum_entropy(series: Array, weights: Array, moments: Array) -> Array | None:
    """
    Minimise by Newton's method with step halving.

    Parameters
    ----------
    series : ndarray, shape (n, n_frequencies)
        Cosines that Q(ω) is the sum of.
    weights : ndarray, shape (n_frequencies,)
        Weights of the frequencies in a mean over all.
    moments : ndarray, shape (n,)
        Correlations, those of the opposites added to them.

    Returns
    -------
    ndarray, shape (n,), or None
        Precisions; None where the minimum lies at infinity, or the precision nearly vanishes
        somewhere.
    """

    def objective(q: Array) -> float:
        spectrum = _sum(q, series)
        if spectrum.min() < _SMALLEST_PRECISION:
            return np.inf
        return float(q @ moments - weights @ np.log(spectrum))

    q = np.zeros(len(moments))
    q[0] = 1.0
    value = objective(q)
    for _ in range(_MOST_STEPS):
        ratio = series / _sum(q, series)
        weighted = ratio * weights
        gradient = moments - weighted.sum(axis=1)
        if np.abs(gradient).max() < _TOLERANCE:
            return q
        curvature = np.einsum("if,jf->ij", weighted, ratio)
        step = -_solve(curvature, gradient)
        length = 1.0
        while objective(q + length * step) > value + 1e-4 * length * (step @ gradient):
            length *= 0.5
            if length < 1e-3:
                return None
        q = q + length * step
        value = objective(q)
    return None


# Products and solutions by OpenBLAS would wake its threads, which then wait busily for
# longer than all of the rest takes.
def _sum(coefficients: Array, series: Array) -> Array:
    """Add the rows of a matrix up, with coefficients."""
    return np.asarray(np.einsum("i,if->f", coefficients, series))


def _solve(matrix: Array, right: Array) -> Array:
    """Solve a system of few equations whose matrix is positive definite."""
    rows = np.concatenate([matrix, right[:, None]], axis=1)
    n = len(rows)
    for pivot in range(n):
        factor = rows[pivot + 1 :, pivot] / rows[pivot, pivot]
        rows[pivot + 1 :] -= factor[:, None] * rows[pivot]
    solution = np.zeros(n)
    for row in range(n - 1, -1, -1):
        rest = (rows[row, row + 1 : n] * solution[row + 1 :]).sum()
        solution[row] = (rows[row, n] - rest) / rows[row, row]
    return solution
