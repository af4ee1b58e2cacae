from __future__ import annotations

import numpy as np

from dials_truncfix.correction.random_bits import (
    further_bits,
    further_word,
    next_bits,
    start_stream,
)

KNOWN = [21470, 34865, 51226, 17725]


def test_the_bits_are_the_words_of_the_generator():
    words = start_stream(7, 42, 0).random_raw(1000)
    expected = words.astype("<u8").view("<u2")
    generator = start_stream(7, 42, 0)
    got = np.concatenate([next_bits(generator, n) for n in (400, 1600, 1998)])
    np.testing.assert_array_equal(got, expected[:3998])


def test_known_words():
    # These bits never change, whatever the release of numpy.
    assert next_bits(start_stream(1, 2, 0), 4).tolist() == KNOWN


def test_a_pixel_has_its_place_in_the_stream():
    whole = next_bits(start_stream(1, 2, 0), 4000)
    later = start_stream(1, 2, 0)
    later.advance(500)
    np.testing.assert_array_equal(next_bits(later, 400), whole[2000:2400])


def test_seeds_images_and_streams_differ():
    bits = {
        key: next_bits(start_stream(*key), 64).tobytes()
        for key in [
            (0, 0, 0),
            (1, 0, 0),
            (0, 1, 0),
            (0, 0, 1),
            (2**32, 0, 0),
            (0, -1, 0),
        ]
    }
    assert len(set(bits.values())) == len(bits)


def test_further_bits_depend_on_the_pixel_alone():
    index = np.arange(10_000)
    bits = further_bits(further_word(3, 4), index)
    assert len(np.unique(bits)) == len(index)
    np.testing.assert_array_equal(
        further_bits(further_word(3, 4), index[::7]), bits[::7]
    )
    assert (further_bits(further_word(3, 5), index) != bits).all()
