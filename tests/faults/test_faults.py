"""Runs that are killed or disturbed: a few of what inject_faults.py does."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time

import pytest
from fault_cases import Case, at_image, jumping_clock, refused, waiting
from fault_runs import (
    be_killed,
    empty,
    hidden,
    make_recordings,
    outputs,
    run_to_end,
    start_run,
    wait_for,
)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return make_recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture
def one(recordings, tmp_path):
    return Case(tmp_path, recordings[:1])


@pytest.mark.parametrize("image_format", ["cbf", "smv", "nexus", "sidecar"])
@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
def test_killed_before_changes_of_files(recordings, tmp_path, image_format, several):
    given = recordings if several else recordings[:1]
    case = Case(tmp_path, given, f"output.format={image_format}")
    last = case.undisturbed.n_changes
    generator = random.Random(f"{image_format} {several}")
    for change in (generator.randrange(1, last // 2), last - generator.randrange(15)):
        empty(case.folder)
        killed = case.run(at_change=(change, be_killed))
        assert killed.code == -signal.SIGKILL
        assert case.partial() == []
        assert case.resume() == []


def test_killed_again_and_again(one):
    kept = 0
    for change in range(3, one.undisturbed.n_changes, 6):
        ended = one.run("resume=True", at_change=(change, be_killed))
        if ended.code == 0:
            break
        kept += one.n_kept()
    assert ended.code == 0
    assert one.compare() == []
    assert kept > 0


def test_processes_of_a_killed_run_do_no_harm(one):
    process, told = start_run([*one.arguments, "nproc=2"], one.folder)
    while not list(one.folder.glob(".truncfix-*/*/*.cbf")):
        assert os.waitpid(process, os.WNOHANG) == (0, 0)
        time.sleep(0.001)
    os.kill(process, signal.SIGKILL)
    assert wait_for(process, told).code == -signal.SIGKILL
    assert one.resume() == []


def killed_late(case):
    """Be killed when all images are there, and nothing else is."""
    change = case.undisturbed.n_changes
    while change == case.undisturbed.n_changes or outputs(case.folder):
        empty(case.folder)
        killed = case.run(at_change=(change, be_killed))
        assert killed.code == -signal.SIGKILL
        change -= 1


@pytest.mark.slow
def test_other_options_make_everything_anew(one):
    killed_late(one)
    assert one.run("resume=True", "seed=5").code == 0
    assert "An earlier run had other options: everything is made anew" in one.log()
    found = outputs(one.folder)
    empty(one.folder)
    assert one.run("seed=5").code == 0
    assert outputs(one.folder) == found != one.expected


@pytest.mark.slow
def test_other_input_makes_everything_anew(recordings, tmp_path):
    movie = tmp_path / "movie_000.tvips"
    shutil.copy(recordings[0], movie)
    case = Case(tmp_path, [movie])
    killed_late(case)
    content = bytearray(movie.read_bytes())
    content[-7] ^= 1
    status = movie.stat()
    movie.write_bytes(content)
    # nothing but the contents tells
    os.utime(movie, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert case.run("resume=True").code == 0
    assert "An earlier run had other input: everything is made anew" in case.log()
    found = outputs(case.folder)
    empty(case.folder)
    assert case.run().code == 0
    assert outputs(case.folder) == found != case.expected


@pytest.mark.slow
def test_without_resume_everything_is_made_anew(one):
    killed_late(one)
    assert one.run().code == 0
    assert one.compare() == []
    assert "Removed what a run that was killed had left" in one.log()


def test_images_that_are_not_whole_are_made_anew(one):
    killed_late(one)
    first, second, *_ = sorted(one.folder.glob(".truncfix-*/*/*.cbf"))
    os.truncate(first, first.stat().st_size // 2)
    second.write_bytes(second.read_bytes()[:-1] + b"x")
    assert one.resume() == []


def test_a_finished_sweep_is_left_alone_unless_it_has_changed(recordings, tmp_path):
    case = Case(tmp_path, recordings)
    assert case.run().code == 0
    images = sorted(case.folder.rglob("*.cbf"))
    before = [image.stat().st_mtime_ns for image in images]
    assert case.resume() == []
    assert [image.stat().st_mtime_ns for image in images] == before
    assert case.log().count("nothing is left to do") == 2
    images[-1].write_bytes(b"")
    assert case.resume() == []
    assert case.log().count("nothing is left to do") == 1
    name = os.path.relpath(images[-1], case.folder)
    assert f"{name} is missing or has changed" in case.log()


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda path: os.truncate(path, path.stat().st_size // 3), "bytes instead of"),
        (lambda path: path.write_bytes(path.read_bytes()), "its size is the same"),
        (lambda path: path.unlink(), "went away"),
    ],
)
def test_input_that_changes_is_refused(recordings, tmp_path, change, words):
    movie = tmp_path / "movie_000.tvips"
    shutil.copy(recordings[0], movie)
    case = Case(tmp_path, [movie])
    ended = case.run(before=at_image(1, lambda: change(movie)))
    assert refused(ended, f"{movie} ") == [] and words in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert case.anything() == []


def test_the_second_of_two_runs_is_refused(one):
    here, go = (one.folder.parent / name for name in ("here", "go"))
    before = at_image(1, waiting(here, go))
    process, told = start_run(one.arguments, one.folder, before=before)
    try:
        while not here.exists():
            time.sleep(0.01)
        log = one.log()
        # of the same images only, or of everything
        elsewhere = one.folder.parent / "elsewhere"
        empty(elsewhere)
        images = f"output.directory={one.folder}"
        for folder, options in ((elsewhere, [images]), (one.folder, [])):
            second = run_to_end([*one.arguments, *options], folder)
            assert refused(second, f"Another run (process {process} on ") == []
            assert "wait until it has ended" in second.stderr
            assert second.stderr.count("\n") == 1
        assert outputs(elsewhere) == {} and hidden(elsewhere) == []
        assert one.log() == log
    finally:
        go.touch()
        ended = wait_for(process, told)
    assert ended.code == 0
    assert one.compare() == []


@pytest.mark.parametrize("jump", [-1e8, 1e8])
def test_clocks_that_jump_do_no_harm(one, jump):
    killed = one.run(before=jumping_clock(jump), at_change=(38, be_killed))
    assert killed.code == -signal.SIGKILL
    now = time.time() - jump
    for path in one.folder.rglob("*"):
        os.utime(path, (now, now))
    assert one.resume(before=jumping_clock(jump)) == []
