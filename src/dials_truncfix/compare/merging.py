"""Merging of symmetry equivalents, and what it says about the data.

The figures are those of iotbx.merging_statistics, against
which they are tested; CC½ is the mean over several random divisions instead of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.compare.equivalents import Groups
from dials_truncfix.compare.observations import FloatArray, IntArray
from dials_truncfix.compare.shells import NAN, shell_of

#: Fewer pairs of half sets give no coefficient.
_FEWEST_PAIRS = 10


@dataclass(frozen=True)
class MergedShell:
    """Figures of the merged data of a resolution shell.

    Attributes
    ----------
    d_max, d_min : float
        Limits, Å.
    n_observed, n_unique, n_possible : int
        Observations, merged reflections, and those there could be.
    completeness : float
        Merged over possible reflections.
    multiplicity : float
        Observations of a merged reflection.
    i_over_sigma : float
        Mean I/σ of merged reflections.
    cc_half : float
        Correlation between random half sets.
    cc_half_spread : float
        Its standard deviation over the divisions.
    n_pairs : int
        Reflections with at least two observations, on which it rests.
    cc_star : float
        What `cc_half` makes one expect for the correlation with the true
        intensities, √(2 CC½/(1 + CC½)); NaN where CC½ is negative.
    cc_truth : float
        The correlation with the true intensities; NaN where they are unknown.
    n_truth : int
        Reflections on which it rests.

    References
    ----------
    Karplus, P. A. & Diederichs, K. (2012). Science 336, 1030-1033.
    https://doi.org/10.1126/science.1218231
    """

    d_max: float
    d_min: float
    n_observed: int
    n_unique: int
    n_possible: int
    completeness: float
    multiplicity: float
    i_over_sigma: float
    cc_half: float
    cc_half_spread: float
    n_pairs: int
    cc_star: float
    cc_truth: float
    n_truth: int


@dataclass(frozen=True)
class Merged:
    """Merged reflections.

    Attributes
    ----------
    value, sigma : ndarray, shape (n_unique,)
        Mean with weights 1/σ², and its standard deviation.
    n_observed : ndarray of int64, shape (n_unique,)
        Observations.
    d : ndarray, shape (n_unique,)
        Resolution, Å.
    truth : ndarray, shape (n_unique,)
        True intensity; NaN where it is unknown.
    """

    value: FloatArray
    sigma: FloatArray
    n_observed: IntArray
    d: FloatArray
    truth: FloatArray


def merge(
    groups: Groups,
    value: FloatArray,
    sigma: FloatArray,
    truth: FloatArray | None = None,
) -> Merged:
    """Average the observations of each reflection.

    Parameters
    ----------
    groups : Groups
        From `group_equivalents`.
    value, sigma : ndarray, shape (n,)
        Intensities that are equal for equivalents, and their standard deviations.
    truth : ndarray, shape (n,), optional
        True intensities, on any scale; NaN where they are unknown.

    Returns
    -------
    Merged
        The truth is averaged like the intensities.
    """
    weight = sigma**-2.0
    total = groups.sums(weight)
    n_observed = groups.sums(np.ones(len(value))).astype(np.int64)
    expected = np.full(len(total), np.nan)
    if truth is not None:
        known = np.where(np.isfinite(truth), weight, 0.0)
        with np.errstate(invalid="ignore"):
            expected = groups.sums(known * np.nan_to_num(truth)) / groups.sums(known)
    return Merged(
        groups.sums(weight * value) / total,
        total**-0.5,
        n_observed,
        groups.d,
        expected,
    )


def half_set_correlations(
    groups: Groups,
    value: FloatArray,
    sigma: FloatArray,
    shells: IntArray,
    n_shells: int,
    n_divisions: int,
    seed: int,
) -> FloatArray:
    """Divide the observations of each reflection in two at random, and correlate.

    Parameters
    ----------
    groups : Groups
        From `group_equivalents`.
    value, sigma : ndarray, shape (n,)
        As for `merge`.
    shells : ndarray of int64, shape (n_unique,)
        Shell of each merged reflection; -1 for none.
    n_shells : int
        Number of shells.
    n_divisions : int
        How often to divide.
    seed : int
        Seed of the divisions.

    Returns
    -------
    ndarray, shape (n_divisions, n_shells + 1)
        CC½ of the shells and of all of them; NaN where there are fewer than ten pairs.
    """
    rng = np.random.default_rng(seed)
    n_observed = groups.sums(np.ones(len(value)))
    weight = sigma**-2.0
    result = np.full((n_divisions, n_shells + 1), np.nan)
    for division in result:
        half = _random_half(groups.group, len(n_observed), rng)
        sums = [
            (groups.sums(weight * part), groups.sums(weight * value * part))
            for part in (half.astype(float), (~half).astype(float))
        ]
        use = (n_observed > 1) & (shells >= 0)
        first, second = (total[use] / w[use] for w, total in sums)
        for shell in range(n_shells):
            mine = shells[use] == shell
            division[shell] = correlation(first[mine], second[mine])
        division[n_shells] = correlation(first, second)
    return result


def _random_half(
    group: IntArray, n_groups: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Choose half of each group; of an odd number, half rounded up or down."""
    order = np.lexsort((rng.random(len(group)), group))
    start = np.searchsorted(group[order], np.arange(n_groups))
    sizes = np.bincount(group[group >= 0], minlength=n_groups)
    in_half = (sizes + rng.integers(0, 2, n_groups)) // 2
    half = np.zeros(len(group), dtype=bool)
    sorted_group = group[order]
    known = sorted_group >= 0
    mine = sorted_group[known]
    rank = np.flatnonzero(known) - start[mine]
    half[order[known]] = rank < in_half[mine]
    return half


