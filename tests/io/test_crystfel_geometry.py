from __future__ import annotations

import numpy as np
import pytest

from crystfel_streams import GEOMETRY
from dials_truncfix.io.crystfel_geometry import parse_panels

FULL = (
    "a/min_fs = 1\na/max_fs = 2\na/min_ss = 3\na/max_ss = 5\na/corner_x = 1\n"
    "a/corner_y = 2\na/res = 1000\na/fs = x\na/ss = y\n"
)


def test_panels_are_read():
    left, right = parse_panels(GEOMETRY.splitlines())
    assert (left.name, right.name) == ("left", "right")
    assert left.size == right.size == (1000, 2000)
    assert right.first == (1000, 0)
    assert left.pixel_size == pytest.approx(0.1)
    np.testing.assert_allclose(left.corner, [0, -100, 1])
    np.testing.assert_allclose(right.fast, [-1, 0, 0])
    np.testing.assert_allclose(right.slow, [0, -1, 0])


def test_values_without_a_panel_are_for_panels_that_follow():
    lines = (FULL + "res = 500\nb/fs = x\n" + FULL.replace("a/", "b/")).splitlines()
    lines = [line for line in lines if line != "b/res = 1000"]
    first, second = parse_panels(lines)
    assert (first.pixel_size, second.pixel_size) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("-y", [0, -1, 0]),
        ("+0.003x -1.0y +0.1z", [0.003, -1, 0.1]),
        ("2e-3x+y", [2e-3, 1, 0]),
        ("x ; a comment", [1, 0, 0]),
    ],
)
def test_directions_have_length_1(text, direction):
    (panel,) = parse_panels([*FULL.splitlines(), f"a/fs = {text}"])
    np.testing.assert_allclose(panel.fast, direction / np.linalg.norm(direction))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("a/ss = y\n", ""), "panel a has no ss"),
        (("a/ss = y", "a/ss = 1"), "panel a is not understood"),
        (("a/ss = y", "a/ss = 0y"), "panel a is not understood"),
        (("a/res = 1000", "a/res = 0"), "panel a is not understood"),
        (("a/min_fs = 1", "a/min_fs = one"), "panel a is not understood"),
    ],
)
def test_panels_that_are_not_fully_described_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        parse_panels(FULL.replace(*change).splitlines())


def test_without_panels_there_are_none():
    assert parse_panels(["clen = 0.1", "; nothing"]) == ()


@pytest.mark.parametrize(
    "old, new",
    [
        ("left/max_fs = 999", "left/max_fs = inf"),
        ("left/max_fs = 999", "left/max_fs = nan"),
        ("left/max_fs = 999", "left/max_fs = 1e300"),
        # looking for numbers in this once took hours
        ("right/ss = -y", "right/ss = " + "1" * 60_000),
    ],
    ids=["inf", "nan", "far", "long"],
)
def test_impossible_numbers_are_refused(old, new):
    assert old in GEOMETRY
    with pytest.raises(ValueError, match=r"panel (left|right) is not understood \("):
        parse_panels(GEOMETRY.replace(old, new).splitlines())
