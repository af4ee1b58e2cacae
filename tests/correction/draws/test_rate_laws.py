"""Laws of a camera at the rates of a grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from camera_images import CAMERA, readings
from dials_truncfix.correction.draws.rate_laws import N_RATES, rate_laws

LAWS = rate_laws(CAMERA)


@pytest.mark.parametrize("rate", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("rounding", ["round", "floor"])
def test_against_drawn_readings(rate, rounding):
    """Low values, compressed means and means of zeros, within five standard errors."""
    camera = replace(CAMERA, rounding=rounding)
    laws = rate_laws(camera)
    node = int(laws.nearest(np.array(rate)))
    true = readings(np.full((1000, 1000), laws.rate[node]), seed=4)
    if rounding == "floor":
        noise = np.random.default_rng(5).uniform(-0.5, 0.5, true.shape)
        true = np.floor(true + noise).astype(int)
    recorded = np.maximum(true, 0).ravel()
    n_low = laws.log_low.shape[1]
    low = recorded[recorded < n_low]
    expected = np.exp(laws.log_low[node])
    count = np.bincount(low, minlength=n_low)
    error = 5 * np.sqrt(expected * len(low)) + 2
    # rounding twice, as for floor here, spreads values a little
    assert (np.abs(count - expected * len(low)) < error + 0.01 * len(low)).all()
    compressed = laws.compressed[recorded]
    assert compressed.mean() == pytest.approx(
        laws.expected[node], abs=5e-3 * compressed.std() + 2e-3
    )
    zeros = true[true <= 0]
    if len(zeros) > 1000:
        table = np.floor(laws.tables.coarse[node] + 1.0 - laws.tables.threshold)
        error = 5 * zeros.std() / np.sqrt(len(zeros))
        assert zeros.mean() == pytest.approx(table.mean(), abs=error + 0.03)


def test_rates_are_found_again():
    assert len(LAWS.rate) == N_RATES
    np.testing.assert_array_equal(LAWS.nearest(LAWS.rate), np.arange(N_RATES))
    extremes = LAWS.nearest(np.array([-1.0, 0.0, 1e9]))
    np.testing.assert_array_equal(extremes, [0, 0, N_RATES - 1])


@pytest.mark.parametrize("gain, read_noise", [(1.5, 7.0), (6.0, 1.0), (40.0, 12.0)])
def test_other_cameras(gain, read_noise):
    laws = rate_laws(replace(CAMERA, gain=gain, read_noise=read_noise))
    np.testing.assert_allclose(np.exp(laws.log_low).sum(axis=1), 1.0)
    assert (np.diff(laws.expected) > 0).all()
    # of low values the highest is the rarer, the darker
    assert laws.log_low[0, -1] < laws.log_low[120, -1]
    assert (laws.tables.coarse < laws.tables.threshold).all()
