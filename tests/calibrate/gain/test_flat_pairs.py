from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dials_truncfix.calibrate.gain.flat_pairs import (
    REACH,
    correlation_map,
    difference_image,
    pair_points,
)

SHAPE = (256, 384)
EVERYWHERE = np.ones(SHAPE, bool)


def pair(mean=100.0, sd=7.0, seed=0, blur=0.0):
    rng = np.random.default_rng(seed)
    noise = rng.normal(0.0, sd, (2, *SHAPE))
    if blur:
        noise = np.stack([gaussian_filter(n, blur, mode="wrap") for n in noise])
    return np.rint(mean + noise).astype(np.int32)


def test_variance_of_independent_pixels():
    found = pair_points(*pair(), EVERYWHERE)
    n = found.n_pixels.sum()
    assert n > 0.98 * np.prod(SHAPE)
    weight = found.n_pixels / n
    assert weight @ found.mean == pytest.approx(100.0, abs=0.1)
    assert weight @ found.variance == pytest.approx(49.0 + 1 / 12, rel=0.01)
    # 80 pixels around, each covariance known to a part in √n
    assert weight @ found.covariance == pytest.approx(
        0.0, abs=3 * 49 * np.sqrt(160 / n)
    )
    assert (found.zeros == 0).all()


def test_the_fixed_pattern_drops_out():
    first, second = pair()
    pattern = np.random.default_rng(5).normal(0.0, 30.0, SHAPE).astype(np.int32)
    with_pattern = pair_points(first + pattern, second + pattern, EVERYWHERE)
    weight = with_pattern.n_pixels / with_pattern.n_pixels.sum()
    assert weight @ with_pattern.variance == pytest.approx(49.1, rel=0.02)


def test_a_beam_that_became_brighter_does_no_harm():
    first, second = pair()
    slope = np.linspace(0.0, 3.0, SHAPE[1]).astype(np.int32)
    found = pair_points(first, second + 20 + slope, EVERYWHERE)
    weight = found.n_pixels / found.n_pixels.sum()
    assert weight @ found.variance == pytest.approx(49.0, rel=0.02)


@pytest.mark.parametrize("masked", [False, True])
def test_sums_keep_the_variance_that_blur_takes_from_pixels(masked):
    valid = EVERYWHERE.copy()
    if masked:
        valid[np.random.default_rng(1).random(SHAPE) < 0.05] = False
    first, second = pair(sd=20.0, blur=0.7)
    found = pair_points(np.where(valid, first, 0), np.where(valid, second, 9999), valid)
    weight = found.n_pixels / found.n_pixels.sum()
    single = weight @ found.variance
    kernel = np.zeros((15, 15))
    kernel[7, 7] = 1.0
    kept = (gaussian_filter(kernel, 0.7) ** 2).sum()
    assert single == pytest.approx(400.0 * kept + 1 / 12, rel=0.02)
    # the scatter of this sum is 4 %
    assert single + weight @ found.covariance == pytest.approx(400.0, rel=0.1)


def test_cosmic_rays_are_left_out():
    first, second = pair()
    for row in range(20, 240, 40):
        first[row, 50:54] += 3000
    found = pair_points(first, second, EVERYWHERE)
    weight = found.n_pixels / found.n_pixels.sum()
    assert weight @ found.variance == pytest.approx(49.0, rel=0.02)


def test_correlation_map_is_that_of_the_blur():
    first, second = pair(sd=20.0, blur=0.7)
    found = correlation_map(difference_image(first, second, EVERYWHERE), EVERYWHERE)
    assert found.shape == (2 * REACH + 1, 2 * REACH + 1)
    assert found[REACH, REACH] == 1.0
    np.testing.assert_array_equal(found, found[::-1, ::-1])
    assert found[REACH, REACH + 1] == pytest.approx(np.exp(-1 / (4 * 0.49)), abs=0.03)
    assert abs(found[0, 0]) < 0.02


def test_refuses_different_shapes():
    first, second = pair()
    with pytest.raises(ValueError, match="cannot be compared"):
        pair_points(first, second[:-1], EVERYWHERE)
