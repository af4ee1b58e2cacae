"""Let the regions of an image vote on whether their zeros are truncated values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.verdict.panjer import zero_excess

# Zeros over the counting prediction. Counting detectors stay below 1.2 (Poisson and
# negative binomial of any rate), truncated cameras of read noise 1.5 ADU start at 1.8.
_EXCESS_LIMIT = 1.45
_LARGEST_SD_LOG = 0.3
_FEWEST_ZEROS = 100
_SMALLEST_FRACTION = 0.003
_FEWEST_REGIONS = 0.25
# A density that is log-concave cannot hold more below zero than its slope allows.
_CONTINUATION_LIMIT = 2.0
# Read noise of 1.5 ADU makes successive low counts fall by less than this; rarer
# electrons do not.
_STEEP = 0.085
# Beyond this fraction of zeros a camera's histogram is steep as well.
_NEARLY_ALL_ZERO = 0.95


@dataclass(frozen=True)
class Votes:
    """
    How the regions of an image decide.

    Attributes
    ----------
    share : float
        Weighted share of the regions whose zeros exceed the counting prediction.
    isolated_share : float
        Weighted share whose zeros are too many for truncation as well.
    excess, lowest, highest : float
        Weighted median, smallest and largest E; NaN if no region has one.
    n_regions : int
        Regions with enough zeros and counts.
    steep_share : float
        Weighted share of the regions that are too sparse for read noise.
    deviations : float
        Weighted mean of log E beyond the limit, in its standard deviations.
    """

    share: float
    isolated_share: float
    excess: float
    lowest: float
    highest: float
    n_regions: int
    steep_share: float
    deviations: float


def vote(histograms: NDArray[np.int64]) -> Votes:
    """
    Let the regions vote, merged as far as their counts make it necessary.

    Parameters
    ----------
    histograms : ndarray, shape (n_regions, n_bins), int64
        Pixels of each level, from the darkest to the brightest region.

    Returns
    -------
    Votes
    """
    n_regions = len(histograms)
    votes = _vote_once(histograms)
    for n_merged in (n_regions // 3, 1):
        if votes.n_regions >= _FEWEST_REGIONS * n_regions or n_merged < 1:
            return votes
        first = np.arange(n_merged) * n_regions // n_merged
        merged = _vote_once(np.add.reduceat(histograms, first, axis=0))
        votes = merged if merged.n_regions else votes
    return votes


def _vote_once(histograms: NDArray[np.int64]) -> Votes:
    """
    Let each region with enough zeros decide, and weigh the decisions.

    Parameters
    ----------
    histograms : ndarray, shape (n_regions, n_bins), int64
        Pixels of each level.

    Returns
    -------
    Votes
    """
    excess = zero_excess(histograms)
    one, two, three = (histograms[:, k].astype(np.float64) for k in (1, 2, 3))
    steep = (one >= 100) & (two < _STEEP * one)
    steep |= (two >= 100) & (three < _STEEP * two)
    fraction = excess.n_zero / np.maximum(excess.n_pixels, 1)
    enough = (excess.n_zero >= _FEWEST_ZEROS) & (fraction >= _SMALLEST_FRACTION)
    measured = enough & np.isfinite(excess.ratio) & (excess.sd_log <= _LARGEST_SD_LOG)
    usable = measured | (enough & steep)
    if not usable.any():
        return Votes(np.nan, 0.0, np.nan, np.nan, np.nan, 0, 0.0, 0.0)
    weight = np.where(usable, fraction / (fraction + 0.1), 0.0)
    weight[steep & (fraction > _NEARLY_ALL_ZERO)] *= 0.1
    weight /= weight.sum()
    above = measured & ~steep & (excess.ratio > _EXCESS_LIMIT)
    isolated = above & (excess.n_zero > _CONTINUATION_LIMIT * _continuation(one, two))
    ratio = excess.ratio[measured]
    part = weight[measured]
    beyond, doubt = np.log(ratio / _EXCESS_LIMIT), excess.sd_log[measured]
    return Votes(
        share=float(weight[above].sum()),
        isolated_share=float(weight[isolated].sum()),
        excess=weighted_median(ratio, part),
        lowest=float(ratio.min()) if ratio.size else np.nan,
        highest=float(ratio.max()) if ratio.size else np.nan,
        n_regions=int(usable.sum()),
        steep_share=float(weight[usable & steep].sum()),
        deviations=float(part @ beyond / max(np.sqrt(part**2 @ doubt**2), 1e-9)),
    )


def _continuation(
    one: NDArray[np.float64], two: NDArray[np.float64]
) -> NDArray[np.float64]:
    """
    Largest number of pixels that a log-concave density can hold below 1/2.

    It falls off below 1 at least as fast as from 2 to 1.

    Parameters
    ----------
    one, two : ndarray, shape (n_regions,)
        Pixels with the values one and two.

    Returns
    -------
    ndarray, shape (n_regions,), float64
        Infinite where the counts do not rise significantly from one to two.
    """
    result = np.full(one.shape, np.inf)
    some = (one > 0) & (two > 0)
    doubt = np.sqrt(1.0 / one[some] + 1.0 / two[some])
    rise = two[some] / one[some] * np.exp(-2.0 * doubt)
    number = one[some] * np.exp(2.0 / np.sqrt(one[some]))
    result[some] = np.where(rise > 1, number / np.maximum(rise - 1, 1e-12), np.inf)
    return result


def weighted_median(values: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """
    Median of values of unequal weight.

    Parameters
    ----------
    values, weight : ndarray, shape (n,)
        Numbers and weights.

    Returns
    -------
    float
        NaN without values.
    """
    if values.size == 0:
        return float("nan")
    order = np.argsort(values)
    position = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(position, 0.5 * position[-1])])
