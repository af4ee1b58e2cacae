"""Gain of cameras that spread the light of an electron over several pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from camera_images import CAMERA, background, fitted, radius_of, readings
from dials_truncfix.correction.correlation.gain_of_sums import gain_of_sums
from dials_truncfix.correction.correlation.noise_covariance import noise_covariance
from dials_truncfix.correction.draws.pixel_law import draw_pixels, with_correlation
from dials_truncfix.correction.gain import estimate_gain, noise_profile

KEYS = {"assign": "random", "rounding": "round"}


@pytest.fixture(scope="module")
def blurred():
    """Gain of pixels, and covariances, of two images."""
    profiles, covariances = [], []
    for seed in (1, 2):
        rate = background(512) * 2.0
        image = fitted(readings(rate, CAMERA, 0.7, seed), n_annuli=10)
        law = with_correlation(image.clipped, image.law)
        drawn = draw_pixels(image.clipped, law, seed=seed, image_number=1, **KEYS)
        mask = np.ones(rate.shape, bool)
        profiles.append(noise_profile(drawn, mask, radius_of(rate.shape)))
        covariances.append(noise_covariance(drawn, law.scores))
    return estimate_gain(profiles), covariances


def test_a_blurred_camera_has_the_gain_of_a_sharp_one(blurred):
    """Of the 9 ADU that sums vary by, pixels show 1.4."""
    pixels, covariances = blurred
    assert pixels.reliable and pixels.gain < 0.3 * CAMERA.effective_gain
    sums = gain_of_sums(pixels, covariances)
    assert sums.gain == pytest.approx(CAMERA.effective_gain, rel=0.15)
    assert sums.pedestal == pytest.approx(CAMERA.pedestal, abs=1.0)
    assert sums.gain_sd < 0.1 * sums.gain


def test_covariances_are_those_of_blurred_light(blurred):
    """1 - Σk² of the variance of the light goes to the neighbours."""
    for measured in blurred[1]:
        kept = 1 / (4 * np.pi * 0.7**2)
        expected = (1 - kept) * CAMERA.effective_gain * measured.level
        np.testing.assert_allclose(measured.covariance, expected, rtol=0.2, atol=15.0)


def test_what_is_not_known_stays_so(blurred):
    pixels, covariances = blurred
    unreliable = replace(pixels, reliable=False)
    assert gain_of_sums(unreliable, covariances) is unreliable
    assert gain_of_sums(pixels, []) is pixels
    alike = [replace(c, level=np.full_like(c.level, 3.0)) for c in covariances]
    assert gain_of_sums(pixels, alike) is pixels
