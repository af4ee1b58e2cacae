"""Histograms of regions around zero: recorded, corrected, and as the fits say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.histogram import ring_histograms
from dials_truncfix.correction.joint_camera.camera_law import (
    grid_to,
    highest_reading,
    masses,
)
from dials_truncfix.correction.joint_camera.camera_model import NAME as CAMERA
from dials_truncfix.correction.laws.distributions import distribution
from dials_truncfix.correction.laws.intervals import THRESHOLDS

IntArray = npt.NDArray[np.integer[Any]]
Counts = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]

_DEEPEST = 255
_HIGHEST = 2047
# Handled at once, which keeps the memory small.
_ROWS = 128
# Counted beyond the range of the fits, to show how they go on.
_MARGIN = 2.0


@dataclass(frozen=True)
class ValueCounts:
    """
    Pixels of each value in each region.

    Attributes
    ----------
    recorded : ndarray, shape (n_regions, n_high), int64
        Pixels recorded as 0, 1, …; larger values are left out.
    corrected : ndarray, shape (n_regions, n_low), int64
        What the zeros became: 1 - n_low, …, 0. The first holds all smaller values.
    expected : ndarray, shape (n_regions, n_low + n_high - 1), float64
        Pixels of each value from 1 - n_low upwards by the fits, scaled to the pixels
        in their range; zeros in a region without a fit.
    i_max : ndarray, shape (n_regions,), int64
        Largest value taken into the fits, ADU; -1 where there was no fit.
    """

    recorded: Counts
    corrected: Counts
    expected: Array
    i_max: Counts

    @property
    def lowest(self) -> int:
        """Smallest value, ADU."""
        return 1 - self.corrected.shape[1]

    @property
    def highest(self) -> int:
        """Largest value, ADU."""
        return self.recorded.shape[1] - 1


def count_values(
    recorded: IntArray, corrected: IntArray, labels: IntArray, fits: RingFits
) -> ValueCounts:
    """
    Count the values of an image before and after correction.

    Parameters
    ----------
    recorded, corrected : ndarray, shape (ny, nx), integer
        ADU.
    labels : ndarray, shape (ny, nx), integer
        Region of each pixel; negative outside.
    fits : RingFits
        One row per region.

    Returns
    -------
    ValueCounts
        Up to a little more than the fits reach.

    Raises
    ------
    ValueError
        If the shapes differ, or there are fewer fits than regions.
    """
    n_regions = len(fits.status)
    n_high = min(int(_MARGIN * max(int(fits.i_max.max(initial=0)), 8)), _HIGHEST) + 1
    before = ring_histograms(recorded, labels, n_regions, n_high + 1)[:, :-1]
    after = np.zeros((n_regions, _DEEPEST + 1), dtype=np.int64)
    for start in range(0, len(recorded), _ROWS):
        rows = slice(start, start + _ROWS)
        # what was positive takes no part
        zeros = np.flatnonzero(recorded[rows] == 0)
        depth = -corrected[rows].ravel().take(zeros)
        region = labels[rows].ravel().take(zeros)
        after += ring_histograms(depth, region, n_regions, _DEEPEST + 1)
    n_low = int(np.flatnonzero(after.any(axis=0)).max(initial=0)) + 1
    after = after[:, n_low - 1 :: -1]
    probability = value_probabilities(fits, 1 - n_low, n_high - 1)
    in_range = np.arange(1 - n_low, n_high) <= fits.i_max[:, None]
    n_fitted = np.where(in_range[:, n_low - 1 :], before, 0).sum(axis=1)
    covered = np.where(in_range, probability, 0.0).sum(axis=1)
    scale = np.zeros(n_regions)
    np.divide(n_fitted, covered, out=scale, where=covered > 0)
    return ValueCounts(before, after, probability * scale[:, None], fits.i_max)


def add_counts(
    counts: Sequence[ValueCounts], group: npt.NDArray[np.intp]
) -> ValueCounts:
    """
    Add the counts of several images, and of regions that belong together.

    Parameters
    ----------
    counts : sequence of ValueCounts
        Of images with the same regions, at least one.
    group : ndarray, shape (n_regions,), intp
        Where each region goes, 0 … n_groups - 1.

    Returns
    -------
    ValueCounts
        One row per group, as far down as the deepest and as far up as the shortest.
    """
    n_groups = int(group.max()) + 1
    n_low = max(one.corrected.shape[1] for one in counts)
    n_high = min(one.recorded.shape[1] for one in counts)
    recorded = np.zeros((n_groups, n_high), np.int64)
    corrected = np.zeros((n_groups, n_low), np.int64)
    expected = np.zeros((n_groups, n_low + n_high - 1))
    i_max = np.full(n_groups, -1, np.int64)
    for one in counts:
        np.add.at(recorded, group, one.recorded[:, :n_high])
        deeper = n_low + one.lowest - 1
        np.add.at(corrected[:, deeper:], group, one.corrected)
        np.add.at(
            expected[:, deeper:], group, one.expected[:, : n_high - 1 - one.lowest + 1]
        )
        np.maximum.at(i_max, group, one.i_max)
    return ValueCounts(recorded, corrected, expected, i_max)


def value_probabilities(fits: RingFits, lowest: int, highest: int) -> Array:
    """
    Probability of each integer by the fits.

    Parameters
    ----------
    fits : RingFits
        One row per region.
    lowest, highest : int
        Range, ADU.

    Returns
    -------
    ndarray, shape (n_regions, highest - lowest + 1), float64
        The first with all that is smaller; zeros in a region without a fit.
    """
    edges = np.arange(lowest, highest + 1) + THRESHOLDS[fits.rounding]
    result = np.zeros((len(fits.status), len(edges)))
    for family in np.unique(fits.family[fits.fitted]):
        rows = np.flatnonzero(fits.fitted & (fits.family == family))
        if family == CAMERA:
            below = _camera_cdf(fits, rows, edges)
        else:
            below = distribution(str(family)).cdf(edges, fits.theta[rows])
        result[rows] = np.diff(below, axis=1, prepend=0.0)
    return result


def _camera_cdf(fits: RingFits, rows: npt.NDArray[np.intp], edges: Array) -> Array:
    """
    Probability of a reading below each edge, by the law of the camera.

    Parameters
    ----------
    fits : RingFits
        With a camera.
    rows : ndarray of intp
        Of the family "camera".
    edges : ndarray, shape (n,), float64
        ADU.

    Returns
    -------
    ndarray, shape (len(rows), n), float64

    Raises
    ------
    ValueError
        Without a camera.
    """
    if fits.camera is None:
        raise ValueError("fits of the family 'camera' need a camera")
    rate = fits.theta[rows, 0]
    # what lies above a grid would come back at its lower end
    high = max(float(edges[-1]), float(highest_reading(fits.camera, rate).max()))
    grid = grid_to(fits.camera, high)
    cells = masses(fits.camera, rate, grid)
    below = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(cells, axis=1)], axis=1)
    return np.asarray(below[:, np.clip(grid.index(edges), 0, grid.n_cells)])
