from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dials.util import Sorry
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.command_line.truncfix_calibrate import run
from powder_images import DISTANCE, ELLIPSE, write_powder


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return write_powder(tmp_path_factory.mktemp("powder"), level=12.0)


@pytest.fixture(scope="module")
def calibrated(image, tmp_path_factory):
    """One run with default output."""
    folder = tmp_path_factory.mktemp("calibrated")
    before = os.getcwd()
    os.chdir(folder)
    try:
        run(["mode=rings", str(image), "rings.standard=aluminium"])
    finally:
        os.chdir(before)
    return folder


def record_of(folder: Path) -> dict:
    return json.loads((folder / "dials.truncfix_calibrate.json").read_text())


def fails(*arguments):
    with pytest.raises(Sorry) as stop:
        run(["mode=rings", *map(str, arguments), "output.log=None"])
    assert os.listdir(".") == []
    return str(stop.value)


def test_a_bare_call_prints_help(capsys):
    with pytest.raises(SystemExit) as stop:
        run([])
    assert stop.value.code == 0
    assert "mode=rings" in capsys.readouterr().out


def test_everything_is_written(calibrated):
    assert sorted(p.name for p in calibrated.iterdir()) == [
        "calibrated.expt",
        "dials.truncfix_calibrate.html",
        "dials.truncfix_calibrate.json",
        "dials.truncfix_calibrate.log",
        "distortion.phil",
        "dx.pickle",
        "dy.pickle",
    ]
    record = record_of(calibrated)
    assert record["distance_mm"] == pytest.approx(DISTANCE, rel=5e-4)
    assert record["ellipticity"] == pytest.approx(ELLIPSE.ellipticity, abs=1e-3)
    experiment = ExperimentList.from_file(calibrated / "calibrated.expt")[0]
    panel, s0 = experiment.detector[0], experiment.beam.get_s0()
    assert panel.get_directed_distance() == pytest.approx(record["distance_mm"])
    assert panel.get_beam_centre_px(s0) == pytest.approx(
        np.array(record["beam_centre_px"]), abs=0.05
    )
    page = (calibrated / "dials.truncfix_calibrate.html").read_text()
    assert "The rings that were found" in page


def test_measured_again_the_rings_are_circles(calibrated):
    """Through the maps that the experiments name no ellipse is left: sign and axis."""
    run(["mode=rings", str(calibrated / "calibrated.expt"), "standard=aluminium"])
    again, first = record_of(Path()), record_of(calibrated)
    assert again["ellipticity"] < 4 * first["ellipticity_error"]
    assert again["distance_mm"] == pytest.approx(first["distance_mm"], rel=3e-4)
    assert not Path("dx.pickle").exists()


def test_maps_of_dials_by_our_parameters_make_circles(image, calibrated):
    """The same through dials.generate_distortion_maps and dials.import."""
    commands = Path(sys.executable).parent
    if not (commands / "dials.generate_distortion_maps").exists():
        pytest.skip("DIALS' commands are not beside this Python")
    for command in (
        ["dials.generate_distortion_maps", calibrated / "calibrated.expt",
         calibrated / "distortion.phil"],
        ["dials.import", image, "lookup.dx=dx.pickle", "lookup.dy=dy.pickle",
         f"reference_geometry={calibrated / 'calibrated.expt'}"],
    ):  # fmt: skip
        subprocess.run(
            [commands / command[0], *map(str, command[1:])],
            check=True,
            capture_output=True,
        )
    run(["imported.expt", "standard=aluminium", "output.experiments=again.expt"])
    first = record_of(calibrated)
    assert record_of(Path())["ellipticity"] < 4 * first["ellipticity_error"]


def test_what_is_not_wanted_is_not_written(image, here):
    run(
        [
            str(image),
            "rings.d_spacings=2.338,2.0248,1.4317,1.221",
            *(f"output.{n}=None" for n in ("x_map", "y_map", "phil", "html", "log")),
        ]
    )
    assert sorted(os.listdir(here)) == [
        "calibrated.expt",
        "dials.truncfix_calibrate.json",
    ]


def test_wrong_input_is_named(image, calibrated, here):
    assert "give either rings.standard" in fails(image)
    assert "kryptonite" in fails(image, "rings.standard=kryptonite")
    assert "images 2 to 3" in fails(image, "standard=gold", "rings.images=2,3")
    assert "graphite" in fails(image, "standard=graphite")
    assert "one file of experiments" in fails(
        image, calibrated / "calibrated.expt", "standard=gold"
    )
    assert "belong together" in fails(image, "standard=gold", "output.x_map=None")
    text = calibrated.parent / "notes.txt"
    text.write_text("nothing")
    assert "neither as images nor" in fails(text, "standard=gold")
    assert "two are needed" in fails(image, "standard=gold", "rings.d_min=2.2")


def test_a_name_that_is_markup(image, tmp_path, monkeypatch):
    evil = tmp_path / f"<img src=x onerror=alert(1)>_00001{image.suffix}"
    evil.write_bytes(image.read_bytes())
    monkeypatch.chdir(tmp_path)
    run(["mode=rings", str(evil), "rings.standard=aluminium"])
    assert "<img" not in (tmp_path / "dials.truncfix_calibrate.html").read_text()


@pytest.mark.parametrize("output", ["html", "json", "log", "experiments"])
def test_a_link_to_the_image_does_not_cost_it(image, tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(image)
    before = image.read_bytes()
    with pytest.raises(Sorry, match="link is an input and would be overwritten"):
        run(["mode=rings", str(image), f"output.{output}=link"])
    assert image.read_bytes() == before and (tmp_path / "link").is_symlink()
