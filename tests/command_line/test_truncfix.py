"""dials.truncfix as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dials.util import Sorry
from dxtbx.model.experiment_list import ExperimentList, ExperimentListFactory

from dials_truncfix.command_line.truncfix import run
from dials_truncfix.io import cbf, smv
from recordings import (
    GAIN,
    READ_NOISE,
    Recording,
    imported,
    pixels_of,
    record,
    true_frames,
)

SMALL = ["nproc=1", "annuli.count=4"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return record(tmp_path_factory.mktemp("movie"), true_frames())


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def corrected(recording, tmp_path_factory):
    """One run with default output, in a folder of its own."""
    folder = tmp_path_factory.mktemp("corrected")
    before = os.getcwd()
    os.chdir(folder)
    try:
        run([str(imported(recording, folder)), *SMALL])
    finally:
        os.chdir(before)
    return folder


def files_of(folder):
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("imported.expt", "dials.truncfix.log")
    )


def fails(arguments):
    """Run with arguments that are refused; returns the sentence the user is told."""
    with pytest.raises(Sorry) as stop:
        run([str(argument) for argument in arguments])
    return str(stop.value)


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
    assert [image["image"] for image in record_["images"]] == [1, 2, 3, 4, 5, 6]
    for image, truncated in zip(record_["images"], recording.truncated):
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
    assert files_of(here) == ["dials.truncfix.json"]
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
    annuli = json.loads((here / "dials.truncfix.json").read_text())["images"]
    zeros = [sum(ring["n_zero"] for ring in image["annuli"]) for image in annuli]
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


COUNTS = np.random.default_rng(3).poisson(0.7, (3, 128, 128)).astype(np.int32)


@pytest.mark.parametrize(
    "true, words",
    [
        pytest.param(COUNTS, "counting", id="counting detector"),
        pytest.param(np.zeros((2, 64, 64), int), "are zero", id="all zeros"),
        pytest.param(np.full((2, 64, 64), 7), "same value", id="one grey level"),
        pytest.param(
            np.clip(true_frames(2, 128) // 12, 0, 1),
            "different values",
            id="few grey levels",
        ),
        pytest.param(
            np.random.default_rng(0).normal(192, 5, (2, 128, 128)).round().astype(int),
            "offset",
            id="offset",
        ),
    ],
)
def test_other_images_are_refused(here, true, words):
    expt = imported(record(here / "movie", true), here)
    told = fails([expt, "nproc=1"])
    assert words in told
    assert files_of(here) == ["movie/movie_000.tvips"]


def test_signed_images_are_refused_unless_forced(corrected, here):
    expt = corrected / "truncfix.expt"
    told = fails([expt, "nproc=1"])
    assert "negative" in told
    assert files_of(here) == []
    run([str(expt), *SMALL, "force=True", "output.directory=again"])
    assert len(list((here / "again").glob("*.cbf"))) == 6


def test_masked_zeros_are_refused_with_the_remedy(recording, here):
    expt = ExperimentListFactory.from_filenames([str(recording.path)])
    expt[0].detector[0].set_trusted_range((0.5, 65534.5))
    expt.as_file("imported.expt")
    told = fails(["imported.expt", "nproc=1"])
    assert "trusted_range=-0.5,65534.5" in told


def test_beam_centre_off_the_detector(recording, here):
    expt = ExperimentListFactory.from_filenames([str(recording.path)])
    panel = expt[0].detector[0]
    panel.set_frame((1, 0, 0), (0, -1, 0), (50.0, 50.0, -2200.0))
    expt.as_file("imported.expt")
    told = fails(["imported.expt"])
    assert "off the detector" in told
    assert "fast_slow_beam_centre" in told


def test_missing_beam(recording, here):
    expt = ExperimentListFactory.from_filenames([str(recording.path)])
    expt[0].beam.set_wavelength(0.0)
    expt.as_file("imported.expt")
    assert "geometry.beam.wavelength" in fails(["imported.expt"])


def test_folder_of_the_inputs(recording, here):
    expt = imported(recording, here)
    told = fails([expt, f"output.directory={recording.path.parent}"])
    assert "output.directory=corrected" in told
    assert [path.name for path in recording.path.parent.iterdir()] == [
        recording.path.name
    ]


@pytest.mark.parametrize("name", ["experiments", "json", "log"])
@pytest.mark.parametrize("victim", ["imported.expt", "movie_000.tvips", "link.tvips"])
def test_no_input_is_overwritten(recording, here, name, victim):
    movie = here / "movie_000.tvips"
    movie.write_bytes(recording.path.read_bytes())
    (here / "link.tvips").symlink_to(movie)
    ExperimentListFactory.from_filenames([str(movie)]).as_file("imported.expt")
    before = {path: path.read_bytes() for path in here.iterdir()}
    told = fails(["imported.expt", "output.directory=new", f"output.{name}={victim}"])
    assert f"{victim} is an input" in told
    assert {path: path.read_bytes() for path in here.iterdir()} == before


def test_a_check_may_be_given_what_a_correction_writes(corrected, here):
    experiments = ExperimentList.from_file(str(corrected / "truncfix.expt"))
    experiments.as_file("truncfix.expt")
    before = (here / "truncfix.expt").read_bytes()
    run(["truncfix.expt", "mode=check"])
    assert (here / "truncfix.expt").read_bytes() == before


def test_images_can_be_given_again_in_the_same_folder(recording, here):
    run([str(recording.path), *SMALL])
    run([str(recording.path), *SMALL])
    assert len(list(here.glob("*.cbf"))) == 6


def test_two_outputs_need_two_names(recording, here):
    expt = imported(recording, here)
    assert "two outputs" in fails(
        [expt, "output.json=a.expt", "output.experiments=a.expt"]
    )
    assert files_of(here) == []


def test_experiments_in_the_folder_that_is_made(recording, here):
    run(
        [
            str(imported(recording, here)),
            *SMALL,
            "output.directory=new",
            "output.experiments=new/truncfix.expt",
        ]
    )
    assert pixels_of(here / "new" / "truncfix.expt").min() < 0


def test_images_that_have_moved_are_named(recording, here):
    movie = here / "movie_000.tvips"
    movie.write_bytes(recording.path.read_bytes())
    ExperimentListFactory.from_filenames([str(movie)]).as_file("imported.expt")
    movie.rename("elsewhere.tvips")
    told = fails(["imported.expt"])
    assert f"refers to {movie}" in told
    assert "import them again" in told


@pytest.mark.parametrize(
    "option, words",
    [
        ("output.template=corrected", "run of #"),
        ("output.experiments=missing/truncfix.expt", "missing/truncfix.expt: No such"),
        ("output.json=.", ".: Is a directory"),
        ("output.template=t_####", None),
    ],
)
def test_output_names(recording, here, option, words):
    expt = imported(recording, here)
    if words is None:
        run([str(expt), *SMALL, option])
        assert (here / "t_0001.cbf").exists()
        return
    assert words in fails([expt, *SMALL, option])
    assert files_of(here) == []


def test_truncated_last_frame(recording, here):
    shorter = here / "movie" / "movie_000.tvips"
    shorter.parent.mkdir()
    shorter.write_bytes(recording.path.read_bytes()[:-1000])
    expt = imported(Recording(shorter, recording.truncated, recording.true), here)
    run([str(expt), *SMALL])
    assert len(list(here.glob("*.cbf"))) == 5


@pytest.mark.parametrize("nproc", [1, 2])
@pytest.mark.parametrize("kind", ["cbf", "smv"])
def test_images_damaged_since_they_were_imported(recording, here, kind, nproc):
    expt = imported(recording, here)
    run([str(expt), *SMALL, f"output.format={kind}", "output.json=None"])
    image = here / f"truncfix_00003.{'img' if kind == 'smv' else 'cbf'}"
    os.truncate(image, 5000)
    given = ["truncfix.expt", "annuli.count=4", f"nproc={nproc}", "force=True"]
    told = fails([*given, "output.directory=new", "output.experiments=new.expt"])
    assert image.name in told
    assert not (here / "new").exists()
    assert not (here / "new.expt").exists()


def test_images_of_mixed_size(corrected, here):
    # a series of files, one of which another camera setting recorded
    paths = sorted(corrected.glob("*.cbf"))[:3]
    for path in paths:
        header = cbf.read_header(path)
        pixels = np.maximum(cbf.read_pixels(path), 0)
        if path == paths[1]:
            pixels = pixels[:128, :128]
        (here / "in").mkdir(exist_ok=True)
        cbf.write(here / "in" / path.name, pixels, header.lines)
    expt = ExperimentListFactory.from_filenames(
        [str(here / "in" / paths[0].name), str(here / "in" / paths[2].name)]
    )
    assert len(expt) >= 1
    from dxtbx.imageset import ImageSetFactory

    first = ExperimentListFactory.from_filenames([str(here / "in" / paths[0].name)])[0]
    scan = first.scan
    scan.set_image_range((1, 3))
    imageset = ImageSetFactory.make_sequence(
        str(here / "in" / "truncfix_#####.cbf"),
        [1, 2, 3],
        beam=first.beam,
        detector=first.detector,
        goniometer=first.goniometer,
        scan=scan,
    )
    from dxtbx.model import Experiment

    mixed = ExperimentList()
    mixed.append(
        Experiment(
            beam=first.beam,
            detector=first.detector,
            goniometer=first.goniometer,
            scan=scan,
            imageset=imageset,
        )
    )
    mixed.as_file("imported.expt")
    told = fails(["imported.expt", *SMALL])
    assert "128 × 128" in told
    assert not list(here.glob("*.cbf"))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["missing.expt"], "missing.expt: there is no such file"),
        (["imported.expt", "anuli.count=3"], "anuli.count is not a parameter"),
        (["imported.expt", "annuli.count=0"], "annuli.count"),
        (["imported.expt", "annuli.count=1e400"], "infinity"),
        (["imported.expt", "mode=chek"], "mode"),
        (["imported.expt", "seed=None"], "seed cannot be None"),
        (["imported.expt", "annuli.count=Auto"], "annuli.count cannot be Auto"),
        (["imported.expt", "gain=nan"], "gain cannot be nan"),
        (["imported.expt", "imported.expt"], "one by one"),
        (["noise_000.tvips"], "noise_000.tvips is no .tvips series"),
        (["noise.cbf"], "noise.cbf can be read neither"),
        (["imported.expt", "output.log=missing/log"], "missing/log"),
        (["imported.expt", "output.directory=noise.cbf"], "noise.cbf"),
    ],
)
def test_arguments_that_cannot_be_understood(recording, here, capsys, arguments, words):
    imported(recording, here)
    noise = np.random.default_rng(0).integers(0, 256, 1000, dtype=np.uint8).tobytes()
    (here / "noise_000.tvips").write_bytes(noise)
    (here / "noise.cbf").write_bytes(noise)
    with pytest.raises((Sorry, SystemExit)) as stop:
        run(arguments)
    # newer releases of DIALS end by themselves where a value is out of range
    assert words in f"{stop.value} {capsys.readouterr().err}"
    assert files_of(here) == ["noise.cbf", "noise_000.tvips"]


PROGRAM = "from dials_truncfix.command_line.truncfix import run; run()"


def test_a_full_disk_leaves_nothing(recording, here):
    expt = imported(recording, here)
    # no file of this process may grow beyond a few kB
    limit = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000));"
    )
    limit += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    done = subprocess.run(
        [sys.executable, "-c", limit + PROGRAM, str(expt), *SMALL],
        text=True,
        capture_output=True,
    )
    assert done.returncode == 1
    assert "Sorry" in done.stderr
    assert "Traceback" not in done.stderr
    assert files_of(here) == []
    assert not [path for path in here.iterdir() if path.is_dir()]


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(here, kind):
    long = record(here / "movie", np.repeat(true_frames(8, 512), 8, axis=0))
    expt = imported(long, here)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(expt), "nproc=2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 120
    while not list(here.glob(".truncfix-*/*.cbf")):
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(kind)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert files_of(here) == ["movie/movie_000.tvips"]
    assert not list(here.glob(".truncfix-*"))
