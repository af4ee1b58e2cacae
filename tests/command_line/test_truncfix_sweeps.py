"""dials.truncfix on several sweeps."""

from __future__ import annotations

import copy
import json
import os
import shutil

import numpy as np
import pytest

from dxtbx.model.experiment_list import ExperimentList, ExperimentListFactory

from dials_truncfix.command_line.truncfix import run
from recordings import pixels_of, record, true_frames
from truncfix_runs import SMALL, fails, files_of

COUNTS = np.random.default_rng(3).poisson(0.7, (3, 128, 128)).astype(np.int32)


@pytest.fixture(scope="module")
def movies(tmp_path_factory):
    """Recordings of three, four and five frames."""
    folder = tmp_path_factory.mktemp("movies")
    return [
        record(folder / f"crystal_{n}", true_frames(n, 200, seed=n)).path
        for n in (3, 4, 5)
    ]


def written_to(name, paths):
    """Experiments of several recordings in one file."""
    together = ExperimentList()
    for path in paths:
        together.extend(ExperimentListFactory.from_filenames([str(path)]))
    together.as_file(name)
    return name


def contents(folder):
    """Of all files but the note that the sweep is finished."""
    return {
        name: (folder / name).read_bytes()
        for name in files_of(folder)
        if not name.endswith(".done")
    }


def test_each_sweep_has_a_folder_and_one_file_has_all_experiments(movies, here, caplog):
    run([written_to("imported.expt", movies), *SMALL])
    for number, n_images in ((1, 3), (2, 4), (3, 5)):
        assert files_of(here / f"sweep_{number}") == [
            ".truncfix-truncfix_#####.cbf.done",
            "dials.truncfix.json",
            "truncfix.expt",
            *(f"truncfix_{i:05d}.cbf" for i in range(1, n_images + 1)),
        ]
        assert pixels_of(here / f"sweep_{number}" / "truncfix.expt").min() < 0
    assert sorted(path.name for path in here.iterdir()) == [
        "dials.truncfix.log",
        "imported.expt",
        *(f"sweep_{i}" for i in (1, 2, 3)),
        "truncfix.expt",
    ]
    together = ExperimentList.from_file("truncfix.expt")
    for number, experiment in enumerate(together, 1):
        alone = ExperimentList.from_file(f"sweep_{number}/truncfix.expt")[0]
        assert experiment.detector == alone.detector
        assert experiment.scan == alone.scan
        assert experiment.imageset.paths() == alone.imageset.paths()
    assert "Sweep 2 of 3" in caplog.text
    assert "Saving the experiments of 3 sweeps to truncfix.expt" in caplog.text


@pytest.mark.parametrize("image_format", ["cbf", "smv", "nexus", "sidecar"])
def test_same_bytes_alone_and_among_others_for_any_number_of_processes(
    movies, here, image_format
):
    options = ["annuli.count=4", f"output.format={image_format}", "replicates=2"]
    given = [written_to(f"{path.parent.name}.expt", [path]) for path in movies]
    run([*given, *options, "nproc=2"])
    for number, name in enumerate(given, 1):
        among = contents(here / f"sweep_{number}")
        assert "dials.truncfix.html" in among
        shutil.rmtree(here / f"sweep_{number}")
        place = f"sweep_{number}/"
        (here / place).mkdir()
        run(
            [
                name,
                *options,
                "nproc=1",
                f"output.directory={place.rstrip('/')}",
                f"output.experiments={place}truncfix.expt",
                f"output.json={place}dials.truncfix.json",
                f"output.html={place}dials.truncfix.html",
            ]
        )
        assert contents(here / place) == among


