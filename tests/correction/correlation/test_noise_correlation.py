"""Correlation of the noise of neighbouring pixels, measured on clipped images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter

from camera_images import CAMERA, add_spots, background, fitted, readings
from dials_truncfix.correction.correlation.correlation_summary import (
    box_variance,
    summarise_correlations,
)
from dials_truncfix.correction.correlation.latent_scores import normal_scores
from dials_truncfix.correction.correlation.noise_correlation import (
    REACH,
    _chance,
    half_plane,
    measure_correlation,
)
from dials_truncfix.correction.draws.pixel_law import noise_correlation


def _normal_field(sigma, seed, shape=(512, 512)):
    field = gaussian_filter(
        np.random.default_rng(seed).normal(size=shape), sigma, mode="wrap"
    )
    return field / field.std()


def _measure(true):
    clipped = np.maximum(true, 0)
    node = np.zeros(true.shape, np.uint8)
    scores = normal_scores(clipped, np.ones(true.shape, bool), node, np.zeros(1))
    return measure_correlation(clipped, scores)


def _of_image(true, **changes):
    image = fitted(true, **changes)
    return noise_correlation(image.clipped, image.law)[1]


@pytest.mark.parametrize("mean", [20.0, 0.0, -5.0])
def test_known_correlations_come_back(mean):
    """Of a blurred normal field, of which 2, 50 and 70 % are cut off."""
    sigma = 0.7
    true = np.rint(10 * _normal_field(sigma, 3) + mean).astype(np.int32)
    found = _measure(true)
    square = (np.array(half_plane(REACH)) ** 2).sum(axis=1)
    impulse = np.zeros((64, 64))
    impulse[0, 0] = 1.0
    kernel = gaussian_filter(impulse, sigma, mode="wrap")
    covariance = np.fft.ifft2(np.abs(np.fft.fft2(kernel)) ** 2).real
    expected = (covariance / covariance[0, 0])[tuple(found.lags.T)]
    np.testing.assert_allclose(found.pooled, expected, atol=0.025)
    assert found.pooled[square == 1].mean() == pytest.approx(
        expected[square == 1].mean(), abs=0.015
    )
    assert found.significant
    assert (found.pooled_sd < 0.02).all()


def test_the_stated_errors_are_right():
    """Of eight images without correlation, z-scores have a spread near 1."""
    rate = background(256)
    measured = [_of_image(readings(rate, seed=seed)) for seed in range(8)]
    z = np.array([m.pooled / m.pooled_sd for m in measured])
    assert 0.8 < z.std() < 1.4
    assert not any(m.significant for m in measured)


def test_dark_parts_of_an_image_are_less_correlated():
    """Light is spread before the read noise comes, so that it correlates the signal."""
    true = readings(background(512), psf=0.7)
    found = _of_image(true)
    direct = found.by_class[:, np.abs(found.lags).sum(axis=1) == 1].mean(axis=1)
    assert direct[-1] > 0.1
    assert direct[0] < 0.06
    assert found.significant


def test_spots_are_no_correlation():
    rate, _ = add_spots(background(512), 300, electrons=150)
    found = _of_image(readings(rate))
    without = _of_image(readings(background(512)))
    direct = np.abs(found.lags).sum(axis=1) == 1
    assert abs(found.pooled[direct].mean() - without.pooled[direct].mean()) < 0.01
    assert not found.significant


def test_a_background_that_annuli_do_not_follow_is_no_correlation():
    """A slope of ± 40 % over 512 pixels, seen in annuli."""
    rate = background(512) * np.linspace(0.6, 1.4, 512)
    found = _of_image(readings(rate))
    assert np.abs(found.pooled.mean()) < 0.004


def test_masked_pixels_take_no_part():
    true = readings(background(256), psf=0.7)
    mask = np.ones(true.shape, bool)
    mask[:, 100:140] = False
    first = _of_image(true, mask=mask)
    true[:, 100:140] = 300
    np.testing.assert_array_equal(first.pooled, _of_image(true, mask=mask).pooled)


def test_chance_is_that_of_students_test():
    values = np.random.default_rng(3).normal(0.4, 1.0, (5, 8))
    for some in values:
        expected = stats.ttest_1samp(some, 0.0).pvalue
        assert _chance(some) == pytest.approx(expected, rel=1e-12)
    # no scatter: certain where the mean is not 0
    assert _chance(np.ones(8)) == 0.0
    assert np.isnan(_chance(np.zeros(8)))


def test_images_that_say_nothing():
    assert _measure(np.zeros((8, 40), np.int32)) is None
    zeros = _measure(np.zeros((128, 128), np.int32))
    assert not zeros.significant
    assert np.isfinite(zeros.pooled).all()


def test_summary_of_some_images():
    rate = background(256)
    camera = replace(CAMERA, read_noise=3.0)
    images = [_of_image(readings(rate, camera, 0.7, seed)) for seed in range(4)]
    summary = summarise_correlations(images)
    assert summary.significant and summary.n_significant == 4
    assert summary.neighbour == pytest.approx(
        np.mean([m.pooled[[0, 6]].mean() for m in images])
    )
    assert 0 < summary.neighbour_sd < 0.02
    assert summarise_correlations([]) is None
    alone = summarise_correlations(images[:1])
    assert 0 < alone.neighbour_sd < 0.03


def test_variance_of_box_sums():
    sigma, edge = 0.8, 13
    fields = np.stack([_normal_field(sigma, seed) for seed in range(4)])
    lags = np.array(half_plane(REACH))
    power = np.abs(np.fft.fft2(fields)) ** 2
    covariance = np.fft.ifft2(power.mean(axis=0)).real
    correlation = (covariance / covariance[0, 0])[tuple(lags.T)]
    whole = fields[:, : 39 * edge, : 39 * edge]
    sums = whole.reshape(4, 39, edge, 39, edge).sum(axis=(2, 4))
    expected = sums.var() / edge**2
    assert box_variance(lags, correlation, edge) == pytest.approx(expected, rel=0.06)
