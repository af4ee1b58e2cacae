"""Start values of the fits, from the quantiles that a histogram shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dials_truncfix.correction.laws.distributions import Distribution
from dials_truncfix.correction.laws.intervals import Intervals

Array = NDArray[np.float64]


def quantile_starts(family: Distribution, intervals: Intervals) -> Array:
    """Return one start per shape of the family.

    For a given shape the edge of each interval is a straight line in the standard
    quantile of the fraction of pixels below it: a weighted regression gives
    location and scale.

    Parameters
    ----------
    family : Distribution
        Family to start.
    intervals : Intervals
        n rows.

    Returns
    -------
    NDArray[np.float64]
        (n_shapes, n, 3) parameters of the optimiser.
    """
    below = intervals.cumulative
    seen = (intervals.fractions > 0.0) & (below > 0.0) & (below < 1.0)
    weights = np.where(seen, intervals.fractions, 0.0)
    weights /= np.maximum(weights.sum(axis=-1, keepdims=True), 1e-300)
    scores = ndtri(np.where(seen, below, 0.5))
    edges = intervals.edges
    edge_mean = (weights * edges).sum(axis=-1)

    starts = np.empty((len(family.start_shapes), len(edges), 3))
    for start, shape in zip(starts, family.start_shapes):
        quantiles = family.standard_quantile(scores, shape)
        quantile_mean = (weights * quantiles).sum(axis=-1)
        deviation = quantiles - quantile_mean[:, None]
        covariance = (weights * deviation * edges).sum(axis=-1)
        spread = (weights * deviation * deviation).sum(axis=-1)
        scale = np.where(spread > 0.0, covariance / np.maximum(spread, 1e-300), 1.0)
        scale = np.maximum(scale, 1e-3)
        start[:, 0] = edge_mean - scale * quantile_mean
        start[:, 1] = np.log(scale)
        start[:, 2] = shape
    return starts
