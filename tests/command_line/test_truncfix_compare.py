from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from dials.array_family import flex
from dials.util import Sorry

from dials_truncfix.command_line.truncfix_compare import run
from dials_truncfix.simulate.truth import save_truth
from integrated_tables import indexed, integrated, save, truth_of, whole_reflections
from simulated_sweeps import make_small_sweep

SAME, OTHER = np.eye(3, dtype=int), np.diag([-1, 1, -1])
LOST, NOISE = 8.0, 3.0


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two integrations of one sweep, of which the first lost 8 e⁻ everywhere."""
    folder = tmp_path_factory.mktemp("integrated")
    sweep = make_small_sweep()
    true = sweep.reflections.intensity[whole_reflections(sweep)]
    right = true + NOISE * np.random.default_rng(2).standard_normal(len(true))
    for name, operator, electrons in (
        ("before", OTHER, right - LOST),
        ("after", SAME, right),
    ):
        identifier = f"{name}-1"
        table = integrated(sweep, operator, electrons, NOISE, identifier=identifier)
        save(folder, name, table, indexed(sweep, operator, identifier))
    save_truth(folder / "truth.npz", truth_of(sweep))
    return folder


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fails(*arguments):
    with pytest.raises(Sorry) as stop:
        run([str(a) for a in (*arguments, "output.log=None")])
    left = [n for n in os.listdir(".") if n.startswith(("dials.", "."))]
    assert left == []
    return str(stop.value)


def test_a_bare_call_prints_help(capsys):
    with pytest.raises(SystemExit) as stop:
        run([])
    assert stop.value.code == 0
    assert "recorded/integrated.refl corrected/integrated.refl" in (
        capsys.readouterr().out
    )
    assert os.listdir(".") == []


def test_tables_record_and_page(files):
    run(
        [
            *(str(files / n) for n in ("before.refl", "after.refl", "truth.npz")),
            "shells=4",
        ]
    )
    with open("dials.truncfix_compare.json") as stream:
        record = json.load(stream)
    assert record["before"]["experiments"] == str(files / "before.expt")
    assert record["changes"][-1]["change"] == pytest.approx(6 * LOST)
    assert len(record["changes"]) == len(record["merged_after"]) == 5
    bias = record["truth_before"]["bins"][0]["bias"]
    assert bias == pytest.approx(-LOST, abs=0.5)
    with open("dials.truncfix_compare.log") as stream:
        log = stream.read()
    with open("dials.truncfix_compare.html") as stream:
        assert "Against the truth" in stream.read()
    for words in ("Bias against the true intensity", "CC½ says how well", "decides"):
        assert words in log


def test_experiments_are_told_apart_by_their_identifiers(files):
    names = ("before.refl", "after.refl", "after.expt", "before.expt")
    run([*(str(files / n) for n in names), "output.json=swapped.json"])
    with open("swapped.json") as stream:
        record = json.load(stream)
    assert record["before"]["experiments"] == str(files / "before.expt")
    assert record["truth"] is None
    assert "only the true intensities" in record["findings"][-1]


def test_without_identifiers_the_order_counts(files, tmp_path):
    sweep = make_small_sweep()
    true = sweep.reflections.intensity[whole_reflections(sweep)]
    for name, operator in (("a", OTHER), ("b", SAME)):
        table = integrated(sweep, operator, true)
        save(tmp_path, name, table, indexed(sweep, operator))
    run(["a.refl", "b.refl", "a.expt", "b.expt", "output.json=ab.json"])
    with open("ab.json") as stream:
        assert json.load(stream)["changes"][-1]["change"] == pytest.approx(0)


def test_wrong_numbers_of_files_are_named(files):
    before, after = files / "before.refl", files / "after.refl"
    assert "1 reflection files were given" in fails(before)
    assert "both as before and as after" in fails(before, before)
    assert "3 reflection files" in fails(before, after, before)
    assert "2 reflection files and 1 of experiments" in fails(
        before, after, files / "after.expt"
    )
    truth = files / "truth.npz"
    assert "give one truth" in fails(before, after, truth, truth)
    assert "there is no such file" in fails(before, "missing.refl")
    (files / "notes.txt").write_text("x")
    assert "notes.txt: expected reflections" in fails(files / "notes.txt", after)


def test_missing_and_foreign_experiments_are_named(files, tmp_path):
    (tmp_path / "alone.refl").write_bytes((files / "before.refl").read_bytes())
    assert "its experiments are missing" in fails("alone.refl", files / "after.refl")
    (tmp_path / "alone.expt").write_bytes((files / "after.expt").read_bytes())
    message = fails("alone.refl", files / "after.refl")
    assert "alone.refl and alone.expt do not belong together" in message
    (tmp_path / "alone.expt").write_text("[]")
    assert "alone.expt" in fails("alone.refl", files / "after.refl")


def test_damaged_and_newer_tables_are_named(files, tmp_path):
    content = (files / "before.refl").read_bytes()
    (tmp_path / "a.expt").write_bytes((files / "before.expt").read_bytes())
    path = tmp_path / "a.refl"
    path.write_bytes(content[:3000])
    assert "a.refl: the file is damaged" in fails(path, files / "after.refl")
    newer = bytearray(content)
    newer[content.index(b"reflection_table") + len("reflection_table")] = 9
    path.write_bytes(newer)
    message = fails(path, files / "after.refl")
    assert "cannot read reflection files of version 9" in message
    path.write_bytes(b"\x80\x04K\x01.")
    assert "not a reflection file" in fails(path, files / "after.refl")


def test_other_crystals_and_missing_columns_are_named(files, tmp_path):
    sweep = make_small_sweep()
    true = sweep.reflections.intensity[whole_reflections(sweep)]
    half = np.diag([1, 1, 2])
    save(tmp_path, "other", integrated(sweep, SAME, true), indexed(sweep, half))
    message = fails("other.refl", files / "after.refl")
    assert "crystal before is not the one after" in message
    assert "no intensity.scale.value" in fails(
        files / "before.refl", files / "after.refl", "intensity=scale"
    )
    table = integrated(sweep, SAME, true)
    table["miller_index"] = flex.miller_index(len(table), (40, 40, 40))
    save(tmp_path, "moved", table, indexed(sweep, SAME))
    assert "no reflection in common" in fails("moved.refl", files / "after.refl")


def test_values_that_make_no_sense_are_named(files):
    both = (files / "before.refl", files / "after.refl")
    assert "no resolution range" in fails(*both, "d_max=2", "d_min=3")
    assert "must rise" in fails(*both, "truth.intensity_limits=200,50")
    assert "Q is not a space group" in fails(*both, "merging.space_group=Q")
    assert "is an input" in fails(*both, f"output.json={both[0]}")
    Path("bad.npz").write_text("nothing")
    assert "bad.npz: not the truth" in fails(*both, "bad.npz")
