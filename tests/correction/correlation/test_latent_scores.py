"""Normal scores of the pixels of an image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from camera_images import add_spots, background, readings
from dials_truncfix.correction.correlation.latent_scores import (
    mean_score_below,
    normal_scores,
)


def _scores(true, node=None, expected=None, eligible=None):
    shape = true.shape
    return normal_scores(
        np.maximum(true, 0),
        np.ones(shape, bool) if eligible is None else eligible,
        np.zeros(shape, np.uint8) if node is None else node,
        np.zeros(1) if expected is None else expected,
    )


def test_positive_pixels_have_the_scores_of_their_distribution():
    generator = np.random.default_rng(1)
    true = np.rint(generator.normal(2.0, 20.0, (300, 300))).astype(np.int32)
    scores = _scores(true)
    positive = true > 0
    expected = (true[positive] - 2.0) / 20.0
    # the score of an integer is that of its middle, and ranks scatter
    below = expected < 3.0
    np.testing.assert_allclose(
        scores.score[positive][below], expected[below], atol=0.15
    )
    assert scores.threshold[0] == pytest.approx((0.5 - 2.0) / 20.0, abs=0.02)
    assert scores.score[~positive].max() == scores.score[~positive].min()
    assert scores.score.mean() == pytest.approx(0.0, abs=0.01)


def test_dark_and_bright_pixels_become_alike():
    rate = np.repeat([[0.2], [6.0]], 200, axis=0) * np.ones((400, 400))
    node = (rate > 1).astype(np.uint8)
    scores = _scores(readings(rate), node, np.array([0.2, 6.0]))
    for half in (scores.score[:200], scores.score[200:]):
        assert half.mean() == pytest.approx(0.0, abs=0.01)
    dark, bright = scores.threshold[0], scores.threshold[-1]
    assert stats.norm.cdf(dark) == pytest.approx(0.47, abs=0.02)
    assert stats.norm.cdf(bright) == pytest.approx(0.01, abs=0.01)
    # classes of brightness do not mix the halves
    brightness = scores.brightness[scores.group]
    assert brightness[:200].max() < brightness[200:].min()


def test_pixels_outside_take_no_part():
    true = readings(background(128))
    eligible = np.ones(true.shape, bool)
    eligible[40:60] = False
    first = _scores(true, eligible=eligible)
    changed = true.copy()
    changed[40:60] = 500
    second = _scores(changed, eligible=eligible)
    np.testing.assert_array_equal(first.score, second.score)
    assert (first.score[40:60] == 0).all()


def test_spots_and_shadows_are_odd():
    rate, places = add_spots(np.full((256, 256), 0.5), 20, electrons=90)
    rate[100:140, :60] = 0.0
    odd = _scores(readings(rate)).odd
    shadowed = (abs(places[:, 0] - 120) < 30) & (places[:, 1] < 70)
    assert odd[tuple(places[~shadowed].T)].all()
    assert odd[110:130, 10:50].mean() > 0.8
    noise = _scores(readings(np.full((256, 256), 0.5))).odd
    assert noise.mean() < 0.001


def test_mean_score_below_a_threshold():
    t = np.array([-30.0, -2.0, 0.0, 3.0])
    expected = [stats.truncnorm(-np.inf, x).mean() for x in t[1:]]
    mean = mean_score_below(t)
    np.testing.assert_allclose(mean[1:], expected, rtol=1e-9)
    assert mean[0] == pytest.approx(-30.0 - 1 / 30.0, abs=1e-4)