def test_what_fails_is_told_in_the_end_and_the_others_are_done(movies, here, capsys):
    counted = record(here / "counted", COUNTS).path
    shorter = here / "shorter" / "movie_000.tvips"
    shorter.parent.mkdir()
    shutil.copy(movies[1], shorter)
    gone = record(here / "gone", COUNTS).path
    given = [movies[0], counted, shorter, gone, movies[2]]
    name = written_to("imported.expt", given)
    # since it was imported
    os.truncate(shorter, os.path.getsize(shorter) // 2)
    gone.unlink()
    (here / "noise.cbf").write_bytes(b"noise")
    told = fails([name, "noise.cbf", *SMALL])
    heading, *reasons = told.splitlines()
    assert heading == "4 of 6 sweeps failed:"
    for reason, words in zip(
        reasons,
        (
            [f"sweep 2: {counted}", "counting"],
            [f"sweep 3: {shorter}", "no longer what was imported"],
            [f"sweep 4: imported.expt refers to {gone}", "there is no such file"],
            ["noise.cbf can be read neither"],
        ),
    ):
        assert all(word in reason for word in words)
    assert [path.name for path in sorted(here.glob("sweep_*"))] == [
        "sweep_1",
        "sweep_5",
    ]
    together = ExperimentList.from_file("truncfix.expt")
    assert [len(experiment.scan) for experiment in together] == [3, 5]


def test_nothing_is_written_when_every_sweep_fails(here):
    given = [record(here / name, COUNTS).path for name in "ab"]
    told = fails([written_to("imported.expt", given), *SMALL])
    assert told.startswith("2 of 2 sweeps failed")
    assert files_of(here) == ["a/movie_000.tvips", "b/movie_000.tvips"]
    assert not list(here.glob("sweep_*"))


def test_recordings_can_be_given_as_images(movies, here):
    run([*map(str, movies[:2]), *SMALL, "output.directory=new"])
    assert len(ExperimentList.from_file("truncfix.expt")) == 2
    assert (here / "new" / "sweep_2" / "truncfix_00004.cbf").exists()


def test_lattices_of_one_sweep_stay_together_and_in_order(movies, here):
    one, other = (
        ExperimentListFactory.from_filenames([str(path)])[0] for path in movies[:2]
    )
    second = copy.copy(one)
    for name, experiment in zip("abc", (one, other, second)):
        experiment.identifier = name
    ExperimentList([one, other, second]).as_file("indexed.expt")
    run(["indexed.expt", *SMALL])
    together = ExperimentList.from_file("truncfix.expt")
    assert [experiment.identifier for experiment in together] == ["a", "b", "c"]
    assert len(together.imagesets()) == 2
    assert len(ExperimentList.from_file("sweep_1/truncfix.expt")) == 2


@pytest.mark.parametrize("known", [True, False])
def test_sweeps_share_a_detector_where_gain_and_pedestal_are_the_same(
    movies, here, known
):
    given = ExperimentList.from_file(written_to("imported.expt", movies[:2]))
    given[1].detector = given[1].imageset.get_detector()
    for experiment in given:
        experiment.detector = given[0].detector
        experiment.imageset.set_detector(given[0].detector)
        experiment.beam = given[0].beam
        experiment.imageset.set_beam(given[0].beam)
    given.as_file("shared.expt")
    values = ["gain=9", "pedestal=-4"] if known else []
    run(["shared.expt", *SMALL, *values])
    together = ExperimentList.from_file("truncfix.expt")
    assert len(together.detectors()) == (1 if known else 2)
    assert len(together.beams()) == 1


def test_check_of_several_sweeps(movies, here):
    counted = record(here / "counted", COUNTS).path
    name = written_to("imported.expt", [movies[0], counted])
    run([name, "mode=check", "output.html=None"])
    verdicts = [
        json.loads((here / f"sweep_{i}" / "dials.truncfix.json").read_text())["verdict"]
        for i in (1, 2)
    ]
    assert [verdict["class"] for verdict in verdicts] == ["truncated", "counting"]
    assert not list(here.rglob("*.cbf"))
    assert not (here / "truncfix.expt").exists()


@pytest.mark.parametrize("replicates", [1, 2])
def test_verification_of_several_sweeps(movies, here, replicates):
    name = written_to("imported.expt", movies[:2])
    run([name, *SMALL, f"replicates={replicates}"])
    expt = "truncfix.expt" if replicates == 1 else "truncfix_2.expt"
    run([expt, "mode=verify"])
    record_ = here / "sweep_2" / "dials.truncfix.json"
    other = json.loads(record_.read_text())
    other["parameters"]["seed"] = 5
    other["recipe"]["checks"] = []
    for draw in other["replicates"]:
        draw["seed"] += 5
    record_.write_text(json.dumps(other))
    told = fails([expt, "mode=verify"])
    assert told.startswith("1 of 2 sweeps failed")
    assert "sweep 2" in told and "another seed" in told


def test_reports_of_several_sweeps(movies, here):
    run([written_to("imported.expt", movies[:2]), "annuli.count=4", "nproc=1"])
    records = [f"sweep_{i}/dials.truncfix.json" for i in (1, 2)]
    pages = [here / f"sweep_{i}" / "dials.truncfix.html" for i in (1, 2)]
    before = [page.read_bytes() for page in pages]
    for page in pages:
        page.unlink()
    run([*records, "mode=report"])
    assert [page.read_bytes() for page in pages] == before


def test_no_folder_of_another_sweep_is_written_to(here):
    given = [
        record(here / name, true_frames(3, 128, seed=i)).path
        for i, name in enumerate(("a", "sweep_1"))
    ]
    told = fails([written_to("imported.expt", given), *SMALL])
    assert "holds images to be corrected" in told
    assert "another output.directory" in told
    assert files_of(here) == ["a/movie_000.tvips", "sweep_1/movie_000.tvips"]


def test_a_sweep_given_twice_is_refused(movies, here):
    name = written_to("imported.expt", [movies[0], movies[0]])
    assert f"{movies[0]} is given twice" in fails([name, *SMALL])
    one = written_to("one.expt", movies[:1])
    assert "one.expt is given twice" in fails([one, one, *SMALL])
    assert files_of(here) == ["one.expt"]
