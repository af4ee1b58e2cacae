"""Zeros of an image and the moments of their radii."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.correction.draws.zeros import find_zeros, radial_moments
from dials_truncfix.correction.regions.annuli import Annuli
from dials_truncfix.correction.regions.regions import annular_regions

N_RINGS = 5


@pytest.fixture(scope="module")
def image():
    """A third zeros, more pixels than one block, one annulus without zeros."""
    rng = np.random.default_rng(5)
    shape = (701, 863)
    labels = rng.integers(-1, N_RINGS, shape).astype(np.int16)
    pixels = rng.integers(-1, 2, shape).astype(np.int32)
    pixels[labels == 3] = 7
    radius = (labels + rng.uniform(0.0, 1.0, shape)).astype(np.float32)
    return pixels, labels, radius


def regions(labels):
    n_pixels = np.bincount(labels[labels >= 0], minlength=N_RINGS)
    centre = np.arange(N_RINGS) + 0.25
    edges = np.arange(N_RINGS + 1.0)
    return annular_regions(Annuli(labels, edges, centre.astype(np.float32), n_pixels))


def test_finds_every_zero_of_the_annuli_and_no_other(image):
    pixels, labels, _ = image
    expected = np.flatnonzero((pixels == 0) & (labels >= 0))
    assert len(expected) > 100_000
    np.testing.assert_array_equal(find_zeros(pixels, labels), expected)


@pytest.mark.parametrize("n_rows, tolerance", [(701, 6e-3), (40, 1e-12)])
def test_moments_of_the_radius_are_those_of_each_annulus(image, n_rows, tolerance):
    pixels, labels, radius = (values[:n_rows] for values in image)
    zeros = find_zeros(pixels, labels)
    mean, deviation = radial_moments(pixels, regions(labels), radius)
    ring, at = labels.ravel()[zeros], radius.ravel()[zeros].astype(np.float64)
    for number in range(N_RINGS):
        mine = at[ring == number]
        if number == 3:
            assert (mean[number], deviation[number]) == (3.25, 0.0)
            continue
        assert mean[number] == pytest.approx(mine.mean(), abs=tolerance)
        away = np.abs(mine - mine.mean()).mean()
        assert deviation[number] == pytest.approx(away, abs=tolerance)


def test_an_image_without_zeros_has_none(image):
    _, labels, radius = image
    ones = np.ones(labels.shape, np.int32)
    assert len(find_zeros(ones, labels)) == 0
    mean, deviation = radial_moments(ones, regions(labels), radius)
    np.testing.assert_array_equal(mean, regions(labels).table.radius)
    assert not deviation.any()


def test_refuses_arrays_of_different_shapes():
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(2, 3\)"):
        find_zeros(np.zeros((2, 2), int), np.zeros((2, 3), np.int16))
