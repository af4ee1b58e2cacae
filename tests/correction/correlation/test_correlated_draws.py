"""Draws that are correlated like the noise of the camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from camera_images import CAMERA, add_spots, background, box_sums, fitted, readings
from dials_truncfix.correction.correlation.correlated_draws import correlated_uniforms
from dials_truncfix.correction.draws.pixel_law import draw_pixels, with_correlation
from dials_truncfix.correction.draws.zeros import find_zeros

# Blur, read noise and dark level (ADU): half of the pixels are cut off, and neighbours
# have a correlation of 0.1, 0.3 and 0.7.
CAMERAS = [(0.6, 4.0, -3.0), (0.8, 2.0, -3.5), (1.2, 0.6, -4.2)]


def _draw(image, law, number=1, seed=5):
    keys = {"seed": seed, "image_number": number}
    return draw_pixels(image.clipped, law, assign="random", rounding="round", **keys)


def _excess(rate, camera, psf, seed):
    """Signed pixels above what is expected, as true and with both kinds of draws."""
    true = readings(rate, camera, psf, seed)
    image = fitted(true)
    independent = _draw(image, image.law)
    law = with_correlation(image.clipped, image.law)
    correlated = _draw(image, law)
    expected = camera.gain * rate + camera.dark
    return [x - expected for x in (true, independent, correlated)], law


@pytest.mark.parametrize("psf, read_noise, dark", CAMERAS)
def test_sums_over_boxes_scatter_as_before_truncation(psf, read_noise, dark):
    """Within 10 % of the variance, and means within 0.02 ADU of independent draws."""
    camera = replace(CAMERA, read_noise=read_noise, dark=dark)
    rate = np.full((390, 390), 0.7)
    variances, means = [], []
    for seed in (1, 2):
        images, law = _excess(rate, camera, psf, seed)
        assert law.correlation is not None
        variances.append([box_sums(image).var(ddof=1) for image in images])
        means.append([image.mean() for image in images])
    true, independent, correlated = np.mean(variances, axis=0)
    assert independent < 0.97 * true
    assert correlated == pytest.approx(true, rel=0.1)
    assert abs(correlated - true) < abs(independent - true)
    mean = np.mean(means, axis=0)
    assert mean[2] == pytest.approx(mean[1], abs=0.02)


def test_independent_noise_stays_so():
    images, law = _excess(background(390), CAMERA, 0.0, 3)
    assert law.correlation is None
    np.testing.assert_array_equal(images[1], images[2])


def _places(image, law, number=1, seed=5):
    zeros = find_zeros(image.clipped, law.labels)
    keys = {"seed": seed, "image_number": number}
    return correlated_uniforms(law.scores, zeros, law.correlation, **keys)


@pytest.fixture(scope="module")
def blurred():
    """An image with correlated noise, a masked strip and spots, and its law."""
    rate, places = add_spots(background(256) + 0.6, 60, electrons=100)
    mask = np.ones(rate.shape, bool)
    mask[120:140, :100] = False
    camera = replace(CAMERA, read_noise=2.0, dark=-5.0)
    image = fitted(readings(rate, camera, psf=0.8), mask, n_annuli=3)
    law = with_correlation(image.clipped, image.law)
    assert law.correlation is not None
    return image, law, places


def test_places_are_uniform_and_repeatable(blurred):
    image, law, _ = blurred
    u = _places(image, law)
    assert ((u > 0) & (u < 1)).all()
    counts = np.histogram(u, 20, (0, 1))[0]
    np.testing.assert_allclose(counts / len(u), 0.05, atol=0.002)
    np.testing.assert_array_equal(u, _places(image, law))
    for other in (_places(image, law, number=2), _places(image, law, seed=6)):
        assert (u != other).mean() > 0.99
        # two draws share what the positive pixels around them say, and no more
        assert 0.05 < np.corrcoef(u, other)[0, 1] < 0.8


def test_places_follow_the_neighbours(blurred):
    """Of neighbouring zeros, and of zeros and the positive pixels beside them."""
    image, law, _ = blurred
    zeros = find_zeros(image.clipped, law.labels)
    u = np.full(image.clipped.shape, np.nan)
    u.ravel()[zeros] = _places(image, law)
    both = np.isfinite(u[:, :-1]) & np.isfinite(u[:, 1:])
    assert np.corrcoef(u[:, :-1][both], u[:, 1:][both])[0, 1] > 0.1
    right = law.scores.score[:, 1:]
    beside = np.isfinite(u[:, :-1]) & (image.clipped[:, 1:] > 0)
    beside &= law.scores.eligible[:, 1:] & ~law.scores.odd[:, 1:]
    assert np.corrcoef(u[:, :-1][beside], right[beside])[0, 1] > 0.1


def test_bright_spots_do_not_raise_the_zeros_around_them(blurred):
    image, law, places = blurred
    u = np.full(image.clipped.shape, np.nan)
    u.ravel()[find_zeros(image.clipped, law.labels)] = _places(image, law)
    rings = []
    for row, column in places:
        piece = u[max(row - 5, 0) : row + 6, max(column - 5, 0) : column + 6]
        rings.append(piece[np.isfinite(piece)])
    beside = np.concatenate(rings)
    error = 1 / np.sqrt(12 * len(beside))
    assert abs(beside.mean() - 0.5) < 8 * error
    assert abs(beside.mean() - 0.5) < 0.06


def test_masked_pixels_do_not_count(blurred):
    image, law, _ = blurred
    changed = image.clipped.copy()
    changed[120:140, :100] = 1000
    other = with_correlation(changed, image.law)
    np.testing.assert_array_equal(_places(image, law), _places(image, other))


def test_zeros_at_the_edges_are_drawn():
    rate = np.full((64, 200), 0.05)
    camera = replace(CAMERA, read_noise=2.0)
    image = fitted(readings(rate, camera, psf=1.0), n_annuli=1)
    law = with_correlation(image.clipped, image.law)
    assert law.correlation is not None
    drawn = _draw(image, law)
    assert (drawn[0] < 0).any() and (drawn[:, -1] < 0).any()
    assert (drawn <= 0)[image.clipped == 0].all()
    positive = image.clipped > 0
    np.testing.assert_array_equal(drawn[positive], image.clipped[positive])
