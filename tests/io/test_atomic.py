"""A file is complete or absent."""

from __future__ import annotations

import os

import pytest

from dials_truncfix.io.atomic import atomic_write


def test_content_and_permissions_are_those_of_an_ordinary_file(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.write_bytes(b"x")
    with atomic_write(tmp_path / "a.cbf", fsync=True) as stream:
        stream.write(b"pixels")
        assert not (tmp_path / "a.cbf").exists()
    assert (tmp_path / "a.cbf").read_bytes() == b"pixels"
    assert (tmp_path / "a.cbf").stat().st_mode == ordinary.stat().st_mode


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError, SystemExit])
def test_interruption_leaves_the_old_file_and_nothing_else(tmp_path, interruption):
    target = tmp_path / "a.cbf"
    target.write_bytes(b"old")
    with pytest.raises(interruption):
        with atomic_write(target) as stream:
            stream.write(b"half of the ne")
            raise interruption
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.cbf"]


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        with atomic_write(tmp_path / "nowhere" / "a.cbf"):
            pass


def test_what_is_no_file_is_not_replaced(tmp_path):
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path, error in ((pipe, FileExistsError), (folder, IsADirectoryError)):
        with pytest.raises(error, match=path.name), atomic_write(path):
            pass
    assert pipe.is_fifo()
    assert sorted(tmp_path.iterdir()) == [folder, pipe]


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    path = tmp_path / "missing" / "file"
    with pytest.raises(FileNotFoundError) as failure, atomic_write(path):
        pass
    assert failure.value.filename == str(path)


@pytest.mark.parametrize("there", [True, False], ids=["link", "dangling link"])
def test_a_link_is_replaced_and_its_target_stays(tmp_path, there):
    target, link = tmp_path / "input", tmp_path / "output"
    if there:
        target.write_bytes(b"input")
    link.symlink_to(target)
    with atomic_write(link) as stream:
        stream.write(b"output")
    assert link.read_bytes() == b"output" and not link.is_symlink()
    assert target.exists() == there
    assert not there or target.read_bytes() == b"input"
