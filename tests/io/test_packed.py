from __future__ import annotations

import base64
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dials_truncfix.io.packed import PackedArray, pack_array, unpack_array

DTYPES = ["<i2", ">i4", "<u4", "|u1", "<f4", ">f8", "<i8"]


@given(
    hnp.arrays(
        st.sampled_from(DTYPES).map(np.dtype),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
    )
)
def test_arrays_come_back(array):
    again = unpack_array(pack_array(array), 10_000)
    assert again.shape == array.shape
    assert again.dtype == array.dtype.newbyteorder("<")
    np.testing.assert_array_equal(again, array)


def test_equal_arrays_give_equal_texts():
    array = np.arange(1000).reshape(10, 100)
    assert pack_array(array) == pack_array(np.asfortranarray(array))


def test_objects_are_not_packed():
    for array in (
        np.array(["a"]),
        np.array([object()]),
        np.array([1j]),
        np.array([True]),
    ):
        with pytest.raises(ValueError, match="cannot be packed"):
            pack_array(array)


PACKED = pack_array(np.arange(12, dtype=np.int16).reshape(3, 4))


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"dtype": "|O"}, "cannot be unpacked"),
        ({"dtype": "<i2,<i2"}, "cannot be unpacked"),
        ({"dtype": "<f4"}, "another size"),
        ({"shape": (3, 5)}, "another size"),
        ({"shape": (3, 3)}, "another size"),
        ({"shape": (-3, -4)}, "cannot have the shape"),
        ({"shape": (1,) * 40}, "cannot have the shape"),
        ({"shape": (10**6, 10**6)}, "larger than"),
        ({"zlib_base64": "?"}, "damaged"),
        ({"zlib_base64": "AAAA"}, "damaged"),
        ({"zlib_base64": ""}, "another size"),
        ({"zlib_base64": PACKED.zlib_base64[:-8]}, "damaged"),
        ({"zlib_base64": "é"}, "damaged"),
    ],
)
def test_forgeries_are_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        unpack_array(replace(PACKED, **changes), 1 << 20)


def test_a_bomb_is_not_unpacked():
    """Ten megabytes of zeros behind a shape of four bytes."""
    bomb = base64.b64encode(zlib.compress(bytes(10_000_000))).decode()
    with pytest.raises(ValueError, match="another size than it says"):
        unpack_array(PackedArray("|u1", (4,), bomb), 1 << 20)
