from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dials_truncfix.correction.verdict.solid_zeros import (
    _opening,
    solid_zeros,
)


@pytest.mark.parametrize("shape", [(1, 1), (6, 6), (2, 9), (13, 3), (40, 1)])
def test_opening_equals_that_of_scipy(shape):
    area = np.random.default_rng(0).random((61, 50)) < 0.9
    expected = ndimage.binary_opening(area, np.ones(shape))
    np.testing.assert_array_equal(_opening(area, shape), expected)


@pytest.mark.parametrize("height", [700, 257, 20])
def test_bands_of_rows_change_nothing(height):
    # areas across the borders of bands, at the edges, and too small ones
    rng = np.random.default_rng(4)
    image = (rng.random((height, 300)) > 0.6).astype(np.uint16)
    image[240:290, 40:60] = image[:9, 100:150] = image[-30:, 200:230] = 0
    image[500:516, 5:9] = image[100:600, 250:254] = 0
    mask = rng.random(image.shape) > 0.02
    zero = (image == 0) | ~mask
    n_zero, n_used = np.count_nonzero(zero & mask), np.count_nonzero(mask)
    area = max(int(np.log(1e-12) / np.log(n_zero / n_used)) + 1, 36)
    side = int(np.ceil(np.sqrt(area)))
    expected = np.zeros(image.shape, bool)
    for shape in ((side, side), (4, area // 2), (area // 2, 4)):
        expected |= ndimage.binary_opening(zero, np.ones(shape))
    assert expected.any()
    np.testing.assert_array_equal(solid_zeros(image, mask), expected & mask)


@pytest.mark.parametrize("fraction", [0.02, 0.5, 0.75, 0.9])
def test_scattered_zeros_are_not_solid(fraction):
    rng = np.random.default_rng(1)
    image = (rng.random((400, 500)) > fraction).astype(np.uint16)
    assert not solid_zeros(image, np.ones(image.shape, bool)).any()


def test_gaps_are_found_with_or_without_neighbouring_masks():
    rng = np.random.default_rng(2)
    image = rng.poisson(2, (400, 500))
    gap = np.zeros(image.shape, bool)
    gap[100:117] = gap[:, 250:257] = True
    image[gap] = 0
    mask = np.ones(image.shape, bool)
    solid = solid_zeros(image, mask)
    assert solid[gap].all()
    assert (solid & ~gap).sum() < 0.05 * gap.sum()
    # half of the gap is masked: the rest is too narrow on its own but still found
    mask[100:115] = False
    rest = solid_zeros(image, mask)
    assert rest[115:117].all()
    assert not rest[~mask].any()


def test_all_or_none():
    mask = np.ones((20, 20), bool)
    assert solid_zeros(np.zeros((20, 20), int), mask).all()
    assert not solid_zeros(np.ones((20, 20), int), mask).any()
    assert not solid_zeros(np.zeros((20, 20), int), ~mask).any()


def test_refuses_different_shapes():
    with pytest.raises(ValueError, match="differ in shape"):
        solid_zeros(np.zeros((4, 4), int), np.ones((4, 5), bool))
