from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dials.util import Sorry

from dials_truncfix.command_line.truncfix_calibrate import run
from dials_truncfix.simulate.grating import grating_electrons

QUIET = ["output.log=None", "output.html=None"]


def add(magnification, *args):
    run(["mode=table", "action=add", f"table.magnification={magnification}", *args])


def lines():
    return Path("magnifications.csv").read_text().splitlines()


def test_a_grating_measured_at_two_magnifications(here):
    for magnification, pitch, turn in ((2000, 20.0, 0.1), (3000, 30.0, 0.3)):
        c, s = pitch * np.cos(turn), pitch * np.sin(turn)
        electrons = grating_electrons((400, 420), [[c, s], [-s, c]], 20.0)
        image = np.random.default_rng(1).poisson(electrons).astype(np.uint16)
        tifffile.imwrite("grating.tif", image)
        run(["mode=pixel_size", "grating.tif"])
        add(magnification, "dials.truncfix_calibrate.json")
    record = json.loads(Path("magnifications.json").read_text())
    low, high = record["cameras"]["0"]["magnifications"]
    assert low["pixel_size_nm"] == pytest.approx(1e6 / 2160 / 20, rel=1e-3)
    assert high["relative_rotation_deg"] == pytest.approx(np.degrees(0.2), abs=0.1)
    assert (
        "Pixel size × magnification"
        in (here / "dials.truncfix_calibrate.html").read_text()
    )
    before = lines()
    run(
        [
            "mode=table",
            "action=turn",
            "table.magnification=3000",
            "quarter_turns=-1",
            *QUIET,
        ]
    )
    assert lines()[:2] == before[:2]
    record = json.loads(Path("magnifications.json").read_text())
    high = record["cameras"]["0"]["magnifications"][1]
    assert high["relative_rotation_deg"] == pytest.approx(np.degrees(0.2) - 90, abs=0.1)
    run(["mode=table", "action=remove", "table.magnification=3000", *QUIET])
    assert lines() == before[:2]
    run(["mode=table"])


def test_columns_of_others_stay(here):
    Path("magnifications.csv").write_text("camera,magnification,note\nK3,9,mine\n")
    add(5, "table.pixel_size=3", *QUIET)
    header, first, second = lines()
    assert header.endswith(",note") and first.startswith("K3,9.0,")
    assert first.endswith(",mine") and second.startswith("0,5.0,3.0,")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "there is no such table"),
        (["action=add"], "needs table.magnification"),
        (["action=add", "table.magnification=5"], "takes one result"),
        (["action=add", "table.magnification=5", "table.turn=4"], "give it as table.reference"),
        (["action=remove", "table.magnification=5"], "has no magnification 5"),
        (["action=add", "table.magnification=5", "other.json"], "is no result of"),
        (["other.json"], "only table.action=add takes a file"),
        (["table.file=other.json", "action=remove", "table.magnification=5"],
         "no table of magnifications"),
    ],
)  # fmt: skip
def test_wrong_input_is_named(here, args, words):
    Path("other.json").write_text('{"schema": "something"}')
    with pytest.raises(Sorry, match=words):
        run(["mode=table", *args, *QUIET])
    assert [p.name for p in here.iterdir()] == ["other.json"]


def test_a_result_of_brackets_is_damaged(here):
    Path("other.json").write_text('{"schema": ' + "[" * 10**5)
    with pytest.raises(Sorry, match="other.json is damaged"):
        run(["mode=table", "action=add", "table.magnification=5", "other.json", *QUIET])


@pytest.mark.slow
def test_processes_that_add_at_once_lose_no_row(here):
    """Who finds the table taken says so; every row that was promised is there."""
    code = "from dials_truncfix.command_line.truncfix_calibrate import run; run()"
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                code,
                "mode=table",
                "action=add",
                "table.pixel_size=2",
                f"table.magnification={k}",
                *QUIET,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        for k in range(1, 7)
    ]
    added = []
    for k, process in enumerate(running, 1):
        _, complaint = process.communicate()
        if process.returncode == 0:
            added.append(f"0,{k}.0,")
        else:
            assert "Another run" in complaint
    assert added
    assert sorted(line[:6] for line in lines()[1:]) == added
