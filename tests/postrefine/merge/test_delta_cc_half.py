from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.postrefine.input.observations import ObservationBlock
from dials_truncfix.postrefine.merge.delta_cc_half import (
    delta_cc_half,
    harmful,
    reflection_sums,
)
from dials_truncfix.postrefine.merge.merging import half_sums
from dials_truncfix.postrefine.merge.scaling import Scaled

N_LATTICES, N_UNIQUE, SIZE = 30, 40, 25


@pytest.fixture
def scaled_block():
    """Lattices of unequal weights; the last has nothing to do with the others."""
    rng = np.random.default_rng(4)
    true = rng.exponential(100.0, N_UNIQUE)
    group = np.concatenate(
        [np.sort(rng.choice(N_UNIQUE, SIZE, replace=False)) for _ in range(N_LATTICES)]
    )
    n = len(group)
    variance = rng.uniform(20.0, 200.0, n)
    intensity = true[group] + np.sqrt(variance) * rng.standard_normal(n)
    intensity[-SIZE:] = rng.permutation(intensity[-SIZE:]) * 2
    used = rng.random(n) < 0.9
    block = ObservationBlock(
        miller_index=np.zeros((n, 3), dtype=np.int32),
        group=group,
        intensity=intensity,
        variance=variance,
        offsets=np.arange(N_LATTICES + 1) * SIZE,
        setting=np.tile(np.eye(3), (N_LATTICES, 1, 1)),
        s0=np.tile([0.0, 0.0, -1.0], (N_LATTICES, 1)),
        sweep=np.zeros((N_LATTICES, 4)),
    )
    return block, Scaled(intensity, variance, np.zeros(n), used, used, ~used)


def cc_half(block, scaled, used, counted):
    """(V - M)/(V + M) written out, reflection by reflection."""
    means, variances = [], []
    for unique in counted:
        mine = used & (block.group == unique)
        w, x = 1 / scaled.variance[mine], scaled.intensity[mine]
        mean = np.average(x, weights=w)
        means.append(mean)
        variances.append(np.sum(w * (x - mean) ** 2) / ((mine.sum() - 1) * w.sum()))
    scatter, noise = np.var(means), np.mean(variances)
    return (scatter - noise) / (scatter + noise)


def test_changes_are_those_of_leaving_each_lattice_out(scaled_block):
    block, scaled = scaled_block
    sums = half_sums(block.group, scaled, np.zeros(len(block), dtype=int), N_UNIQUE)
    found = delta_cc_half(block, scaled, reflection_sums(sums, np.ones(N_UNIQUE)))
    number = np.bincount(block.group[scaled.used], minlength=N_UNIQUE)
    counted = np.flatnonzero(number >= 3)
    everything = cc_half(block, scaled, scaled.used, counted)
    for lattice in (0, 7, N_LATTICES - 1):
        used = scaled.used & (block.row != lattice)
        expected = cc_half(block, scaled, used, counted) - everything
        assert found[lattice] == pytest.approx(expected, abs=1e-12)


def test_a_foreign_lattice_is_found_and_no_other(scaled_block):
    block, scaled = scaled_block
    sums = half_sums(block.group, scaled, np.zeros(len(block), dtype=int), N_UNIQUE)
    delta = delta_cc_half(block, scaled, reflection_sums(sums, np.ones(N_UNIQUE)))
    assert np.flatnonzero(harmful(delta, 6.0)).tolist() == [N_LATTICES - 1]


def test_nothing_is_harmful_where_nothing_is_known():
    assert not harmful(np.full(5, np.nan), 6.0).any()
