"""Reading and writing miniCBF images."""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dials_truncfix.io import cbf
from dials_truncfix.io.byte_offset import compress


@pytest.fixture
def pixels():
    generator = np.random.default_rng(2)
    image = generator.normal(5, 30, (40, 53)).round().astype(np.int32)
    image[3, 4] = 60_000
    return image


def test_round_trip(tmp_path, pixels):
    lines = ["Gain 7.5 ADU per electron", "# Pedestal -1.25 ADU", "Ångström"]
    cbf.write(tmp_path / "a.cbf", pixels, lines)
    header = cbf.read_header(tmp_path / "a.cbf")
    assert header.convention == "TRUNCFIX_1.0"
    assert header.lines[:2] == ("Gain 7.5 ADU per electron", "Pedestal -1.25 ADU")
    assert header.lines[2] == r"\xc5ngstr\xf6m"
    assert header.shape == (40, 53)
    np.testing.assert_array_equal(cbf.read_pixels(tmp_path / "a.cbf"), pixels)


def test_pixels_compressed_by_the_caller(tmp_path, pixels):
    cbf.write(tmp_path / "a.cbf", pixels, ["A 1"])
    own = (tmp_path / "a.cbf").read_bytes()
    packed = compress(pixels)
    pieces = [packed[:100], packed[100:]]
    cbf.write_compressed(tmp_path / "a.cbf", pieces, (40, 53), ["A 1"])
    assert (tmp_path / "a.cbf").read_bytes() == own


def test_written_files_open_in_a_generic_reader(tmp_path, pixels):
    fabio = pytest.importorskip("fabio")
    cbf.write(tmp_path / "a.cbf", pixels, ["A 1"])
    image = fabio.open(str(tmp_path / "a.cbf"))
    np.testing.assert_array_equal(image.data, pixels)


def test_real_file_of_another_program(shared_data):
    path = sorted((shared_data / "l_cysteine_sweep").glob("*.cbf"))[0]
    header = cbf.read_header(path)
    assert header.convention == "PILATUS_1.2"
    assert "Wavelength 0.68890 A" in header.lines
    counts = cbf.read_pixels(path)
    assert counts.shape == (1679, 1475)
    assert (counts < 0).mean() == pytest.approx(0.08, abs=0.02)


@pytest.mark.parametrize(
    "key, value",
    [
        ("X-Binary-Size-Fastest-Dimension", 10**9),
        ("X-Binary-Size-Second-Dimension", 0),
        ("X-Binary-Size", 10**12),
        ("X-Binary-Size", -1),
    ],
)
def test_lying_headers_are_refused_without_allocation(tmp_path, pixels, key, value):
    path = tmp_path / "a.cbf"
    cbf.write(path, pixels, ["A 1"])
    start, _, rest = path.read_bytes().partition(f"{key}: ".encode())
    path.write_bytes(
        start + f"{key}: {value}\r\n".encode() + rest.partition(b"\r\n")[2]
    )
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="a.cbf: the header claims"):
            cbf.read_pixels(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_damaged_and_shortened_files_are_refused(tmp_path, pixels):
    path = tmp_path / "a.cbf"
    cbf.write(path, pixels, ["A 1"])
    data = bytearray(path.read_bytes())
    offset = cbf.read_header(path).data_offset
    path.write_bytes(data[: offset + 100])
    with pytest.raises(ValueError, match="holds 100 bytes"):
        cbf.read_pixels(path)
    data[offset + 100] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="check sum"):
        cbf.read_pixels(path)


@pytest.mark.parametrize("line", ["x" * 2048, "two\nlines"])
def test_lines_that_cbf_forbids(tmp_path, pixels, line):
    with pytest.raises(ValueError, match="no CBF line"):
        cbf.write(tmp_path / "a.cbf", pixels, [line])
    assert os.listdir(tmp_path) == []


def test_an_image_has_two_dimensions(tmp_path):
    with pytest.raises(ValueError, match="two dimensions, not 1"):
        cbf.write(tmp_path / "a.cbf", np.zeros(4, np.int32), [])
    assert not list(tmp_path.iterdir())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_parsed_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "a.cbf"
    path.write_bytes(b"###CBF: VERSION 1.5\n" + data)
    with pytest.raises(ValueError, match="a.cbf"):
        cbf.read_pixels(path)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 900), st.binary(min_size=1, max_size=8))
def test_any_damage_to_a_header_is_refused_or_harmless(
    tmp_path_factory, position, damage
):
    path = tmp_path_factory.mktemp("fuzz") / "a.cbf"
    image = np.arange(12, dtype=np.int32).reshape(3, 4)
    cbf.write(path, image, ["A 1"])
    data = bytearray(path.read_bytes())
    data[position : position + len(damage)] = damage
    path.write_bytes(data)
    try:
        assert cbf.read_pixels(path).size <= 12
    except ValueError as error:
        assert "a.cbf" in str(error)


def test_many_empty_lines_take_no_quadratic_time(tmp_path):
    """These once took minutes, where the fields of the binary section are looked for."""
    path = tmp_path / "a.cbf"
    cbf.write(path, np.zeros((2, 2), np.int32), ["A 1"])
    data = path.read_bytes()
    path.write_bytes(data.replace(b"X-Binary-ID", b"\n" * 200_000 + b"X-Binary-ID"))
    np.testing.assert_array_equal(cbf.read_pixels(path), np.zeros((2, 2)))
