"""Likelihoods of interval counts: value, gradient and information per pixel.

Two forms. The exact one gives each interval the probability mass between its edges
and conditions on the fitted range, x <= I_max + 1/2. The paper's literal eq. 4 takes
the density at the grey level for the mass and does not condition.

References
----------
Hattne, Shi, de la Cruz, Reyes & Gonen (2016). J. Appl. Cryst. 49, 1029-1034, eq. 4.
doi:10.1107/S1600576716007196
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.laws import lognormal
from dials_truncfix.correction.laws.distributions import Distribution
from dials_truncfix.correction.laws.intervals import Intervals

Array = NDArray[np.float64]

# Where the model has nothing, an impossible interval must cost more than an
# impossible range gains.
_SMALLEST_MASS = 1e-290
_SMALLEST_TOTAL = 1e-200


@dataclass(frozen=True)
class LocalModel:
    """Quadratic model of the negative log-likelihood at one point, one row per ring.

    Attributes
    ----------
    nll : NDArray[np.float64]
        (n,) nat per pixel.
    gradient : NDArray[np.float64]
        (3, n) derivatives with respect to the optimiser's parameters.
    information : NDArray[np.float64]
        (6, n) expected information: elements 11, 12, 13, 22, 23, 33.
    """

    nll: Array
    gradient: Array
    information: Array

    def take(self, rows: NDArray[np.intp]) -> LocalModel:
        """Return the chosen rows."""
        return LocalModel(
            self.nll[rows], self.gradient[:, rows], self.information[:, rows]
        )

    def replace(self, rows: NDArray[np.bool_], other: LocalModel) -> LocalModel:
        """Return a copy with the chosen rows taken from another point."""
        return LocalModel(
            np.where(rows, other.nll, self.nll),
            np.where(rows, other.gradient, self.gradient),
            np.where(rows, other.information, self.information),
        )


Likelihood = Callable[[Array, Intervals], LocalModel]


def exact_nll(family: Distribution, working: Array, intervals: Intervals) -> Array:
    """Evaluate the exact conditional negative log-likelihood.

    Parameters
    ----------
    family : Distribution
        Family of the unclipped value.
    working : NDArray[np.float64]
        (..., n, 3) parameters of the optimiser.
    intervals : Intervals
        n rows.

    Returns
    -------
    NDArray[np.float64]
        (..., n) nat per pixel.
    """
    below = family.cdf(intervals.edges, family.theta_from_working(working))
    mass = np.maximum(np.diff(below, axis=-1, prepend=0.0), _SMALLEST_MASS)
    total = np.maximum(below[..., -1], _SMALLEST_TOTAL)
    cross_entropy = (intervals.fractions * np.log(mass)).sum(axis=-1)
    return np.asarray(np.log(total) - cross_entropy)


def exact_model(
    family: Distribution, working: Array, intervals: Intervals
) -> LocalModel:
    """Evaluate the exact likelihood with gradient and expected information.

    Parameters
    ----------
    family : Distribution
        Family of the unclipped value.
    working : NDArray[np.float64]
        (n, 3) parameters of the optimiser.
    intervals : Intervals
        n rows.

    Returns
    -------
    LocalModel
        n rows.
    """
    below, slope = family.cdf_and_gradient(
        intervals.edges, family.theta_from_working(working)
    )
    slope = family.working_gradient(slope, working)
    mass = np.maximum(np.diff(below, axis=-1, prepend=0.0), _SMALLEST_MASS)
    total = np.maximum(below[:, -1:], _SMALLEST_TOTAL)
    log_slope = np.diff(slope, axis=-1, prepend=0.0) / mass
    log_slope -= slope[..., -1:] / total
    nll = np.log(total[:, 0]) - (intervals.fractions * np.log(mass)).sum(axis=-1)
    gradient = -(intervals.fractions * log_slope).sum(axis=-1)
    return LocalModel(nll, gradient, _information(mass / total, log_slope))


def paper_nll(working: Array, intervals: Intervals) -> Array:
    """Evaluate eq. 4 of the paper, negative and per pixel, (n,) nat."""
    zero = lognormal.log_cdf(intervals.edges[:, :1], working)[..., 0]
    density = lognormal.pdf(_centres(intervals), working)
    log_density = np.log(np.maximum(density, _SMALLEST_MASS))
    positive = (intervals.fractions[:, 1:] * log_density).sum(axis=-1)
    return np.asarray(-positive - intervals.fractions[:, 0] * zero)


def paper_model(working: Array, intervals: Intervals) -> LocalModel:
    """Evaluate eq. 4 with gradient and observed outer product of the scores."""
    below, below_slope = lognormal.cdf_and_gradient(intervals.edges[:, :1], working)
    density, density_slope = lognormal.log_pdf_gradient(_centres(intervals), working)
    log_slope = np.empty((3, *intervals.edges.shape))
    log_slope[..., :1] = below_slope / np.maximum(below, _SMALLEST_MASS)
    log_slope[..., 1:] = density_slope
    gradient = -(intervals.fractions * log_slope).sum(axis=-1)
    return LocalModel(
        paper_nll(working, intervals),
        gradient,
        _information(intervals.fractions, log_slope),
    )


def _centres(intervals: Intervals) -> Array:
    """Return the centres of all intervals but the first: the grey level if width 1.

    Padding intervals have no counts, so that their centre does not matter.
    """
    return np.asarray(intervals.edges[:, 1:] - 0.5 * intervals.width[:, None])


def _information(weights: Array, log_slope: Array) -> Array:
    """Return the sums of products of scores, (6, n)."""
    weighted = weights * log_slope
    information = np.empty((6, log_slope.shape[1]))
    for element, (i, j) in enumerate(((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))):
        information[element] = (weighted[i] * log_slope[j]).sum(axis=-1)
    return information
