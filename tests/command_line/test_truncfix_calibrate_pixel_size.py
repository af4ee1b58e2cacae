from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dials.util import Sorry

from dials_truncfix.command_line.truncfix_calibrate import run
from dials_truncfix.io.mrc import write_stack
from dials_truncfix.simulate.grating import grating_electrons

PITCH = 20.0
AXES = PITCH * np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]])


def image(pitch=PITCH):
    electrons = grating_electrons((400, 420), AXES * pitch / PITCH, 10.0)
    return np.random.default_rng(1).poisson(electrons).astype(np.uint16)


def record():
    return json.loads(Path("dials.truncfix_calibrate.json").read_text())


def test_tiff_and_mrc_show_the_same(here):
    tifffile.imwrite("grating.tif", image())
    # rows of MRC files come bottom first
    write_stack("grating.mrc", [image()[::-1].astype(np.float32)])
    found = []
    for name in ("grating.tif", "grating.mrc"):
        run(["mode=pixel_size", name])
        found.append(record())
    for result in found:
        assert result["pixel_size_nm"] == pytest.approx(1e6 / 2160 / PITCH, rel=5e-4)
    assert found[0]["rotation_deg"] == pytest.approx(found[1]["rotation_deg"])
    assert "Its autocorrelation" in (here / "dials.truncfix_calibrate.html").read_text()


def test_other_specimens():
    tifffile.imwrite("grid.tif", image())
    run(["mode=pixel_size", "grid.tif", "pixel_size.specimen=grid_bars", "mesh=200",
         "output.html=None"])  # fmt: skip
    assert record()["pixel_size_nm"] == pytest.approx(25.4e6 / 200 / PITCH, rel=5e-4)


@pytest.mark.parametrize(
    ("pitch", "extra", "words"),
    [
        (7.7, [], "repeats every 7.7 pixels"),
        (PITCH, ["pixel_size.image=2"], "no image 2"),
        (PITCH, ["pixel_size.repeats=10,14.5"], "start_peak"),
    ],
)
def test_wrong_input_is_named(here, pitch, extra, words):
    tifffile.imwrite("grating.tif", image(pitch))
    with pytest.raises(Sorry, match=words):
        run(["mode=pixel_size", "grating.tif", *extra, "output.log=None"])
    assert [p.name for p in here.iterdir()] == ["grating.tif"]
