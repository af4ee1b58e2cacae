from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dials_truncfix.parallel import task_map
from dials_truncfix.postrefine.cycles import passes
from dials_truncfix.postrefine.cycles.cycle_options import CycleOptions
from dials_truncfix.postrefine.cycles.cycles import postrefine
from dials_truncfix.postrefine.cycles.finish import without_harmful
from dials_truncfix.postrefine.cycles.passes import Means, prepare
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.target import LOG_G, B
from dials_truncfix.postrefine.merge.merging import half_sums, reference_of_others
from dials_truncfix.postrefine.merge.references import ExternalReference
from dials_truncfix.postrefine.merge.rejection import RejectionLimits, Verdict
from simulated_lattices import observed, stills_model


def r_factor(merged, expected):
    present = merged.n_observed > 0
    difference = np.abs(merged.intensity - expected)[present].sum()
    return difference / expected[present].sum()


@pytest.fixture(scope="module")
def data():
    return observed(stills_model(n_lattices=100, error=0.1, mean_intensity=300.0))


@pytest.fixture(scope="module")
def against_itself(data):
    return postrefine(data[0], None, CycleOptions(), map)


def test_lattices_refined_against_each_other_give_the_truth(data, against_itself):
    """R below 4 % with no overall fit afterwards, where scaling alone leaves 20 %.

    The scale is the one on which log G and B of the lattices average to 0.
    """
    observations, true, parameters = data
    outcome = against_itself
    assert outcome.accepted.all()
    g, b = parameters[:, [LOG_G, B]].mean(axis=0)
    expected = true * np.exp(g - 0.5 * b / observations.d**2)
    assert r_factor(outcome.merged, expected) < 0.04
    assert outcome.cycles[-1].change < 0.002
    options = CycleOptions(
        model=Model.GAUSSIAN,
        refinement=replace(CycleOptions().refinement, protocol="scale"),
        max_cycles=3,
    )
    scaled = postrefine(observations, None, options, map)
    assert r_factor(scaled.merged, expected) > 0.15


def test_scale_and_b_do_not_drift(against_itself):
    means = against_itself.fits.parameters[:, [LOG_G, B]].mean(axis=0)
    np.testing.assert_allclose(means, 0, atol=1e-9)


def test_merged_uncertainties_are_those_of_the_errors(data, against_itself):
    """Deviations from the truth over their standard deviations spread by 0.9 to 1.25."""
    observations, true, parameters = data
    merged = against_itself.merged
    g, b = parameters[:, [LOG_G, B]].mean(axis=0)
    expected = true * np.exp(g - 0.5 * b / observations.d**2)
    several = merged.n_observed > 3
    scores = ((merged.intensity - expected) / merged.sigma)[several]
    assert 0.9 < scores.std() < 1.25


@pytest.mark.parametrize("model", Model)
def test_the_right_model_predicts_what_was_held_out(model):
    observations, _, _ = observed(
        stills_model(n_lattices=40, model=model, mean_intensity=300.0)
    )
    outcome = postrefine(observations, None, CycleOptions(max_cycles=2), map)
    assert outcome.model is model
    assert [h.model for h in outcome.held_out] == list(Model)
    best = min(outcome.held_out, key=lambda held_out: held_out.score)
    assert best.r_free == min(held_out.r_free for held_out in outcome.held_out)


def test_results_do_not_depend_on_the_number_of_processes(data, monkeypatch):
    """To the last bit; blocks are made small, so that there are several."""
    monkeypatch.setattr(passes, "BLOCK", 5000)
    observations = data[0]
    options = CycleOptions(max_cycles=1)
    one = postrefine(observations, None, options, map)
    with task_map(2) as apply:
        two = postrefine(observations, None, options, apply)
    np.testing.assert_array_equal(one.fits.parameters, two.fits.parameters)
    np.testing.assert_array_equal(one.fits.covariance, two.fits.covariance)
    np.testing.assert_array_equal(one.merged.intensity, two.merged.intensity)


def test_no_lattice_is_in_its_own_reference(data, against_itself):
    observations, _, _ = data
    everything = slice(0, observations.n_lattices)
    scaled = against_itself.store.read(everything)
    reference, variance = reference_of_others(
        observations.block(everything), scaled, against_itself.merged
    )
    lattice = 5
    mine = observations.row == lattice
    others = scaled.used & ~mine
    weight = np.bincount(
        observations.group[others],
        1 / scaled.variance[others],
        minlength=len(observations.unique),
    )
    total = np.bincount(
        observations.group[others],
        (scaled.intensity / scaled.variance)[others],
        minlength=len(observations.unique),
    )
    known = weight[observations.group[mine]] > 0
    assert known.mean() > 0.9
    np.testing.assert_array_equal(np.isfinite(reference[mine]), known)
    np.testing.assert_allclose(
        reference[mine][known] * weight[observations.group[mine]][known],
        total[observations.group[mine]][known],
    )
    np.testing.assert_allclose(
        variance[mine][known], 1 / weight[observations.group[mine]][known]
    )


