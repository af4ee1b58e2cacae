from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import Crystal

import integrated_tables
from dials_truncfix.compare import agreement
from dials_truncfix.compare.matching import match
from dials_truncfix.compare.spots import spot_finding
from dials_truncfix.simulate.truth import load_truth, save_truth

# another setting of a tetragonal crystal, -h k -l
OPERATOR = np.diag([-1, 1, -1])


@pytest.fixture
def indexed(small_sweep):
    return integrated_tables.indexed(small_sweep, OPERATOR)


@pytest.fixture
def integrated(small_sweep):
    """Make the table of whole reflections, and say which these are."""

    def make(factor=0.9, noise=2.0, shift=0.0):
        whole = integrated_tables.whole_reflections(small_sweep)
        electrons = factor * small_sweep.reflections.intensity[whole] + shift
        rng = np.random.default_rng(1)
        electrons += noise * rng.standard_normal(whole.sum())
        table = integrated_tables.integrated(small_sweep, OPERATOR, electrons, noise)
        return table, whole

    return make


def test_another_lattice_is_refused(truth, indexed, integrated):
    a, b, c = indexed.crystal.get_real_space_vectors()
    indexed.crystal = Crystal(a, b, 1.3 * np.array(c), "P1")
    with pytest.raises(ValueError, match="not the one simulated"):
        match(truth, indexed, integrated()[0])


@pytest.mark.parametrize("column", ["sum", "profile"])
def test_intensities_are_matched_in_electrons(truth, indexed, integrated, column):
    table, whole = integrated()
    matched = match(truth, indexed, table, column=column)
    assert matched.n_given == whole.sum()
    assert len(matched) == (whole & ~truth.shadowed).sum()
    assert np.allclose(matched.observed, 0.9 * matched.expected, atol=10)
    assert np.allclose(matched.sigma, 2.0)
    assert np.array_equal(matched.row, np.flatnonzero(whole & ~truth.shadowed))
    assert agreement.capture(matched) == pytest.approx(0.9, abs=1e-3)


def test_figures_of_agreement(truth, indexed, integrated):
    matched = match(truth, indexed, integrated(factor=1.0, shift=-5.0)[0])
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


def test_small_sets_have_no_figures(truth, indexed, integrated):
    matched = match(truth, indexed, integrated()[0]).between(1e-3, 1e-4)
    result = agreement.agreement(matched, 0, 0)
    assert result.n == 0
    assert np.isnan(result.slope)


def test_partial_and_failed_reflections_are_left_out(truth, indexed, integrated):
    table, whole = integrated()
    half = flex.bool(np.arange(len(table)) % 2 == 0)
    table["partiality"].set_selected(half, 0.5)
    assert match(truth, indexed, table).n_given == whole.sum() // 2
    table.unset_flags(~half, table.flags.integrated_sum)
    with pytest.raises(ValueError, match="no reflection of the table has a good"):
        match(truth, indexed, table)
    with pytest.raises(ValueError, match="intensity=best is none of"):
        match(truth, indexed, table, column="best")


def test_the_nearer_of_two_passages_is_taken(truth, indexed, integrated):
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
    matched = match(twice, indexed, integrated()[0])
    assert (matched.row >= len(r)).all()
    far = match(twice, indexed, integrated()[0], max_z_difference=1e-9)
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
