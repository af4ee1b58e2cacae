from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dials.command_line.dials_import import phil_scope as import_scope
from dials.util import Sorry
from dxtbx.model.experiment_list import ExperimentList
from libtbx.phil import parse

from dials_truncfix.command_line.truncfix_calibrate import run
from dials_truncfix.io.mrc import write_stack
from flat_images import BRIGHT, CAMERA, DARK, flat_pixels
from recordings import imported, true_frames
from recordings import record as record_movie

GAIN = CAMERA.variance_slope


def written(levels, n=2, shape=(256, 256)):
    names = []
    for i, pixels in enumerate(flat_pixels(levels, n=n, shape=shape)):
        names.append(f"flat_{i:02d}.tif")
        tifffile.imwrite(names[-1], pixels.astype(np.uint16))
    return names


def result():
    return json.loads(Path("dials.truncfix_calibrate.json").read_text())


def test_truncated_tiffs_side_by_side(here):
    run(["mode=gain", *written(DARK)])
    found = result()
    assert found["truncated"]
    assert found["method"] == "camera model"
    for method in ("photon_transfer", "camera_model"):
        gain = found[method]["gain"]
        assert abs(gain["value"] - GAIN) < 3.5 * gain["sd"]
    assert found["adu_per_electron"] == pytest.approx(CAMERA.gain, rel=0.1)
    assert found["electrons_per_adu"] == pytest.approx(1 / found["adu_per_electron"])
    page = (here / "dials.truncfix_calibrate.html").read_text()
    assert "Counts near zero" in page
    assert "Photon transfer" in page


def test_the_parameters_are_those_of_dials_import(here):
    run(["mode=gain", *written(BRIGHT), "output.html=None", "output.json=None"])
    text = (here / "gain.phil").read_text()
    working, unused = import_scope.fetch(parse(text), track_unused_definitions=True)
    assert unused == []
    panel = working.extract().geometry.detector.panel[0]
    assert panel.gain == pytest.approx(GAIN, rel=0.03)
    assert panel.pedestal < 0


def test_stacks_and_dark_images(here):
    pixels = flat_pixels((*BRIGHT, 0.0), signed=True)
    write_stack("flat.mrc", [p.astype(np.int16) for p in pixels[:4]])
    write_stack("dark.mrc", [p.astype(np.int16) for p in pixels[4:]])
    run(
        ["mode=gain", "flat.mrc", "gain.dark=dark.mrc", "gain.electrons=20,20,80,80",
         "output.html=None"]
    )  # fmt: skip
    found = result()
    assert len(found["dark_images"]) == 2
    assert found["read_noise_adu"] == pytest.approx(CAMERA.read_noise, rel=0.03)
    assert found["adu_per_electron"] == pytest.approx(CAMERA.gain, rel=0.01)
    assert found["photon_transfer"]["excess"]["value"] == pytest.approx(0.5, abs=0.1)


def test_a_recording_that_dials_imports(tmp_path_factory):
    movie = record_movie(tmp_path_factory.mktemp("movie"), true_frames())
    run(["mode=gain", str(imported(movie, Path.cwd())), "output.html=None"])
    found = result()
    assert found["truncated"]
    assert found["effective_gain_adu"] > 0


def test_gain_goes_on_to_dose(here):
    names = written((60.0,), n=3)
    run(
        ["mode=gain", *written(BRIGHT), "gain.electrons=20,20,80,80",
         "output.json=gain.json", "output.html=None"]
    )  # fmt: skip
    assert names == sorted(str(p) for p in Path().glob("flat_0[012].tif"))
    written((60.0,), n=3)
    run(
        ["mode=dose", *names, "dose.calibration=gain.json", "dose.exposure=0.5",
         "dose.binning=4", "dose.pixel_spacing=2", "output.html=None"]
    )  # fmt: skip
    found = result()
    assert found["images"][0]["electrons"] == pytest.approx(60, rel=0.02)
    assert found["accumulated_dose_e_per_A2"][-1] == pytest.approx(180 / 64, rel=0.02)


@pytest.mark.parametrize(
    ("levels", "extra", "words"),
    [
        ((40.0,), [], "do not tell the slope|all means"),
        (BRIGHT, ["gain.dark=dark.mrc"], "dark.mrc: there is no such file"),
        (BRIGHT, ["gain.dark=flat_00.tif", "gain.dark_level=0"], "not both"),
        (BRIGHT, ["gain.electrons=1,2,3"], "3 numbers of electrons"),
        (BRIGHT, ["output.gain=flat_00.tif"], "is an input and would be overwritten"),
    ],
)
def test_wrong_input_is_named(here, levels, extra, words):
    names = written(levels)
    with pytest.raises(Sorry, match=words):
        run(["mode=gain", *names, *extra, "output.log=None"])
    assert sorted(p.name for p in here.iterdir()) == names


def test_one_image_and_saturated_images(here):
    names = written((40.0,))
    with pytest.raises(Sorry, match="flat_00.tif: one image does not tell"):
        run(["mode=gain", names[0], "output.log=None"])
    for name in names:
        tifffile.imwrite(name, np.minimum(tifffile.imread(name), 300))
    with pytest.raises(Sorry, match="flat_00.tif: .* saturated"):
        run(["mode=gain", *names, "output.log=None"])


def test_a_file_of_another_kind(here):
    (here / "notes.txt").write_text("nothing")
    with pytest.raises(Sorry, match="notes.txt can be read neither"):
        run(["mode=gain", "notes.txt", "output.log=None"])
    (here / "bad.mrc").write_bytes(b"\x01" * 2000)
    with pytest.raises(Sorry, match="bad.mrc"):
        run(["mode=gain", "bad.mrc", "output.log=None"])


def test_real_images_of_a_counting_detector(shared_data):
    sweep = sorted((shared_data / "l_cysteine_sweep").glob("*.cbf"))[:4]
    run(["mode=gain", *map(str, sweep), "output.html=None"])
    found = result()
    # every count is one photon
    assert found["effective_gain_adu"] == pytest.approx(1.0, abs=0.01)
    assert found["camera_model"] is None


def test_a_real_flat_field_alone_is_refused(shared_data):
    path = shared_data / "gain_refs" / "flatfield_tpx_2017-06-21.tiff"
    with pytest.raises(Sorry, match="one image does not tell"):
        run(["mode=gain", str(path), "output.log=None"])


def test_experiments_keep_their_images(here):
    """Nothing is written beside what was asked for."""
    run(["mode=gain", *written(BRIGHT), "output.html=None", "output.log=None"])
    assert not list(here.glob("*.expt"))
    assert not isinstance(here / "gain.phil", ExperimentList)
