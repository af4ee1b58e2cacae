"""Files and images that no mode can use: one sentence that says what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from dials.array_family import flex
from dials.util import Sorry
from dxtbx.model import Detector

from dials_truncfix.calibrate.images import mean_image
from dials_truncfix.command_line.truncfix_calibrate import run
from powder_images import write_powder

LOG = "dials.truncfix_calibrate.log"
ALUMINIUM = ["mode=rings", "rings.standard=aluminium"]


@pytest.fixture
def files(here):
    rng = np.random.default_rng(1)
    noise = rng.poisson(20, (128, 128)).astype(np.float32)
    tifffile.imwrite("noise.tif", noise)
    tifffile.imwrite("other.tif", rng.poisson(20, (128, 128)).astype(np.float32))
    tifffile.imwrite("small.tif", noise[:8, :8])
    tifffile.imwrite("blank.tif", 0 * noise)
    noise[20:30] = np.nan
    tifffile.imwrite("nan.tif", noise)
    Path("folder").mkdir()
    Path("own").mkdir()
    write_powder(Path("own"), 3, 12.0).rename("powder.img")
    write_powder(Path("own"), 3, 12.0)
    return here


def refused(files, arguments, sentence):
    before = {path.name for path in files.iterdir()}
    with pytest.raises(Sorry, match=sentence):
        run(arguments)
    assert {path.name for path in files.iterdir()} - before <= {LOG}


@pytest.mark.parametrize("mode", ["rings", "spots", "disc", "gain", "pixel_size"])
def test_folders_are_no_input(files, mode):
    refused(files, [f"mode={mode}", "folder"], "is a folder: name the files in it")


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            ["mode=gain", "gain.dark=folder"],
            "folder is a folder: gain.dark takes a file",
        ),
        (
            ["mode=dose", "dose.calibration=no.json"],
            r"no such file \(dose.calibration\)",
        ),
        (["mode=pair", "pair.shifts=no.csv"], r"no such file \(pair.shifts\)"),
        (["mode=disc", "output.html=folder"], "is a folder: give another name"),
        (["mode=disc", "output.json=no/a.json"], "there is no folder .*no: make it"),
        (
            ["mode=pixel_size"],
            "no lattice stands out in the autocorrelation",
        ),
        (["mode=pair", "noise.tif"], "are the same image: give images that"),
        (["mode=distortion", "other.tif", "noise.tif"], "are the same image: give"),
    ],
)
def test_what_is_wrong_with_files(files, arguments, sentence):
    refused(files, [*arguments, "noise.tif"], sentence)


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("nan.tif", "values that are not finite: record it again"),
        ("small.tif", "8 × 8 pixels, and at least 64 × 64 are needed"),
        ("blank.tif", "all pixels of the image are 0: give one that shows"),
    ],
)
def test_images_of_no_specimen(files, name, sentence):
    refused(files, ["mode=pixel_size", name], sentence)


def test_images_whose_name_has_no_number(files):
    refused(files, [*ALUMINIUM, "powder.img"], r"such as powder_0001.img: name it so")


@pytest.mark.parametrize("limit", ["rings.d_min=3", "rings.d_max=0.6"])
def test_limits_that_leave_no_ring(files, limit):
    refused(
        files,
        [*ALUMINIUM, "own/powder_00001.img", limit],
        "no ring of aluminium is left .* check the standard, rings.d_min",
    )


def test_numbers_that_are_none_do_not_enter_the_mean():
    class Images:
        def get_detector(self):
            detector = Detector()
            panel = detector.add_panel()
            panel.set_image_size((4, 3))
            panel.set_trusted_range((-1, 100))
            return detector

        def __len__(self):
            return 2

        def get_raw_data(self, index):
            values = np.full((3, 4), 5.0)
            values[1, 2] = np.nan if index == 0 else 7.0
            values[0, 0] = np.inf
            return (flex.double(values),)

        def get_mask(self, index):
            return (flex.bool(np.ones((3, 4), dtype=bool)),)

    mean = mean_image(Images())
    assert np.isfinite(mean.mean).all()
    assert mean.mean[1, 2] == 7.0
    assert not mean.valid[0, 0]
    assert mean.valid.sum() == 11
