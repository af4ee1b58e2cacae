"""Which values occur in a histogram, and at what distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def level_step(total: NDArray[np.int64]) -> int:
    """
    Distance of the levels: the largest number that divides nearly all values.

    Parameters
    ----------
    total : ndarray, shape (n_bins,), int64
        Pixels of each value.

    Returns
    -------
    int
        1 unless the values are multiples of something.
    """
    counts = total[1:-1]
    if counts.sum() < 100:
        return 1
    value = np.arange(1, len(counts) + 1)
    first = int(value[np.argmax(counts > 0.001 * counts.sum())])
    for step in range(min(first, len(total) // 4), 1, -1):
        if counts[value % step == 0].sum() >= 0.999 * counts.sum():
            return step
    return 1


def at_levels(histograms: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """
    Histograms of the values divided by their step.

    Parameters
    ----------
    histograms : ndarray, shape (n_regions, n_bins), int64
        Pixels of each value, the last bin holding all larger ones.
    step : int
        Distance of the levels.

    Returns
    -------
    ndarray, shape (n_regions, n_levels), int64
        The last bin holds all larger levels.
    """
    if step == 1:
        return histograms
    levels = histograms[:, :-1:step]
    rest = histograms.sum(axis=1) - levels.sum(axis=1)
    return np.concatenate([levels, rest[:, None]], axis=1)


def zeros_stand_apart(total: NDArray[np.int64]) -> bool:
    """
    Tell whether a gap separates the zeros from the other values.

    Parameters
    ----------
    total : ndarray, shape (n_bins,), int64
        Pixels of each value, the last bin holding all larger ones.

    Returns
    -------
    bool
        True when the values up to half the most frequent positive one hold less
        than a hundredth of what zero holds.
    """
    if total[0] == 0:
        return False
    peak = int(np.argmax(total[1:])) + 1
    return peak >= 8 and bool(total[1 : peak // 2 + 1].sum() < 0.01 * total[0])
