"""dials.truncfix as a user runs it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dxtbx.model.experiment_list import ExperimentList, ExperimentListFactory

from dials_truncfix.command_line.truncfix import run
from dials_truncfix.io import cbf, smv
from dials_truncfix.report.sweep_results import read_record
from recordings import (
    GAIN,
    READ_NOISE,
    imported,
    pixels_of,
    record,
    true_frames,
)
from truncfix_runs import SMALL, fails, files_of


def test_outputs(corrected):
    assert files_of(corrected) == [
        "dials.truncfix.json",
        "truncfix.expt",
        *(f"truncfix_{i:05d}.cbf" for i in range(1, 7)),
    ]


def test_positive_pixels_stay_and_zeros_do_not_rise(recording, corrected):
    pixels = pixels_of(corrected / "truncfix.expt")
    positive = recording.truncated > 0
    np.testing.assert_array_equal(pixels[positive], recording.truncated[positive])
    assert pixels[~positive].max() <= 0
    assert pixels[~positive].min() < -READ_NOISE


def test_background_is_repaired(recording, corrected):
    pixels = pixels_of(corrected / "truncfix.expt")
    before = recording.truncated.mean() - recording.true.mean()
    after = pixels.mean() - recording.true.mean()
    assert before > 0.9
    assert abs(after) < 0.1
    assert pixels.std() == pytest.approx(recording.true.std(), rel=0.04)


def test_panel_says_what_dials_needs(corrected):
    panel = ExperimentList.from_file(str(corrected / "truncfix.expt"))[0].detector[0]
    # variance of a pixel: gain² × electrons + read noise²
    assert panel.get_gain() == pytest.approx(GAIN, rel=0.1)
    assert panel.get_pedestal() == pytest.approx(-(READ_NOISE**2) / GAIN, rel=0.2)
    low, high = panel.get_trusted_range()
    assert low < pixels_of(corrected / "truncfix.expt").min() - 0.4
    assert (low % 1, high) == (0.5, 65534.5)
    assert "PAD" not in panel.get_type()


def test_reimport_keeps_gain_pedestal_and_trusted_range(corrected):
    written = ExperimentList.from_file(str(corrected / "truncfix.expt"))[0]
    images = sorted(str(path) for path in corrected.glob("*.cbf"))
    again = ExperimentListFactory.from_filenames(images)
    assert len(again) == 1
    assert again[0].detector == written.detector
    for name in ("get_gain", "get_pedestal", "get_trusted_range", "get_type"):
        value = getattr(again[0].detector[0], name)()
        assert value == getattr(written.detector[0], name)()
    assert again[0].scan.get_oscillation() == written.scan.get_oscillation()
    assert again[0].beam == written.beam


def test_record(recording, corrected):
    record_ = json.loads((corrected / "dials.truncfix.json").read_text())
    assert record_["verdict"]["class"] == "truncated"
    assert record_["verdict"]["reason"]
    assert (record_["seed"], record_["offset"]) == (0, 0)
    panel = ExperimentList.from_file(str(corrected / "truncfix.expt"))[0].detector[0]
    assert record_["gain"] == panel.get_gain()
    assert record_["pedestal"] == panel.get_pedestal()
    assert set(record_["versions"]) >= {"dials_truncfix", "dials", "dxtbx"}
    assert record_["parameters"]["n_annuli"] == 4
    (source,) = record_["source"]["files"]
    assert source["path"] == str(recording.path)
    assert len(source["sha256"]) == 64
    images = read_record(str(corrected / "dials.truncfix.json"))["images"]
    assert [image["image"] for image in images] == [1, 2, 3, 4, 5, 6]
    for image, truncated in zip(images, recording.truncated):
        annuli = image["annuli"]
        assert len(annuli) == 4
        assert sum(ring["n_pixels"] for ring in annuli) == truncated.size
        assert sum(ring["n_zero"] for ring in annuli) == np.sum(truncated == 0)
        for ring in annuli:
            assert ring["model"] in ("lognormal", "emg")
            assert len(ring["parameters"]) == 3
            assert ring["d_max"] is None or ring["d_max"] > ring["d_min"] > 0
            assert 0 < ring["p_nonpositive"] < 1
            assert ring["nll"] > 0
            assert ring["rmsd"] > 0
            fraction = ring["n_zero"] / ring["n_pixels"]
            assert ring["p_nonpositive"] == pytest.approx(fraction, abs=0.02)


def same_files(one, other, names):
    return all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


@pytest.mark.parametrize("options", [["nproc=1"], ["nproc=2"]])
def test_same_bytes_again_for_any_number_of_processes(
    recording, corrected, here, options
):
    run([str(imported(recording, here)), "annuli.count=4", *options])
    images = sorted(path.name for path in corrected.glob("*.cbf"))
    assert len(images) == 6
    assert same_files(here, corrected, images)


def test_a_slice_gets_the_same_pixels(recording, corrected, here):
    sliced = ExperimentListFactory.from_filenames([str(recording.path)])
    experiment = sliced[0]
    experiment.imageset = experiment.imageset[2:5]
    experiment.scan = experiment.imageset.get_scan()
    sliced.as_file("sliced.expt")
    run(["sliced.expt", *SMALL])
    names = sorted(path.name for path in here.glob("*.cbf"))
    assert names == [f"truncfix_{i:05d}.cbf" for i in (3, 4, 5)]
    for name in names:
        np.testing.assert_array_equal(
            cbf.read_pixels(name), cbf.read_pixels(corrected / name)
        )


def test_another_seed_gives_other_draws(recording, corrected, here):
    run([str(imported(recording, here)), *SMALL, "seed=7"])
    one, other = (pixels_of(f / "truncfix.expt") for f in (here, corrected))
    zero = recording.truncated == 0
    assert np.mean(one[zero] != other[zero]) > 0.5
    assert one.mean() == pytest.approx(other.mean(), abs=0.02)


def test_smv_stands_on_one_offset(recording, corrected, here, caplog):
    run([str(imported(recording, here)), *SMALL, "output.format=smv"])
    offset = json.loads((here / "dials.truncfix.json").read_text())["offset"]
    stored = pixels_of(here / "truncfix.expt")
    assert stored.min() == 1
    np.testing.assert_array_equal(
        stored - offset, pixels_of(corrected / "truncfix.expt")
    )
    for path in here.glob("*.img"):
        assert smv.read_pixels(path).dtype == np.uint16
        assert int(smv.read_header(path)["IMAGE_PEDESTAL"]) == offset
    panel = ExperimentList.from_file("truncfix.expt")[0].detector[0]
    cbf_panel = ExperimentList.from_file(str(corrected / "truncfix.expt"))[0].detector[
        0
    ]
    assert panel.get_pedestal() - offset == pytest.approx(cbf_panel.get_pedestal())
    assert panel.get_trusted_range()[0] == 0.5
    again = ExperimentListFactory.from_filenames(
        sorted(str(path) for path in here.glob("*.img"))
    )
    assert again[0].detector == ExperimentList.from_file("truncfix.expt")[0].detector
    assert f"ADCOFFSET {offset}" in caplog.text
    assert "NAME_TEMPLATE_OF_DATA_FRAMES=" in caplog.text


def test_an_offset_can_be_given(recording, here):
    expt = imported(recording, here)
    run([str(expt), *SMALL, "output.format=smv", "output.offset=200"])
    assert json.loads((here / "dials.truncfix.json").read_text())["offset"] == 200
    assert pixels_of(here / "truncfix.expt").min() > 100
    told = fails([expt, *SMALL, "output.format=smv", "output.offset=3"])
    assert "output.offset=3 is too small" in told


def test_check_writes_no_image(recording, here, caplog):
    run([str(imported(recording, here)), "mode=check"])
    assert files_of(here) == ["dials.truncfix.html", "dials.truncfix.json"]
    record_ = json.loads((here / "dials.truncfix.json").read_text())
    assert record_["verdict"]["class"] == "truncated"
    assert "Verdict: truncated" in caplog.text


def test_images_without_zeros_are_written_as_they_are(here, caplog):
    bright = record(here / "movie", true_frames(3, level=60.0) + 1)
    assert (bright.truncated > 0).all()
    run([str(imported(bright, here)), *SMALL])
    np.testing.assert_array_equal(pixels_of(here / "truncfix.expt"), bright.truncated)
    assert "Verdict: no_zeros" in caplog.text
    assert "written as they are" in caplog.text


def test_an_image_without_zeros_in_a_truncated_sweep_stays(here):
    true = true_frames(3)
    true[1] = true_frames(1, level=60.0) + 1
    mixed = record(here / "movie", true)
    run([str(imported(mixed, here)), *SMALL])
    pixels = pixels_of(here / "truncfix.expt")
    np.testing.assert_array_equal(pixels[1], mixed.truncated[1])
    assert pixels[0].min() < 0


@pytest.mark.parametrize(
    "level, status", [(0, "one level"), (7, "one level"), (65535, "no pixels")]
)
@pytest.mark.parametrize("histograms", ["image", "block", "sweep"])
def test_a_failed_image_stays_and_is_named(here, caplog, level, status, histograms):
    true = true_frames(4)
    true[2] = level
    expt = imported(record(here / "movie", true), here)
    run([str(expt), *SMALL, f"fit.histograms={histograms}"])
    pixels = pixels_of(here / "truncfix.expt")
    assert (pixels[2] == level).all()
    assert f"fitted to image 3 ({status})" in caplog.text
    assert abs(pixels[[0, 1, 3]].mean() - true[[0, 1, 3]].mean()) < 0.15
    panel = ExperimentList.from_file("truncfix.expt")[0].detector[0]
    assert panel.get_gain() == pytest.approx(GAIN, rel=0.15)


def test_zeros_between_the_images_of_the_sample_are_found(here):
    true = np.concatenate([true_frames(1, 64, s, level=60.0) for s in range(30)]) + 1
    true[10] = true_frames(1, 64, 99)
    mixed = record(here / "movie", true)
    run([str(imported(mixed, here)), "nproc=1", "annuli.minimum_pixels=1000"])
    assert pixels_of(here / "truncfix.expt")[10].min() < 0


@pytest.mark.parametrize("histograms", ["block", "sweep"])
def test_pooled_fits(recording, here, histograms):
    run([str(imported(recording, here)), *SMALL, f"fit.histograms={histograms}"])
    pixels = pixels_of(here / "truncfix.expt")
    assert abs(pixels.mean() - recording.true.mean()) < 0.1
    images = json.loads((here / "dials.truncfix.json").read_text())["images"]
    zeros = [sum(image["n_zero"]) for image in images]
    assert zeros == [int(np.sum(image == 0)) for image in recording.truncated]


@pytest.mark.parametrize("option", ["assign=expected", "fit.model=paper"])
def test_alternatives(recording, here, option):
    run([str(imported(recording, here)), *SMALL, option])
    pixels = pixels_of(here / "truncfix.expt")
    before = recording.truncated.mean() - recording.true.mean()
    assert abs(pixels.mean() - recording.true.mean()) < 0.5 * before


def test_a_mask_keeps_pixels_as_they_are(recording, here):
    from dxtbx import flumpy
    from dxtbx.format.image import ImageBool

    expt = ExperimentListFactory.from_filenames([str(recording.path)])
    mask = np.ones(recording.truncated.shape[1:], bool)
    mask[:, 200:] = False
    expt[0].imageset.external_lookup.mask.data = ImageBool(flumpy.from_numpy(mask))
    from dials_truncfix.sweep.options import CorrectionOptions, OutputOptions
    from dials_truncfix.sweep.repair import repair_sweep

    repair_sweep(expt, CorrectionOptions(n_annuli=4), OutputOptions())
    images = sorted(here.glob("*.cbf"))
    pixels = np.array([cbf.read_pixels(path) for path in images])
    np.testing.assert_array_equal(pixels[:, :, 200:], recording.truncated[:, :, 200:])
    assert pixels[:, :, :200].min() < 0


def test_no_input_shows_help(capsys):
    with pytest.raises(SystemExit) as stop:
        run([])
    assert stop.value.code == 0
    assert "dials.truncfix imported.expt" in capsys.readouterr().out
