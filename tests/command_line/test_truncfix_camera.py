"""fit.model=camera as a user runs it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.command_line.truncfix import run
from dials_truncfix.sweep.record_layout import spread_out
from recordings import GAIN, READ_NOISE, imported, pixels_of, record, true_frames
from truncfix_runs import SMALL, fails, files_of


def corrected(folder, arguments):
    """Run in a folder of its own; returns pixels and record."""
    folder.mkdir()
    out = [
        f"output.directory={folder}",
        f"output.experiments={folder}/truncfix.expt",
        f"output.json={folder}/dials.truncfix.json",
        f"output.log={folder}/log",
    ]
    run([str(argument) for argument in [*arguments, *SMALL, *out]])
    content = json.loads((folder / "dials.truncfix.json").read_text())
    return pixels_of(folder / "truncfix.expt"), content


@pytest.fixture(scope="module")
def whole(recording, tmp_path_factory):
    """A sweep corrected by its camera: experiments, pixels, record, log."""
    folder = tmp_path_factory.mktemp("camera")
    expt = imported(recording, folder)
    pixels, content = corrected(folder / "whole", [expt, "fit.model=camera"])
    return expt, pixels, content, (folder / "whole" / "log").read_text()


def given(content):
    camera = content["camera"]
    names = ("gain", "pulse_variance", "read_noise", "dark", "dark_drift")
    return [f"fit.camera.{name}={camera[name]!r}" for name in names]


def part_of(expt, folder, first, last):
    experiments = ExperimentList.from_file(str(expt))
    experiments[0].imageset = experiments[0].imageset[first:last]
    experiments[0].scan = experiments[0].imageset.get_scan()
    path = folder / "part.expt"
    experiments.as_file(str(path))
    return path


def test_camera_comes_back_and_is_recorded(whole):
    _, _, content, log = whole
    camera, fit = content["camera"], content["camera"]["fit"]
    assert abs(camera["gain"] - GAIN) < 4 * fit["gain_sd"] < 2.0
    assert abs(camera["read_noise"] - READ_NOISE) < 4 * fit["read_noise_sd"] < 0.5
    assert abs(camera["effective_gain"] - GAIN) < 4 * fit["effective_gain_sd"] < 1.0
    assert fit["reliable"] and fit["misfit"] < 1e-4
    assert content["gain"] == camera["effective_gain"]
    assert content["pedestal"] == camera["pedestal"]
    assert f"fit.camera.read_noise={camera['read_noise']:.6g}" in log


def test_background_is_repaired_in_every_annulus(recording, whole):
    _, pixels, content, _ = whole
    y, x = np.mgrid[:256, :256] - 127.5
    ring = np.minimum(np.hypot(x, y) // 32, 4).astype(int)
    for i in range(5):
        inside = np.broadcast_to(ring == i, pixels.shape)
        before = recording.truncated[inside].mean() - recording.true[inside].mean()
        after = pixels[inside].mean() - recording.true[inside].mean()
        assert abs(after) < 0.06
        assert abs(after) < 0.2 * before
    images = spread_out(content)["images"]
    models = {a["model"] for image in images for a in image["annuli"]}
    assert models == {"camera"}


@pytest.mark.parametrize("assign", ["random", "local"])
def test_a_part_with_the_camera_given_is_that_part_of_the_sweep(
    whole, tmp_path, assign
):
    expt, pixels, content, _ = whole
    if assign == "local":
        model = f"assign={assign}"
        pixels, content = corrected(tmp_path / "whole", [expt, model])
    part = part_of(expt, tmp_path, 2, 5)
    # auto takes what is given
    arguments = [part, f"assign={assign}", *given(content)]
    of_part, _ = corrected(tmp_path / "part", arguments)
    np.testing.assert_array_equal(of_part, pixels[2:5])


def test_a_record_gives_the_camera(whole, tmp_path):
    expt, pixels, content, _ = whole
    former = tmp_path / "former.json"
    former.write_text(json.dumps({**content, "recipe": None}))
    again, record_again = corrected(
        tmp_path / "again", [expt, f"fit.camera.record={former}"]
    )
    np.testing.assert_array_equal(again, pixels)
    assert record_again["camera"]["gain"] == content["camera"]["gain"]
    assert "fit" not in record_again["camera"]


def test_processes_make_no_difference(whole, tmp_path):
    expt, pixels, _, _ = whole
    parallel, _ = corrected(
        tmp_path / "parallel", [expt, "fit.model=camera", "nproc=2"]
    )
    np.testing.assert_array_equal(parallel, pixels)


def test_drift_of_the_dark_level_is_followed(tmp_path):
    frames = true_frames(n_images=8, seed=5)
    drift = np.arange(8).astype(np.int32)
    recording = record(tmp_path / "movie", frames + drift[:, None, None])
    pixels, content = corrected(
        tmp_path / "out", [imported(recording, tmp_path), "fit.model=camera"]
    )
    camera = content["camera"]
    assert camera["dark_drift"] == pytest.approx(1.0, abs=0.1)
    error = (pixels - recording.true).mean(axis=(1, 2))
    assert np.abs(error).max() < 0.12


@pytest.mark.parametrize("histograms", ["image", "block", "sweep"])
def test_auto_takes_a_camera_where_images_depend_on_each_other(
    whole, tmp_path, histograms
):
    expt, _, _, _ = whole
    _, content = corrected(tmp_path / "out", [expt, f"fit.histograms={histograms}"])
    log = (tmp_path / "out" / "log").read_text()
    assert ("fit.model=auto takes the camera" in log) == (histograms != "image")
    assert (content["camera"] is None) == (histograms == "image")


def test_images_that_determine_no_camera(tmp_path):
    # read noise and next to no signal
    frames = true_frames(level=1e-3)
    expt = imported(record(tmp_path / "movie", frames), tmp_path)
    refused = fails([expt, "fit.model=camera", *SMALL, f"output.directory={tmp_path}"])
    assert "do not determine the camera that fit.model=camera needs" in refused
    assert files_of(tmp_path) == ["movie/movie_000.tvips"]
    _, content = corrected(tmp_path / "out", [expt, "fit.histograms=sweep"])
    assert content["camera"] is None
    log = (tmp_path / "out" / "log").read_text()
    assert "fit.model=auto does without a camera: " in log


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["fit.camera.gain=6"], "needs fit.camera.pulse_variance and"),
        (["fit.camera.dark=1"], "fit.camera.dark needs fit.camera.gain and"),
        (
            ["fit.camera.gain=6", "fit.camera.read_noise=6"]
            + ["fit.camera.pulse_variance=7"],
            "pulse_variance must be from 0 to 3.333, not 7",
        ),
        (["fit.model=emg", "assign=local"], "assign=local needs the model of a camera"),
        (["fit.camera.record=nothing.json"], "nothing.json"),
    ],
)
def test_cameras_that_make_no_sense(recording, here, arguments, sentence):
    expt = imported(recording, here)
    assert sentence in fails([expt, *arguments, *SMALL])
    assert files_of(here) == []


@pytest.mark.parametrize(
    "content, sentence",
    [
        ({"program": "dials.truncfix"}, "holds no camera"),
        ({"program": "other", "parameters": {"camera": {}}}, "holds no camera"),
        (
            {"program": "dials.truncfix", "parameters": {"camera": {"model": 3}}},
            "is damaged",
        ),
        (
            {
                "program": "dials.truncfix",
                "parameters": {
                    "camera": {
                        "model": {
                            "gain": 6.0,
                            "pulse_variance": 0.5,
                            "read_noise": 1e-9,
                        }
                    }
                },
            },
            "read_noise must be",
        ),
    ],
)
def test_records_that_hold_no_camera(recording, here, content, sentence):
    expt = imported(recording, here)
    (here / "former.json").write_text(json.dumps(content))
    refused = fails([expt, "fit.camera.record=former.json", *SMALL])
    assert sentence in refused
    assert files_of(here) == ["former.json"]


def test_the_record_that_is_read_is_kept(whole, here):
    expt, _, content, _ = whole
    former = here / "dials.truncfix.json"
    former.write_text(json.dumps(content))
    refused = fails([expt, "fit.camera.record=dials.truncfix.json", *SMALL])
    assert "dials.truncfix.json" in refused
    assert json.loads(former.read_text()) == content


def test_rounding_of_the_camera_must_fit(whole, here):
    expt, _, content, _ = whole
    (here / "former.json").write_text(json.dumps(content))
    arguments = [expt, "fit.camera.record=former.json", "rounding=floor", *SMALL]
    assert "rounds otherwise" in fails(arguments)


def test_uncertainties_that_were_not_fitted_are_null(whole):
    fit = whole[2]["camera"]["fit"]
    assert fit["dark_sd"] is None or math.isfinite(fit["dark_sd"])
    assert fit["dark_drift_sd"] is None
