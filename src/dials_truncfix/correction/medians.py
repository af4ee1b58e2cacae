"""Medians of groups, and what they tell about scatter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MAD_TO_SD = 1.4826


def grouped_median(
    value: npt.NDArray[np.float64], group: npt.NDArray[np.int64], n_groups: int
) -> npt.NDArray[np.float64]:
    """
    Median of each group, NaN for a group without members.

    Parameters
    ----------
    value : ndarray, shape (n,)
        Finite numbers.
    group : ndarray, shape (n,)
        0 <= group < n_groups.
    n_groups : int
        Number of groups.

    Returns
    -------
    ndarray, shape (n_groups,), float64
    """
    if value.size == 0:
        return np.full(n_groups, np.nan)
    # One sort of group number plus value squeezed into [0, 1) is faster than lexsort.
    low_end = float(value.min())
    scale = 1.001 * (float(value.max()) - low_end) or 1.0
    ordered = np.sort(group + (value - low_end) / scale)
    count = np.bincount(group, minlength=n_groups)
    start = np.cumsum(count) - count
    median = np.full(n_groups, np.nan)
    some = count > 0
    low = start[some] + (count[some] - 1) // 2
    high = start[some] + count[some] // 2
    middle = 0.5 * (ordered[low] + ordered[high]) - np.flatnonzero(some)
    median[some] = middle * scale + low_end
    return median
