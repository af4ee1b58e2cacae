from __future__ import annotations

import os

import pytest

from dials_truncfix.io.atomic import atomic_write
from dials_truncfix.io.work_folder import (
    clear,
    move_out,
    remove_half_written,
    work_folder,
)

INTERRUPTS = (KeyboardInterrupt, SystemExit, ChildProcessError)


@pytest.mark.parametrize("error", [OSError, *INTERRUPTS, None])
@pytest.mark.parametrize("outlives", [True, False])
def test_only_what_shall_outlive_an_interrupt_stays(tmp_path, error, outlives):
    path = tmp_path / ".work"
    kept = outlives and error in INTERRUPTS
    try:
        with work_folder(path, outlives_interrupts=outlives):
            (path / "a").touch()
            if error is not None:
                raise error
    except BaseException as raised:
        assert type(raised) is error
    assert sorted(p.name for p in tmp_path.rglob("*")) == (
        [".work", "a"] if kept else []
    )


def test_one_process_at_a_time(tmp_path):
    path = tmp_path / ".work"
    with work_folder(path, outlives_interrupts=False):
        (path / "a").touch()
        with (
            pytest.raises(BlockingIOError),
            work_folder(path, outlives_interrupts=False),
        ):
            pass
        assert (path / "a").exists()


def test_clear_keeps_what_it_is_told(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / "c").touch()
    assert clear(tmp_path, kept="b") == ["a", "c"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["b", "file"]


def test_half_written_files_go(tmp_path):
    with pytest.raises(KeyError), atomic_write(tmp_path / "a") as stream:
        os.link(stream.name, tmp_path / ".a.0123456789ab.tmp")
        raise KeyError
    (tmp_path / "b.tmp").touch()
    remove_half_written(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b.tmp"]


def test_files_move_and_folders_stay(tmp_path):
    folder, place = tmp_path / "from", tmp_path / "to"
    for path in (folder / "journal", place):
        path.mkdir(parents=True)
    (folder / "a").write_text("new")
    (place / "a").write_text("old")
    move_out(folder, place)
    assert (place / "a").read_text() == "new"
    assert [path.name for path in folder.iterdir()] == ["journal"]


def test_what_cannot_be_moved_leaves_nothing_new(tmp_path, monkeypatch):
    folder, place = tmp_path / "from", tmp_path / "to"
    for path in (folder, place):
        path.mkdir()
    for name in ("a", "b"):
        (folder / name).touch()
    replace = os.replace

    def full(one, other):
        if other.name == "b":
            raise OSError(28, "No space left on device")
        replace(one, other)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        move_out(folder, place)
    assert list(place.iterdir()) == []
