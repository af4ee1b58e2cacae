"""SerialEM's metadata files."""

from __future__ import annotations

import calendar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dials_truncfix.io.mdoc import (
    Mdoc,
    MdocSection,
    find_mdoc,
    format_date,
    format_mdoc,
    parse_date,
    parse_mdoc,
    read_mdoc,
    write_mdoc,
)


@pytest.mark.parametrize(
    "name, n_titles, kinds",
    [
        ("TS_01.mrc.mdoc", 2, {"ZValue": 41}),
        ("tilt_series.mdoc", 2, {"ZValue": 41}),
        ("frame_set_single.mdoc", 1, {"FrameSet": 1}),
        ("frame_set_multiple.mdoc", 1, {"FrameSet": 1, "ZValue": 20}),
        ("gm.mrc.mdoc", 2, {"ZValue": 25, "MontSection": 1}),
        ("montage_section.mdoc", 2, {"ZValue": 62, "MontSection": 1}),
        ("montage_section_multiple.mdoc", 2, {"ZValue": 90, "MontSection": 10}),
    ],
)
def test_real_files_are_read_to_the_last_entry(shared_data, name, n_titles, kinds):
    path = shared_data / "serialem" / name
    mdoc = read_mdoc(path)
    assert len(mdoc.titles) == n_titles
    found = [section.kind for section in mdoc.sections]
    assert {kind: found.count(kind) for kind in set(found)} == kinds
    entries = len(mdoc.titles) + len(mdoc.sections) + len(mdoc.values)
    entries += sum(len(section.values) for section in mdoc.sections)
    assert entries == sum("=" in line for line in path.read_text().splitlines())
    assert parse_mdoc(format_mdoc(mdoc)) == mdoc


def test_a_real_frame_set(shared_data):
    mdoc = read_mdoc(shared_data / "serialem" / "frame_set_multiple.mdoc")
    section = mdoc.frame_set("S_MMM_01013_33.0_Oct08_07.46.46.tif")
    assert section == mdoc.frame_set("renamed.tif")
    assert section.number("TiltAngle") == 32.986
    assert section.number("Voltage") == 300
    assert section.number("NumSubFrames") == 243
    assert section.number("Binning") == 0.5
    assert section.number("RotationAngle") == 178.414
    assert section.values["GainReference"].endswith("Oct08_01.59.24.dm4")
    assert section.frame_doses == [(0.63882, 243)]
    assert section.numbers("UncroppedSize") == [-2880, -2046]
    assert section.number("StagePosition") is None
    assert section.timestamp == calendar.timegm((2021, 10, 8, 7, 47, 29))


def test_the_set_of_a_stack_is_found_by_its_name():
    sections = tuple(
        MdocSection("FrameSet", str(i), {"SubFramePath": rf"X:\a\m_{i}.tif"})
        for i in range(3)
    )
    mdoc = Mdoc({"Voltage": "200"}, ("SerialEM: x",), sections)
    assert mdoc.frame_set("m_1.tif").name == "1"
    assert mdoc.frame_set("m_1.tif").number("Voltage") == 200
    assert mdoc.frame_set("m_7.tif") is None
    assert Mdoc().frame_set("m_1.tif") is None


def test_file_beside_a_stack(tmp_path):
    stack = tmp_path / "m.tif"
    assert find_mdoc(stack) is None
    write_mdoc(tmp_path / "m.mdoc", Mdoc({"Voltage": "200"}))
    assert find_mdoc(stack).name == "m.mdoc"
    write_mdoc(tmp_path / "m.tif.mdoc", Mdoc({"Voltage": "300"}))
    assert read_mdoc(find_mdoc(stack)).values == {"Voltage": "300"}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("08-Oct-21  07:39:08", (2021, 10, 8, 7, 39, 8)),
        ("30-Nov-2015  15:21:38", (2015, 11, 30, 15, 21, 38)),
        ("1-Jan-20 00:00:00", (2020, 1, 1, 0, 0, 0)),
        ("08-Foo-21  07:39:08", None),
        ("", None),
    ],
)
def test_dates(text, expected):
    assert parse_date(text) == (expected and calendar.timegm(expected))
    if expected:
        assert parse_date(format_date(calendar.timegm(expected))) == parse_date(text)


def test_odd_numbers_and_files(tmp_path):
    section = MdocSection(
        "FrameSet", "0", {"a": "nan", "b": "1 x", "FrameDosesAndNumber": "1 2 3"}
    )
    assert section.number("a") is None and section.number("missing") is None
    assert section.numbers("b") == [] and section.frame_doses == []
    (tmp_path / "a.mdoc").write_bytes(b"MRC\0\0")
    with pytest.raises(ValueError, match="a.mdoc is no .mdoc file"):
        read_mdoc(tmp_path / "a.mdoc")
    with pytest.raises(ValueError, match="read back differently"):
        format_mdoc(Mdoc({"a": "b\n[FrameSet = 0]"}))


@given(st.text(max_size=300))
def test_any_text_is_parsed(text):
    parse_mdoc(text)
    parse_mdoc("[FrameSet = 0]\n" + text).frame_set("a")


@pytest.mark.parametrize(
    "line, expected",
    [
        (" " * 200_000, {}),
        ("[" + " " * 200_000, {}),
        ("a" + " " * 200_000, {}),
        ("a" + " " * 200_000 + "= b" + " " * 200_000 + "c", "b" + " " * 200_000 + "c"),
    ],
    ids=["blanks", "bracket", "key", "value"],
)
def test_long_blanks_take_no_quadratic_time(line, expected):
    """Such a line once took hours."""
    values = parse_mdoc(line).values
    assert values == (expected if expected == {} else {"a": expected})
