"""Groups of about equally many pixels."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.correction.regions.grouping import cut_evenly


def test_numbers_have_about_equally_many_pixels():
    n_pixels = np.random.default_rng(1).integers(50, 150, 100)
    number = cut_evenly(n_pixels, 1000, 256)
    assert (np.diff(number) >= 0).all()
    count = np.bincount(number, n_pixels)
    assert len(count) == n_pixels.sum() // 1000
    assert count.min() > 800
    assert len(np.bincount(cut_evenly(n_pixels, 1000, 4))) == 4


@pytest.mark.parametrize(
    "n_pixels, expected",
    [
        ([0, 0, 5000, 0], [0, 0, 0, 0]),
        ([0, 0, 0], [0, 0, 0]),
        ([10, 10, 0, 10], [0, 0, 0, 0]),
        ([1000, 0, 1000, 0, 0], [0, 0, 1, 1, 1]),
    ],
)
def test_parts_without_pixels(n_pixels, expected):
    np.testing.assert_array_equal(cut_evenly(np.array(n_pixels), 1000, 256), expected)
