from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf

from dials_truncfix.simulate.spots import add_gaussian_spots


def test_pixels_hold_the_integral_and_add_up():
    image = np.zeros((40, 50))
    add_gaussian_spots(
        image, np.array([20.3]), np.array([17.8]), np.array([1000.0]), 1.1
    )
    assert image.sum() == pytest.approx(1000, rel=1e-12)
    edges = np.arange(51)
    along_x = np.diff(0.5 * erf((edges - 20.3) / (1.1 * np.sqrt(2))))
    along_y = np.diff(0.5 * erf((edges[:41] - 17.8) / (1.1 * np.sqrt(2))))
    # the profile ends five standard deviations out, and what is beyond is put inside
    assert np.allclose(image, 1000 * np.outer(along_y, along_x), atol=1e-3)


def test_centroid_and_width():
    image = np.zeros((40, 50))
    add_gaussian_spots(image, np.array([20.3]), np.array([17.8]), np.array([1.0]), 1.5)
    x = np.arange(50) + 0.5
    profile = image.sum(axis=0)
    mean = (profile * x).sum()
    assert mean == pytest.approx(20.3, abs=1e-4)
    # integration over a pixel adds its own variance
    variance = (profile * (x - mean) ** 2).sum()
    assert variance == pytest.approx(1.5**2 + 1 / 12, rel=1e-3)


def test_spots_over_the_edge_lose_what_is_off():
    image = np.zeros((30, 30))
    add_gaussian_spots(
        image, np.array([0.0, 30.0]), np.array([15.0, 30.0]), np.array([8.0, 8.0]), 1.0
    )
    assert image[:, :10].sum() == pytest.approx(4, rel=1e-6)
    assert image[20:, 20:].sum() == pytest.approx(2, rel=1e-6)


def test_spots_far_off_leave_no_trace():
    image = np.zeros((30, 30))
    add_gaussian_spots(
        image, np.array([-50.0, 15.0]), np.array([15.0, 1e6]), np.ones(2), 1.0
    )
    assert not image.any()


def test_overlapping_spots_add_and_do_not_depend_on_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    x, y, intensity = rng.uniform(0, 64, 200), rng.uniform(0, 64, 200), rng.random(200)
    whole = np.zeros((64, 64))
    add_gaussian_spots(whole, x, y, intensity, 1.3)
    monkeypatch.setattr("dials_truncfix.simulate.spots._STAMP_PIXELS", 1)
    one_by_one = np.zeros((64, 64))
    add_gaussian_spots(one_by_one, x, y, intensity, 1.3)
    assert np.allclose(whole, one_by_one, rtol=1e-12)


def test_no_spots_and_no_width():
    image = np.ones((5, 5))
    none = np.zeros(0)
    add_gaussian_spots(image, none, none, none, 1.0)
    assert np.array_equal(image, np.ones((5, 5)))
    with pytest.raises(ValueError, match="width 0"):
        add_gaussian_spots(image, none, none, none, 0.0)