def test_wild_lattices_and_observations_are_left_out_with_a_reason(data):
    observations, true, _ = data
    rng = np.random.default_rng(0)
    intensity = observations.intensity.copy()
    noise = observations.row == 3
    intensity[noise] = rng.permutation(intensity[noise])
    wild = rng.choice(np.flatnonzero(observations.row > 3), 20, replace=False)
    intensity[wild] += 1e5
    setting = observations.setting.copy()
    setting[7] = setting[7, :, ::-1]
    spoiled = replace(observations, intensity=intensity, setting=setting)
    external = ExternalReference(true, np.zeros(len(true)))
    outcome = postrefine(spoiled, external, CycleOptions(model=Model.GAUSSIAN), map)
    assert outcome.verdicts[3] is not Verdict.ACCEPTED
    assert outcome.verdicts[7] is not Verdict.ACCEPTED
    assert np.count_nonzero(outcome.accepted) == len(outcome.verdicts) - 2
    scaled = outcome.store.read(slice(0, observations.n_lattices))
    kept = wild[scaled.partial[wild]]
    assert scaled.outlier[kept].all()
    assert not scaled.used[kept].any()
    assert r_factor(outcome.merged, true) < 0.05


def test_too_few_common_reflections_are_refused():
    """Two lattices of few reflections do not say anything about each other."""
    observations, _, _ = observed(stills_model(n_lattices=2, reach=0.2))
    outcome = postrefine(observations, None, CycleOptions(), map)
    assert set(outcome.verdicts) == {Verdict.UNDER_DETERMINED}


def test_what_cannot_be_refined_is_refused(data):
    observations, true, _ = data
    nothing = ExternalReference(np.full(len(true), np.nan), np.zeros(len(true)))
    with pytest.raises(ValueError, match="none of the reflections"):
        postrefine(observations, nothing, CycleOptions(), map)
    alone, _, _ = observed(stills_model(n_lattices=1))
    with pytest.raises(ValueError, match="single lattice"):
        postrefine(alone, None, CycleOptions(), map)


@pytest.mark.parametrize(
    "changes",
    [
        {"min_partiality": 1.0},
        {"max_deviation": 0.0},
        {"max_cycles": 0},
        {"free_part": 0.0},
        {"tolerance": 0.0},
    ],
)
def test_impossible_options_are_refused(changes):
    with pytest.raises(ValueError):
        CycleOptions(**changes)


def test_deviations_spread_as_the_error_model_says(against_itself):
    """By 0.9 to 1.1 at every intensity; a is 1 to 5 %, as simulated errors are right."""
    final = against_itself.final
    assert final.error_model.a == pytest.approx(1, abs=0.05)
    assert final.error_model.b < 0.03
    assert len(final.error_check) == 10
    assert all(0.9 < entry.after < 1.1 for entry in final.error_check)


def test_no_lattice_is_harmful_for_being_left_out_alone(against_itself):
    """The change of CC½ is known of every lattice, and none is given up."""
    assert np.isfinite(against_itself.delta_cc_half).all()
    assert against_itself.accepted.all()


def test_error_model_and_delta_cc_half_can_be_turned_off(data):
    options = CycleOptions(
        model=Model.GAUSSIAN,
        error_model=False,
        max_cycles=1,
        limits=RejectionLimits(max_delta_cc_half=np.inf),
    )
    outcome = postrefine(data[0], None, options, map)
    assert outcome.final.error_model is None
    assert outcome.final.error_check == []
    assert np.isnan(outcome.delta_cc_half).all()


def test_lattices_that_lower_cc_half_are_left_out_with_the_reason(data):
    """Variances that claim too much give a lattice of noise the weight to do harm."""
    observations = data[0]
    rng = np.random.default_rng(5)
    run = prepare(observations, CycleOptions(), map, None)
    outcome = postrefine(observations, None, CycleOptions(model=Model.GAUSSIAN), map)
    everything = slice(0, observations.n_lattices)
    scaled = outcome.store.read(everything)
    mine = observations.row == 3
    intensity, variance = scaled.intensity.copy(), scaled.variance.copy()
    intensity[mine] = rng.permutation(intensity[mine])
    variance[mine] /= 100
    spoiled = replace(scaled, intensity=intensity, variance=variance)
    run.store.write(everything, spoiled)
    sums = half_sums(
        observations.group, spoiled, run.half[observations.row], len(observations.d)
    )
    means, verdicts, delta = without_harmful(
        run, Means(sums, np.ones(len(observations.d))), outcome.verdicts
    )
    assert np.flatnonzero(verdicts != Verdict.ACCEPTED).tolist() == [3]
    assert verdicts[3] is Verdict.DELTA_CC_HALF
    assert np.argmax(delta) == 3
    left = np.bincount(
        observations.group[spoiled.used & ~mine], minlength=len(observations.d)
    )
    np.testing.assert_array_equal(means.sums.n_observed.sum(axis=0), left)
