"""Quantile tables of the values that were recorded as zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class QuantileTables:
    """Quantiles of the unrounded value x given that it was recorded as zero.

    Attributes
    ----------
    radius : NDArray[np.float64]
        (n_rows,) centroid of each row's ring in the caller's radial coordinate,
        ascending. Rings without a fit have no row.
    coarse : NDArray[np.float32]
        (n_rows, n) x at u = (j + 1/2) / n, ADU; ascending along u.
    tail : NDArray[np.float32]
        (n_rows, n) the first cell of `coarse` magnified: x at u = (j + 1/2) / n².
    threshold : float
        Values stay below this one: 1/2 for rounding, 1 for floor, ADU.
    """

    radius: NDArray[np.float64]
    coarse: NDArray[np.float32]
    tail: NDArray[np.float32]
    threshold: float
