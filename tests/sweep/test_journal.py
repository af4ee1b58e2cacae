from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from dials_truncfix.parallel import task_map
from dials_truncfix.sweep import journal as journal_module
from dials_truncfix.sweep.journal import Journal, is_whole, mark

DONE = []


@dataclass(frozen=True)
class Place:
    """Where a task writes."""

    paths: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """Writes a number."""

    number: int
    destinations: tuple[Place, ...]
    sweep: bytes = b"not among what tells tasks apart"


def write_number(task):
    DONE.append(task.number)
    (place,) = task.destinations
    Path(place.paths[0]).write_text(str(task.number))
    return 10 * task.number


@pytest.fixture
def todo(tmp_path, monkeypatch):
    """Four tasks, and folders for what they make."""
    monkeypatch.setattr(journal_module, "_KEPT", {write_number: int})
    for name in ("journal", "staged", "final"):
        (tmp_path / name).mkdir()
    return [Task(i, (Place((str(tmp_path / "staged" / f"{i}"),)),)) for i in range(4)]


def go_through(tmp_path, tasks):
    """Results, which tasks were done, and how many files were kept."""
    DONE.clear()
    staged = tmp_path / "staged"
    with task_map(1) as task_map_:
        journal = Journal(tmp_path / "journal", task_map_, {staged: tmp_path / "final"})
        results = list(journal(write_number, tasks))
    return results, list(DONE), journal.n_kept


def test_everything_is_done_once(tmp_path, todo):
    assert go_through(tmp_path, todo) == ([0, 10, 20, 30], [0, 1, 2, 3], 0)
    assert go_through(tmp_path, todo) == ([0, 10, 20, 30], [], 4)


def test_what_was_moved_counts(tmp_path, todo):
    go_through(tmp_path, todo)
    os.replace(tmp_path / "staged" / "2", tmp_path / "final" / "2")
    assert go_through(tmp_path, todo) == ([0, 10, 20, 30], [], 4)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: os.truncate(path, 0),
        lambda path: path.write_text("x"),
        lambda path: path.unlink(),
    ],
)
@pytest.mark.parametrize("name", ["staged/1", "journal/1_write_number_00001.json"])
def test_what_is_not_whole_is_done_again(tmp_path, todo, name, damage):
    go_through(tmp_path, todo)
    damage(tmp_path / name)
    assert go_through(tmp_path, todo) == ([0, 10, 20, 30], [1], 3)


def test_marks_tell_large_files_apart(tmp_path):
    path = tmp_path / "image"
    content = bytearray(np.random.default_rng(0).bytes(5_000_000))
    path.write_bytes(content)
    whole = mark(path)
    assert is_whole(path, whole)
    for start, stop in (
        (0, 1),
        (len(content) - 1, len(content)),
        (2**20, 2**20 + 2**12),
    ):
        changed = content.copy()
        # as a disk leaves what was not written yet
        changed[start:stop] = bytes(stop - start)
        path.write_bytes(changed)
        assert not is_whole(path, whole)
    path.write_bytes(content[:-1])
    assert not is_whole(path, whole)
    path.unlink()
    assert not is_whole(path, whole)


def test_what_another_task_has_done_does_not_count(tmp_path, todo):
    go_through(tmp_path, todo)
    others = [*todo[:3], replace(todo[3], number=7)]
    assert go_through(tmp_path, others) == ([0, 10, 20, 70], [7], 3)


def test_marks_are_those_of_the_files_in_their_final_place(tmp_path, todo):
    for _ in range(2):
        with task_map(1) as tasks:
            final = {tmp_path / "staged": tmp_path / "final"}
            journal = Journal(tmp_path / "journal", tasks, final)
            list(journal(write_number, todo))
        assert list(journal.marks) == [tmp_path / "final" / str(i) for i in range(4)]
        assert len(set(journal.marks.values())) == 4


def test_other_functions_are_called_as_ever(tmp_path, todo):
    with task_map(1) as tasks:
        journal = Journal(tmp_path / "journal", tasks, {})
        assert list(journal(abs, [-1, 2])) == [1, 2]
    assert not list((tmp_path / "journal").iterdir())
