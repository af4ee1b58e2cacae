from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.correction.draws.draw import replace_zeros
from dials_truncfix.correction.draws.quantiles import (
    conditional_tables,
    mean_preserving_knots,
)
from dials_truncfix.correction.fit import fit_histograms
from dials_truncfix.correction.gain import (
    NoiseProfile,
    estimate_gain,
    noise_profile,
    robust_line,
)
from dials_truncfix.correction.histogram import ring_histograms
from dials_truncfix.correction.regions.annuli import equal_area_annuli

SHAPE = (1024, 1024)
SLOW, FAST = np.indices(SHAPE)
RADIUS = np.hypot(SLOW - 505, FAST - 520).astype(np.float32)
MASK = np.ones(SHAPE, bool)
# Two exponentials and a water ring, from 300 ADU in the beam to 2 ADU at the edge.
BACKGROUND = (
    250 * np.exp(-RADIUS / 60)
    + 40 * np.exp(-RADIUS / 225)
    + 10 * np.exp(-0.5 * ((RADIUS - 250) / 30) ** 2)
)
GAIN, READ_NOISE = 9.0, 6.0
PEDESTAL = -(READ_NOISE**2) / GAIN


def _with_spots(mean, rng, n_spots=600):
    spots = mean.copy()
    slow, fast = np.mgrid[-5:6, -5:6]
    profile = np.exp(-0.5 * (slow**2 + fast**2) / 1.5**2)
    profile /= profile.sum()
    for y, x in rng.integers(6, 1018, (n_spots, 2)):
        strength = 40_000 * np.exp(-RADIUS[y, x] / 150) + 200
        spots[y - 5 : y + 6, x - 5 : x + 6] += rng.exponential(strength) * profile
    return spots


def _camera(mean, rng, read_noise=READ_NOISE):
    """Electrons of 6 ADU each with excess noise, so that the slope is 9."""
    electrons = rng.poisson(mean / 6)
    pulses = rng.gamma(2.0 * np.maximum(electrons, 1), 3.0) * (electrons > 0)
    return np.rint(pulses + rng.normal(0, read_noise, mean.shape)).astype(np.int32)


def _repair(image):
    """Replace the zeros of a truncated image by draws from fitted distributions."""
    annuli = equal_area_annuli(RADIUS, MASK)
    histograms = ring_histograms(image, annuli.labels, annuli.n_rings, 2048)
    fits = fit_histograms(histograms)
    zeros = image == 0
    radius = annuli.radius.astype(float)
    deviation = np.zeros(annuli.n_rings)
    for ring in range(annuli.n_rings):
        at = RADIUS[zeros & (annuli.labels == ring)]
        if at.size:
            radius[ring] = at.mean()
            deviation[ring] = np.abs(at - radius[ring]).mean()
    tables = conditional_tables(fits, radius)
    tables = mean_preserving_knots(tables, deviation[fits.fitted])
    return replace_zeros(image, MASK, RADIUS, tables, seed=1, image_number=1)


def test_gain_and_pedestal_of_images_that_were_not_truncated():
    rng = np.random.default_rng(0)
    estimate = estimate_gain(
        [noise_profile(_camera(BACKGROUND, rng), MASK, RADIUS) for _ in range(2)]
    )
    assert estimate.reliable
    assert estimate.reason == ""
    assert estimate.gain == pytest.approx(GAIN, rel=0.02)
    assert estimate.pedestal == pytest.approx(PEDESTAL, rel=0.06)
    assert estimate.read_noise == pytest.approx(READ_NOISE, rel=0.03)
    assert estimate.mean_range[0] < 3
    assert estimate.mean_range[1] > 100


def test_rows_that_fill_no_tile_do_not_matter():
    # some Timepix detectors have 516 rows
    image = _camera(BACKGROUND, np.random.default_rng(0))
    profiles = [noise_profile(image[:n], MASK[:n], RADIUS[:n]) for n in (512, 516, 15)]
    for whole, more in zip(vars(profiles[0]).values(), vars(profiles[1]).values()):
        np.testing.assert_array_equal(whole, more)
    assert len(profiles[0].mean) > 10
    assert len(profiles[2].mean) == 0


