"""Any bytes, and damaged files of our own, given to every reader.

Each ends with a value, a ValueError or an OSError, and with no more memory than eight
times the file and a mebibyte.
"""

from __future__ import annotations

import tracemalloc

import pytest
from hostile_files import READERS, memory_of_reading, seeds_of, warm_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Numbers at which sizes and counts go wrong, in both byte orders.
_NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
_WORDS = sorted(
    {
        number.to_bytes(size, order)
        for number in _NUMBERS
        for size in (1, 2, 4, 8)
        for order in ("little", "big")
        if number < 256**size
    }
) + [b"nan", b"inf", b"-1", b"1e400", b"9" * 30, b"[" * 3000, b"\n" * 50, b"=", b"%"]


@st.composite
def damages(draw, seeds):
    """A readable file with some bytes changed, put in or taken away."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        word = draw(st.sampled_from(_WORDS) | st.binary(max_size=8))
        replaced = draw(st.sampled_from([len(word), 0, 1, 8, 1000]))
        data[start : start + replaced] = word
    return bytes(data)


@pytest.fixture(params=sorted(READERS))
def reader(request, tmp_path):
    """Name of a reader, and the contents of files that it can read."""
    if request.param == "gain_reference":
        pytest.importorskip("ncempy")
    warm_up(request.param, tmp_path)
    yield request.param, seeds_of(request.param, tmp_path / "seeds")
    tracemalloc.stop()


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_bytes_do_harm(reader, tmp_path, data):
    name, seeds = reader
    content = data.draw(damages(seeds) | st.binary(max_size=200))
    memory_of_reading(name, tmp_path, content)
