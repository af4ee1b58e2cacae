from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.postrefine.cycles.held_out import HeldOut
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.results.false_predictions import (
    FarPredictions,
    choice_in_words,
    far_predictions,
)
from dials_truncfix.postrefine.results.profiles import EXCITATION_EDGES, Profile

EXPECTED = {"sphere": 0.0, "lorentzian": 0.11, "gaussian": 0.01}


def profile(observed, n=50, negative=20):
    n_bins = len(EXCITATION_EDGES) - 1
    return Profile(
        edges=EXCITATION_EDGES,
        n=np.full(n_bins, n),
        observed=np.full(n_bins, observed),
        observed_sd=np.full(n_bins, 0.01),
        calculated=np.zeros(n_bins),
        n_negative=np.full(n_bins, negative),
        expected_negative=np.full(n_bins, float(negative)),
    )


def compared(sphere, lorentzian, gaussian, n=1000):
    return [
        HeldOut(model, n, r, 0.9, r, 0.9, r)
        for model, r in zip(Model, (sphere, lorentzian, gaussian))
    ]


def test_far_predictions_are_averaged_on_both_sides():
    """Forty bins of a thickness of 1/8 lie beyond 1.5 rs; the models have known means."""
    far = far_predictions(profile(0.02))
    assert (far.n, far.n_negative) == (40 * 50, 40 * 20)
    assert far.recorded == pytest.approx(0.02)
    assert far.recorded_sd == pytest.approx(0.01 / np.sqrt(40))
    assert far.expected["sphere"] == 0
    t = np.linspace(1.5, 4, 100_001)
    assert far.expected["lorentzian"] == pytest.approx(
        np.mean(1 / (1 + 2 * t * t)), rel=0.01
    )
    assert far.expected["gaussian"] == pytest.approx(
        np.mean(np.exp(-2 * np.log(2) * t * t)), rel=0.05
    )


@pytest.mark.parametrize(
    ("recorded", "sd", "n_negative", "words"),
    [
        (0.001, 0.001, 450, "are false predictions: nothing was recorded"),
        (0.020, 0.001, 300, "for the most part false predictions"),
        (0.105, 0.002, 300, "are partial reflections below their noise"),
        (0.105, 0.002, 5, "spots that were found"),
        (0.100, 0.090, 300, "Too few observations lie beyond 1.5 rs"),
    ],
)
def test_what_negative_measurements_are(recorded, sd, n_negative, words):
    far = FarPredictions(1000, n_negative, recorded, sd, EXPECTED)
    assert words in choice_in_words(compared(1, 2, 3), Model.SPHERE, far)[1]


@pytest.mark.parametrize(
    ("held_out", "used", "words"),
    [
        (compared(0.3, 0.2, 0.1), Model.GAUSSIAN, "The Gaussian predicts"),
        (compared(0.3, 0.2, 0.1), Model.SPHERE, "; the sphere was asked for."),
        (compared(0.3, 0.101, 0.1), Model.GAUSSIAN, "do not tell the Gaussian and the"),
        ([], Model.GAUSSIAN, "Too few observations were held out"),
    ],
)
def test_which_model_the_data_choose(held_out, used, words):
    (sentence,) = choice_in_words(held_out, used, None)
    assert words in sentence