def test_bragg_spots_do_not_matter():
    rng = np.random.default_rng(1)
    image = _camera(_with_spots(BACKGROUND, rng), rng)
    estimate = estimate_gain([noise_profile(image, MASK, RADIUS)])
    assert estimate.gain == pytest.approx(GAIN, rel=0.03)
    assert estimate.pedestal == pytest.approx(PEDESTAL, rel=0.1)


@pytest.mark.parametrize("spots", [False, True])
def test_gain_within_5_and_pedestal_within_15_percent_after_repair(spots):
    rng = np.random.default_rng(2)
    mean = _with_spots(BACKGROUND, rng) if spots else BACKGROUND
    image = _camera(mean, rng).clip(0)
    estimate = estimate_gain([noise_profile(_repair(image), MASK, RADIUS)])
    assert estimate.reliable
    assert estimate.gain == pytest.approx(GAIN, rel=0.05)
    assert estimate.pedestal == pytest.approx(PEDESTAL, rel=0.15)
    # the same without repair is far off
    clipped = estimate_gain([noise_profile(image, MASK, RADIUS)])
    assert abs(clipped.pedestal - PEDESTAL) > 0.3 * abs(PEDESTAL)


def test_masked_pixels_do_not_matter():
    rng = np.random.default_rng(3)
    image = _camera(BACKGROUND, rng)
    mask = rng.random(SHAPE) < 0.9
    mask[:, 500:520] = False
    estimate = estimate_gain([noise_profile(np.where(mask, image, 9999), mask, RADIUS)])
    assert estimate.gain == pytest.approx(GAIN, rel=0.02)


def test_stated_uncertainties_are_those_of_many_images():
    estimates = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        part = (slice(0, 512), slice(0, 512))
        profile = noise_profile(
            _camera(BACKGROUND[part], rng), MASK[part], RADIUS[part]
        )
        estimates.append(estimate_gain([profile]))
    for name in ("gain", "pedestal"):
        found = np.std([getattr(e, name) for e in estimates], ddof=1)
        stated = np.median([getattr(e, f"{name}_sd") for e in estimates])
        assert 0.5 < found / stated < 2


def test_a_flat_image_does_not_determine_the_gain():
    image = _camera(np.full(SHAPE, 5.0), np.random.default_rng(0))
    estimate = estimate_gain([noise_profile(image, MASK, RADIUS)])
    assert not estimate.reliable
    assert "slope" in estimate.reason


def test_images_of_one_level_tell_nothing():
    profiles = [
        NoiseProfile(m, 9 * (m + 4), np.full(9, 0.5), np.full(9, 0.3))
        for m in (np.linspace(1, 40, 9),)
    ]
    flat = NoiseProfile(*np.zeros((3, 9)), np.ones(9))
    assert estimate_gain([*profiles, flat]) == estimate_gain(profiles)
    assert not estimate_gain([flat, flat]).reliable


def test_too_small_an_image_does_not_determine_the_gain():
    image = np.ones((40, 40), np.int32)
    profile = noise_profile(image, image > 0, np.ones((40, 40)))
    estimate = estimate_gain([profile])
    assert not estimate.reliable
    assert np.isnan(estimate.gain)
    assert not estimate_gain([]).reliable
    tiny = np.ones((5, 5), np.int32)
    assert len(noise_profile(tiny, tiny > 0, np.ones((5, 5))).mean) == 0


def test_a_pedestal_is_never_positive():
    mean = np.linspace(10, 100, 20)
    ones = np.ones(20)
    profile = NoiseProfile(mean, 9 * (mean - 5), 0.1 * ones, 0 * ones)
    estimate = estimate_gain([profile])
    assert estimate.gain == pytest.approx(9)
    assert estimate.pedestal == 0
    assert estimate.read_noise == 0


def test_the_line_withstands_outliers():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 100, 60)
    sd = 1 + 0.05 * x
    y = 9 * x + 36 + sd * rng.normal(size=60)
    y[::6] += 100
    (slope, intercept), covariance = robust_line(x, y, sd, sd)
    assert slope == pytest.approx(9, abs=3 * np.sqrt(covariance[0, 0]))
    assert slope == pytest.approx(9, rel=0.02)
    assert intercept == pytest.approx(36, abs=4)


def test_refuses_different_shapes():
    with pytest.raises(ValueError, match="differ in shape"):
        noise_profile(np.zeros((40, 40), int), np.ones((40, 41), bool), RADIUS)
