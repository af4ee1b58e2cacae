"""Histograms to the intervals of the likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_INTERVALS = 64
MINIMUM_LEVELS = 5
LOWER_FRACTION = 0.001
UPPER_FRACTION = 0.95
#: For the rate of a ring under a known camera, which fewer pixels tell: the dimmer part
#: of a ring that mixes many levels is where its zeros are.
UPPER_FRACTION_OF_RATES = 0.75
THRESHOLDS = {"round": 0.5, "floor": 1.0}


@dataclass(frozen=True)
class Intervals:
    """Counts in consecutive intervals of the unclipped value, one row per ring.

    The first interval reaches down to minus infinity. Rows hold the same number of
    intervals, so that sums run in the same order whatever else is in the batch;
    those beyond a ring's last one are empty, of zero width.

    Attributes
    ----------
    edges : NDArray[np.float64]
        (n, N_INTERVALS) upper edges, ADU.
    fractions : NDArray[np.float64]
        (n, N_INTERVALS) fraction of the pixels in the fitted range.
    n_fitted : NDArray[np.float64]
        (n,) pixels in the fitted range.
    cumulative : NDArray[np.float64]
        (n, N_INTERVALS) fraction of all pixels of the ring below each upper edge.
    i_max : NDArray[np.int64]
        (n,) largest value in the fitted range.
    first : NDArray[np.int64]
        (n,) largest value in the first interval: 0 unless zeros are rare.
    width : NDArray[np.int64]
        (n,) width of the others, ADU.
    status : NDArray[np.str_]
        (n,) "fitted", or why the ring cannot be.
    """

    edges: NDArray[np.float64]
    fractions: NDArray[np.float64]
    n_fitted: NDArray[np.float64]
    cumulative: NDArray[np.float64]
    i_max: NDArray[np.int64]
    first: NDArray[np.int64]
    width: NDArray[np.int64]
    status: NDArray[np.str_]

    def take(self, rows: NDArray[np.intp]) -> Intervals:
        """Return the chosen rows."""
        return Intervals(*(getattr(self, name)[rows] for name in self.__annotations__))


def make_intervals(
    histograms: NDArray[np.integer[Any]],
    threshold: float,
    upper_fraction: float = UPPER_FRACTION,
) -> Intervals:
    """Choose each ring's range and intervals.

    The range ends at the 95th percentile: above it Bragg spots are not negligible,
    and further up the mixture of background levels in a ring bends the fit of the
    lower end. It takes in at least five grey levels. Where zeros are rare (under
    0.1 % of the pixels) the lowest 0.1 % form the first interval, so that a few
    dead pixels in a bright ring do not bend its fit. Ranges of many grey levels use
    wider intervals, whose likelihood is as exact.

    Parameters
    ----------
    histograms : NDArray[np.integer[Any]]
        (n, n_bins) pixels of each value; the last bin holds all larger values.
    threshold : float
        Upper edge of what is recorded as zero, ADU.
    upper_fraction : float
        Fraction of the pixels that the range takes in.

    Returns
    -------
    Intervals
        One row per ring.
    """
    n_rows, n_bins = histograms.shape
    cumulative = np.cumsum(histograms, axis=1, dtype=np.int64)
    total = cumulative[:, -1]
    usable = n_bins - 2

    first = _percentile(cumulative, LOWER_FRACTION)
    upper = _percentile(cumulative, upper_fraction)
    occupied = histograms > 0
    levels = np.cumsum(occupied[:, : usable + 1], axis=1)
    rows = np.arange(n_rows)
    below = levels[rows, np.minimum(first, usable)]
    fifth = np.argmax(levels >= (below + MINIMUM_LEVELS - 1)[:, None], axis=1)
    i_max = np.minimum(np.maximum(upper, fifth), usable)
    width = np.maximum(-(-(i_max - first) // (N_INTERVALS - 1)), 1)
    n_regular = np.maximum((i_max - first) // width, 0)
    i_max = first + n_regular * width

    index = np.minimum(np.arange(N_INTERVALS), n_regular[:, None])
    values = np.minimum(first[:, None] + index * width[:, None], n_bins - 1)
    counts = np.take_along_axis(cumulative, values, axis=1)
    n_fitted = counts[:, -1].astype(np.float64)
    safe_fitted = np.maximum(n_fitted, 1.0)[:, None]
    fractions = np.diff(counts, axis=1, prepend=0) / safe_fitted

    status = np.full(n_rows, "fitted", dtype="<U10")
    status[(fractions > 0.0).sum(axis=1) < MINIMUM_LEVELS] = "few_levels"
    status[(2 * cumulative[:, usable] < total) | (first > usable)] = "overflow"
    status[occupied.sum(axis=1) == 1] = "one_level"
    status[total == 0] = "no_pixels"
    return Intervals(
        edges=values + threshold,
        fractions=fractions,
        n_fitted=n_fitted,
        cumulative=counts / np.maximum(total, 1)[:, None],
        i_max=i_max,
        first=first,
        width=width,
        status=status,
    )


def _percentile(cumulative: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """Return the smallest value with at least this fraction of pixels up to it."""
    target = np.ceil(fraction * cumulative[:, -1:])
    return np.asarray(np.argmax(cumulative >= target, axis=1))
