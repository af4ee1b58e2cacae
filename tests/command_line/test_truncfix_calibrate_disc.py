from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dials.util import Sorry

from dials_truncfix.command_line.truncfix_calibrate import run
from dials_truncfix.simulate.beam_disc import disc_electrons
from specimen_images import through_camera


def image(centre, radius=70.0):
    electrons = disc_electrons((256, 256), centre, radius, 40.0)
    return through_camera(electrons, 1, 1).astype(np.uint16)


def test_a_series_of_images(here):
    for name, centre in (("a.tif", (120.0, 130.0)), ("b.tif", (125.5, 118.2))):
        tifffile.imwrite(name, image(centre))
    run(["mode=disc", "a.tif", "b.tif", "disc.pixel_size=2"])
    found = json.loads(Path("dials.truncfix_calibrate.json").read_text())
    assert found["images"][0]["centre_px"] == pytest.approx([120, 130], abs=0.15)
    assert found["images"][1]["centre_px"] == pytest.approx([125.5, 118.2], abs=0.15)
    assert "within" in " ".join(found["findings"])
    assert (
        "b.tif with the circle" in (here / "dials.truncfix_calibrate.html").read_text()
    )


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((256, 256), 9, np.uint16), "b.tif is blank"),
        (image((120.0, 130.0))[:80], "at least 96"),
        (np.minimum(image((120.0, 130.0)), 200), "b.tif is saturated"),
    ],
)
def test_wrong_input_is_named(here, pixels, words):
    tifffile.imwrite("a.tif", image((120.0, 130.0)))
    tifffile.imwrite("b.tif", pixels)
    with pytest.raises(Sorry, match=words):
        run(["mode=disc", "a.tif", "b.tif", "output.log=None"])
    assert sorted(p.name for p in here.iterdir()) == ["a.tif", "b.tif"]
