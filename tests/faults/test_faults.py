"""Runs that are killed or disturbed: a few of what inject_faults.py does."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time

import pytest
from fault_runs import (
    SMALL,
    complete,
    empty,
    hidden,
    import_recordings,
    make_recordings,
    outputs,
    run_to_end,
    start_run,
    wait_for,
)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return make_recordings(tmp_path_factory.mktemp("recordings"))


class Runs:
    """Runs of one command in one folder, and what it makes when nothing happens."""

    def __init__(self, folder, paths, *options):
        self.folder = folder / "run"
        name = import_recordings(paths, folder / "imported.expt")
        self.arguments = [str(name), *SMALL, "nproc=1", *options]
        empty(self.folder)
        self.undisturbed = run_to_end(self.arguments, self.folder)
        assert self.undisturbed.code == 0, self.undisturbed.stderr
        self.expected = outputs(self.folder)
        assert hidden(self.folder) == []
        empty(self.folder)

    def resumed(self, *options, **changes):
        arguments = [*self.arguments, *options, "resume=True"]
        return run_to_end(arguments, self.folder, **changes)

    def log(self):
        return (self.folder / "dials.truncfix.log").read_text()

    def assert_same(self):
        assert outputs(self.folder) == self.expected
        assert hidden(self.folder) == []


@pytest.fixture
def one(recordings, tmp_path):
    return Runs(tmp_path, recordings[:1])


@pytest.mark.parametrize("image_format", ["cbf", "smv", "nexus", "sidecar"])
@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
def test_killed_before_changes_of_files(recordings, tmp_path, image_format, several):
    given = recordings if several else recordings[:1]
    runs = Runs(tmp_path, given, f"output.format={image_format}")
    last = runs.undisturbed.n_changes
    generator = random.Random(f"{image_format} {several}")
    for change in (generator.randrange(1, last // 2), last - generator.randrange(15)):
        empty(runs.folder)
        killed = run_to_end(runs.arguments, runs.folder, kill_before_change=change)
        assert killed.code == -signal.SIGKILL
        left = outputs(runs.folder)
        # whole, or not there
        assert left.items() <= runs.expected.items()
        assert complete(runs.folder)
        assert runs.resumed().code == 0
        runs.assert_same()


def test_killed_again_and_again(one):
    kept = 0
    for change in range(3, one.undisturbed.n_changes, 6):
        killed = one.resumed(kill_before_change=change)
        if killed.code == 0:
            break
        kept += (one.folder / "dials.truncfix.log").exists() and (
            "Of an earlier run" in one.log()
        )
    assert killed.code == 0
    one.assert_same()
    assert kept > 0


def test_processes_of_a_killed_run_do_no_harm(recordings, tmp_path):
    runs = Runs(tmp_path, recordings[:1])
    arguments = [*runs.arguments, "nproc=2"]
    process, told = start_run(arguments, runs.folder)
    while not list(runs.folder.glob(".truncfix-*/*/*.cbf")):
        assert os.waitpid(process, os.WNOHANG) == (0, 0)
        time.sleep(0.001)
    os.kill(process, signal.SIGKILL)
    assert wait_for(process, told).code == -signal.SIGKILL
    assert runs.resumed().code == 0
    runs.assert_same()


def killed_late(runs):
    """Be killed when all images are there, and nothing else is."""
    change = runs.undisturbed.n_changes
    while True:
        empty(runs.folder)
        killed = run_to_end(runs.arguments, runs.folder, kill_before_change=change)
        assert killed.code == -signal.SIGKILL
        if not outputs(runs.folder):
            return
        change -= 1


def test_other_options_make_everything_anew(one, tmp_path):
    killed_late(one)
    assert one.resumed("seed=5").code == 0
    assert "An earlier run had other options: everything is made anew" in one.log()
    found = outputs(one.folder)
    assert found != one.expected
    empty(one.folder)
    assert run_to_end([*one.arguments, "seed=5"], one.folder).code == 0
    assert outputs(one.folder) == found


def test_other_input_makes_everything_anew(recordings, tmp_path):
    movie = tmp_path / "movie_000.tvips"
    shutil.copy(recordings[0], movie)
    runs = Runs(tmp_path, [movie])
    killed_late(runs)
    content = bytearray(movie.read_bytes())
    content[-7] ^= 1
    status = movie.stat()
    movie.write_bytes(content)
    # nothing but the contents tells
    os.utime(movie, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert runs.resumed().code == 0
    assert "An earlier run had other input: everything is made anew" in runs.log()
    found = outputs(runs.folder)
    empty(runs.folder)
    assert run_to_end(runs.arguments, runs.folder).code == 0
    assert outputs(runs.folder) == found != runs.expected


def test_without_resume_everything_is_made_anew(one):
    killed_late(one)
    assert run_to_end(one.arguments, one.folder).code == 0
    one.assert_same()
    assert "Removed what a run that was killed had left" in one.log()


def test_images_that_are_not_whole_are_made_anew(one):
    killed_late(one)
    first, second, *_ = sorted(one.folder.glob(".truncfix-*/*/*.cbf"))
    os.truncate(first, first.stat().st_size // 2)
    second.write_bytes(second.read_bytes()[:-1] + b"x")
    assert one.resumed().code == 0
    one.assert_same()


def test_a_finished_sweep_is_left_alone_unless_it_has_changed(recordings, tmp_path):
    runs = Runs(tmp_path, recordings)
    assert run_to_end(runs.arguments, runs.folder).code == 0
    images = sorted(runs.folder.rglob("*.cbf"))
    before = [image.stat().st_mtime_ns for image in images]
    assert runs.resumed().code == 0
    assert [image.stat().st_mtime_ns for image in images] == before
    assert runs.log().count("nothing is left to do") == 2
    images[-1].write_bytes(b"")
    assert runs.resumed().code == 0
    assert runs.log().count("nothing is left to do") == 1
    assert f"{os.path.relpath(images[-1], runs.folder)} is missing or has changed" in (
        runs.log()
    )
    runs.assert_same()


def at_the_first_image(do):
    """Make a function that does something when the first image is written."""

    def before():
        done = []

        def hook(event, arguments):
            path = arguments[0] if event == "open" else ""
            if not done and isinstance(path, str) and "truncfix_00001" in path:
                done.append(path)
                do()

        sys.addaudithook(hook)

    return before


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
    runs = Runs(tmp_path, [movie])
    refused = run_to_end(
        runs.arguments, runs.folder, before=at_the_first_image(lambda: change(movie))
    )
    assert refused.code == 1
    assert refused.stderr.startswith(f"Sorry: {movie} ")
    assert words in refused.stderr and refused.stderr.count("\n") == 1
    assert outputs(runs.folder) == {}
    assert hidden(runs.folder) == []


def test_the_second_of_two_runs_is_refused(one):
    def wait():
        (one.folder.parent / "waiting").touch()
        while not (one.folder.parent / "go").exists():
            time.sleep(0.01)

    process, told = start_run(
        one.arguments, one.folder, before=at_the_first_image(wait)
    )
    try:
        while not (one.folder.parent / "waiting").exists():
            time.sleep(0.01)
        log = one.log()
        # of the same images only, or of everything
        elsewhere = one.folder.parent / "elsewhere"
        empty(elsewhere)
        images = f"output.directory={one.folder}"
        for folder, options in ((elsewhere, [images]), (one.folder, [])):
            refused = run_to_end([*one.arguments, *options], folder)
            assert refused.code == 1
            assert f"Another run (process {process} on " in refused.stderr
            assert "wait until it has ended" in refused.stderr
            assert refused.stderr.count("\n") == 1
        assert outputs(elsewhere) == {} and hidden(elsewhere) == []
        assert one.log() == log
    finally:
        (one.folder.parent / "go").touch()
        ended = wait_for(process, told)
    assert ended.code == 0
    one.assert_same()


@pytest.mark.parametrize("jump", [-1e8, 1e8])
def test_clocks_that_jump_do_no_harm(one, jump):
    def before():
        clock = time.time
        start = clock()
        time.time = lambda: clock() + (jump if clock() > start + 0.2 else 0)

    killed = run_to_end(one.arguments, one.folder, before=before, kill_before_change=38)
    assert killed.code == -signal.SIGKILL
    now = time.time() - jump
    for path in one.folder.rglob("*"):
        os.utime(path, (now, now))
    assert one.resumed(before=before).code == 0
    one.assert_same()
