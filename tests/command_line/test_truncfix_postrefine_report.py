"""The report of dials.truncfix_postrefine as a user gets it."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from dials.util import Sorry

from dials_truncfix.command_line.truncfix_postrefine import run
from dials_truncfix.command_line.truncfix_simulate import run as simulate
from dials_truncfix.report import plotly_js

pytest.importorskip("plotly")
pytest.importorskip("jinja2")

JSON, HTML = "dials.truncfix_postrefine.json", "dials.truncfix_postrefine.html"
ONLY_REPORT = [
    *("nproc=1", "model=gaussian"),
    *("output.experiments=None", "output.reflections=None", "output.mtz=None"),
    "output.log=None",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small run with its report."""
    folder = tmp_path_factory.mktemp("finished")
    before = os.getcwd()
    os.chdir(folder)
    try:
        simulate(
            [
                *("source=stills", "d_min=5", "stills.n_lattices=40"),
                "output.directory=stills",
            ]
        )
        run(["stills/integrated.expt", "stills/integrated.refl", *ONLY_REPORT])
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def again(finished, here):
    """The record of that run alone, in another folder."""
    shutil.copy(finished / JSON, here)
    return here


def fails(args):
    with pytest.raises(Sorry) as error:
        run(args)
    assert "\n" not in str(error.value)
    return str(error.value)


def files_of(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_report_is_made_again_from_the_record_alone(finished, again):
    run(["mode=report", JSON])
    assert files_of(again) == [HTML, JSON]
    assert (again / HTML).read_bytes() == (finished / HTML).read_bytes()


def test_a_report_without_a_record(finished, here):
    files = [
        str(finished / "stills" / f"integrated.{kind}") for kind in ("expt", "refl")
    ]
    run([*files, *ONLY_REPORT, "output.json=None"])
    assert files_of(here) == [HTML]


def test_without_plotly_lattices_are_refined_and_the_log_says_why(
    finished, here, caplog, monkeypatch
):
    monkeypatch.setattr(
        plotly_js, "find_spec", lambda name: None if name == "plotly" else object()
    )
    files = [
        str(finished / "stills" / f"integrated.{kind}") for kind in ("expt", "refl")
    ]
    run([*files, *ONLY_REPORT])
    assert files_of(here) == [JSON]
    assert "No report was written: plotly is not installed: add it" in caplog.text
    assert "plotly is not installed" in fails(["mode=report", JSON])


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([], "was given no records: give one, which a refinement wrote"),
        ([JSON, JSON], "was given 2 records"),
        (["nothing.json"], "nothing.json: there is no such file"),
        (["junk.json"], "junk.json is not a record of dials.truncfix_postrefine"),
        (["old.json"], "old.json is a record of schema 0"),
        (["earlier.json"], "earlier.json holds no partialities"),
        (["damaged.json"], "No report was written: damaged.json is a damaged record"),
        ([JSON, "output.html=None"], "output.html cannot be None"),
        ([JSON, f"output.html={JSON}"], "is an input and would be overwritten"),
    ],
)
def test_refusals(again, args, told):
    content = json.loads((again / JSON).read_text())
    earlier = {name: value for name, value in content.items() if name != "profiles"}
    for name, record in (
        ("junk", {}),
        ("old", {**content, "schema": 0}),
        ("earlier", earlier),
        ("damaged", {**content, "lattices": 3}),
    ):
        (again / f"{name}.json").write_text(json.dumps(record))
    before = files_of(again)
    assert told in fails(["mode=report", *args])
    assert files_of(again) == before


def test_a_report_that_cannot_be_written_is_found_out_before_the_work(finished, here):
    files = [
        str(finished / "stills" / f"integrated.{kind}") for kind in ("expt", "refl")
    ]
    told = fails([*files, *ONLY_REPORT, "output.html=absent/page.html"])
    assert "absent/page.html: No such file or directory" in told
    assert files_of(here) == []
