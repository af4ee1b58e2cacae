from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import Crystal

from dials_truncfix.compare import agreement
from dials_truncfix.compare.matching import match
from dials_truncfix.compare.spots import spot_finding
from dials_truncfix.simulate.truth import Truth, load_truth, save_truth

# another setting of a tetragonal crystal, -h k -l
OPERATOR = np.diag([-1, 1, -1])


@pytest.fixture(scope="module")
def truth(small_sweep):
    return Truth(
        reflections=small_sweep.reflections,
        shadowed=small_sweep.shadowed(),
        setting_matrix=np.reshape(small_sweep.experiment.crystal.get_A(), (3, 3)),
        n_images=small_sweep.n_images,
        adu_per_electron=6.0,
        gain=9.0,
        read_noise=6.0,
        parameters={"seed": 7},
    )


@pytest.fixture
def indexed(small_sweep):
    """Experiment of the same lattice in another setting, with a panel gain."""
    experiment = copy.deepcopy(small_sweep.experiment)
    axes = OPERATOR @ np.array(experiment.crystal.get_real_space_vectors())
    experiment.crystal = Crystal(
        *map(tuple, axes), space_group=experiment.crystal.get_space_group()
    )
    experiment.detector[0].set_gain(9.0)
    return experiment


def integrated(truth, factor=0.9, noise=2.0, shift=0.0):
    """Table of whole reflections as integration would give it."""
    r = truth.reflections
    whole = (r.z > 0) & (r.z < truth.n_images)
    rng = np.random.default_rng(1)
    electrons = factor * r.intensity[whole] + shift
    electrons += noise * rng.standard_normal(whole.sum())
    table = flex.reflection_table()
    indices = (r.miller_index[whole] @ OPERATOR).tolist()
    table["miller_index"] = flex.miller_index([tuple(h) for h in indices])
    xyz = np.column_stack([r.x, r.y, r.z])[whole]
    table["xyzcal.px"] = flumpy.vec_from_numpy(np.ascontiguousarray(xyz))
    table["partiality"] = flex.double(len(electrons), 1.0)
    for column in ("sum", "prf"):
        table[f"intensity.{column}.value"] = flumpy.from_numpy(electrons * 6 / 9)
        table[f"intensity.{column}.variance"] = flex.double(
            len(electrons), (noise * 6 / 9) ** 2
        )
    table["flags"] = flex.size_t(
        len(electrons), table.flags.integrated_sum | table.flags.integrated_prf
    )
    return table, whole


def test_another_lattice_is_refused(truth, indexed):
    a, b, c = indexed.crystal.get_real_space_vectors()
    indexed.crystal = Crystal(a, b, 1.3 * np.array(c), "P1")
    with pytest.raises(ValueError, match="not the one simulated"):
        match(truth, indexed, integrated(truth)[0])


@pytest.mark.parametrize("column", ["sum", "prf"])
def test_intensities_are_matched_in_electrons(truth, indexed, column):
    table, whole = integrated(truth)
    matched = match(truth, indexed, table, column=column)
    assert matched.n_given == whole.sum()
    assert len(matched) == (whole & ~truth.shadowed).sum()
    assert np.allclose(matched.observed, 0.9 * matched.expected, atol=10)
    assert np.allclose(matched.sigma, 2.0)
    assert np.array_equal(matched.row, np.flatnonzero(whole & ~truth.shadowed))
    assert agreement.capture(matched) == pytest.approx(0.9, abs=1e-3)


def test_figures_of_agreement(truth, indexed):
    matched = match(truth, indexed, integrated(truth, factor=1.0, shift=-5.0)[0])
    for item in agreement.intensity_bins(matched, captured=1.0):
        assert item.bias == pytest.approx(-5, abs=4 * item.bias_error)
        assert item.z_sd == pytest.approx(1, abs=0.15)
    shells = agreement.resolution_bins(matched, limits=(20.0, 4.0, 2.0))
    assert [item.n for item in shells] == [
        len(matched.between(20, 4)),
        len(matched.between(4, 2)),
    ]
    assert all(item.correlation > 0.99 for item in shells)
    # what is subtracted from all costs weak reflections the most
    assert agreement.slope_ratio(matched, (20, 4), (2.2, 1.5)) > 1.005


def test_small_sets_have_no_figures(truth, indexed):
    matched = match(truth, indexed, integrated(truth)[0]).between(1e-3, 1e-4)
    result = agreement.agreement(matched, 0, 0)
    assert result.n == 0
    assert np.isnan(result.slope)


def test_partial_and_failed_reflections_are_left_out(truth, indexed):
    table, whole = integrated(truth)
    half = flex.bool(np.arange(len(table)) % 2 == 0)
    table["partiality"].set_selected(half, 0.5)
    assert match(truth, indexed, table).n_given == whole.sum() // 2
    table.unset_flags(~half, table.flags.integrated_sum)
    with pytest.raises(ValueError, match="no reflection was integrated"):
        match(truth, indexed, table)
    with pytest.raises(ValueError, match="neither sum nor prf"):
        match(truth, indexed, table, column="best")


def test_the_nearer_of_two_passages_is_taken(truth, indexed):
    r = truth.reflections
    shifted = replace(r, z=r.z + 40.0, intensity=r.intensity * 7)
    both = {
        name: np.concatenate([getattr(shifted, name), getattr(r, name)])
        for name in r.__dataclass_fields__
    }
    twice = replace(
        truth,
        reflections=type(r)(**both),
        shadowed=np.tile(truth.shadowed, 2),
        n_images=6,
    )
    matched = match(twice, indexed, integrated(truth)[0])
    assert (matched.row >= len(r)).all()
    far = match(twice, indexed, integrated(truth)[0], max_z_difference=1e-9)
    assert len(far) == len(matched)


def test_spots_are_told_from_noise(truth):
    r = truth.reflections
    strong = np.flatnonzero((r.intensity > 100) & (r.z > 0) & (r.z < 6))
    table = flex.reflection_table()
    spots = np.column_stack([r.x, r.y, r.z])[strong]
    noise = np.array([[5.0, 5.0, 200.0], [9.0, 9.0, -100.0]])
    table["xyzobs.px.value"] = flumpy.vec_from_numpy(np.vstack([spots, noise]))
    result = spot_finding(truth, table)
    assert (result.n_true, result.n_false) == (len(strong), 2)
    assert result.recall == 1.0
    empty = spot_finding(truth, table.select(flex.bool(len(table), False)))
    assert (empty.n_true, empty.n_false, empty.recall) == (0, 0, 0.0)


def test_truth_round_trip(tmp_path, truth):
    path = tmp_path / "truth.npz"
    save_truth(path, truth)
    read = load_truth(path)
    for name in truth.reflections.__dataclass_fields__:
        assert np.array_equal(
            getattr(read.reflections, name), getattr(truth.reflections, name)
        )
    assert np.array_equal(read.shadowed, truth.shadowed)
    assert np.array_equal(read.setting_matrix, truth.setting_matrix)
    assert read.parameters == {"seed": 7}
    assert (read.n_images, read.gain, read.read_noise) == (6, 9.0, 6.0)


def test_other_files_are_no_truth(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "text.npz").write_text("nothing")
    for name in ("other.npz", "text.npz", "missing.npz"):
        with pytest.raises(ValueError, match=name):
            load_truth(tmp_path / name)
