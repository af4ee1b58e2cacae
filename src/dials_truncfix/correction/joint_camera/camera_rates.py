"""Rate of each ring under a known camera, by looking its histogram up in a table.

The table holds the law of the camera, and its derivative, at rates spaced by a
fraction of a pixel's own scatter. Between them the likelihood is a cubic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.joint_camera.camera_law import (
    coarsest_step,
    grid_to,
    highest_reading,
    masses_and_rate_slopes,
)
from dials_truncfix.correction.joint_camera.camera_model import CameraModel
from dials_truncfix.correction.laws.intervals import Intervals

Array = NDArray[np.float64]

# Distance of the nodes, in standard deviations of a pixel, up to so many of them from
# the dark level, and beyond, where the likelihood of every histogram is a parabola.
_FINE_STEP, _COARSE_STEP = 0.0625, 0.5
_FINE_UP_TO = 8.0
# The transform knows no smaller ones; an impossible interval must cost more than an
# impossible range gains.
_SMALLEST_MASS = 1e-14
_SMALLEST_TOTAL = 1e-6
# Rows of one transform, of similar rates: some megabytes.
_ROWS = 32


@dataclass(frozen=True)
class RateTable:
    """Law of the recorded values of a camera at a series of rates.

    Attributes
    ----------
    rate : NDArray[np.float64]
        (n_nodes,) ascending from 0, e⁻.
    below : NDArray[np.float64]
        (n_nodes, n_values) probability of at most each recorded value.
    slope : NDArray[np.float64]
        (n_nodes, n_values) its derivative by the rate, per e⁻.
    """

    rate: Array
    below: Array
    slope: Array


@dataclass(frozen=True)
class RateFit:
    """Rates of n rings.

    Attributes
    ----------
    rate : NDArray[np.float64]
        (n,) e⁻.
    nll : NDArray[np.float64]
        (n,) negative log-likelihood, nat per pixel of the fitted range.
    below : NDArray[np.float64]
        (n, n_edges) fitted probability of less than each edge of the intervals.
    converged : NDArray[np.bool_]
        (n,) False where the table ends before the likelihood has its maximum.
    """

    rate: Array
    nll: Array
    below: Array
    converged: NDArray[np.bool_]


@lru_cache(maxsize=2)
def rate_table(model: CameraModel, n_values: int) -> RateTable:
    """Tabulate the law of a camera; the last tables are kept.

    Parameters
    ----------
    model : CameraModel
        The camera.
    n_values : int
        Recorded values 0 … n_values - 1; rates go as far as the mean does.

    Returns
    -------
    RateTable
    """
    rate = _nodes(model, float(n_values))
    below = np.empty((len(rate), n_values))
    slope = np.empty_like(below)
    per_value = round(1.0 / coarsest_step(model.read_noise))
    for part in (slice(i, i + _ROWS) for i in range(0, len(rate), _ROWS)):
        high = highest_reading(model, rate[part][-1:])[0]
        grid = grid_to(model, max(float(high), n_values + 1.0))
        first = int(grid.index(np.array(model.threshold))) - 1
        taken = first + per_value * np.arange(n_values)
        cells, by_rate = masses_and_rate_slopes(model, rate[part], grid)
        below[part] = np.cumsum(cells, axis=1)[:, taken]
        slope[part] = np.cumsum(by_rate, axis=1)[:, taken]
    return RateTable(rate, below, slope)


def fit_rates(model: CameraModel, intervals: Intervals, n_values: int) -> RateFit:
    """Find the rate of each ring under a known camera.

    Parameters
    ----------
    model : CameraModel
        The camera.
    intervals : Intervals
        n rings that can be fitted.
    n_values : int
        Bins of the histograms that the intervals were made of.

    Returns
    -------
    RateFit
        n rings. A ring's values depend on nothing but the ring and the camera.
    """
    table = rate_table(model, n_values)
    n, n_edges = intervals.edges.shape
    rate, nll, below = np.empty(n), np.empty(n), np.empty((n, n_edges))
    converged = np.empty(n, dtype=bool)
    for row in range(n):
        values = np.rint(intervals.edges[row] - model.threshold).astype(np.intp)
        fitted = _fit_row(table, values, intervals.fractions[row])
        rate[row], nll[row], below[row], converged[row] = fitted
    return RateFit(rate, nll, below, converged)


def _fit_row(
    table: RateTable, values: NDArray[np.intp], fractions: Array
) -> tuple[float, float, Array, bool]:
    """Return rate, likelihood, probabilities below the edges, and convergence."""
    nll = _nll(table.below[:, values], fractions)
    node = int(np.argmin(nll))
    last = len(table.rate) - 1
    slope = _slope(table.below[node, values], table.slope[node, values], fractions)
    low = node - 1 if slope > 0.0 else node
    if low < 0 or low == last:
        return table.rate[node], nll[node], table.below[node, values], low < 0
    pair = slice(low, low + 2)
    first, second = table.rate[pair]
    below, slopes = table.below[pair, values], table.slope[pair, values]
    ends = [_slope(below[i], slopes[i], fractions) for i in (0, 1)]
    width = second - first
    place = _cubic_minimum(nll[pair], np.array(ends) * width)
    return (
        first + place * width,
        float(_cubic(nll[pair], np.array(ends) * width, place)),
        _cubic(below, slopes * width, place),
        True,
    )


def _nodes(model: CameraModel, highest_mean: float) -> Array:
    """Return rates equally spaced in units of the scatter of a pixel."""
    gain, noise = model.effective_gain, model.read_noise
    signal = max(highest_mean - model.dark, noise)
    # u with du = d(signal) / sd(signal)
    top = 2.0 / gain * (np.sqrt(noise**2 + gain * signal) - noise)
    fine = np.arange(0.0, min(top, _FINE_UP_TO) + _FINE_STEP, _FINE_STEP)
    coarse = np.arange(fine[-1] + _COARSE_STEP, top + _COARSE_STEP, _COARSE_STEP)
    u = np.concatenate([fine, coarse])
    return np.asarray(((0.5 * gain * u + noise) ** 2 - noise**2) / gain / model.gain)


def _nll(below: Array, fractions: Array) -> Array:
    """Return the negative log-likelihoods, given the range, of rows of a table."""
    mass = np.maximum(np.diff(below, axis=-1, prepend=0.0), _SMALLEST_MASS)
    total = np.maximum(below[..., -1], _SMALLEST_TOTAL)
    return np.asarray(np.log(total) - (fractions * np.log(mass)).sum(axis=-1))


def _slope(below: Array, slope: Array, fractions: Array) -> float:
    """Return the derivative of the negative log-likelihood by the rate."""
    mass = np.maximum(np.diff(below, prepend=0.0), _SMALLEST_MASS)
    total = max(float(below[-1]), _SMALLEST_TOTAL)
    scores = np.diff(slope, prepend=0.0) / mass
    return float(slope[-1] / total - (fractions * scores).sum())


def _cubic(ends: Array, slopes: Array, place: float) -> Array:
    """Interpolate between two values of given slopes, 0 <= place <= 1."""
    a, b = ends[0], ends[1]
    left, right = slopes[0], slopes[1]
    rest = 1.0 - place
    return np.asarray(
        (1.0 + 2.0 * place) * rest * rest * a
        + place * place * (3.0 - 2.0 * place) * b
        + place * rest * (rest * left - place * right)
    )


def _cubic_minimum(ends: Array, slopes: Array) -> float:
    """Return where a cubic of slopes below and above zero has its minimum."""
    left, right = float(slopes[0]), float(slopes[1])
    if not left < 0.0 < right:
        return 0.0 if ends[0] <= ends[1] else 1.0
    step = float(ends[1] - ends[0])
    # slope a x² + 2 b x + left, with the root where it rises
    a = 3.0 * (left + right - 2.0 * step)
    b = 3.0 * step - 2.0 * left - right
    root = np.sqrt(max(b * b - a * left, 0.0))
    place = -left / (b + root) if b + root > 0.0 else 0.5
    return float(np.clip(place, 0.0, 1.0))
