from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cctbx import crystal

from dials_truncfix.compare.equivalents import group_equivalents
from dials_truncfix.postrefine.indexing.ambiguity import agreements, reindexings, sample
from dials_truncfix.postrefine.indexing.reindexing import all_preferences, preferences
from dials_truncfix.postrefine.input.observations import Observations
from dials_truncfix.simulate.sphere import all_reflections
from dials_truncfix.simulate.stills import simulate_stills
from dials_truncfix.simulate.structure_factors import wilson_intensities
from simulated_lattices import stills_model

WANTED = np.ones(5, dtype=bool)
P41 = crystal.symmetry((79.1, 79.1, 38.1, 90, 90, 90), "P41")
P213 = crystal.symmetry((70, 70, 70, 90, 90, 90), "P213")
P31 = crystal.symmetry((60, 60, 80, 90, 90, 120), "P31")


def own_operators(symmetry):
    group = symmetry.space_group().build_derived_laue_group()
    return [np.reshape(o.r().as_double(), (3, 3)).T for o in group.all_ops()]


def mixed(symmetry, part, n_lattices=100, d_min=3.5, **changes):
    """Lattices of which a part is indexed at random, and which way each is indexed."""
    model = stills_model(n_lattices=n_lattices, d_min=d_min, **changes)
    intensities = wilson_intensities(symmetry, d_min, 15.0, 1)
    sphere = all_reflections(intensities, d_min, model.mean_intensity)
    operators = reindexings(symmetry, 2.0)
    rng = np.random.default_rng(0)
    way = rng.integers(1, len(operators), n_lattices)
    way[rng.random(n_lattices) >= part] = 0
    stills = [
        replace(
            still,
            miller_index=operators[i].apply(still.miller_index),
            setting=still.setting @ np.linalg.inv(operators[i].matrix),
        )
        for i, still in zip(way, simulate_stills(sphere, model, 1))
    ]
    hkl = np.concatenate([still.miller_index for still in stills])
    groups = group_equivalents(hkl, symmetry)
    observations = Observations(
        miller_index=hkl.astype(np.int32),
        group=groups.group,
        intensity=np.concatenate([still.intensity for still in stills]),
        variance=np.concatenate([still.variance for still in stills]),
        offsets=np.cumsum([0, *(len(still.intensity) for still in stills)]),
        setting=np.array([still.setting for still in stills]),
        s0=np.tile(model.s0, (n_lattices, 1)),
        sweep=np.zeros((n_lattices, 4)),
        unique=groups.miller_index,
        d=groups.d,
    )
    return observations, intensities, operators, way


@pytest.mark.parametrize(
    ("cell", "group", "names"),
    [
        ((79, 79, 38, 90, 90, 90), "P41", ["h,k,l", "k,h,-l"]),
        ((79, 79, 38, 90, 90, 90), "P43212", ["h,k,l"]),
        ((79, 79.1, 38, 90, 90, 90), "P212121", ["h,k,l", "k,-h,l"]),
        ((79, 85, 38, 90, 90, 90), "P212121", ["h,k,l"]),
        ((60, 60, 80, 90, 90, 120), "P3121", 2),
        ((60, 60, 80, 90, 90, 120), "P31", 4),
        ((60, 60, 80, 90, 90, 120), "P6", 2),
        ((60, 60, 80, 90, 90, 120), "P622", 1),
        ((70, 70, 70, 90, 90, 90), "P213", 2),
        ((70, 70, 70, 90, 90, 90), "I23", 2),
        ((50, 60, 50.1, 90, 110, 90), "P21", 2),
        ((50, 60, 70, 80, 95, 100), "P1", 1),
    ],
)
def test_ways_to_index_are_those_that_the_space_group_leaves(cell, group, names):
    """As many as the lattice has more symmetry than the crystal; all keep the metric."""
    symmetry = crystal.symmetry(cell, group)
    found = reindexings(symmetry, 2.0)
    assert found[0].name == "h,k,l"
    np.testing.assert_array_equal(found[0].matrix, np.eye(3))
    if isinstance(names, int):
        assert len(found) == names
    else:
        assert [operator.name for operator in found] == names
    b = np.reshape(symmetry.unit_cell().fractionalization_matrix(), (3, 3)).T
    for i, operator in enumerate(found):
        assert np.linalg.det(operator.matrix) == pytest.approx(1)
        moved = b @ operator.matrix
        np.testing.assert_allclose(
            moved.T @ moved, b.T @ b, atol=2e-2 * (b.T @ b).max()
        )
        # none is another one by the symmetry of the crystal
        for other in found[:i]:
            assert not any(
                np.allclose(own @ other.matrix, operator.matrix)
                for own in own_operators(symmetry)
            )


