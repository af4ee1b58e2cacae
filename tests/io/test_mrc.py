"""Reading and writing MRC files."""

from __future__ import annotations

import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dials_truncfix.io.mrc import MRCStack, write_stack
from dials_truncfix.io.mrc_header import (
    IMOD_STAMP,
    MRCHeader,
    pack_header,
    parse_header,
)

MODES = {"int8": 0, "uint8": 0, "int16": 1, "float32": 2, "uint16": 6, "float16": 12}


def frames(dtype, n=3, shape=(5, 7)):
    generator = np.random.default_rng(3)
    if np.issubdtype(dtype, np.floating):
        return [generator.normal(0, 50, shape).astype(dtype) for _ in range(n)]
    limits = np.iinfo(dtype)
    return [
        generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        for _ in range(n)
    ]


def bare(
    mode, pixels, *, nx=None, nz=1, stamp=0, flags=0, labels=(), byte_order="<", top=0.0
):
    """Bytes of a file, put together here by the description of the format."""
    ny = pixels.shape[-2]
    data = bytearray(1024)
    struct.pack_into(byte_order + "4i", data, 0, nx or pixels.shape[-1], ny, nz, mode)
    struct.pack_into(byte_order + "3f", data, 76, 0.0, top, 0.0)
    struct.pack_into(byte_order + "2i", data, 152, stamp, flags)
    data[208:212] = b"MAP "
    data[212:216] = b"DD\0\0" if byte_order == "<" else b"\x11\x11\0\0"
    struct.pack_into(byte_order + "i", data, 220, len(labels))
    for i, label in enumerate(labels):
        data[224 + 80 * i : 304 + 80 * i] = label.encode().ljust(80)
    return bytes(data) + pixels.tobytes()


def read(tmp_path, data):
    (tmp_path / "a.mrc").write_bytes(data)
    stack = MRCStack.open(tmp_path / "a.mrc")
    return np.stack([stack.read_frame(i) for i in range(stack.n_frames)])


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("dtype", MODES)
def test_round_trip(tmp_path, dtype, byte_order):
    written = frames(dtype)
    path = tmp_path / "a.mrc"
    labels = ["first label", "  second"]
    header = write_stack(
        path,
        iter(written),
        labels=labels,
        pixel_spacing=1.25,
        byte_order=byte_order,
        extended_header=b"x" * 1031,
        extended_type="SERI",
    )
    stack = MRCStack.open(path)
    assert stack.header == header
    assert (header.mode, header.nz, header.extended_bytes) == (MODES[dtype], 3, 1031)
    assert header.labels == tuple(labels)
    assert header.pixel_spacing == pytest.approx(1.25)
    assert header.highest == pytest.approx(max(float(f.max()) for f in written))
    for index in (2, 0, 1):
        pixels = stack.read_frame(index)
        assert pixels.dtype == np.dtype(dtype) and pixels.dtype.isnative
        np.testing.assert_array_equal(pixels, written[index])
    assert pickle.loads(pickle.dumps(stack)) == stack


@pytest.mark.parametrize("nx", [6, 7])
@pytest.mark.parametrize("packing", ["mode101", "squeezed"])
def test_four_bits(tmp_path, packing, nx):
    generator = np.random.default_rng(5)
    written = [generator.integers(0, 16, (5, nx), np.uint8) for _ in range(3)]
    if packing == "squeezed" and nx % 2:
        with pytest.raises(ValueError, match="even width"):
            write_stack(tmp_path / "a.mrc", written, packing=packing)
        assert not list(tmp_path.iterdir())
        return
    write_stack(tmp_path / "a.mrc", written, packing=packing, pixel_spacing=2.0)
    stack = MRCStack.open(tmp_path / "a.mrc")
    assert (tmp_path / "a.mrc").stat().st_size == 1024 + 3 * 5 * ((nx + 1) // 2)
    assert stack.shape == (5, nx)
    assert stack.header.mode == (101 if packing == "mode101" else 0)
    assert stack.header.pixel_spacing == pytest.approx(2.0)
    for index in (1, 2, 0):
        np.testing.assert_array_equal(stack.read_frame(index), written[index])


SERIALEM = "SerialEMCCD: Frames . ., scaled by 32.00  r/f 0"


@pytest.mark.parametrize(
    "changes, expected",
    [
        # MRC2014: signed
        ({}, -96),
        # K3 bytes of SerialEM: 160 is 5 electrons
        ({"labels": [SERIALEM]}, 160),
        ({"stamp": IMOD_STAMP}, 160),
        ({"stamp": IMOD_STAMP, "flags": 1}, -96),
        ({"stamp": IMOD_STAMP, "flags": 1, "labels": [SERIALEM]}, -96),
        # the header itself says that there are larger values than a signed byte has
        ({"top": 160.0}, 160),
        # a flag without its stamp means nothing
        ({"flags": 1, "labels": [SERIALEM]}, 160),
    ],
)
def test_signs_of_bytes(tmp_path, changes, expected):
    data = bare(0, np.full((2, 3), 160, np.uint8), **changes)
    assert (read(tmp_path, data) == expected).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"stamp": IMOD_STAMP, "flags": 16},
        {"stamp": IMOD_STAMP, "flags": 17},
        {"labels": ["SerialEMCCD: Frames . ., 4 bits packed  r/f 0"]},
    ],
)
def test_squeezed_bytes_have_twice_the_width(tmp_path, changes):
    data = bare(0, np.array([[0x21, 0xF3]], np.uint8), **changes)
    np.testing.assert_array_equal(read(tmp_path, data), [[[1, 2, 3, 15]]])


