"""Histograms around zero: recorded, corrected, fitted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dials_truncfix.correction.fit import fit_histograms
from dials_truncfix.correction.histogram import ring_histograms
from dials_truncfix.correction.joint_camera.camera_model import CameraModel
from dials_truncfix.correction.value_counts import (
    add_counts,
    count_values,
    value_probabilities,
)


@pytest.fixture(scope="module")
def image():
    """True values, what is recorded of them, regions, and the fits of these."""
    generator = np.random.default_rng(5)
    labels = np.repeat([0, 1, -1], [200, 200, 100])[:, None] * np.ones(500, int)
    mean = np.array([4.0, 0.5, 2.0])[labels]
    true = generator.normal(mean, 3.0) + generator.exponential(2.0, labels.shape)
    true = np.rint(true).astype(np.int32)
    recorded = np.maximum(true, 0)
    fits = fit_histograms(ring_histograms(recorded, labels, 2, 512), "emg")
    assert fits.fitted.all()
    return true, recorded, labels, fits


def test_every_pixel_is_counted_once(image):
    true, recorded, labels, fits = image
    counts = count_values(recorded, np.minimum(true, recorded), labels, fits)
    for ring in (0, 1):
        mine = labels == ring
        values = true[mine]
        assert counts.corrected[ring].sum() == np.sum(values <= 0)
        assert counts.recorded[ring, 0] == np.sum(values <= 0)
        for value in (1, 5, counts.highest):
            assert counts.recorded[ring, value] == np.sum(values == value)
        for value in (0, -1, -4):
            assert counts.corrected[ring, value - counts.lowest] == np.sum(
                values == value
            )
    assert counts.lowest == true[labels >= 0].min()


def test_the_fit_is_on_the_scale_of_the_pixels(image):
    true, recorded, labels, fits = image
    counts = count_values(recorded, true, labels, fits)
    zero = -counts.lowest
    for ring in (0, 1):
        i_max = fits.i_max[ring]
        fitted = counts.expected[ring, : zero + i_max + 1].sum()
        assert fitted == pytest.approx(counts.recorded[ring, : i_max + 1].sum())
        # what the truth has, within chance
        seen = counts.corrected[ring, -3:]
        expected = counts.expected[ring, zero - 2 : zero + 1]
        assert np.abs(seen - expected).max() < 5 * np.sqrt(seen.max())


def test_a_region_without_fit_has_no_expectation(image):
    true, recorded, labels, _ = image
    flat = np.where(labels == 1, 7, recorded)
    fits = fit_histograms(ring_histograms(flat, labels, 2, 512), "emg")
    counts = count_values(flat, flat, labels, fits)
    assert counts.i_max[1] == -1
    assert (counts.expected[1] == 0).all()
    assert counts.expected[0].sum() > 0
    assert counts.corrected[1].sum() == 0


def test_very_deep_values_are_in_the_first_bin(image):
    _, recorded, labels, fits = image
    corrected = np.where(recorded == 0, -1000, recorded)
    counts = count_values(recorded, corrected, labels, fits)
    assert counts.lowest == -255
    np.testing.assert_array_equal(counts.corrected[:, 0], counts.recorded[:, 0])


def test_counts_of_images_and_regions_are_added(image):
    true, recorded, labels, fits = image
    one = count_values(recorded, true, labels, fits)
    shallow = count_values(recorded, np.where(recorded == 0, 0, recorded), labels, fits)
    other = dataclasses.replace(shallow, recorded=shallow.recorded[:, :9])
    other = dataclasses.replace(other, expected=shallow.expected[:, :9])
    both = add_counts([one, other], np.array([0, 0]))
    assert both.recorded.shape == (1, 9)
    assert (both.lowest, both.highest) == (one.lowest, 8)
    np.testing.assert_array_equal(both.recorded[0], 2 * one.recorded[:, :9].sum(axis=0))
    assert (
        both.corrected[0, -1] == (one.corrected[:, -1] + other.corrected[:, -1]).sum()
    )
    assert both.corrected.sum() == one.corrected.sum() + other.corrected.sum()
    zero = -both.lowest
    np.testing.assert_allclose(
        both.expected[0, zero:],
        (one.expected[:, -one.lowest :][:, :9] + other.expected).sum(axis=0),
    )
    assert both.i_max[0] == fits.i_max.max()


@pytest.mark.parametrize("rounding", ["round", "floor"])
def test_probabilities_of_a_camera_are_those_of_its_readings(rounding):
    """Against draws of the camera: electrons, pulses, read noise, rounding."""
    camera = CameraModel(5.0, 0.5, 4.0, 0.3, rounding)
    generator = np.random.default_rng(8)
    rates = np.array([0.2, 1.5])
    electrons = generator.poisson(rates, (400_000, 2))
    pulses = generator.gamma(np.maximum(electrons, 1e-9) / 0.5, 5.0 * 0.5)
    x = np.where(electrons > 0, pulses, 0) + generator.normal(0.3, 4.0, electrons.shape)
    values = (np.rint(x) if rounding == "round" else np.floor(x)).astype(int)
    histograms = np.stack(
        [np.bincount(np.clip(v, 0, 511), minlength=512) for v in values.T]
    )
    fits = fit_histograms(histograms, "emg", rounding)
    theta = np.full((2, 3), np.nan)
    theta[:, 0] = rates
    fits = dataclasses.replace(
        fits, family=np.full(2, "camera"), theta=theta, camera=camera
    )
    found = value_probabilities(fits, -12, 40)
    assert found.sum(axis=1) == pytest.approx(1.0, abs=0.01)
    for ring in (0, 1):
        for value in (-11, -3, 0, 1, 12):
            seen = np.mean(values[:, ring] == value)
            assert found[ring, value + 12] == pytest.approx(
                seen, abs=5 * np.sqrt(seen / 400_000)
            )
        assert found[ring, 0] == pytest.approx(
            np.mean(values[:, ring] <= -12), abs=1e-3
        )
