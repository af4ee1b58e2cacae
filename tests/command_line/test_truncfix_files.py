"""Files that are absent, damaged, in the way or cannot be written."""

from __future__ import annotations

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
from dials_truncfix.io import cbf
from recordings import Recording, imported, pixels_of, record, true_frames
from truncfix_runs import SMALL, fails, files_of


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
        (["imported.expt", "imported.expt"], "given twice"),
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
        # shells let what they start in the background ignore interrupts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not list(here.glob(".truncfix-*/*/*.cbf")):
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(kind)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert files_of(here) == ["movie/movie_000.tvips"]
    assert not list(here.glob(".*"))
