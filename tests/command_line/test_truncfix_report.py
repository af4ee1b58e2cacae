"""The report of dials.truncfix as a user gets it."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from dials_truncfix.command_line.truncfix import run
from dials_truncfix.report import plotly_js
from recordings import imported, record, true_frames
from truncfix_runs import SMALL, fails, files_of

pytest.importorskip("plotly")
pytest.importorskip("jinja2")

WITH_REPORT = [*SMALL, "output.html=dials.truncfix.html"]


@pytest.fixture(scope="module")
def finished(recording, tmp_path_factory):
    """One run with its report."""
    folder = tmp_path_factory.mktemp("finished")
    before = os.getcwd()
    os.chdir(folder)
    try:
        run([str(imported(recording, folder)), *WITH_REPORT])
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def again(finished, here):
    """The record of that run alone, in another folder."""
    shutil.copy(finished / "dials.truncfix.json", here)
    return here


def test_the_report_is_made_again_from_the_record_alone(finished, again):
    run(["mode=report", "dials.truncfix.json"])
    assert files_of(again) == ["dials.truncfix.html", "dials.truncfix.json"]
    made = (again / "dials.truncfix.html").read_bytes()
    assert made == (finished / "dials.truncfix.html").read_bytes()
    # the log of the correction is not written over
    assert not (again / "dials.truncfix.log").exists()


def test_the_report_can_have_another_name(again, caplog):
    run(["mode=report", "dials.truncfix.json", "output.html=other.html"])
    assert "Saving the report to other.html" in caplog.text
    assert (again / "other.html").exists()


def test_no_report_when_none_is_wanted(recording, here):
    run([str(imported(recording, here)), *SMALL, "output.html=None"])
    assert not list(here.glob("*.html"))
    assert "mode=report writes nothing else" in fails(
        ["mode=report", "dials.truncfix.json", "output.html=None"]
    )


def test_a_report_in_the_folder_of_the_images(recording, here):
    expt = imported(recording, here)
    options = ["output.directory=new/corrected", "output.html=new/corrected/a.html"]
    run([str(expt), *SMALL, *options])
    assert (here / "new" / "corrected" / "a.html").exists()


def test_a_report_without_a_record(recording, here):
    run([str(imported(recording, here)), *WITH_REPORT, "output.json=None"])
    assert (here / "dials.truncfix.html").exists()
    assert not (here / "dials.truncfix.json").exists()


@pytest.mark.parametrize("mode", ["correct", "check"])
def test_without_plotly_images_are_corrected_and_the_log_says_why(
    recording, here, caplog, monkeypatch, mode
):
    monkeypatch.setattr(
        plotly_js, "find_spec", lambda name: None if name == "plotly" else object()
    )
    run([str(imported(recording, here)), *WITH_REPORT, f"mode={mode}"])
    assert "No report was written: plotly is not installed: add it" in caplog.text
    assert not (here / "dials.truncfix.html").exists()
    assert (here / "dials.truncfix.json").exists()
    assert (here / "truncfix.expt").exists() == (mode == "correct")
    assert "plotly is not installed" in fails(["mode=report", "dials.truncfix.json"])


@pytest.mark.parametrize(
    "files, told",
    [
        ([], "was given no records: give one"),
        (["dials.truncfix.json", "dials.truncfix.json"], "for two outputs"),
        (["nothing.json"], "nothing.json: there is no such file"),
        (["junk.json"], "junk.json is not a record of dials.truncfix"),
        (["old.json"], "old.json is a record of schema 0"),
        (["earlier.json"], "earlier.json holds no histograms and no pictures"),
        (["damaged.json"], "No report was written: damaged.json is a damaged record"),
    ],
)
def test_refusals(again, files, told):
    content = json.loads((again / "dials.truncfix.json").read_text())
    (again / "junk.json").write_text("{}")
    (again / "old.json").write_text(json.dumps({**content, "schema": 0}))
    earlier = {k: v for k, v in content.items() if k != "illustrations"}
    (again / "earlier.json").write_text(json.dumps(earlier))
    (again / "damaged.json").write_text(json.dumps({**content, "verdict": 3}))
    before = files_of(again)
    sentence = fails(["mode=report", *files])
    assert told in sentence and "\n" not in sentence
    assert files_of(again) == before


def test_the_record_is_not_written_over(again):
    told = fails(
        ["mode=report", "dials.truncfix.json", "output.html=dials.truncfix.json"]
    )
    assert "is an input and would be overwritten" in told


def test_a_report_that_cannot_be_written_is_found_out_before_the_work(recording, here):
    expt = imported(recording, here)
    told = fails([expt, *SMALL, "output.html=absent/dials.truncfix.html"])
    assert "absent/dials.truncfix.html: No such file or directory" in told
    assert files_of(here) == []
    told = fails([expt, *SMALL, "output.html=dials.truncfix.json"])
    assert "given for two outputs" in told


def test_a_name_that_is_markup(here):
    true = true_frames(2)
    recording = record(here / "movie", true)
    evil = recording.path.with_name("<img src=x onerror=alert(1)>_000.tvips")
    recording.path.rename(evil)
    run([str(imported(type(recording)(evil, true, true), here)), *WITH_REPORT])
    page = (here / "dials.truncfix.html").read_text()
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;_000.tvips" in page


def test_a_check_has_a_report_of_its_verdict(recording, here):
    run([str(imported(recording, here)), "mode=check"])
    page = (here / "dials.truncfix.html").read_text()
    assert "The images were truncated" in page
    assert "dials.truncfix would correct these images" in page
    assert page.count('class="drawing"') == 2


@pytest.mark.parametrize(
    "options",
    [
        ["regions.shape=sectors", "annuli.minimum_pixels=1000"],
        ["fit.histograms=sweep"],
        ["annuli.count=1"],
        ["output.format=smv"],
        ["output.format=sidecar", "replicates=2"],
        ["assign=expected", "fit.model=paper"],
    ],
    ids=lambda options: options[0],
)
def test_reports_of_other_corrections(recording, here, options):
    run([str(imported(recording, here)), *WITH_REPORT, *options])
    page = (here / "dials.truncfix.html").read_text()
    n_histograms = {"annuli.count=1": 1}.get(options[0], 4)
    assert page.count('class="drawing"') >= 14 + n_histograms


def test_a_sweep_without_zeros(here):
    bright = record(here / "movie", true_frames(2, level=60.0) + 1)
    run([str(imported(bright, here)), *WITH_REPORT])
    page = (here / "dials.truncfix.html").read_text()
    assert "There are no zeros to correct" in page
    assert "truncfix_#####.cbf" in page
    assert 'class="drawing"' not in page
