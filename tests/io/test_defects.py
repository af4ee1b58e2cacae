"""Defects files: text, and the pixels they mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dials_truncfix.io.defects import (
    Defects,
    PartialLine,
    bad_pixels,
    format_defects,
    parse_defects,
    read_defects,
    write_defects,
)
from dials_truncfix.io.frame_orientation import rotate_flip

TEXT = """\
#defects_s_mmm.txt
CameraSizeX 20
CameraSizeY 10
RotationAndFlip 0
WasScaled 0
K2Type 1
FalconType 0
NumToAvgSuperRes 0
UsableArea 1 0 8 0
PartialBadColumn 3 2 4 6
PartialBadRow 5 1 10 19
BadPixels 0 2 19 9
BadPixels 7 7
BadColumns 12
BadRows 8
"""


def places(mask):
    return {(int(x), int(y)) for y, x in np.argwhere(mask)}


def test_every_keyword():
    defects = parse_defects(TEXT)
    assert defects == Defects(
        camera_size=(20, 10),
        rotation_flip=0,
        k2_type=1,
        usable_area=(1, 0, 8, 0),
        partial_columns=(PartialLine(3, 2, 4, 6),),
        partial_rows=(PartialLine(5, 1, 10, 19),),
        pixels=((0, 2), (19, 9), (7, 7)),
        columns=(12,),
        rows=(8,),
        comments=("defects_s_mmm.txt",),
    )
    expected = {(x, y) for x in range(20) for y in (0, 8, 9)}
    expected |= {(x, y) for x in (3, 4) for y in (4, 5, 6)}
    expected |= {(x, 5) for x in range(10, 20)} | {(12, y) for y in range(10)}
    expected |= {(0, 2), (19, 9), (7, 7)}
    assert places(bad_pixels(defects, (10, 20))) == expected


def test_shortened_keywords_comments_and_tabs():
    text = TEXT.replace("BadPixels", "BadP").replace("BadColumns", "BadC")
    text = text.replace("PartialBadRow", "PartialBadR").replace("UsableArea", "Us")
    text = text.replace("CameraSizeX ", "# a comment\r\nCameraSizeX\t")
    text += "NoSuchKeyword 1 2\n\nBadRows\n"
    found = parse_defects(text)
    assert found.comments == ("defects_s_mmm.txt", " a comment")
    assert replace(found, comments=parse_defects(TEXT).comments) == parse_defects(TEXT)


@pytest.mark.parametrize("value", [",", ", ,", "x", "1.5"])
def test_entries_without_numbers_are_refused(value):
    with pytest.raises(ValueError, match="whole numbers are needed"):
        parse_defects(TEXT.replace("WasScaled", f"WasScaled {value}\nWasScaled"))


def test_long_lists_are_wrapped():
    defects = Defects(
        camera_size=(5000, 4000),
        rotation_flip=3,
        pixels=tuple((i, 2 * i) for i in range(23)),
        columns=tuple(range(41)),
        rows=tuple(range(20)),
    )
    lines = format_defects(defects).splitlines()
    counts = [
        (line.split()[0], len(line.split()) - 1) for line in lines if "Bad" in line
    ]
    assert counts == [
        *[("BadPixels", 20), ("BadPixels", 20), ("BadPixels", 6)],
        *[("BadColumns", 20), ("BadColumns", 20), ("BadColumns", 1)],
        ("BadRows", 20),
    ]
    assert parse_defects(format_defects(defects)) == defects


numbers = st.integers(0, 4000)


@given(
    st.builds(
        Defects,
        camera_size=st.tuples(st.integers(1, 8000), st.integers(1, 8000)),
        rotation_flip=st.none() | st.integers(0, 7),
        was_scaled=st.integers(-1, 2),
        k2_type=st.integers(0, 2),
        falcon_type=st.integers(0, 3),
        average_super_resolution=numbers,
        usable_area=st.tuples(numbers, numbers, numbers, numbers),
        partial_columns=st.lists(
            st.builds(PartialLine, numbers, numbers, numbers, numbers), max_size=4
        ).map(tuple),
        partial_rows=st.lists(
            st.builds(PartialLine, numbers, numbers, numbers, numbers), max_size=4
        ).map(tuple),
        pixels=st.lists(st.tuples(numbers, numbers), max_size=30).map(tuple),
        columns=st.lists(numbers, max_size=50).map(tuple),
        rows=st.lists(numbers, max_size=50).map(tuple),
    )
)
def test_round_trip(defects):
    assert parse_defects(format_defects(defects)) == defects


def test_scaled_lists_mean_blocks():
    defects = Defects(camera_size=(12, 8), was_scaled=1, pixels=((4, 2),))
    assert places(bad_pixels(defects, (8, 12))) == {(4, 2), (5, 2), (4, 3), (5, 3)}
    # frames of the sensor's own size: one pixel
    assert places(bad_pixels(defects, (4, 6))) == {(2, 1)}


def test_lists_are_doubled_for_larger_frames():
    defects = Defects(
        camera_size=(6, 4),
        pixels=((1, 2),),
        columns=(5,),
        partial_rows=(PartialLine(0, 1, 0, 1),),
        usable_area=(0, 0, 2, 0),
    )
    single = bad_pixels(defects, (4, 6))
    doubled = bad_pixels(defects, (8, 12))
    np.testing.assert_array_equal(doubled, np.kron(single, np.ones((2, 2), bool)))
    assert {(2, 4), (3, 5), (10, 0), (11, 7), (3, 1), (0, 6)} <= places(doubled)
    assert (4, 0) not in places(doubled)


@pytest.mark.parametrize("operation", range(8))
def test_lists_are_turned_to_the_frames(operation):
    upright = Defects(camera_size=(5, 3), rotation_flip=0, pixels=((4, 0), (1, 2)))
    camera = bad_pixels(upright, (3, 5))
    turned = rotate_flip(camera, operation)
    np.testing.assert_array_equal(bad_pixels(upright, turned.shape, operation), turned)
    # a list that is turned already, by what it says itself or is believed to be
    ys, xs = np.nonzero(turned)
    for said in (operation, None):
        listed = Defects(
            camera_size=turned.shape[::-1],
            rotation_flip=said,
            pixels=tuple(zip(xs.tolist(), ys.tolist())),
        )
        np.testing.assert_array_equal(
            bad_pixels(listed, turned.shape, operation), turned
        )
        if said is not None:
            np.testing.assert_array_equal(bad_pixels(listed, (3, 5), 0), camera)


def test_wrong_files(tmp_path):
    for text, message in (
        ("", "CameraSizeX and CameraSizeY are needed"),
        ("CameraSizeX 10\nCameraSizeY 70000\n", "needed"),
        ("CameraSizeX ten\n", "whole numbers"),
        (TEXT + "BadPixels 1 2 3\n", "two coordinates"),
        (TEXT + "PartialBadRow 1 2\n", "four numbers"),
        (TEXT + "RotationAndFlip 9\n", "from 0 to 7"),
    ):
        (tmp_path / "d.txt").write_text(text)
        with pytest.raises(ValueError, match=f"d.txt is no defects file: .*{message}"):
            read_defects(tmp_path / "d.txt")
    with pytest.raises(ValueError, match="camera of 20 x 10 pixels.*30 x 10"):
        bad_pixels(parse_defects(TEXT), (10, 30))
    write_defects(tmp_path / "d.txt", parse_defects(TEXT))
    assert read_defects(tmp_path / "d.txt") == parse_defects(TEXT)


def test_defects_beyond_the_camera_are_ignored():
    defects = Defects(
        camera_size=(4, 4),
        pixels=((9, 9), (-1, 0)),
        columns=(9, -1),
        partial_columns=(PartialLine(-2, 1, 0, 3), PartialLine(3, 9, -5, 0)),
    )
    assert places(bad_pixels(defects, (4, 4))) == {(3, 0)}
