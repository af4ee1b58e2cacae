"""Titles of SerialEM's plugin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dials_truncfix.io.serialem_title import (
    FrameTitle,
    format_title,
    is_serialem_title,
    mrc_labels,
    parse_title,
)


@pytest.mark.parametrize(
    "lines, expected",
    [
        (
            ["SerialEMCCD: Frames . ., scaled by 16.00  r/f 3"],
            FrameTitle(scaling=16.0, rotation_flip=3),
        ),
        (
            ["SerialEMCCD: Frames . ., 4 bits packed  r/f 0 need 5", "  G.dm4"],
            FrameTitle(packed=True, needed_rotation_flip=5, gain_reference="G.dm4"),
        ),
        (
            [
                # cut to 55 characters, and dated
                "SerialEMCCD: Frames . ., scaled by 1.00  r/f 0         08-Oct-21  07:47:29",
                "  SuperRef_s_mmm_00000_-15.0_Oct08_01.59.24.dm4",
                "  defects_s_mmm.txt",
                "lysozyme, grid 2",
            ],
            FrameTitle(
                gain_reference="SuperRef_s_mmm_00000_-15.0_Oct08_01.59.24.dm4",
                defects="defects_s_mmm.txt",
                notes=("lysozyme, grid 2",),
            ),
        ),
        (
            # normalized: the defects file may stand alone
            ["SerialEMCCD: Frames . ., scaled by 38.30  r/f 7", "  defects12.txt"],
            FrameTitle(scaling=38.3, rotation_flip=7, defects="defects12.txt"),
        ),
        (
            # a user's line is none, however it begins
            ["SerialEMCCD: Frames . ., scaled by 32.00", "note", "  see x.dm4"],
            FrameTitle(scaling=32.0, notes=("note", "  see x.dm4")),
        ),
    ],
)
def test_real_wordings(lines, expected):
    assert is_serialem_title(lines)
    assert parse_title(lines) == expected


def test_labels_as_serialem_cuts_them():
    title = FrameTitle(
        scaling=1234.56, needed_rotation_flip=3, notes=("n" * 99, *"abcdefghijk")
    )
    labels = mrc_labels(title, "08-Oct-21  07:47:29")
    assert len(labels) == 10 and max(map(len, labels)) == 80
    assert labels[0] == (
        "SerialEMCCD: Frames . ., scaled by 1234.56  r/f 0 need  08-Oct-21  07:47:29"
    )
    assert mrc_labels(FrameTitle(scaling=16.0))[0] == (
        "SerialEMCCD: Frames . ., scaled by 16.00  r/f 0"
    )


@given(
    st.integers(0, 7),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1.0, 16.0, 32.0, 38.25]),
    st.sampled_from([None, "CountRef.dm4", "g.mrc"]),
    st.sampled_from([None, "defects1.txt"]),
)
def test_round_trip(operation, need, packed, scaling, gain_reference, defects):
    title = FrameTitle(
        scaling=1.0 if packed else scaling,
        packed=packed,
        rotation_flip=0 if need else operation,
        needed_rotation_flip=operation if need else 0,
        gain_reference=gain_reference,
        defects=defects,
        notes=("a note",),
    )
    assert parse_title(format_title(title)) == title
    assert parse_title(mrc_labels(title, "08-Oct-21  07:47:29")) == title


def test_what_is_no_title():
    for lines in ([], ["IMOD: newstack"], ["a", "SerialEMCCD: Frames . ., r/f 1"]):
        assert not is_serialem_title(lines)
        with pytest.raises(ValueError, match="no title"):
            parse_title(lines)
    with pytest.raises(ValueError, match="scaled by 0.00.*impossible"):
        parse_title(["SerialEMCCD: Frames . ., scaled by 0.00  r/f 0"])
    with pytest.raises(ValueError, match="r/f 1 and need 2"):
        format_title(FrameTitle(rotation_flip=1, needed_rotation_flip=2))