@pytest.mark.parametrize(
    ("symmetry", "mean_intensity"),
    [(P41, 1000.0), (P41, 30.0), (P213, 1000.0), (P213, 30.0), (P31, 1000.0)],
)
def test_lattices_indexed_alike_are_told_from_mixed_ones(symmetry, mean_intensity):
    for part, resolved in ((0.0, True), (0.5, False)):
        observations, _, operators, way = mixed(
            symmetry, part, mean_intensity=mean_intensity
        )
        found = agreements(observations, symmetry, operators, WANTED)
        assert len(found) == len(operators) - 1
        assert all(agreement.resolved is resolved for agreement in found)
        if len(operators) == 2:
            assert found[0].telling
            assert found[0].n_unlike == min((way == 0).sum(), (way > 0).sum())
        elif resolved:
            assert all(agreement.n_unlike == 0 for agreement in found)


def test_single_lattices_indexed_otherwise_are_left_to_rejection():
    observations, _, operators, way = mixed(P41, 0.03)
    assert 0 < np.count_nonzero(way) <= 5
    (found,) = agreements(observations, P41, operators, WANTED)
    assert found.resolved
    assert found.n_unlike == np.count_nonzero(way)


def test_noise_does_not_tell():
    """Intensities without any relation to each other, among many and among few lattices."""
    observations, _, operators, _ = mixed(P41, 0.0)
    rng = np.random.default_rng(1)
    noise = replace(observations, intensity=rng.permutation(observations.intensity))
    (found,) = agreements(noise, P41, operators, WANTED)
    assert not found.telling and not found.resolved


def test_lattices_with_little_in_common_are_not_asked():
    observations, _, operators, _ = mixed(P41, 0.0, n_lattices=2, reach=0.2)
    assert agreements(observations, P41, operators, WANTED) == []


@pytest.mark.parametrize("symmetry", [P41, P213, P31])
@pytest.mark.parametrize(("error", "mean_intensity"), [(0.05, 1000.0), (0.1, 30.0)])
def test_a_reference_tells_how_lattices_are_indexed(symmetry, error, mean_intensity):
    """At least 99 % right, and those that are clearly otherwise really are."""
    observations, intensities, operators, way = mixed(
        symmetry, 0.6, n_lattices=200, error=error, mean_intensity=mean_intensity
    )
    found = all_preferences(observations, intensities, operators)
    right = [
        any(
            np.allclose(own, operators[chosen].matrix @ operators[given].matrix)
            for own in own_operators(symmetry)
        )
        for chosen, given in zip(found.best, way)
    ]
    assert np.mean(right) >= 0.99
    assert np.all(way[found.clearly_other] > 0)
    assert found.clearly_other.sum() > 0.8 * np.count_nonzero(way)


def test_lattices_without_a_reference_keep_their_indices():
    observations, intensities, operators, _ = mixed(P41, 1.0, n_lattices=5)
    few = intensities.select(intensities.d_spacings().data() > 30)
    block = observations.block(slice(1, 3))
    found = preferences(block, observations.d[block.group], few, operators)
    assert found.n_known.max() < 20
    nothing = intensities.select(intensities.d_spacings().data() < 3.51)[:1]
    found = preferences(block, observations.d[block.group], nothing, operators)
    unknown = found.n_known == 0
    assert np.all(found.best[unknown] == 0)


def test_some_hundred_lattices_are_taken_from_all_over():
    observations, _, _, _ = mixed(P41, 0.0, n_lattices=45)
    everything = sample(observations)
    for name in ("miller_index", "offsets", "setting", "intensity"):
        np.testing.assert_array_equal(
            getattr(everything, name), getattr(observations, name)
        )
