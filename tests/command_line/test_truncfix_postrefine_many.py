"""Many lattices: several input files, numbered output, nothing left behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from dials.array_family import flex
from dials.util import Sorry
from dxtbx.model import ExperimentList

from dials_truncfix.command_line.truncfix_postrefine import run
from dials_truncfix.command_line.truncfix_simulate import run as simulate
from dials_truncfix.postrefine.cycles import passes
from dials_truncfix.postrefine.input import large_files

N_LATTICES, IN_BATCH = 40, 15
ARGUMENTS = ["model=gaussian", "cycles.maximum=2", "output.log=None"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same lattices in one pair of files and in batches."""
    path = tmp_path_factory.mktemp("many")
    before = os.getcwd()
    os.chdir(path)
    try:
        simulate(
            [
                "source=stills",
                "d_min=3.5",
                f"stills.n_lattices={N_LATTICES}",
                "output.directory=one",
                "output.log=None",
            ]
        )
        cut(path / "one", path / "batches")
    finally:
        os.chdir(before)
    return path


def cut(whole: Path, batches: Path):
    batches.mkdir()
    experiments = ExperimentList.from_file(str(whole / "integrated.expt"), False)
    table = flex.reflection_table.from_file(str(whole / "integrated.refl"))
    for number, first in enumerate(range(0, N_LATTICES, IN_BATCH)):
        part = experiments[first : first + IN_BATCH]
        rows = (table["id"] >= first) & (table["id"] < first + IN_BATCH)
        mine = table.select(rows)
        mine.reset_ids()
        part.as_file(str(batches / f"batch_{number}.expt"))
        mine.as_file(str(batches / f"batch_{number}.refl"))


def assert_same(found, expected, where="record"):
    """Numbers to 10⁻⁹ of themselves, everything else as it is."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_same(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, value in enumerate(expected):
            assert_same(found[number], value, f"{where}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12), where
    else:
        assert found == expected, where


def refined(folder, monkeypatch, name, files, *args):
    output = folder / name
    output.mkdir()
    monkeypatch.chdir(output)
    run([*map(str, files), *ARGUMENTS, *args])
    record = json.loads(Path("dials.truncfix_postrefine.json").read_text())
    assert not list(output.glob(".truncfix-*"))
    return record


def test_batches_and_processes_make_no_difference(folder, monkeypatch):
    """All parameters and figures to the last digit; writing crystals costs some of it."""
    monkeypatch.setattr(passes, "BLOCK", 2000)
    whole = refined(
        folder, monkeypatch, "a", [folder / "one/integrated.refl"], "nproc=1"
    )
    batches = sorted((folder / "batches").iterdir())
    parts = refined(folder, monkeypatch, "b", batches, "nproc=1")
    two = refined(folder, monkeypatch, "c", batches, "nproc=2")
    assert parts["files"] == two["files"]
    for record in (parts, two):
        del record["files"]
    assert parts == two
    assert len(whole["lattices"]) == N_LATTICES
    for one, other in zip(whole["lattices"], parts["lattices"]):
        assert one["identifier"] == other["identifier"]
        for name in ("G", "B", "theta_x", "rs"):
            assert one[name] == pytest.approx(other[name], rel=1e-8)
    tables = [(folder / name / "merged.mtz").read_bytes() for name in "bc"]
    assert len(tables[0]) == len(tables[1])


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_large_pair_is_read_in_parts(folder, monkeypatch, shuffled):
    """All figures as if read as a whole, in whatever order the reflections are."""
    name = f"large_{shuffled}"
    path = folder / f"{name}.refl"
    table = flex.reflection_table.from_file(str(folder / "one/integrated.refl"))
    order = np.arange(len(table))
    if shuffled:
        order = np.random.default_rng(0).permutation(order)
    table = table.select(flex.size_t(order.tolist()))
    table["id"][3] = -1
    table.as_file(str(path))
    experiments = (folder / "one" / "integrated.expt").read_bytes()
    path.with_suffix(".expt").write_bytes(experiments)
    whole = refined(folder, monkeypatch, f"{name}_whole", [path], "nproc=1")
    assert whole["left_out"]["without an experiment"] == 1
    monkeypatch.setattr(large_files, "LARGE", 1000)
    monkeypatch.setattr(large_files, "AT_ONCE", 15)
    pieces = []
    load = large_files.PartOfFile.load
    monkeypatch.setattr(
        large_files.PartOfFile, "load", lambda self: pieces.append(self) or load(self)
    )
    parts = refined(folder, monkeypatch, f"{name}_parts", [path], "nproc=1")
    assert len(set(pieces)) == 3
    assert_same(parts, whole)


def test_output_is_numbered_where_one_file_would_be_too_large(folder, monkeypatch):
    """The same reflections as in one file; names and ids go on from part to part."""
    batches = sorted((folder / "batches").iterdir())
    refined(folder, monkeypatch, "d", batches, "nproc=1", "output.lattices_per_file=30")
    refined(folder, monkeypatch, "e", batches, "nproc=1")
    names = ["postrefined_000", "postrefined_001"]
    assert sorted(p.stem for p in (folder / "d").glob("*.refl")) == names
    assert not (folder / "d" / "postrefined.refl").exists()
    tables, identifiers = [], []
    for name in names:
        table = flex.reflection_table.from_file(str(folder / "d" / f"{name}.refl"))
        experiments = ExperimentList.from_file(
            str(folder / "d" / f"{name}.expt"), False
        )
        table.assert_experiment_identifiers_are_consistent(experiments)
        tables.append(table)
        identifiers += list(experiments.identifiers())
    whole = flex.reflection_table.from_file(str(folder / "e" / "postrefined.refl"))
    experiments = ExperimentList.from_file(
        str(folder / "e" / "postrefined.expt"), False
    )
    assert identifiers == list(experiments.identifiers())
    assert len(identifiers) == N_LATTICES
    for column in ("intensity.scale.value", "partiality.calculated", "d"):
        np.testing.assert_array_equal(
            np.concatenate([table[column].as_numpy_array() for table in tables]),
            whole[column].as_numpy_array(),
        )


def test_parts_of_an_earlier_run_are_named(folder, monkeypatch, caplog):
    batches = sorted((folder / "batches").iterdir())
    output = folder / "f"
    output.mkdir()
    (output / "postrefined_000.refl").write_bytes(b"old")
    monkeypatch.chdir(output)
    with caplog.at_level("WARNING", "dials.truncfix.postrefine"):
        run([*map(str, batches), *ARGUMENTS, "nproc=1"])
    assert "postrefined_000.refl is of an earlier run" in caplog.text
    assert (output / "postrefined_000.refl").read_bytes() == b"old"


def test_nothing_is_left_after_an_error(folder, monkeypatch):
    output = folder / "g"
    output.mkdir()
    monkeypatch.chdir(output)
    broken = output / "broken.refl"
    whole = (folder / "one" / "integrated.refl").read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    (output / "broken.expt").write_bytes((folder / "one/integrated.expt").read_bytes())
    with pytest.raises(Sorry, match="broken.refl: the file is damaged"):
        batches = (folder / "batches").iterdir()
        run([*map(str, [*batches, *output.iterdir()]), *ARGUMENTS])
    assert sorted(p.name for p in output.iterdir()) == ["broken.expt", "broken.refl"]
