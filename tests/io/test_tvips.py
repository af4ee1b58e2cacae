"""Reading and writing .tvips series."""

from __future__ import annotations

import os
import pickle
import struct
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dials_truncfix.io.tvips import (
    TVIPSSeries,
    TVIPSWarning,
    is_first_part,
    write_series,
)
from dials_truncfix.io.tvips_header import (
    FrameHeader,
    SeriesHeader,
    pack_frame_header,
    pack_series_header,
    parse_frame_header,
    parse_series_header,
)


def frames(n, shape=(6, 9), dtype=np.uint16, seed=0):
    generator = np.random.default_rng(seed)
    high = np.iinfo(dtype).max
    return [generator.integers(0, high, shape, dtype, endpoint=True) for _ in range(n)]


def stack(series):
    return np.stack([series.read_frame(i) for i in range(series.n_frames)])


@pytest.mark.parametrize(
    "name, n_frames, shape",
    [("2233", 4, (3, 3)), ("2345", 6, (4, 5)), ("2345_split", 6, (4, 5))],
)
def test_real_files(shared_data, name, n_frames, shape):
    series = TVIPSSeries.open(shared_data / "tvips" / f"test_tvips_{name}_000.tvips")
    assert (series.n_frames, series.shape) == (n_frames, shape)
    assert series.header.version == 2
    assert series.header.high_tension_kv == 200
    assert series.frame_header(0).seconds == 740399696
    assert series.frame_header(0).milliseconds == 0
    values = stack(series)
    np.testing.assert_array_equal(values.ravel(), np.arange(values.size))


def test_real_split_series_knows_its_parts(shared_data):
    series = TVIPSSeries.open(shared_data / "tvips" / "test_tvips_2345_split_000.tvips")
    assert series.first_frames == (0, 1, 4, 6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    "version, header_bytes", [(1, 12), (2, 12), (2, 60), (2, 77), (2, 180)]
)
def test_versions_and_header_sizes(tmp_path, dtype, version, header_bytes):
    written = frames(3, dtype=dtype)
    write_series(
        tmp_path / "a_000.tvips",
        written,
        version=version,
        frame_header_bytes=header_bytes,
        alpha_deg=[1.5, 2.0, 2.5],
        exposure_s=0.25,
        start_time=1000.9,
        camera_length_mm=1830,
    )
    series = TVIPSSeries.open(tmp_path / "a_000.tvips")
    assert series.header.frame_header_bytes == header_bytes
    assert series.dtype == dtype
    np.testing.assert_array_equal(stack(series), np.stack(written))
    assert [series.frame_header(i).time for i in range(3)] == pytest.approx(
        [1000.9, 1001.15, 1001.4], abs=1e-9
    )
    alpha = series.frame_header(2).alpha_deg
    assert alpha == (2.5 if version == 2 and header_bytes >= 44 else None)


def test_single_frame(tmp_path):
    (frame,) = frames(1)
    write_series(tmp_path / "a_000.tvips", [frame])
    series = TVIPSSeries.open(tmp_path / "a_000.tvips")
    assert series.n_frames == 1
    np.testing.assert_array_equal(series.read_frame(0), frame)


def test_split_series_equals_the_unsplit_one(tmp_path):
    written = frames(7)
    assert len(write_series(tmp_path / "one_000.tvips", written)) == 1
    parts = write_series(tmp_path / "three_000.tvips", written, frames_per_part=3)
    assert [p.name for p in parts] == [f"three_00{i}.tvips" for i in range(3)]
    one = TVIPSSeries.open(tmp_path / "one_000.tvips")
    three = TVIPSSeries.open(tmp_path / "three_000.tvips")
    np.testing.assert_array_equal(stack(three), stack(one))
    assert [three.frame_header(i) for i in range(7)] == [
        one.frame_header(i) for i in range(7)
    ]
    assert three.frame_headers() == [one.frame_header(i) for i in range(7)]
    with pytest.raises(IndexError, match="7"):
        three.read_frame(7)
    with pytest.raises(IndexError):
        three.read_frame(-1)


def test_part_names_differ_in_case(tmp_path):
    written = frames(4)
    write_series(tmp_path / "Mov_000.tvips", written, frames_per_part=2)
    os.rename(tmp_path / "Mov_001.tvips", tmp_path / "Mov_001.TVIPS")
    np.testing.assert_array_equal(
        stack(TVIPSSeries.open(tmp_path / "Mov_000.tvips")), np.stack(written)
    )


def test_truncated_last_frame_is_left_out_with_one_warning(tmp_path):
    written = frames(5)
    write_series(tmp_path / "a_000.tvips", written, frames_per_part=3)
    last = tmp_path / "a_001.tvips"
    last.write_bytes(last.read_bytes()[:-1])
    with pytest.warns(TVIPSWarning, match="a_001.tvips.* 4 complete frames") as caught:
        series = TVIPSSeries.open(tmp_path / "a_000.tvips")
    assert len(caught) == 1
    np.testing.assert_array_equal(stack(series), np.stack(written[:4]))
    assert series.incomplete_bytes > 0


