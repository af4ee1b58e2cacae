from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dials_truncfix.io.staging import (
    output_folder,
    remove_abandoned,
    staged_files,
    staging_folder,
)


def test_files_appear_when_all_went_well(tmp_path):
    destination = tmp_path / "new" / "folder"
    with staging_folder(destination) as staging:
        (staging / "a").write_text("1")
        assert not (destination / "a").exists()
    assert [p.name for p in destination.iterdir()] == ["a"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_nothing_is_left_after_an_exception(tmp_path, error):
    with pytest.raises(error), staging_folder(tmp_path / "new" / "folder") as staging:
        (staging / "a").write_text("1")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_keeps_what_it_holds(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(OSError), staging_folder(tmp_path) as staging:
        (staging / "a").write_text("new")
        raise OSError
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_folder_in_the_way_of_a_file_is_found_before_any_file_is_moved(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(IsADirectoryError, match="b"):
        with staging_folder(tmp_path) as staging:
            (staging / "a").write_text("1")
            (staging / "b").write_text("2")
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_a_folder_that_was_made_goes_with_an_exception_unless_it_is_used(tmp_path):
    with pytest.raises(OSError), output_folder(tmp_path / "new" / "folder"):
        raise OSError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError), output_folder(tmp_path / "new" / "folder"):
        (tmp_path / "new" / "a").write_text("1")
        raise OSError
    assert [p.name for p in tmp_path.rglob("*")] == ["new", "a"]


def test_several_files_appear_together_or_not_at_all(tmp_path):
    paths = [tmp_path / "a.json", tmp_path / "b.mtz"]
    paths[0].write_text("old")
    with pytest.raises(RuntimeError):
        with staged_files(paths) as staged:
            staged[0].write_text("new")
            raise RuntimeError
    assert paths[0].read_text() == "old"
    with staged_files(paths) as staged:
        assert [path.suffix for path in staged] == [".json", ".mtz"]
        for path in staged:
            path.write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.mtz"]
    assert all(path.read_text() == "new" for path in paths)


WAITS = """
import sys, time
from pathlib import Path
from dials_truncfix.io.staging import staging_folder
with staging_folder(Path(sys.argv[1])) as staging:
    (staging / "a").write_text("1")
    print(staging, flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / ".truncfix-someone's").mkdir()
    (tmp_path / ".truncfix-file").touch()
    (tmp_path / ".truncfix-link").symlink_to(tmp_path / ".truncfix-someone's")
    others = sorted(tmp_path.iterdir())
    command = [sys.executable, "-c", WAITS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        folder = tmp_path / process.stdout.readline().strip()
        os.utime(folder, (0, 0))
        # at work, however old
        assert remove_abandoned(tmp_path) == []
        process.kill()
        process.wait()
        (folder / "b").touch()
        # perhaps not yet locked
        assert remove_abandoned(tmp_path) == []
        for path in (folder, *others):
            os.utime(path, (0, 0), follow_symlinks=False)
        assert remove_abandoned(tmp_path) == [folder]
    assert sorted(tmp_path.iterdir()) == others
    assert remove_abandoned(tmp_path / "absent") == []


@pytest.mark.parametrize("there", [True, False], ids=["link", "dangling link"])
def test_links_are_replaced_and_their_targets_stay(tmp_path, there):
    target = tmp_path / "input"
    if there:
        target.write_text("input")
    for name in ("one", "other"):
        (tmp_path / name).symlink_to(target)
    with staged_files([tmp_path / "one"]) as (staged,):
        staged.write_text("output")
    with staging_folder(tmp_path) as staging:
        (staging / "other").write_text("output")
    for name in ("one", "other"):
        assert (tmp_path / name).read_text() == "output"
        assert not (tmp_path / name).is_symlink()
    assert target.exists() == there
    assert not there or target.read_text() == "input"
