from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cctbx import crystal, miller, sgtbx
from dxtbx import flumpy
from dxtbx.model import ExperimentList

from dials_truncfix.compare.comparison import CompareOptions, compare
from dials_truncfix.compare.files import Integrated
from dials_truncfix.compare.observations import (
    Observations,
    flex_indices,
    read_observations,
)
from dials_truncfix.compare.results import Compared
from dials_truncfix.compare.sides import make_side
from dials_truncfix.compare.truth import indexed_alike
from dials_truncfix.compare.words import findings, warnings
from dials_truncfix.simulate.structure_factors import look_up
from integrated_tables import indexed, integrated, whole_reflections

# a tetragonal crystal, and another setting of it, -h k -l
SAME, OTHER = np.eye(3, dtype=int), np.diag([-1, 1, -1])
OPTIONS = CompareOptions(n_shells=3, n_divisions=4)
LOST, NOISE = 8.0, 3.0


def make_integrated(sweep, operator, electrons, gain=9.0):
    return Integrated(
        Path("a.refl"),
        Path("a.expt"),
        integrated(sweep, operator, electrons, NOISE, gain),
        ExperimentList([indexed(sweep, operator, gain=gain)]),
    )


@pytest.fixture(scope="module")
def electrons(small_sweep):
    """True intensities of whole reflections with noise, and the same less 8 e⁻."""
    true = small_sweep.reflections.intensity[whole_reflections(small_sweep)]
    rng = np.random.default_rng(2)
    right = true + NOISE * rng.standard_normal(len(true))
    return right - LOST, right


@pytest.fixture(scope="module")
def sides(small_sweep, electrons):
    before, after = electrons
    return (
        make_integrated(small_sweep, OTHER, before, gain=1.0),
        make_integrated(small_sweep, SAME, after, gain=9.0),
    )


@pytest.fixture(scope="module")
def comparison(sides, truth):
    return compare(*(make_side(side) for side in sides), OPTIONS, truth)


def test_changes_are_in_adu_whatever_gain_and_setting(comparison, electrons):
    *shells, whole = comparison.changes
    assert whole.n_common == len(electrons[0])
    assert whole.n_only_before == whole.n_only_after == 0
    assert [c.change for c in shells] == pytest.approx([6 * LOST] * 3)
    assert whole.mean_before == pytest.approx(6 * electrons[0].mean())
    assert whole.negative_before == pytest.approx(np.mean(electrons[0] < 0))
    assert whole.i_over_sigma_after == pytest.approx(np.mean(electrons[1] / NOISE))


def test_the_truth_tells_which_is_right(comparison):
    before, after = comparison.truth_before, comparison.truth_after
    for old, new in zip(before.bins, after.bins):
        assert old.bias == pytest.approx(-LOST, abs=4 * old.bias_error)
        assert new.bias == pytest.approx(0, abs=4 * new.bias_error)
    assert after.shells[-1].z_sd == pytest.approx(1, abs=0.1)
    assert after.captured == pytest.approx(1, abs=1e-3)
    # a constant loss lowers weak intensities the most
    assert before.shells[0].slope > before.shells[2].slope
    # and leaves every correlation as it is
    for old, new in zip(comparison.merged_before, comparison.merged_after):
        assert old.cc_truth == pytest.approx(new.cc_truth, abs=0.01)


def test_merged_figures_of_both_sides(comparison, electrons):
    before, after = comparison.merged_before[-1], comparison.merged_after[-1]
    assert before.n_observed == after.n_observed
    assert 0 < after.n_unique <= after.n_observed
    assert after.completeness == after.n_unique / after.n_possible
    assert 0 < after.completeness < 1


