"""Pixels as normal scores, so that all brightnesses can be compared.

A pixel's score is the standard normal variate of its rank among the pixels that are
equally bright on average. A recorded zero says only that its score lies below a
threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import log_ndtr, ndtri

from dials_truncfix.correction.medians import MAD_TO_SD
from dials_truncfix.correction.regions.grouping import cut_evenly

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]

# Brighter pixels share the score of this value, ADU.
_N_VALUES = 512
# Ranks among so many pixels tell a score to 0.04 at the middle.
_PIXELS_OF_A_GROUP = 1024
_MOST_GROUPS = 256
_PIXELS_OF_A_CLASS = 30_000
_MOST_CLASSES = 10
_LARGEST_SCORE = 3.5
# Spots stand out from the noise of scores that are smoothed like them, shadows and
# areas that the laws do not fit from that of scores smoothed more.
_SPOT_SIGMA = 1.0
_AREA_WIDTH = 13
_DEVIATIONS = 4.5
_ENOUGH_FOR_A_MEDIAN = 100_000
# Pixels handled at once: a block's temporaries fit into the cache.
_BLOCK = 1 << 17


@dataclass(frozen=True)
class Scores:
    """
    Normal scores of the pixels of an image.

    Attributes
    ----------
    score : ndarray, shape (ny, nx), float32
        Of a zero, the mean of the scores it can have; 0 where a pixel takes no part.
    eligible : ndarray, shape (ny, nx), bool
        True for the pixels that take part.
    group : ndarray, shape (ny, nx), uint8
        Group of equally bright pixels, from dark to bright.
    threshold : ndarray, shape (n_groups,), float64
        A pixel is recorded as zero if its score lies below.
    brightness : ndarray, shape (n_groups,), uint8
        Class of similarly bright groups, from dark to bright.
    level : ndarray, shape (n_classes,), float64
        Mean of what ordered the nodes, over the pixels of each class.
    odd : ndarray, shape (ny, nx), bool
        True in spots, shadows and other places that are brighter or darker than noise
        makes them. Scores there do not say how the noise happens to be.
    """

    score: npt.NDArray[np.float32]
    eligible: BoolArray
    group: npt.NDArray[np.uint8]
    threshold: npt.NDArray[np.float64]
    brightness: npt.NDArray[np.uint8]
    level: npt.NDArray[np.float64]
    odd: BoolArray

    @property
    def n_classes(self) -> int:
        """Number of classes of brightness."""
        return int(self.brightness[-1]) + 1


def normal_scores(
    image: IntArray,
    eligible: BoolArray,
    node: npt.NDArray[np.unsignedinteger[Any]],
    expected: npt.NDArray[np.float64],
) -> Scores:
    """
    Rank the pixels of an image among those that are equally bright on average.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    eligible : ndarray, shape (ny, nx), bool
        True for the pixels that take part.
    node : ndarray, shape (ny, nx), unsigned integer
        Node of each pixel; any number where it takes no part.
    expected : ndarray, shape (n_nodes,)
        What orders the nodes: the mean of their pixels, in any unit. Nodes with few
        pixels are joined with those next in order.

    Returns
    -------
    Scores
    """
    group_of_node, of_node = _groups(eligible, node, expected)
    group = np.asarray(group_of_node[np.minimum(node, len(expected) - 1)])
    histogram = _histograms(image, eligible, group)
    n_pixels = histogram.sum(axis=1)
    total = np.maximum(n_pixels, 1)[:, None]
    up_to = np.cumsum(histogram, axis=1)
    # one pixel's half keeps the scores finite
    least = 0.5 / total
    middle = np.clip((up_to - 0.5 * histogram) / total, least, 1.0 - least)
    threshold = ndtri(np.clip(up_to[:, :1] / total, least, 1.0 - least))[:, 0]
    table = ndtri(middle)
    table[:, 0] = mean_score_below(threshold)
    np.clip(table, -_LARGEST_SCORE, _LARGEST_SCORE, out=table)
    brightness = cut_evenly(n_pixels, _PIXELS_OF_A_CLASS, _MOST_CLASSES)
    of_class = np.bincount(brightness[group_of_node], of_node)
    level = np.bincount(brightness[group_of_node], of_node * expected)
    score = _look_up(table.astype(np.float32), image, eligible, group)
    return Scores(
        score=score,
        eligible=eligible,
        group=group,
        threshold=threshold,
        brightness=brightness,
        level=level / np.maximum(of_class, 1),
        odd=_odd(score, eligible),
    )


def mean_score_below(threshold: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean of a standard normal variate that lies below a threshold, same shape."""
    log_density = -0.5 * threshold**2 - 0.5 * np.log(2.0 * np.pi)
    return np.asarray(-np.exp(log_density - log_ndtr(threshold)))


