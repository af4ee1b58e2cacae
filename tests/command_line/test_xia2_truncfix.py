"""xia2.truncfix: which program gets which argument, and what stops it."""

from __future__ import annotations

import os
import shlex
import stat

import pytest

from dials.util import Sorry

from dials_truncfix.command_line import xia2_truncfix
from dials_truncfix.command_line.xia2_truncfix import run, sort_arguments
from dials_truncfix.xia2_step import BACKGROUND
from recordings import record, true_frames

GEOMETRY = ["geometry.detector.distance=2000"]
SMALL = ["truncfix.mp.nproc=1", "truncfix.annuli.count=4", "truncfix.output.html=None"]


@pytest.fixture(scope="module")
def ten_images(tmp_path_factory):
    return record(tmp_path_factory.mktemp("ten"), true_frames(n_images=10)).path


@pytest.fixture
def stub(tmp_path, tmp_path_factory, monkeypatch):
    """A program called xia2, which notes its arguments and ends with 0."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "xia2"
    program.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@" > arguments\nexit ${XIA2_EXIT:-0}\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CCP4", str(tmp_path))
    monkeypatch.setenv("CCP4_SCR", str(tmp_path))
    return program


@pytest.fixture
def no_xia2(monkeypatch):
    monkeypatch.setattr(xia2_truncfix.shutil, "which", lambda name: None)


def test_each_program_gets_its_arguments(ten_images):
    found = sort_arguments(
        [f"image={ten_images}", *GEOMETRY, *SMALL, "small_molecule=true", "d_min=1"]
    )
    assert found.images == [str(ten_images)]
    assert found.geometry == GEOMETRY
    assert found.truncfix == SMALL
    assert found.xia2 == ["small_molecule=true", "d_min=1"]


def test_xia2_gets_the_corrected_images_and_our_background(ten_images, stub, tmp_path):
    run([str(ten_images), *GEOMETRY, *SMALL, "small_molecule=true"])
    first = tmp_path / "corrected" / "truncfix_00001.img"
    assert first.is_file()
    assert (tmp_path / "arguments").read_text().split() == [
        "pipeline=dials",
        f"image={first}:1:10",
        *BACKGROUND,
        "small_molecule=true",
    ]


def test_the_users_word_wins(ten_images, stub, tmp_path):
    own = "dials.integrate.background_algorithm=glm"
    run([str(ten_images), *GEOMETRY, *SMALL, own, "pipeline=dials-full"])
    given = (tmp_path / "arguments").read_text().split()
    assert own in given and "pipeline=dials-full" in given
    assert BACKGROUND[0] not in given and "pipeline=dials" not in given


def test_a_failure_of_xia2_is_told(ten_images, stub, monkeypatch):
    monkeypatch.setenv("XIA2_EXIT", "3")
    with pytest.raises(Sorry, match="exit code 3: see xia2.txt"):
        run([str(ten_images), *GEOMETRY, *SMALL])


def test_without_xia2_the_command_is_told(ten_images, no_xia2, tmp_path, capfd):
    run([str(ten_images), *GEOMETRY, *SMALL, "d_min=1"])
    said = capfd.readouterr().out.splitlines()
    (command,) = [line for line in said if line.startswith("xia2 pipeline")]
    assert shlex.split(command)[2:] == [
        f"image={tmp_path}/corrected/truncfix_00001.img:1:10",
        *BACKGROUND,
        "d_min=1",
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["truncfix.assign=local"], "no images were given"),
        (["nothing.tvips"], "nothing.tvips: there is no such file"),
        (["image="], "a file without a name: there is no such file"),
        (["{image}", "truncfix.mode=check"], "truncfix.mode has to stay"),
        (["{image}", "truncfix.output.format=nexus"], "truncfix.output.format has to"),
        (["{image}", "truncfix.replicates=3"], "truncfix.replicates has to stay"),
        (["{image}", "truncfix.no_such=3"], "no_such"),
        (["{image}", "truncfix.annuli.count=0"], "annuli.count"),
    ],
)
def test_arguments_that_are_refused(arguments, sentence, ten_images, no_xia2, tmp_path):
    given = [argument.format(image=ten_images) for argument in arguments]
    with pytest.raises(Sorry, match=sentence):
        run(given)
    assert list(tmp_path.iterdir()) == []


def test_too_few_images(recording, no_xia2):
    with pytest.raises(Sorry, match="xia2 wants at least 10"):
        run([str(recording.path), *GEOMETRY])


def test_xia2_without_ccp4(ten_images, stub, monkeypatch, tmp_path):
    monkeypatch.delenv("CCP4_SCR")
    with pytest.raises(Sorry, match="environment variable CCP4_SCR"):
        run([str(ten_images), *GEOMETRY])
    assert not (tmp_path / "imported.expt").exists()


def test_help_is_written(capsys):
    run([])
    assert "xia2.truncfix image=movie_000.tvips" in capsys.readouterr().out
