"""Pixels of four bits: the even column is the low half of a byte."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.io import nibbles


def test_low_half_first():
    packed = np.array([[0x21, 0x43], [0xFE, 0x0F]], np.uint8)
    expected = [[1, 2, 3, 4], [14, 15, 15, 0]]
    np.testing.assert_array_equal(nibbles.unpack(packed, 4), expected)
    np.testing.assert_array_equal(nibbles.unpack(packed, 3), np.array(expected)[:, :3])


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (3, 8), (700, 1001)])
def test_round_trip(shape):
    pixels = np.random.default_rng(1).integers(0, 16, shape, np.uint8)
    packed = nibbles.pack(pixels)
    assert packed.shape == (shape[0], (shape[1] + 1) // 2)
    np.testing.assert_array_equal(nibbles.unpack(packed, shape[1]), pixels)
    out = np.full(shape, 99, np.uint8)
    assert nibbles.unpack(packed, shape[1], out=out) is out
    np.testing.assert_array_equal(out, pixels)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="16 does not fit into 4 bits"):
        nibbles.pack(np.full((2, 2), 16, np.uint8))
    with pytest.raises(ValueError, match="int16"):
        nibbles.pack(np.zeros((2, 2), np.int16))
    with pytest.raises(ValueError, match="rows of 6 pixels take 3 bytes"):
        nibbles.unpack(np.zeros((2, 2), np.uint8), 6)
