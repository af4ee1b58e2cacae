from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dials_truncfix.io.plain import field_types, from_plain, to_plain


@dataclass(frozen=True)
class Inner:
    name: str
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outer:
    count: int
    scale: float
    flag: bool
    pair: tuple[int, float]
    inners: tuple[Inner, ...]
    labels: npt.NDArray[np.str_]
    anything: Mapping[str, Any]
    counts: npt.NDArray[np.integer[Any]]
    inner: Inner | None = None
    texts: list[str] = field(default_factory=list)
    table: dict[str, int | None] = field(default_factory=dict)


def outer(**changes):
    values = {
        "count": 3,
        "scale": 0.1,
        "flag": True,
        "pair": (1, 2.5),
        "inners": (Inner("a", np.array([1.0, np.nan])), Inner("b", np.empty((0, 3)))),
        "labels": np.array(["emg", "lognormal"]),
        "anything": {"a": [1, {"b": None}]},
        "counts": np.array([[1, 2]], dtype=np.uint8),
        **changes,
    }
    return Outer(**values)


def through_json(kind, value):
    return from_plain(kind, json.loads(json.dumps(to_plain(value), allow_nan=False)))


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(one, other)
    elif hasattr(one, "__dataclass_fields__"):
        for name in one.__dataclass_fields__:
            assert_same(getattr(one, name), getattr(other, name))
    elif isinstance(one, (tuple, list)):
        assert len(one) == len(other)
        for a, b in zip(one, other):
            assert_same(a, b)
    else:
        assert one == other or (one != one and other != other)


def test_dataclasses_come_back():
    value = outer(inner=Inner("c", np.zeros((2, 3))), texts=["x"], table={"y": None})
    assert_same(through_json(Outer, value), value)


@given(st.floats())
def test_floats_come_back_to_the_last_bit(x):
    back = through_json(Inner, Inner("", np.array([x]))).values
    if np.isnan(x):
        assert np.isnan(back).all()
    else:
        assert back.tobytes() == np.array([x]).tobytes()
    scale = through_json(Outer, outer(scale=x)).scale
    assert scale == x or (np.isnan(scale) and np.isnan(x))


@given(
    hnp.arrays(
        st.sampled_from(["f4", "f8", "i2", "i8", "u1", "u8", "?", "U5"]),
        hnp.array_shapes(max_dims=3, min_side=0, max_side=4),
    )
)
def test_arrays_come_back(array):
    @dataclass(frozen=True)
    class Holder:
        array: npt.NDArray[Any]

    # annotations of a local class are evaluated where its module is
    assert_same(through_json(Holder, Holder(array)).array, array)


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("count", 1.5, "count is not a int"),
        ("count", True, "count is not a int"),
        ("count", None, "count is not a int"),
        ("scale", "x", "scale is not a number"),
        ("scale", 10**400, "scale is too large"),
        ("flag", 0, "flag is not a bool"),
        ("pair", [1], "1 values instead of 2"),
        ("pair", "ab", "pair is not a list"),
        ("inners", {}, "inners is not a list"),
        ("inners", [{}], r"inners\[0\] lacks name"),
        ("inner", {"name": 1, "values": []}, "inner.name is not a str"),
        ("table", {"a": "b"}, "table"),
        ("texts", [None], r"texts\[0\] is not a str"),
        ("new", 1, "'new' that is not known"),
    ],
)
def test_what_does_not_fit_is_named(name, value, words):
    plain = to_plain(outer())
    plain[name] = value
    with pytest.raises(ValueError, match=words):
        from_plain(Outer, plain)


@pytest.mark.parametrize(
    "array, words",
    [
        ([], "values is not a dict"),
        ({"dtype": "<f8", "shape": [0]}, "dtype, shape and values"),
        ({"dtype": "|O8", "shape": [0], "values": []}, "array of '|O8'"),
        ({"dtype": "<i8", "shape": [0], "values": []}, "array of '<i8'"),
        ({"dtype": 8, "shape": [0], "values": []}, "dtype|str"),
        ({"dtype": "<f8", "shape": [10**12], "values": [1.0]}, "for its shape"),
        ({"dtype": "<f8", "shape": [-1, -1], "values": [1.0]}, "for its shape"),
        ({"dtype": "<f8", "shape": [1.0], "values": [1.0]}, "for its shape"),
        ({"dtype": "<f8", "shape": "1", "values": [1.0]}, "for its shape"),
        ({"dtype": "<f8", "shape": [1] * 40, "values": [1.0]}, "for its shape"),
        ({"dtype": "<f8", "shape": [1], "values": [None]}, "not float64"),
        ({"dtype": "<f8", "shape": [1], "values": ["1"]}, "not a number"),
        ({"dtype": "<f8", "shape": [1], "values": [True]}, "not float64"),
        ({"dtype": "<f8", "shape": [1], "values": [10**400]}, "too large"),
        ({"dtype": "<f8", "shape": [1], "values": [[1.0]]}, "not float64"),
    ],
)
def test_arrays_that_do_not_fit(array, words):
    with pytest.raises(ValueError, match=words.replace("|O", r"\|O")):
        from_plain(Inner, {"name": "", "values": array})


@pytest.mark.parametrize(
    "dtype, values", [("|u1", [256]), ("<i8", [2**63]), ("|u1", [-1]), ("<i8", [0.5])]
)
def test_integers_that_do_not_fit(dtype, values):
    plain = to_plain(outer())
    plain["counts"] = {"dtype": dtype, "shape": [1], "values": values}
    with pytest.raises(ValueError, match=r"Outer\.counts"):
        from_plain(Outer, plain)


def test_texts_that_do_not_fit():
    plain = to_plain(outer())
    plain["labels"] = {"dtype": "<U3", "shape": [1], "values": ["lognormal"]}
    with pytest.raises(ValueError, match=r"Outer\.labels"):
        from_plain(Outer, plain)


def test_what_json_does_not_know_is_a_fault_of_the_program():
    for value in (object(), {1: 2}, np.array([object()]), np.array([1j])):
        with pytest.raises(TypeError, match="cannot be written as JSON"):
            to_plain(value)

    @dataclass(frozen=True)
    class Odd:
        value: complex

    with pytest.raises(TypeError, match=r"Odd\.value"):
        from_plain(Odd, {"value": 1})


def test_annotations_are_evaluated_as_typing_does():
    assert field_types(Outer) == get_type_hints(Outer)
    # this spelling is what Python 3.9 needs help with
    assert Outer.__annotations__["inner"] == "Inner | None"
