"""Zeros of an image and the moments of their radii."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.correction.zeros import find_zeros

N_RINGS = 5


@pytest.fixture(scope="module")
def image():
    """A third zeros, more pixels than one block, one annulus without zeros."""
    rng = np.random.default_rng(5)
    shape = (401, 563)
    labels = rng.integers(-1, N_RINGS, shape).astype(np.int16)
    pixels = rng.integers(-1, 2, shape).astype(np.int32)
    pixels[labels == 3] = 7
    return pixels, labels, rng.uniform(1.0, 2.0, shape).astype(np.float32)


def test_finds_every_zero_of_the_annuli_and_no_other(image):
    pixels, labels, radius = image
    zeros = find_zeros(*image, N_RINGS)
    expected = np.flatnonzero((pixels == 0) & (labels >= 0))
    assert len(expected) > 40_000
    np.testing.assert_array_equal(zeros.index, expected)
    np.testing.assert_array_equal(zeros.ring, labels.ravel()[expected])
    np.testing.assert_array_equal(zeros.radius, radius.ravel()[expected])


def test_moments_of_the_radius_are_those_of_each_annulus(image):
    zeros = find_zeros(*image, N_RINGS)
    fallback = np.full(N_RINGS, 9.0)
    mean = zeros.mean_radius(fallback)
    deviation = zeros.mean_deviation(mean)
    for ring in range(N_RINGS):
        mine = zeros.radius[zeros.ring == ring].astype(np.float64)
        assert zeros.counts[ring] == len(mine)
        if ring == 3:
            assert (mean[ring], deviation[ring]) == (9.0, 0.0)
            continue
        assert mean[ring] == pytest.approx(mine.mean(), rel=1e-13)
        away = np.abs(mine - mine.mean()).mean()
        assert deviation[ring] == pytest.approx(away, rel=1e-12)


def test_an_image_without_zeros_has_none():
    shape = (3, 4)
    zeros = find_zeros(
        np.ones(shape, np.int32), np.zeros(shape, int), np.ones(shape), 1
    )
    assert len(zeros) == 0
    assert zeros.mean_radius(np.array([2.5])).tolist() == [2.5]


def test_refuses_arrays_of_different_shapes():
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(2, 3\)"):
        find_zeros(np.zeros((2, 2), int), np.zeros((2, 3), int), np.zeros((2, 2)), 1)
