"""Spots that dials.find_spots finds in frames of SerialEM."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from dials.array_family import flex

from dials_truncfix.io.serialem import FrameTitle, write_frames

SIZE, N_FRAMES = 200, 8
# Spots of three frames, around the fourth one: columns and rows.
SPOTS = [(x, y) for x in range(25, 200, 50) for y in range(30, 200, 50)]


def electrons():
    """Background of half an electron, and spots of 600 in their three frames."""
    generator = np.random.default_rng(12)
    y, x = np.mgrid[:SIZE, :SIZE]
    spots = sum(np.exp(-((x - i) ** 2 + (y - j) ** 2) / 2) for i, j in SPOTS)
    spots *= 600 / (2 * np.pi)
    share = np.array([0, 0, 0, 0.25, 0.5, 0.25, 0, 0])
    return [generator.poisson(0.5 + s * spots).astype(np.uint8) for s in share]


def found_spots(folder, name):
    for command, arguments in (
        ("dials_import", [name, "geometry.scan.oscillation=0,0.2"]),
        ("find_spots", ["imported.expt", "nproc=1"]),
    ):
        program = f"from dials.command_line.{command} import run; run()"
        subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=folder,
            env={**os.environ, "DIALS_NOBANNER": "1"},
            check=True,
            stdout=subprocess.DEVNULL,
        )
    table = flex.reflection_table.from_file(str(folder / "strong.refl"))
    return np.array(table["xyzobs.px.value"])


@pytest.mark.parametrize("scaling", [1, 16])
def test_all_spots_are_found_whatever_the_scale(tmp_path, scaling):
    """16 of 16 within half a pixel, and at most one that is none."""
    frames = electrons()
    if scaling == 1:
        write_frames(tmp_path / "a.mrc", frames, FrameTitle())
    else:
        scaled = [frame.astype(np.int16) * scaling for frame in frames]
        write_frames(tmp_path / "a.mrc", scaled, FrameTitle(scaling=float(scaling)))
    spots = found_spots(tmp_path, "a.mrc")
    hits = [np.hypot(*(spots[:, :2] - 0.5 - place).T).min() < 0.5 for place in SPOTS]
    assert sum(hits) == len(SPOTS)
    assert len(spots) <= len(SPOTS) + 1