def correlation(x: FloatArray, y: FloatArray) -> float:
    """Pearson's coefficient; NaN for fewer than ten pairs, or without scatter."""
    if len(x) < _FEWEST_PAIRS or x.std() == 0 or y.std() == 0:
        return NAN
    return float(np.corrcoef(x, y)[0, 1])


def merging_shells(
    merged: Merged,
    correlations: FloatArray,
    n_possible: IntArray,
    limits: FloatArray,
) -> list[MergedShell]:
    """Describe each shell, and all of them together in a last entry.

    Parameters
    ----------
    merged : Merged
        From `merge`.
    correlations : ndarray, shape (n_divisions, n_shells + 1)
        From `half_set_correlations`.
    n_possible : ndarray of int64, shape (n_shells,)
        From `possible_reflections`.
    limits : ndarray, shape (n_shells + 1,)
        Falling limits, Å.

    Returns
    -------
    list of MergedShell
    """
    shells = shell_of(merged.d, limits)
    n_shells = len(limits) - 1
    result = []
    for entry, (first, last) in enumerate(
        [*((i, i) for i in range(n_shells)), (0, n_shells - 1)]
    ):
        mine = (shells >= first) & (shells <= last)
        n_unique = int(mine.sum())
        possible = int(n_possible[first : last + 1].sum())
        n_observed = int(merged.n_observed[mine].sum())
        cc_half = float(correlations[:, entry].mean())
        true = mine & np.isfinite(merged.truth)
        result.append(
            MergedShell(
                d_max=float(limits[first]),
                d_min=float(limits[last + 1]),
                n_observed=n_observed,
                n_unique=n_unique,
                n_possible=possible,
                completeness=n_unique / possible if possible else NAN,
                multiplicity=n_observed / n_unique if n_unique else NAN,
                i_over_sigma=(
                    float(np.mean(merged.value[mine] / merged.sigma[mine]))
                    if n_unique
                    else NAN
                ),
                cc_half=cc_half,
                cc_half_spread=float(correlations[:, entry].std()),
                n_pairs=int(np.count_nonzero(merged.n_observed[mine] > 1)),
                cc_star=(
                    math.sqrt(2 * cc_half / (1 + cc_half)) if cc_half >= 0 else NAN
                ),
                cc_truth=correlation(merged.value[true], merged.truth[true]),
                n_truth=int(true.sum()),
            )
        )
    return result
