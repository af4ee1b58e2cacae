from __future__ import annotations

import hashlib
import os

import pytest

from dials_truncfix.sweep.inputs import Inputs


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_bytes(path.name.encode() * 100)
        os.utime(path, (1e9, 1e9))
    return paths


def test_files_that_stay_are_recorded(files):
    inputs = Inputs(files)
    assert inputs.record()[1] == {
        "path": str(files[1]),
        "bytes": 100,
        "sha256": hashlib.sha256(b"b" * 100).hexdigest(),
    }
    inputs.refuse_changed()


def test_reading_is_no_change(files):
    inputs = Inputs(files)
    files[0].read_bytes()
    os.utime(files[0], (2e9, 1e9))
    inputs.refuse_changed()


def rewrite(path):
    path.write_bytes(b"x" * 100)


def exchange(path):
    other = path.with_name("other")
    other.write_bytes(b"x" * 100)
    os.utime(other, (1e9, 1e9))
    os.replace(other, path)


def rewrite_with_old_time(path):
    path.write_bytes(b"x" * 100)
    os.utime(path, (1e9, 1e9))


@pytest.mark.parametrize(
    "change, words",
    [
        (rewrite, "its size is the same"),
        (exchange, "its size is the same"),
        (rewrite_with_old_time, "its size is the same"),
        (lambda path: os.truncate(path, 50), "50 bytes instead of 100"),
        (lambda path: path.open("ab").write(b"x"), "101 bytes instead of 100"),
        (lambda path: path.unlink(), "went away"),
    ],
)
def test_changes_are_refused(files, change, words):
    inputs = Inputs(files)
    assert inputs.hashes
    change(files[1])
    with pytest.raises(ValueError, match=words) as told:
        inputs.refuse_changed()
    assert str(files[1]) in str(told.value)


def test_another_name_or_other_permissions_are_no_change(files):
    inputs = Inputs(files)
    assert inputs.hashes
    os.link(files[0], files[0].with_name("link"))
    files[1].chmod(0o600)
    inputs.refuse_changed()


def test_of_young_files_the_contents_decide(files):
    os.utime(files[0], (4e9, 4e9))
    inputs = Inputs(files)
    assert inputs.hashes
    status = os.stat(files[0])
    files[0].write_bytes(b"x" * 100)
    # as on a file system that tells time by the second
    os.utime(files[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ValueError, match="changed while it was read"):
        inputs.refuse_changed()


def test_a_failure_is_put_down_to_a_change(files):
    inputs = Inputs(files)
    with pytest.raises(RuntimeError), inputs.watched():
        raise RuntimeError
    with pytest.raises(ValueError, match="50 bytes instead of 100"), inputs.watched():
        os.truncate(files[0], 50)
        raise RuntimeError