def test_unpacked_bytes_keep_their_label(tmp_path):
    labels = ["SerialEMCCD: Frames . ., 4 bits packed  r/f 0"]
    pixels = np.array([[0x21, 0xF3]], np.uint8)
    data = bare(0, pixels, stamp=IMOD_STAMP, labels=labels)
    np.testing.assert_array_equal(read(tmp_path, data)[0], pixels)


def test_big_endian_without_a_machine_stamp(tmp_path):
    pixels = np.arange(6, dtype=">i2").reshape(2, 3)
    data = bytearray(bare(1, pixels, byte_order=">"))
    data[212:216] = bytes(4)
    np.testing.assert_array_equal(read(tmp_path, bytes(data))[0], pixels)


def test_more_sections_than_mz(tmp_path):
    pixels = np.arange(12, dtype="<u2").reshape(2, 2, 3)
    np.testing.assert_array_equal(read(tmp_path, bare(6, pixels, nz=2)), pixels)


@pytest.mark.parametrize(
    "mode, nx, nz, message",
    [
        (0, 60000, 60000, "claims 60000 images of 60000 x 2 pixels"),
        (1, 3, 2, r"holds 1 of them"),
        (101, 65536, 2**31 - 1, "claims"),
        (4, 3, 1, "complex"),
        (5, 3, 1, "mode 5"),
        (0, -3, 1, "impossible"),
        (0, 65537, 1, "impossible"),
    ],
)
def test_impossible_files_are_refused_before_anything_is_allocated(
    tmp_path, mode, nx, nz, message
):
    path = tmp_path / "a.mrc"
    path.write_bytes(bare(mode, np.zeros((2, 3), np.int16), nx=nx, nz=nz))
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"a.mrc.*{message}"):
        MRCStack.open(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_file_that_shrinks_is_noticed(tmp_path):
    path = tmp_path / "a.mrc"
    write_stack(path, frames("uint16"))
    stack = MRCStack.open(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="image 2 is no longer complete"):
        stack.read_frame(2)
    with pytest.raises(IndexError, match="image 3 of 3"):
        stack.read_frame(3)
    with pytest.raises(IndexError):
        stack.read_frame(-1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([[]], "no image"),
        ([[np.zeros((2, 3), np.int32)]], "no mode for pixels of type int32"),
        ([[np.zeros((2, 3), "u1"), np.zeros((2, 4), "u1")]], "image 1 is"),
        ([[np.zeros((2, 3), "u1"), np.zeros((2, 3), "i1")]], "image 1 is"),
        ([[np.zeros(3, "u1")]], "two sides"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_stack(tmp_path / "a.mrc", *arguments)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="more than 80 characters"):
        write_stack(tmp_path / "a.mrc", frames("u1"), labels=["x" * 81])
    with pytest.raises(ValueError, match="11 labels"):
        write_stack(tmp_path / "a.mrc", frames("u1"), labels=["x"] * 11)


def test_frames_are_read_one_by_one(tmp_path):
    shape = (1000, 1000)
    write_stack(
        tmp_path / "a.mrc",
        (np.full(shape, i % 16, np.uint8) for i in range(20)),
        packing="mode101",
    )
    stack = MRCStack.open(tmp_path / "a.mrc")
    tracemalloc.start()
    for index in range(20):
        assert stack.read_frame(index)[500, 500] == index % 16
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * shape[0] * shape[1]


@given(st.binary(min_size=1024, max_size=1024))
def test_any_header_is_parsed_or_refused(data):
    try:
        header = parse_header(data)
    except ValueError:
        return
    assert header.nx > 0 and header.image_bytes > 0


@given(
    st.sampled_from([0, 1, 2, 6, 12, 101]),
    st.integers(1, 32768),
    st.integers(1, 65536),
    st.sampled_from("<>"),
    st.booleans(),
    st.lists(st.text("abc XYZ_09", max_size=80).map(str.rstrip), max_size=10),
)
def test_header_round_trip(mode, nx, ny, byte_order, flag, labels):
    header = MRCHeader(
        nx=2 * nx,
        ny=ny,
        nz=7,
        mode=mode,
        squeezed=flag and mode == 0,
        labels=tuple(labels),
        byte_order=byte_order,
        pixel_spacing=1.0,
    )
    if header.nx > 65536:
        return
    again = parse_header(pack_header(header))
    assert again.pixel_spacing == pytest.approx(1.0)
    assert MRCHeader(**{**vars(again), "pixel_spacing": 1.0}) == header
