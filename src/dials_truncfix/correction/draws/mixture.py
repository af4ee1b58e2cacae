"""Which rows of the quantile tables, with which weights, make the table of a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]

# Beyond the outermost knots tables go on linearly for at most this many distances
# between knots.
LARGEST_EXTRAPOLATION = 2.0


@dataclass(frozen=True)
class NodeMixture:
    """
    Interpolation of the rows of quantile tables at a number of nodes.

    Attributes
    ----------
    rows : ndarray, shape (n_nodes, m), intp
        Rows of the tables that contribute to each node.
    weights : ndarray, shape (n_nodes, m), float64
        Their weights, which add up to 1; below 0 or above 1 in extrapolation.
    """

    rows: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float64]


def linear_mixture(knots: FloatArray, at: FloatArray) -> NodeMixture:
    """
    Linear interpolation between knots, and extrapolation of bounded length.

    Parameters
    ----------
    knots : ndarray, shape (n_rows,)
        Ascending coordinates of the rows of the tables, at least one.
    at : ndarray, shape (n_nodes,)
        Coordinates of the nodes.

    Returns
    -------
    NodeMixture
        Of two rows for each node; of one where there is one knot only.
    """
    if len(knots) < 2:
        return NodeMixture(np.zeros((len(at), 1), dtype=np.intp), np.ones((len(at), 1)))
    low = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    upper = (at - knots[low]) / (knots[low + 1] - knots[low])
    upper = np.clip(upper, -LARGEST_EXTRAPOLATION, 1.0 + LARGEST_EXTRAPOLATION)
    return NodeMixture(
        np.stack([low, low + 1], axis=1).astype(np.intp),
        np.stack([1.0 - upper, upper], axis=1).astype(np.float64),
    )
