from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.postrefine.cycles.cycle_options import CycleOptions
from dials_truncfix.postrefine.cycles.cycles import postrefine
from dials_truncfix.postrefine.lattice.partiality import Model, partiality
from dials_truncfix.postrefine.merge.references import ExternalReference, OtherLattices
from dials_truncfix.postrefine.results.profiles import profiles
from simulated_lattices import observed, stills_model


@pytest.fixture(scope="module")
def data():
    return observed(stills_model(n_lattices=60, error=0.1, mean_intensity=200.0))


@pytest.fixture(scope="module", params=["given reference", "against itself"])
def binned(data, request):
    observations, true, _ = data
    external = None
    if request.param == "given reference":
        external = ExternalReference(true, np.zeros_like(true))
    outcome = postrefine(observations, external, CycleOptions(), map)
    assert outcome.accepted.all()
    return outcome, profiles(observations, outcome, external, map)


def test_observed_partialities_are_those_of_the_model(binned):
    """Deviations in units of their standard deviations spread by 0.6 to 1.5."""
    _, found = binned
    profile = found.by_excitation_error
    middle = (profile.edges[:-1] + profile.edges[1:]) / 2
    expected = partiality(Model.GAUSSIAN, middle, np.ones(1))
    seen = profile.n > 20
    assert seen.sum() > 15
    np.testing.assert_allclose(profile.calculated[seen], expected[seen], atol=0.02)
    scores = (profile.observed - profile.calculated) / profile.observed_sd
    assert 0.6 < np.sqrt(np.mean(scores[seen] ** 2)) < 1.5


def test_every_observation_is_in_a_bin(data, binned):
    """All but outliers and, in cycles, those that no other lattice shares."""
    outcome, found = binned
    observations = data[0]
    everything = slice(0, observations.n_lattices)
    scaled = outcome.store.read(everything)
    known = ~scaled.outlier
    if outcome.cycles[0].change > 0:
        block = observations.block(everything)
        known &= np.isfinite(OtherLattices(outcome.merged, scaled).of(block)[0])
    assert found.by_partiality.n.sum() == known.sum()
    assert found.trumpet.n.sum() > 0.95 * found.by_partiality.n.sum()


def test_negative_observations_are_as_many_as_their_uncertainties_say(data, binned):
    """Within four standard deviations of a count."""
    _, found = binned
    profile = found.by_partiality
    total, expected = profile.n_negative.sum(), profile.expected_negative.sum()
    assert total > 100
    assert abs(total - expected) < 4 * np.sqrt(expected)


def test_nothing_to_show_without_accepted_lattices(data):
    observations, true, _ = data
    external = ExternalReference(true, np.zeros_like(true))
    limits = CycleOptions().limits.__class__(min_observations=10**6)
    outcome = postrefine(
        observations, external, CycleOptions(limits=limits, model=Model.GAUSSIAN), map
    )
    assert profiles(observations, outcome, external, map) is None
