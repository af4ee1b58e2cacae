from __future__ import annotations

import numpy as np
import pytest

from camera_images import CAMERA, add_spots, background, readings
from dials_truncfix.correction.joint_camera.camera_regions import (
    MOST_REGIONS,
    PIXELS_OF_A_REGION,
    TILE,
    brightness_regions,
)
from dials_truncfix.correction.regions.annuli import OUTSIDE


def recorded(rate, seed=1):
    return np.maximum(readings(rate, seed=seed), 0).astype(np.uint16)


def test_regions_go_from_dark_to_bright_and_hold_enough_pixels():
    rate = background(512)
    labels = brightness_regions(recorded(rate), np.ones(rate.shape, dtype=bool))
    used = labels >= 0
    n = int(labels.max()) + 1
    assert n == rate.size // PIXELS_OF_A_REGION
    counts = np.bincount(labels[used])
    assert counts.min() > 0.8 * PIXELS_OF_A_REGION
    means = np.bincount(labels[used], rate[used]) / counts
    # neighbours differ by less than the noise of the tiles that order them
    assert (np.diff(means[::4]) > -0.02).all()
    assert means[-1] > 4 * means[0]
    # nearly one rate in each, where annuli of equal area have many
    spread = np.array([rate[labels == i].std() for i in range(n)])
    assert ((spread * CAMERA.gain) ** 2 < 0.02 * CAMERA.variance(means)).all()


def test_where_a_tile_goes_does_not_depend_on_its_own_noise():
    rate = np.full((512, 512), 0.5)
    image = recorded(rate)
    labels = brightness_regions(image, np.ones(rate.shape, dtype=bool))
    used = labels >= 0
    counts = np.bincount(labels[used])
    means = np.bincount(labels[used], image[used].astype(float)) / counts
    error = image.std() / np.sqrt(counts)
    assert (np.abs(means - image.mean()) < 4.5 * error).all()


def test_tiles_with_spots_are_left_out():
    rate = background(512)
    spotted, places = add_spots(rate, 60, 600.0)
    labels = brightness_regions(recorded(spotted), np.ones(rate.shape, dtype=bool))
    rows, columns = np.rint(np.array(places)).astype(int).T
    assert (labels[rows, columns] == OUTSIDE).mean() > 0.95
    assert (labels == OUTSIDE).mean() < 0.05


def test_masked_pixels_and_rests_of_tiles_are_outside():
    rate = background(270)
    mask = np.ones(rate.shape, dtype=bool)
    mask[100:140, 60:200] = False
    mask[:, 8 * TILE] = False
    labels = brightness_regions(recorded(rate), mask)
    assert labels.shape == rate.shape
    assert (labels[~mask] == OUTSIDE).all()
    whole = 270 // TILE * TILE
    assert (labels[whole:] == OUTSIDE).all() and (labels[:, whole:] == OUTSIDE).all()
    assert (labels[:whole, :whole][mask[:whole, :whole]] >= 0).mean() > 0.98


def test_large_images_have_no_more_regions_than_needed():
    image = np.random.default_rng(1).poisson(3.0, (1200, 1200)).astype(np.uint16)
    labels = brightness_regions(image, np.ones(image.shape, dtype=bool))
    assert labels.max() + 1 == MOST_REGIONS


def test_images_without_usable_pixels_have_no_regions():
    image = np.zeros((64, 64), dtype=np.uint16)
    assert (brightness_regions(image, np.zeros((64, 64), dtype=bool)) == OUTSIDE).all()
    assert (brightness_regions(image[:5], np.ones((5, 64), bool)) == OUTSIDE).all()
    with pytest.raises(ValueError, match="differ in shape"):
        brightness_regions(image, np.ones((64, 63), dtype=bool))
