from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dials.util import Sorry
from dxtbx import flumpy

from dials_truncfix.calibrate.distortion.distortion_terms import Terms
from dials_truncfix.command_line.truncfix_calibrate import run
from specimen_images import distorted_series

TERMS = Terms("lens", (320, 320))
SHIFTS = ((0, 0), (110, 6), (-8, 120))


def write_images(parameters=(4.0, -3.0)):
    images = distorted_series(TERMS, np.array(parameters), 1, 50.0, SHIFTS)
    for name, image in zip("abc", images):
        tifffile.imwrite(f"{name}.tif", image.astype(np.uint16))


def test_maps_json_and_page(here):
    write_images()
    run(["mode=distortion", "a.tif", "b.tif", "c.tif", "distortion.model=lens"])
    record = json.loads(Path("dials.truncfix_calibrate.json").read_text())
    sd = np.sqrt(np.diagonal(record["covariance_px2"]))
    error = np.array(record["parameters_px"]) - [4.0, -3.0]
    assert np.all(np.abs(error) < 4 * sd) and np.all(sd < 0.8)
    corner = TERMS.design(np.array([[0.5, 0.5]])) @ record["parameters_px"]
    for name, value in zip(("dx", "dy"), corner[0]):
        (offsets,) = pickle.loads(Path(f"{name}.pickle").read_bytes())
        values = flumpy.to_numpy(offsets)
        assert values.shape == (320, 320)
        assert values[0, 0] == pytest.approx(value)
    page = (here / "dials.truncfix_calibrate.html").read_text()
    assert "A square grid on the image" in page


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.tif", "b.tif"], "give at least 3"),
        (["a.tif", "b.tif", "small.tif"], "give images of one size"),
        (["a.tif", "b.tif", "blank.tif"], "blank.tif is blank"),
        (["a.tif", "a2.tif", "b.tif"], "along one line"),
        (["a.tif", "b.tif", "copy.tif"], "a.tif and copy.tif are the same image"),
    ],
)
def test_wrong_input_is_named(here, names, words):
    write_images()
    image = tifffile.imread("a.tif")
    again = distorted_series(TERMS, np.array([4.0, -3.0]), 1, 50.0, ((0, 0), (0, 0)))[1]
    tifffile.imwrite("a2.tif", again.astype(np.uint16))
    tifffile.imwrite("copy.tif", image)
    tifffile.imwrite("small.tif", image[:200])
    tifffile.imwrite("blank.tif", np.zeros_like(image))
    before = sorted(p.name for p in here.iterdir())
    with pytest.raises(Sorry, match=words):
        run(["mode=distortion", *names, "output.log=None"])
    assert sorted(p.name for p in here.iterdir()) == before
