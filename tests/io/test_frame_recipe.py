"""Recipes: what to make of a stack of frames."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dials_truncfix.io import frame_recipe
from dials_truncfix.io.frame_recipe import FrameRecipe, is_recipe, read_recipe
from dials_truncfix.io.source_files import ReadingRights


@pytest.fixture
def write(tmp_path):
    def write(text=None, **fields):
        path = tmp_path / "a.frames"
        content = {"serialem_frames": 1, "stack": "s.mrc", **fields}
        path.write_text(json.dumps(content) if text is None else text)
        return str(path)

    for name in ("s.mrc", "r.mrc", "d.txt"):
        (tmp_path / name).touch()
    return write


def test_all_fields(write, tmp_path):
    path = write(
        frames_per_image=10,
        reduce_by=2,
        first_frame=5,
        last_frame=44,
        gain_reference="r.mrc",
        defects=False,
        counts_per_electron=32,
        oscillation=[-30, 0.5],
        exposure_time=0.25,
    )
    assert is_recipe(path)
    stack, recipe = read_recipe(path)
    assert stack == tmp_path / "s.mrc"
    assert recipe == FrameRecipe(
        frames_per_image=10,
        reduce_by=2,
        first_frame=5,
        last_frame=44,
        gain_reference=str(tmp_path / "r.mrc"),
        defects=False,
        counts_per_electron=32.0,
        oscillation=(-30.0, 0.5),
        exposure_time=0.25,
    )
    assert recipe.groups(50) == [range(i, i + 10) for i in (4, 14, 24, 34)]
    assert read_recipe(write())[1] == FrameRecipe()


@pytest.mark.parametrize(
    "recipe, n_frames, expected",
    [
        (FrameRecipe(), 2, [range(0, 1), range(1, 2)]),
        (FrameRecipe(frames_per_image=0), 5, [range(0, 5)]),
        # the last one fills no image
        (FrameRecipe(frames_per_image=2), 5, [range(0, 2), range(2, 4)]),
        (FrameRecipe(first_frame=3, last_frame=4), 5, [range(2, 3), range(3, 4)]),
    ],
)
def test_groups(recipe, n_frames, expected):
    assert recipe.groups(n_frames) == expected


@pytest.mark.parametrize(
    "recipe, message",
    [
        (FrameRecipe(last_frame=6), "last_frame is 6, and there are 5"),
        (FrameRecipe(frames_per_image=6), "too few for an image of 6"),
        (FrameRecipe(first_frame=6), "too few"),
        (FrameRecipe(first_frame=9, frames_per_image=0), "too few"),
    ],
)
def test_impossible_groups(recipe, message):
    with pytest.raises(ValueError, match=message):
        recipe.groups(5)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"frames_per_image": -1}, '"frames_per_image" must be a whole number'),
        ({"frames_per_image": 1.5}, '"frames_per_image" must be a whole number'),
        ({"reduce_by": 0}, '"reduce_by" must be a whole number from 1 to 8'),
        ({"reduce_by": True}, '"reduce_by" must be a whole number'),
        ({"oscillation": [1]}, '"oscillation" must be'),
        ({"oscillation": [0, 0]}, "width not 0"),
        ({"oscillation": 3}, '"oscillation" must be'),
        ({"counts_per_electron": 0}, "above 0"),
        ({"exposure_time": "1"}, "above 0"),
        ({"gain_reference": 5}, '"gain_reference" must name a file'),
        ({"gain_reference": "no.mrc"}, "names no.mrc, and there is no such file"),
        ({"frame_per_image": 5}, '"frame_per_image" is none of counts_per_electron'),
        ({"stack": ""}, '"stack" must name'),
        ({"stack": "no.mrc"}, "names no.mrc, and there is no such file"),
        ({"stack": "a\0b"}, "there is no such file"),
        ({"serialem_frames": 2}, '"serialem_frames" must be 1'),
    ],
)
def test_wrong_fields(write, fields, message):
    with pytest.raises(ValueError, match=f"a.frames.*{message}"):
        read_recipe(write(**fields))


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": NaN}', "\0"])
def test_damaged_recipes(write, text):
    path = write(text=text)
    assert not is_recipe(path)
    with pytest.raises(ValueError, match=r"a\.frames") as caught:
        read_recipe(path)
    assert "run dials" not in str(caught.value)


def test_only_files_of_that_name_are_recipes(write, tmp_path):
    path = write()
    os.rename(path, tmp_path / "a.json")
    assert not is_recipe(str(tmp_path / "a.json"))
    assert not is_recipe(str(tmp_path / "missing.frames"))
    assert not is_recipe(str(tmp_path))


def test_recipes_of_others_name_only_what_lies_beside_them(
    write, tmp_path, monkeypatch
):
    stranger = os.geteuid() + 4711
    monkeypatch.setattr(
        frame_recipe,
        "reading_rights",
        lambda path, owner: ReadingRights(os.path.realpath(path), stranger, ()),
    )
    monkeypatch.setattr(os, "geteuid", lambda: stranger + 1)
    assert read_recipe(write())[0] == tmp_path / "s.mrc"
    with pytest.raises(ValueError, match="belongs to another user"):
        read_recipe(write(gain_reference="/etc/passwd"))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "a.frames"
    path.write_bytes(b'{"serialem_frames": 1' + data)
    is_recipe(str(path))
    with pytest.raises(ValueError, match=r"a\.frames"):
        read_recipe(str(path))
