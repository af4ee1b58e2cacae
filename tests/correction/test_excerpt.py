"""A small picture, and where to look closely."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.correction.excerpt import find_close_up, small_picture


def background(size=256, seed=2):
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(y, x)
    generator = np.random.default_rng(seed)
    image = generator.normal(4 + 30 * np.exp(-radius / 30), 5)
    return np.maximum(np.rint(image), 0).astype(np.int32), radius


def with_spot(image, slow, fast, peak=32):
    image = image.copy()
    image[slow - 1 : slow + 2, fast - 1 : fast + 2] += peak
    return image


EVERYWHERE = np.ones((256, 256), bool)


@pytest.mark.parametrize("at", [(40, 200), (230, 128), (24, 24), (41, 202), (39, 201)])
def test_a_weak_spot_far_out_is_found(at):
    image, radius = background()
    found = find_close_up(with_spot(image, *at), EVERYWHERE, radius)
    assert found.shows_spot
    assert (
        found.slow.stop - found.slow.start == found.fast.stop - found.fast.start == 33
    )
    assert found.slow.start >= 0 and found.slow.stop <= 256
    for window, place in zip((found.slow, found.fast), at):
        assert window.start <= place < window.stop
        assert abs((window.start + window.stop) // 2 - place) <= 2


def test_the_farther_of_two_is_taken():
    image, radius = background()
    image = with_spot(with_spot(image, 128, 200), 30, 40)
    found = find_close_up(image, EVERYWHERE, radius)
    assert found.slow.start <= 30 < found.slow.stop


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: with_spot(image, 40, 200, peak=2000),
        lambda image: np.where(np.arange(256**2).reshape(256, 256) == 9000, 600, image),
        lambda image: with_spot(image, 125, 130),
    ],
    ids=["none", "too strong", "one hot pixel", "at the centre"],
)
def test_without_a_weak_spot_a_piece_of_the_background_is_shown(change):
    image, radius = background()
    found = find_close_up(change(image).astype(np.int32), EVERYWHERE, radius)
    assert not found.shows_spot
    assert radius[found.centre] > np.median(radius)


def test_masked_pixels_are_not_looked_at():
    image, radius = background()
    mask = EVERYWHERE.copy()
    mask[:, 180:] = False
    found = find_close_up(with_spot(image, 40, 200), mask, radius)
    assert not found.shows_spot
    assert mask[found.slow, found.fast].all()


@pytest.mark.parametrize("shape", [(8, 8), (14, 300), (16, 16), (40, 20)])
def test_small_images(shape):
    image = np.random.default_rng(1).poisson(3.0, shape)
    radius = np.hypot(*np.indices(shape))
    found = find_close_up(image, np.ones(shape, bool), radius)
    assert image[found.slow, found.fast].shape == tuple(min(33, n) for n in shape)


def test_nothing_measured():
    image, radius = background(64)
    found = find_close_up(image, np.zeros(image.shape, bool), radius)
    assert not found.shows_spot
    picture, _ = small_picture(image, np.zeros(image.shape, bool))
    assert np.isnan(picture).all()


@pytest.mark.parametrize(
    "shape, binning",
    [((64, 64), 1), ((1024, 1024), 6), ((200, 1000), 6), ((176, 3), 1)],
)
def test_the_small_picture_is_the_mean_of_squares(shape, binning):
    image = np.random.default_rng(1).integers(0, 100, shape).astype(np.int32)
    mask = np.ones(shape, bool)
    mask[0, 0] = False
    picture, found = small_picture(image, mask)
    assert found == binning and max(picture.shape) <= 176
    last = image[-binning - shape[0] % binning :, -binning - shape[1] % binning :]
    assert picture[-1, -1] == pytest.approx(last[:binning, :binning].mean())
    assert np.isnan(picture[0, 0]) == (binning == 1)


def test_large_images_are_searched_in_part():
    """The place is that of the whole image."""
    image = np.random.default_rng(1).poisson(3.0, (1500, 1200)).astype(np.int32)
    radius = np.hypot(*(np.indices(image.shape) - np.array([750, 600])[:, None, None]))
    found = find_close_up(
        with_spot(image, 1000, 100, 15), np.ones(image.shape, bool), radius
    )
    assert found.shows_spot
    assert abs(found.centre[0] - 1000) <= 2 and abs(found.centre[1] - 100) <= 2