def test_a_reference_file_is_brought_to_scale_and_setting(
    small_sweep, sides, comparison, truth
):
    """Lorentz factors are taken out; intensities on any scale."""
    side = make_side(sides[1])
    r = truth.reflections
    lorentz_free = r.intensity * np.abs(r.zeta)
    symmetry = side.symmetry
    reference = miller.array(
        miller.set(symmetry, flex_indices(r.miller_index), False),
        data=_flex(lorentz_free * 0.01),
    ).set_observation_type_xray_intensity()
    reference = reference.merge_equivalents().array()
    result = compare(make_side(sides[0]), side, OPTIONS, reference)
    assert result.truth_unit == "ADU/L"
    assert result.truth_after.captured == pytest.approx(1)
    assert len(result.truth_after.bins) == 5
    for mine, known in zip(result.merged_after, comparison.merged_after):
        assert mine.cc_truth == pytest.approx(known.cc_truth, abs=0.02)
    # below 1 of the true intensity where some was lost
    assert result.truth_before.bins[0].ratio < 0.5
    assert result.truth_after.bins[0].ratio == pytest.approx(1, abs=0.1)

    other = reference.customized_copy(unit_cell=(60, 60, 90, 90, 90, 90))
    with pytest.raises(ValueError, match="truth has a cell of 60, 60, 90"):
        indexed_alike(other, side.observations, symmetry)


def test_a_reference_indexed_the_other_way_is_turned():
    """4/m on a tetragonal cell: two ways to index, related by k h -l."""
    symmetry = crystal.symmetry((40, 40, 60, 90, 90, 90), space_group_symbol="P41")
    unique = symmetry.build_miller_set(anomalous_flag=False, d_min=4)
    values = np.random.default_rng(1).exponential(10.0, unique.size())
    reference = miller.array(unique, data=_flex(values))
    reference = reference.set_observation_type_xray_intensity()
    turned = reference.change_basis(sgtbx.change_of_basis_op("y,x,-z"))
    h = np.rint(flumpy.to_numpy(turned.indices().as_vec3_double())).astype(int)
    n = len(h)
    seen = Observations(
        h, np.zeros(n, int), np.zeros(n), np.zeros(n), values, np.ones(n), np.ones(n)
    )
    found = look_up(indexed_alike(reference, seen, symmetry), flex_indices(h))
    assert np.corrcoef(found, values)[0, 1] == pytest.approx(1)
    assert np.corrcoef(look_up(reference, flex_indices(h)), values)[0, 1] < 0.5


def _flex(values):
    return flumpy.from_numpy(np.ascontiguousarray(values))


def test_scaled_intensities_are_brought_to_one_scale(sides):
    one, other = (make_side(side) for side in sides)
    scaled = [
        replace(s, observations=replace(s.observations.times(k), is_scaled=True))
        for s, k in ((other, 1.0), (other, 40.0))
    ]
    result = compare(*scaled, OPTIONS)
    assert result.scale == pytest.approx(1 / 40)
    assert result.changes[-1].change == pytest.approx(0, abs=1e-9)
    assert "multiplied by 0.025" in " ".join(
        warnings(Compared(*sides, None, "scale", OPTIONS, result))
    )


def test_words_name_gains_and_the_limits_of_cc_half(comparison, sides):
    compared = Compared(*sides, Path("truth.npz"), "sum", OPTIONS, comparison)
    text = " ".join(findings(compared))
    assert "CC½ says how well random halves" in text
    assert "The truth decides" in text
    assert f"miss {-comparison.truth_before.bins[0].bias:.2f} ± " in text
    assert "The gain was 1 before and 9 after" in " ".join(warnings(compared))
    untold = replace(comparison, truth_before=None, truth_after=None)
    untold = replace(compared, truth=None, comparison=untold)
    assert "only the true intensities can tell" in findings(untold)[-1]


def test_the_same_call_gives_the_same_figures(comparison, sides, truth):
    again = compare(*(make_side(side) for side in sides), OPTIONS, truth)
    assert again.merged_after == comparison.merged_after


def test_symmetries_that_differ_are_refused(sides):
    one, other = make_side(sides[0], space_group="P222"), make_side(sides[1])
    with pytest.raises(ValueError, match="space group is P 2 2 2 before and P 43 21 2"):
        compare(one, other, OPTIONS)
    compare(one, make_side(sides[1], space_group="P222"), OPTIONS)
    with pytest.raises(ValueError, match="Q is not a space group"):
        make_side(sides[0], space_group="Q")
    with pytest.raises(ValueError, match="does not fit P 6"):
        make_side(sides[0], space_group="P6")


def test_tables_without_intensities_say_what_is_missing(sides):
    table = sides[0].table
    with pytest.raises(ValueError, match=r"no intensity.scale.value.*dials.scale"):
        read_observations(table, sides[0].experiments, "scale")