def test_truncated_part_in_the_middle_is_refused(tmp_path):
    write_series(tmp_path / "a_000.tvips", frames(5), frames_per_part=2)
    middle = tmp_path / "a_001.tvips"
    middle.write_bytes(middle.read_bytes()[:-1])
    with pytest.raises(ValueError, match="a_001.tvips ends in the middle of a frame"):
        TVIPSSeries.open(tmp_path / "a_000.tvips")


def test_missing_part_in_the_middle_is_refused(tmp_path):
    write_series(tmp_path / "a_000.tvips", frames(7), frames_per_part=2)
    (tmp_path / "a_002.tvips").unlink()
    with pytest.raises(ValueError, match="a_002.tvips of the series are missing"):
        TVIPSSeries.open(tmp_path / "a_000.tvips")


def test_lying_header_is_refused_before_anything_is_allocated(tmp_path):
    path = tmp_path / "a_000.tvips"
    write_series(path, frames(2))
    data = bytearray(path.read_bytes())
    struct.pack_into("<2i", data, 8, 65536, 65536)
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="claims frames of 65536 x 65536"):
            TVIPSSeries.open(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_frame_count(tmp_path):
    frame_bytes = 64 * 64 * 2
    write_series(tmp_path / "a_000.tvips", (f for f in frames(200, (64, 64))))
    series = TVIPSSeries.open(tmp_path / "a_000.tvips")
    series.read_frame(0)
    tracemalloc.start()
    try:
        for index in range(series.n_frames):
            series.read_frame(index)
        assert tracemalloc.get_traced_memory()[1] < 10 * frame_bytes
    finally:
        tracemalloc.stop()


def test_file_that_shrinks_after_opening(tmp_path):
    path = tmp_path / "a_000.tvips"
    write_series(path, frames(2))
    series = TVIPSSeries.open(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="frame 1 is no longer complete"):
        series.read_frame(1)


def test_series_can_be_pickled(tmp_path):
    write_series(tmp_path / "a_000.tvips", frames(2))
    series = TVIPSSeries.open(tmp_path / "a_000.tvips")
    assert pickle.loads(pickle.dumps(series)) == series


@pytest.mark.parametrize(
    "name, first",
    [
        ("mov_000.tvips", True),
        ("MOV_000.TVIPS", True),
        ("a/b_1_000.tvips", True),
        ("mov_001.tvips", False),
        ("mov_0.tvips", False),
        ("mov_0000.tvips", False),
        ("mov000.tvips", False),
        ("mov_000.tvips.gz", False),
    ],
)
def test_first_part_by_name(name, first):
    assert is_first_part(name) is first


def test_writer_leaves_nothing_behind_when_frames_fail(tmp_path):
    def failing():
        yield from frames(5)
        raise RuntimeError("camera")

    with pytest.raises(RuntimeError, match="camera"):
        write_series(tmp_path / "a_000.tvips", failing(), frames_per_part=2)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"frames": []}, "no frame"),
        ({"frames": [np.zeros((2, 2), np.int32)]}, "int32"),
        ({"frames": [np.zeros((2, 2), "u2"), np.zeros((2, 3), "u2")]}, "frame 1"),
        ({"version": 3}, "version"),
        ({"frame_header_bytes": 8}, ">= 12"),
        ({"frames_per_part": 0}, "positive"),
        ({"path": "a.tvips", "frames_per_part": 2}, "NAME_000.tvips"),
    ],
)
def test_writer_refuses(tmp_path, arguments, message):
    path = tmp_path / arguments.pop("path", "a_000.tvips")
    images = arguments.pop("frames", frames(2))
    with pytest.raises(ValueError, match=message):
        write_series(path, images, **arguments)
    assert os.listdir(tmp_path) == []


def test_all_fields_of_the_frame_header_survive():
    header = FrameHeader(
        *(7, 1_600_000_000, 250),
        *(0.5, 80, 2, 1.0, -2.0, 3.0, -30.25, 0.125, 4),
        *(21.0, 22.0, 0.25, 1.5, 8.0, 9.0),
    )
    assert parse_frame_header(pack_frame_header(header, 76)) == header
    with pytest.raises(ValueError, match="12 bytes"):
        parse_frame_header(b"\0" * 11)


def test_series_header_survives():
    header = SeriesHeader(2, 2048, 1024, 16, 8, 4, 2, 2, 31200, 300, 1830, 180)
    assert parse_series_header(pack_series_header(header)) == header


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_give_a_possible_header(data):
    try:
        header = parse_series_header(data)
    except ValueError:
        return
    assert header.record_bytes > 12


@settings(max_examples=200, deadline=None)
@given(
    fields=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=11, max_size=11),
    version=st.sampled_from([1, 2]),
    bits=st.sampled_from([8, 16]),
    tail=st.integers(0, 400),
)
def test_any_header_is_refused_or_read_within_the_file(
    tmp_path_factory, fields, version, bits, tail
):
    nx, ny, *rest = fields
    data = struct.pack("<13i", 256, version, nx % 300, ny % 300, bits, *rest[:8])
    path = tmp_path_factory.mktemp("fuzz") / "a_000.tvips"
    path.write_bytes(data.ljust(256, b"\0") + b"\1" * tail)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TVIPSWarning)
        try:
            series = TVIPSSeries.open(path)
        except ValueError as error:
            assert str(path) in str(error)
            return
    assert stack(series).nbytes <= tail
