"""Byte-offset compression against dxtbx's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dials_truncfix.io.byte_offset import compress, compress_runs, decompress


@pytest.mark.parametrize("spread", [3, 60, 300, 20_000, 3e7])
def test_bytes_are_those_of_dxtbx(spread):
    flumpy = pytest.importorskip("dxtbx.flumpy")
    from dxtbx.ext import compress as dxtbx_compress

    generator = np.random.default_rng(1)
    # more pixels than are handled at once
    pixels = generator.normal(0, spread, (300, 461)).round().astype(np.int32)
    packed = compress(pixels)
    assert packed == bytes(dxtbx_compress(flumpy.from_numpy(pixels)))
    np.testing.assert_array_equal(decompress(packed, pixels.size), pixels.ravel())


@pytest.mark.parametrize("level", [-300, 0, 32_500, 65_000, 2**30])
def test_runs_of_any_width_make_up_the_whole(level):
    generator = np.random.default_rng(2)
    pixels = level + generator.normal(0, 90, 5000).round().astype(np.int32)
    pixels[::700] += 40_000
    runs = list(np.split(pixels, [1, 1, 700, 705, 4000]))
    for i, run in enumerate(runs):
        if i % 2 and run.size and run.min() >= -(2**15) and run.max() < 2**15:
            runs[i] = run.astype(np.int16)
    assert b"".join(compress_runs(runs)) == compress(pixels)


def test_differences_at_every_boundary():
    edges = [127, 128, 129, 32767, 32768, 32769, 2**30]
    steps = np.array([s * e for e in edges for s in (1, -1)], dtype=np.int64)
    pixels = np.cumsum(steps).astype(np.int32)
    np.testing.assert_array_equal(decompress(compress(pixels), pixels.size), pixels)


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(np.int32, st.integers(0, 200), elements=st.integers(-(2**30), 2**30 - 1))
)
def test_round_trip(pixels):
    np.testing.assert_array_equal(decompress(compress(pixels), pixels.size), pixels)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 300))
def test_any_bytes_are_decompressed_or_refused(data, n_pixels):
    try:
        assert decompress(data, n_pixels).size == n_pixels
    except ValueError:
        pass


def test_refusals():
    with pytest.raises(ValueError, match="int64"):
        compress(np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="31 bits"):
        compress(np.array([-(2**31), 2**31 - 1], np.int32))
    with pytest.raises(ValueError, match="cannot hold 4"):
        decompress(b"\1\2\3", 4)
    with pytest.raises(ValueError, match="cut short"):
        decompress(b"\1\2\x80\1", 3)