def _groups(
    eligible: BoolArray,
    node: npt.NDArray[np.unsignedinteger[Any]],
    expected: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Join nodes of similar brightness; group and number of pixels of each node."""
    n_pixels = np.bincount(node[eligible], minlength=len(expected))
    order = np.argsort(expected, kind="stable")
    group = np.empty(len(order), dtype=np.uint8)
    group[order] = cut_evenly(n_pixels[order], _PIXELS_OF_A_GROUP, _MOST_GROUPS)
    return group, n_pixels


def _histograms(
    image: IntArray, eligible: BoolArray, group: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int64]:
    """Count the values of the eligible pixels of each group, (n_groups, n_values)."""
    n_groups = int(group.max()) + 1
    total = np.zeros(n_groups * _N_VALUES, dtype=np.int64)
    values, groups, use = image.ravel(), group.ravel(), eligible.ravel()
    for start in range(0, image.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        mine = np.flatnonzero(use[part])
        entry = groups[part].take(mine).astype(np.intp)
        entry *= _N_VALUES
        entry += np.clip(values[part].take(mine), 0, _N_VALUES - 1)
        total += np.bincount(entry, minlength=len(total))
    return total.reshape(n_groups, _N_VALUES)


def _look_up(
    table: npt.NDArray[np.float32],
    image: IntArray,
    eligible: BoolArray,
    group: npt.NDArray[np.uint8],
) -> npt.NDArray[np.float32]:
    """Take the score of each pixel from the table of its group, shape (ny, nx)."""
    score = np.empty(image.shape, dtype=np.float32)
    flat, values, groups = score.ravel(), image.ravel(), group.ravel()
    for start in range(0, image.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        entry = groups[part].astype(np.intp)
        entry *= _N_VALUES
        entry += np.clip(values[part], 0, _N_VALUES - 1)
        flat[part] = table.ravel().take(entry)
    score[~eligible] = 0.0
    return score


def _odd(score: npt.NDArray[np.float32], eligible: BoolArray) -> BoolArray:
    """Tell where pixels are brighter or darker than noise makes them, (ny, nx)."""
    odd = np.zeros(score.shape, dtype=bool)
    for smooth in (_smoothed_like_spots, _smoothed_over_areas):
        level = smooth(score)
        middle, spread = _middle_and_spread(level, eligible)
        odd |= level > middle + _DEVIATIONS * spread
        odd |= level < middle - _DEVIATIONS * spread
    return odd


def _smoothed_like_spots(score: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Average over a few pixels, shape (ny, nx)."""
    smooth = ndimage.gaussian_filter(score, _SPOT_SIGMA, mode="constant", truncate=3.0)
    return np.asarray(smooth)


def _smoothed_over_areas(score: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Average over some hundred pixels, shape (ny, nx)."""
    smooth = score
    for axis in (0, 1, 0, 1):
        smooth = ndimage.uniform_filter1d(smooth, _AREA_WIDTH, axis, mode="constant")
    return smooth


def _middle_and_spread(
    level: npt.NDArray[np.float32], eligible: BoolArray
) -> tuple[float, float]:
    """Median and robust standard deviation, from some pixels of a large image."""
    some = slice(None, None, max(level.size // _ENOUGH_FOR_A_MEDIAN, 1))
    values = level.ravel()[some][eligible.ravel()[some]]
    if len(values) == 0:
        return 0.0, 0.0
    middle = float(np.median(values))
    return middle, MAD_TO_SD * float(np.median(np.abs(values - middle)))
