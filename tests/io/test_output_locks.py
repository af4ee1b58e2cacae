from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dials_truncfix.io.output_locks import locked_outputs

HOLDS = """
import sys, time
from pathlib import Path
from dials_truncfix.io.atomic import atomic_write
from dials_truncfix.io.output_locks import locked_outputs
paths = [Path(path) for path in sys.argv[1:]]
with locked_outputs(paths), atomic_write(paths[0]):
    print("locked", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that has begun to write two files."""
    paths = [str(tmp_path / name) for name in ("a.expt", "b[1].json")]
    command = [sys.executable, "-c", HOLDS, *paths]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@pytest.mark.parametrize("name", ["a.expt", "b[1].json"])
def test_another_process_is_refused_and_named(tmp_path, holder, name):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BlockingIOError) as told, locked_outputs([tmp_path / name]):
        pass
    assert told.value.filename == str(tmp_path / name)
    assert f"process {holder.pid} on " in told.value.strerror
    assert sorted(tmp_path.iterdir()) == before


def test_other_outputs_can_be_written_meanwhile(tmp_path, holder):
    with locked_outputs([tmp_path / "c.expt"]):
        pass


def test_a_killed_process_leaves_no_lock_and_its_leftovers_go(tmp_path, holder):
    holder.kill()
    holder.wait()
    kept = tmp_path / ".a.expt.not-ours.tmp"
    kept.touch()
    assert len(list(tmp_path.glob(".a.expt.*"))) == 3
    with locked_outputs([tmp_path / "a.expt", tmp_path / "b[1].json"]):
        pass
    assert list(tmp_path.iterdir()) == [kept]


def test_a_lock_leaves_nothing_whatever_happens(tmp_path):
    with pytest.raises(KeyboardInterrupt), locked_outputs([tmp_path / "a"]):
        assert [path.name for path in tmp_path.iterdir()] == [".a.lock"]
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_one_process_may_not_lock_twice(tmp_path):
    with locked_outputs([tmp_path / "a"]):
        with pytest.raises(BlockingIOError), locked_outputs([tmp_path / "a"]):
            pass
        # and has not lost what it had
        with pytest.raises(BlockingIOError), locked_outputs([tmp_path / "a"]):
            pass


def test_a_folder_that_is_missing_is_told_by_the_output(tmp_path):
    path = tmp_path / "missing" / "a"
    with pytest.raises(FileNotFoundError) as told, locked_outputs([path]):
        pass
    assert told.value.filename == str(path)


def test_devices_are_not_locked():
    with locked_outputs([Path("/dev/null")]), locked_outputs([Path("/dev/null")]):
        assert not Path("/dev/.null.lock").exists()
