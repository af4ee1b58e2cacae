"""Reading and writing SMV images."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dials_truncfix.io import smv


def file_bytes(header, pixels=b"", header_bytes=512):
    text = f"{{\nHEADER_BYTES={header_bytes:5d};\n"
    text += "".join(f"{key}={value};\n" for key, value in header.items()) + "}\n"
    return text.encode("latin-1").ljust(header_bytes) + pixels


@pytest.mark.parametrize(
    "dtype, kind", [("u2", "unsigned_short"), ("i4", "signed_long")]
)
def test_round_trip(tmp_path, dtype, kind):
    pixels = np.arange(35, dtype=dtype).reshape(5, 7) * 1000
    smv.write(tmp_path / "a.img", pixels, {"DISTANCE": 100.5, "DATE": "Sat Nov  1"})
    header = smv.read_header(tmp_path / "a.img")
    assert header["TYPE"] == kind
    assert (header["SIZE1"], header["SIZE2"]) == ("7", "5")
    assert (header["DISTANCE"], header["DATE"]) == ("100.5", "Sat Nov  1")
    read = smv.read_pixels(tmp_path / "a.img")
    assert read.dtype == pixels.dtype
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("n_keys, expected", [(1, 512), (60, 1536)])
def test_header_is_padded_to_multiples_of_512(n_keys, expected):
    data = smv.format_header({f"KEY{i:03d}": "v" * 10 for i in range(n_keys)})
    assert len(data) == expected
    assert data.startswith(f"{{\nHEADER_BYTES={expected:5d};\n".encode())
    assert len(smv.parse_header(data)) == n_keys + 1


def test_written_files_open_in_a_generic_reader(tmp_path):
    fabio = pytest.importorskip("fabio")
    pixels = np.arange(35, dtype=np.uint16).reshape(5, 7)
    smv.write(tmp_path / "a.img", pixels, {})
    np.testing.assert_array_equal(fabio.open(str(tmp_path / "a.img")).data, pixels)


@pytest.mark.parametrize("order, mark", [("little_endian", "<"), ("big_endian", ">")])
@pytest.mark.parametrize(
    "kind, code",
    [
        ("unsigned_short", "u2"),
        ("signed_short", "i2"),
        ("unsigned_long", "u4"),
        ("signed_long", "i4"),
        ("unsigned_char", "u1"),
        ("float", "f4"),
    ],
)
def test_types_and_byte_orders(tmp_path, order, mark, kind, code):
    pixels = np.array([[1, 2, 200], [3, 4, 5]], dtype=mark + code)
    header = {"SIZE1": 3, "SIZE2": 2, "BYTE_ORDER": order, "TYPE": kind}
    path = tmp_path / "a.img"
    path.write_bytes(file_bytes(header, pixels.tobytes(), header_bytes=333))
    read = smv.read_pixels(path)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, pixels)


def test_real_files(shared_data):
    counted = smv.read_pixels(shared_data / "frames/TIMEPIX_SU_516-stdgoni_0001.img")
    assert counted.shape == (516, 516)
    # Counts at 0, 1 and 2 as another program found them.
    assert np.bincount(counted.ravel())[:3].tolist() == [4791, 13628, 21594]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"SIZE1": 100000, "SIZE2": 100000}, "claims 100000 x 100000"),
        ({"SIZE1": 0}, "SIZE1=0"),
        ({"SIZE1": "many"}, "SIZE1=many"),
        ({"TYPE": "complex"}, "TYPE=complex"),
        ({"BYTE_ORDER": "middle"}, "BYTE_ORDER=middle"),
    ],
)
def test_lying_headers_are_refused_without_allocation(tmp_path, change, message):
    header = {"SIZE1": 3, "SIZE2": 2, "TYPE": "unsigned_short", **change}
    path = tmp_path / "a.img"
    path.write_bytes(file_bytes(header, b"\0" * 12))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"a.img: .*{message}"):
            smv.read_pixels(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("claimed", [5, 99999, 999999999])
def test_lying_header_size_is_refused(tmp_path, claimed):
    path = tmp_path / "a.img"
    path.write_bytes(b"{\nHEADER_BYTES=%d;\nSIZE1=3;\n}\n" % claimed)
    with pytest.raises(ValueError, match=f"HEADER_BYTES={claimed}"):
        smv.read_header(path)


@pytest.mark.parametrize(
    "key, value", [("A=B", "1"), ("A", "1;2"), ("A", "}"), ("A", "\n")]
)
def test_delimiters_cannot_be_written(key, value):
    with pytest.raises(ValueError, match="cannot be written"):
        smv.format_header({key: value})


def test_other_pixel_types_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="float64"):
        smv.write(tmp_path / "a.img", np.zeros((2, 2)), {})


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 2000))
def test_any_header_is_parsed_or_refused(tail, claimed):
    data = b"{\nHEADER_BYTES=%d;\n" % claimed + tail
    try:
        header = smv.parse_header(data)
        smv.image_layout(header)
    except ValueError:
        pass


@pytest.mark.parametrize(
    "header", [{"SIZE1": "many"}, {"SIZE1": "3"}, {"SIZE2": "many"}]
)
def test_a_size_that_is_missing_is_named(header):
    missing = "SIZE2" if "SIZE1" in header else "SIZE1"
    with pytest.raises(ValueError, match=f"^the header has no {missing}$"):
        smv.image_layout(header)
