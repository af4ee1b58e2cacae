from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.camera.f416 import F416
from dials_truncfix.camera.integrating import expose, fixed_pattern
from dials_truncfix.correction.regions.beam_stop import (
    find_beam_stop,
    indices_of_tiles,
    pixels_of_tiles,
    tile_edge,
    tile_shape,
)
from dials_truncfix.simulate.background import Background, beam_stop_transmission

SHAPE = (512, 560)
CENTRE = (250.0, 270.0)


@pytest.fixture(scope="module")
def radius():
    slow, fast = np.indices(SHAPE)
    return np.hypot(slow - CENTRE[0], fast - CENTRE[1])


@pytest.fixture(scope="module")
def background(radius):
    """Two exponentials and a water ring, ADU."""
    ring = 10 * np.exp(-0.5 * ((radius - 130) / 20) ** 2)
    return 250 * np.exp(-radius / 40) + 40 * np.exp(-radius / 130) + ring


def _camera(background, seed=0):
    rng = np.random.default_rng(seed)
    values = 6 * rng.poisson(background / 6) + rng.normal(0, 6, background.shape)
    return np.rint(values).clip(0).astype(np.int32)


def _bar(radius):
    slow, fast = np.indices(SHAPE)
    return (radius < 24) | ((np.abs(fast - CENTRE[1]) < 10) & (slow > CENTRE[0]))


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_flagged_without_a_beam_stop(radius, background, seed):
    image = _camera(background, seed)
    mask = np.ones(SHAPE, bool)
    assert not find_beam_stop(image, mask, radius).any()


def test_bragg_spots_and_dead_pixels_are_no_beam_stop(radius, background):
    rng = np.random.default_rng(4)
    spots = background.copy()
    for slow, fast in rng.integers(4, 500, (400, 2)):
        spots[slow - 2 : slow + 3, fast - 2 : fast + 3] += rng.exponential(300)
    image = _camera(spots)
    image[rng.random(SHAPE) < 0.01] = 0
    assert not find_beam_stop(image, np.ones(SHAPE, bool), radius).any()


def test_finds_disc_and_bar(radius, background):
    shadow = _bar(radius)
    image = _camera(np.where(shadow, 0.02 * background, background))
    found = find_beam_stop(image, np.ones(SHAPE, bool), radius)
    bright = background > 10
    assert found[shadow & bright].mean() > 0.99
    # the tiles that touch the shadow belong to it, and little else
    assert (found & ~shadow).mean() < 0.06


def test_finds_a_disc_without_a_bar(radius, background):
    shadow = radius < 40
    image = _camera(np.where(shadow, 0, background))
    found = find_beam_stop(image, np.ones(SHAPE, bool), radius)
    assert found[shadow].mean() > 0.99
    assert not found[radius > 90].any()


def test_masked_pixels_do_not_matter(radius, background):
    shadow = _bar(radius)
    image = _camera(np.where(shadow, 0.02 * background, background))
    mask = np.ones(SHAPE, bool)
    mask[100:110] = mask[:, 400:406] = False
    spoilt = np.where(mask, image, 65535)
    np.testing.assert_array_equal(
        find_beam_stop(image, mask, radius), find_beam_stop(spoilt, mask, radius)
    )


@pytest.mark.parametrize("scale", [1e-4, 1.0, 50.0])
def test_only_the_order_of_the_radius_and_its_steps_matter(radius, background, scale):
    image = _camera(np.where(_bar(radius), 0.02 * background, background))
    mask = np.ones(SHAPE, bool)
    np.testing.assert_array_equal(
        find_beam_stop(image, mask, scale * radius), find_beam_stop(image, mask, radius)
    )


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.02, 1.0])
def test_uniform_and_empty_images(radius, rate):
    image = np.random.default_rng(0).poisson(rate, SHAPE)
    assert not find_beam_stop(image, np.ones(SHAPE, bool), radius).any()
    assert not find_beam_stop(image, np.zeros(SHAPE, bool), radius).any()


def test_very_small_images():
    for shape in ((1, 1), (5, 40), (16, 16), (17, 33)):
        image = np.ones(shape, np.uint16)
        found = find_beam_stop(image, np.ones(shape, bool), np.ones(shape))
        assert found.shape == shape
        assert not found.any()


def test_finds_the_beam_stop_of_a_real_image(shared_data):
    values = np.load(shared_data / "frames" / "kappaccd_offset192.npy")
    image = np.clip(values - 192, 0, None)
    slow, fast = np.indices(image.shape)
    radius = np.hypot(slow - 285, fast - 320)
    found = find_beam_stop(image, np.ones(image.shape, bool), radius)
    assert found[radius < 8].all()
    assert found.mean() < 0.03


def test_refuses_different_shapes():
    with pytest.raises(ValueError, match="differ in shape"):
        find_beam_stop(np.zeros((4, 4), int), np.ones((4, 5), bool), np.ones((4, 4)))


@pytest.mark.parametrize(
    ("shape", "edge"),
    [((5, 40), 5), ((512, 512), 8), ((1024, 1024), 8), ((2048, 2000), 16)],
)
def test_tiles_grow_with_the_image(shape, edge):
    assert tile_edge(shape) == edge
    assert tile_shape(shape) == (shape[0] // edge, shape[1] // edge)


@pytest.mark.parametrize("seed", range(3))
def test_finds_the_small_beam_stop_of_the_simulator(seed):
    """A disc of 22 pixels' radius, and what is beside it only as far as two tiles."""
    shape, middle = (1024, 1024), 511.5
    slow, fast = np.indices(shape)
    distance = np.hypot(slow - middle, fast - middle)
    d_star = distance * 0.0624 / 2200 / 0.02508
    stop = beam_stop_transmission(shape, (512, 512), 22.4, 11.2)
    electrons = stop * Background().expected(d_star)
    pattern = fixed_pattern(F416(), shape, seed)
    image = expose(F416(), electrons, pattern, seed, 1).clipped.astype(np.int32)
    found = find_beam_stop(image, np.ones(shape, bool), distance)
    assert found[distance < 21].all()
    assert not found[(distance > 22.4 + 23) & (np.abs(slow - middle) > 5.6 + 16)].any()


@pytest.mark.parametrize("shape", [(64, 96), (2048, 2048), (70, 90), (1030, 1024)])
def test_indices_of_tiles_are_those_of_their_pixels(shape):
    region = np.random.default_rng(1).random(tile_shape(shape)) < 0.1
    region[0, 0] = region[-1, -1] = True
    found = np.sort(indices_of_tiles(region, shape))
    np.testing.assert_array_equal(found, np.flatnonzero(pixels_of_tiles(region, shape)))
