"""Areas from label images."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.correction.regions.areas import (
    MOST_AREAS,
    areas_of_labels,
    one_area,
)


def quadrants(size=100):
    slow, fast = np.indices((size, size))
    return 1 + 2 * (slow >= size // 2) + (fast >= size // 2)


def everywhere(labels):
    return np.ones(labels.shape, bool)


def test_labels_become_areas_in_their_order():
    labels = quadrants() * 7
    areas = areas_of_labels(labels, everywhere(labels), 10)
    np.testing.assert_array_equal(areas.area, quadrants() - 1)
    assert areas.labels == ((7,), (14,), (21,), (28,))


def test_zero_and_masked_pixels_lie_outside():
    labels = quadrants()
    labels[:, :3] = 0
    mask = everywhere(labels)
    mask[97:] = False
    areas = areas_of_labels(labels, mask, 10)
    np.testing.assert_array_equal(areas.area < 0, (labels == 0) | ~mask)


def test_one_area_is_the_mask():
    mask = np.eye(5, dtype=bool)
    areas = one_area(mask)
    np.testing.assert_array_equal(areas.area >= 0, mask)
    assert areas.labels == ((),)


def test_a_small_area_joins_the_one_beside_it():
    labels = quadrants()
    # in the corner of quadrant 4, beyond a masked gap
    labels[90:, 90:] = 9
    mask = everywhere(labels)
    mask[88:90, 80:] = mask[80:, 88:90] = False
    areas = areas_of_labels(labels, mask, 200)
    assert areas.labels == ((1,), (2,), (3,), (4, 9))
    assert (areas.area[90:, 90:] == 3).all()
    assert areas_of_labels(labels, mask, 50).labels[-1] == (9,)


def test_small_areas_merge_until_they_are_large_enough():
    labels = np.repeat(np.arange(1, 11), 10)[None, :].repeat(10, axis=0)
    areas = areas_of_labels(labels, everywhere(labels), 250)
    n_pixels = np.bincount(areas.area.ravel())
    assert n_pixels.min() >= 250
    assert sorted(label for group in areas.labels for label in group) == [*range(1, 11)]
    for number, group in enumerate(areas.labels):
        np.testing.assert_array_equal(areas.area == number, np.isin(labels, group))
    # what is all there is stays, however small
    assert areas_of_labels(labels, everywhere(labels), 10**6).labels[1:] == ()


@pytest.mark.parametrize(
    "labels, message",
    [
        (np.zeros((4, 4), int), "every pixel is labelled 0"),
        (np.full((4, 4), -3), "label -3 is negative"),
        (np.arange(400).reshape(20, 20), f"399 different labels.*{MOST_AREAS}"),
        (np.ones((3, 4), int), "differ in shape"),
    ],
)
def test_refuses_labels(labels, message):
    mask = np.ones((4, 4), bool) if labels.size < 100 else everywhere(labels)
    with pytest.raises(ValueError, match=message):
        areas_of_labels(labels, mask, 1)


def test_refuses_labels_that_the_mask_hides():
    labels = quadrants()
    mask = labels < 3
    with pytest.raises(ValueError, match="no pixel of labels 3, 4"):
        areas_of_labels(labels, mask, 1)
