"""The eight operations of SerialEM."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.io import frame_orientation as orientation

IMAGE = np.arange(6).reshape(2, 3)
# Drawn by hand: rows from the top; counterclockwise, the right column becomes the top row.
EXPECTED = {
    0: [[0, 1, 2], [3, 4, 5]],
    1: [[2, 5], [1, 4], [0, 3]],
    2: [[5, 4, 3], [2, 1, 0]],
    3: [[3, 0], [4, 1], [5, 2]],
    4: [[2, 1, 0], [5, 4, 3]],
    5: [[0, 3], [1, 4], [2, 5]],
    6: [[3, 4, 5], [0, 1, 2]],
    7: [[5, 2], [4, 1], [3, 0]],
}


@pytest.mark.parametrize("operation", range(8))
def test_operations(operation):
    turned = orientation.rotate_flip(IMAGE, operation)
    np.testing.assert_array_equal(turned, EXPECTED[operation])
    assert orientation.swaps_sides(operation) == (turned.shape == (3, 2))
    back = orientation.rotate_flip(turned, orientation.inverse(operation))
    np.testing.assert_array_equal(back, IMAGE)


@pytest.mark.parametrize("first", range(8))
def test_two_operations_are_one(first):
    for second in range(8):
        one_by_one = orientation.rotate_flip(
            orientation.rotate_flip(IMAGE, first), second
        )
        at_once = orientation.rotate_flip(IMAGE, orientation.combine(first, second))
        np.testing.assert_array_equal(at_once, one_by_one)


@pytest.mark.parametrize("operation", [-1, 8])
def test_there_are_no_others(operation):
    for function in (orientation.inverse, orientation.swaps_sides):
        with pytest.raises(ValueError, match=f"{operation} is not from 0 to 7"):
            function(operation)
