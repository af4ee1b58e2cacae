"""Merging against iotbx.merging_statistics, and limiting cases."""

from __future__ import annotations

import numpy as np
import pytest

from cctbx import crystal, miller
from cctbx.array_family import flex
from dxtbx import flumpy
from iotbx.merging_statistics import merging_stats

from dials_truncfix.compare.equivalents import group_equivalents, possible_reflections
from dials_truncfix.compare.merging import (
    _random_half,
    correlation,
    half_set_correlations,
    merge,
    merging_shells,
)
from dials_truncfix.compare.observations import flex_indices
from dials_truncfix.compare.shells import shell_of

SYMMETRY = crystal.symmetry(
    unit_cell=(40, 40, 60, 90, 90, 90), space_group_symbol="P43212"
)
# no reflection lies on a limit
LIMITS = np.array([30.1, 4.01, 3.01])


@pytest.fixture(scope="module")
def observed():
    """Noisy observations of most reflections up to 3 Å, up to six of each."""
    rng = np.random.default_rng(5)
    every = SYMMETRY.build_miller_set(anomalous_flag=True, d_min=3.0).expand_to_p1()
    indices = np.rint(flumpy.to_numpy(every.indices().as_vec3_double())).astype(int)
    indices = indices[rng.random(len(indices)) < 0.25]
    groups = group_equivalents(indices, SYMMETRY)
    truth = rng.exponential(50.0, len(groups.miller_index) + 1)[groups.group]
    sigma = rng.uniform(10, 30, len(indices))
    value = truth + sigma * rng.standard_normal(len(indices))
    return indices, value, sigma, truth


@pytest.fixture(scope="module")
def ours(observed):
    indices, value, sigma, truth = observed
    groups = group_equivalents(indices, SYMMETRY)
    merged = merge(groups, value, sigma, truth)
    shells = shell_of(merged.d, LIMITS)
    correlations = half_set_correlations(groups, value, sigma, shells, 2, 40, seed=1)
    possible = possible_reflections(SYMMETRY, LIMITS)
    return merging_shells(merged, correlations, possible, LIMITS)


@pytest.mark.parametrize("shell", [0, 1, 2])
def test_figures_are_those_of_iotbx(observed, ours, shell):
    indices, value, sigma, _ = observed
    limits = [(30.1, 4.01), (4.01, 3.01), (30.1, 3.01)][shell]
    array = miller.array(
        miller.set(SYMMETRY, flex_indices(indices), anomalous_flag=False),
        data=flex.double(value.tolist()),
        sigmas=flex.double(sigma.tolist()),
    )
    array = array.set_observation_type_xray_intensity().eliminate_sys_absent()
    d_max, d_min = limits
    theirs = merging_stats(
        array.resolution_filter(d_max=d_max, d_min=d_min),
        d_max_min=limits,
        sigma_filtering=None,
        use_internal_variance=False,
    )
    mine = ours[shell]
    assert mine.n_observed == theirs.n_obs
    assert mine.n_unique == theirs.n_uniq
    # iotbx fills its complete set only to the last reflection observed
    assert mine.completeness == pytest.approx(theirs.completeness, abs=0.01)
    assert mine.multiplicity == pytest.approx(theirs.mean_redundancy)
    assert mine.i_over_sigma == pytest.approx(theirs.i_over_sigma_mean)
    # theirs is a single division
    assert mine.cc_half == pytest.approx(theirs.cc_one_half, abs=0.03)
    assert mine.n_pairs == theirs.cc_one_half_n_refl


def test_cc_star_foretells_the_correlation_with_the_truth(ours):
    """Of unbiased data; this is what Karplus and Diederichs derived it for."""
    whole = ours[-1]
    assert 0.5 < whole.cc_half < 0.95
    assert whole.cc_truth == pytest.approx(whole.cc_star, abs=0.03)
    assert whole.n_truth == whole.n_unique


def test_means_are_weighted_and_absences_left_out():
    indices = np.array([[1, 2, 3], [-1, -2, -3], [2, 1, 3], [0, 0, 1], [4, 0, 0]])
    groups = group_equivalents(indices, SYMMETRY)
    # 0 0 1 is absent by the screw axis
    assert groups.group[3] == -1
    assert groups.group[0] == groups.group[1] == groups.group[2]
    assert len(groups.miller_index) == 2
    value = np.array([10.0, 20.0, 30.0, 99.0, 5.0])
    sigma = np.array([1.0, 2.0, 1.0, 1.0, 1.0])
    merged = merge(groups, value, sigma, np.array([1, np.nan, 2, 9, np.nan]))
    row = groups.group[0]
    assert merged.value[row] == pytest.approx((10 + 20 / 4 + 30) / 2.25)
    assert merged.sigma[row] == pytest.approx(2.25**-0.5)
    assert merged.n_observed[row] == 3
    assert merged.truth[row] == pytest.approx(1.5)
    assert np.isnan(merged.truth[groups.group[4]])


def test_half_sets_are_disjoint_and_as_large_as_can_be():
    n_groups, sizes = 40, np.tile([1, 2, 3, 4], 10)
    group = np.repeat(np.arange(n_groups), sizes)
    rng = np.random.default_rng(3)
    shuffled = rng.permutation(group)
    taken = np.zeros((50, n_groups))
    for row in taken:
        half = _random_half(shuffled, n_groups, rng)
        row[:] = np.bincount(shuffled[half], minlength=n_groups)
    assert np.isin(taken - sizes // 2, [0, 1]).all()
    assert (taken[:, sizes % 2 == 0] == sizes[sizes % 2 == 0] // 2).all()
    # of an odd number either half may be the larger
    assert 0.3 < (taken[:, sizes == 3] == 2).mean() < 0.7


def test_too_few_pairs_have_no_coefficient():
    few = np.arange(9.0)
    assert np.isnan(correlation(few, few))
    assert np.isnan(correlation(np.ones(20), np.arange(20.0)))
    assert correlation(np.arange(20.0), np.arange(20.0)) == pytest.approx(1)
