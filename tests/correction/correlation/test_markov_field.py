"""The Markov field that has given correlations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dials_truncfix.correction.correlation.markov_field import markov_field
from dials_truncfix.correction.correlation.noise_correlation import REACH, half_plane

LAGS = np.array(half_plane(REACH))


def _blurred(sigma, white):
    """Correlations of blurred noise with white noise added, at the lags."""
    impulse = np.zeros((64, 64))
    impulse[0, 0] = 1.0
    kernel = gaussian_filter(impulse, sigma, mode="wrap")
    power = np.abs(np.fft.fft2(kernel)) ** 2
    covariance = np.fft.ifft2(power / power.mean() + white).real
    return (covariance / covariance[0, 0])[tuple(LAGS.T)]


def _correlations(field, size=64):
    """Correlations that a field of these conditional means has."""
    frequency = 2 * np.pi * np.arange(size) / size
    precision = np.ones((size, size))
    for (slow, fast), weight in zip(LAGS, field.weights):
        phase = frequency[:, None] * slow + frequency * fast
        precision -= 2 * weight * np.cos(phase)
    covariance = np.fft.ifft2(field.sd**2 / precision).real
    return covariance[0, 0], covariance[tuple(LAGS.T)]


@pytest.mark.parametrize("sigma, white", [(0.5, 1.0), (0.8, 0.3), (1.2, 0.05)])
def test_the_field_has_the_correlations(sigma, white):
    correlation = _blurred(sigma, white)
    variance, found = _correlations(markov_field(LAGS, correlation))
    assert variance == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(found, correlation, atol=1e-3)


def test_without_correlation_nothing_depends_on_the_neighbours():
    field = markov_field(LAGS, np.zeros(len(LAGS)))
    np.testing.assert_allclose(field.weights, 0.0, atol=1e-9)
    assert field.sd == pytest.approx(1.0)


def test_correlations_that_no_field_has_are_lowered():
    impossible = np.where(np.abs(LAGS).sum(axis=1) == 1, 0.9, -0.5)
    field = markov_field(LAGS, impossible)
    assert np.isfinite(field.weights).all()
    variance, found = _correlations(field)
    assert variance == pytest.approx(1.0, abs=0.05)
    share = found / impossible
    assert 0.05 < share.mean() < 0.95
    np.testing.assert_allclose(share, share.mean(), atol=0.05)
