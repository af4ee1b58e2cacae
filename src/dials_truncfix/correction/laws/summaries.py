"""What a fitted distribution says about a ring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.laws.distributions import distribution
from dials_truncfix.correction.laws.intervals import Intervals

Array = NDArray[np.float64]

_UNIT_STEPS = 32
_STEPS_PER_DOUBLING = 16
_DOUBLINGS = 10


def p_nonpositive(family: str, theta: Array, threshold: float) -> Array:
    """Return the probability of being recorded as zero, (n,)."""
    log_cdf = distribution(family).log_cdf(np.array([threshold]), theta)
    return np.asarray(np.exp(log_cdf[:, 0]))


def mean_nonpositive(family: str, theta: Array, threshold: float) -> Array:
    """Expect the true integer of a pixel that was recorded as zero.

    The sum of k P(k) over k <= 0, divided by P(k <= 0), is minus the sum of
    F(threshold - j) / F(threshold) over j = 1, 2, …: evaluated at every step near
    the threshold, then in the middle of groups of steps that grow with the depth.

    Parameters
    ----------
    family : str
        "lognormal", "emg" or "paper".
    theta : NDArray[np.float64]
        (n, 3) parameters.
    threshold : float
        1/2 for rounding, 1 for floor, ADU.

    Returns
    -------
    NDArray[np.float64]
        (n,) ADU; 0 where the family's support lies above the threshold.
    """
    depth, n_steps = _summation_nodes()
    x = np.concatenate(([threshold], threshold - depth))
    log_cdf = distribution(family).log_cdf(x, theta)
    possible = np.isfinite(log_cdf[:, :1])
    at_threshold = np.where(possible, log_cdf[:, :1], 0.0)
    below = np.where(possible, log_cdf[:, 1:], -np.inf)
    return np.asarray(-(np.exp(below - at_threshold) * n_steps).sum(axis=-1))


def rmsd(below: Array, intervals: Intervals) -> Array:
    """Compare observed with fitted counts per grey level.

    Parameters
    ----------
    below : NDArray[np.float64]
        (n, n_edges) fitted probability of less than each edge of the intervals.
    intervals : Intervals
        n rows.

    Returns
    -------
    NDArray[np.float64]
        (n,) root mean square over the intervals above the first one, pixels per
        grey level.
    """
    total = np.maximum(below[:, -1:], np.finfo(float).tiny)
    expected = np.diff(below, axis=-1) / total
    excess = (intervals.fractions[:, 1:] - expected) / intervals.width[:, None]
    n_intervals = (intervals.i_max - intervals.first) // intervals.width
    mean_square = (excess * excess).sum(axis=-1) / np.maximum(n_intervals, 1)
    return np.asarray(np.sqrt(mean_square) * intervals.n_fitted)


def reduced_chi_square(below: Array, intervals: Intervals, n_parameters: int) -> Array:
    """Compare observed with fitted counts in units of their chance.

    Parameters
    ----------
    below : NDArray[np.float64]
        (n, n_edges) fitted probability of less than each edge of the intervals.
    intervals : Intervals
        n rows.
    n_parameters : int
        That were fitted to each row.

    Returns
    -------
    NDArray[np.float64]
        (n,) Pearson's χ² per degree of freedom over the fitted range, the first
        interval included; NaN where there are no more intervals than parameters.
    """
    total = np.maximum(below[:, -1:], np.finfo(float).tiny)
    expected = np.diff(below, axis=-1, prepend=0.0) / total
    # a probability below that of one pixel in a thousand images is none
    used = expected * intervals.n_fitted[:, None] > 1e-3
    excess = np.where(used, intervals.fractions - expected, 0.0)
    terms = excess * excess / np.where(used, expected, 1.0)
    freedom = used.sum(axis=-1) - 1 - n_parameters
    chi_square = terms.sum(axis=-1) * intervals.n_fitted
    return np.where(freedom > 0, chi_square / np.maximum(freedom, 1), np.nan)


def _summation_nodes() -> tuple[Array, Array]:
    """Return depths below the threshold, ADU, and how many steps each stands for."""
    n_steps = np.concatenate(
        [np.ones(_UNIT_STEPS)]
        + [np.full(_STEPS_PER_DOUBLING, 2.0**k) for k in range(1, _DOUBLINGS + 1)]
    )
    return np.cumsum(n_steps) - 0.5 * (n_steps - 1.0), n_steps
