"""The files of a sweep: their hashes, and whether they change while they are read."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from dials_truncfix.parallel import TaskMap
from dials_truncfix.sweep.source import sha256
from dials_truncfix.sweep.work import blocks

#: Time stamps of file systems are no finer than this, s.
_COARSEST_TIME = 2.0
#: Sweeps of one file an image have thousands of them.
_FILES_PER_TASK = 32


class Inputs:
    """Files that have to stay as they are until the work is done.

    Size, time of modification and inode tell a change. Contents decide where the clock of
    the file system cannot: of files modified within two seconds of the start, or in its
    future, and of those of which only the time of the last change of the inode differs,
    because they were linked, renamed or given other permissions, or their time of
    modification was set.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        The files.
    tasks : TaskMap
        Where they are hashed.

    Raises
    ------
    OSError
        When one cannot be read.
    """

    def __init__(self, paths: Sequence[Path], tasks: TaskMap | None = None) -> None:
        self._tasks = tasks or TaskMap()
        self._before = {path: path.stat() for path in paths}
        newest = time.time() - _COARSEST_TIME
        self._young = {p for p, s in self._before.items() if s.st_mtime > newest}

    @cached_property
    def hashes(self) -> dict[Path, str]:
        """SHA-256 of each file."""
        return self._hash(list(self._before))

    def record(self) -> list[dict[str, Any]]:
        """Path, size and hash of each file, plain JSON values."""
        return [
            {
                "path": str(path),
                "bytes": self._before[path].st_size,
                "sha256": self.hashes[path],
            }
            for path in self._before
        ]

    def refuse_changed(self) -> None:
        """Raise a ValueError when a file has changed since the start."""
        doubtful = set(self._young)
        for path, before in self._before.items():
            try:
                now = path.stat()
            except OSError as error:
                raise ValueError(
                    f"{path} went away while it was read ({error.strerror}): put it "
                    "back, and run dials.truncfix again"
                ) from None
            if _changed(before, now):
                raise ValueError(_words(path, before, now))
            if before.st_ctime_ns != now.st_ctime_ns:
                doubtful.add(path)
        if not doubtful or "hashes" not in self.__dict__:
            return
        for path, digest in self._hash(sorted(doubtful)).items():
            if digest != self.hashes[path]:
                raise ValueError(_words(path, self._before[path], path.stat()))

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """See to it that a failure is put down to a change of the files, if there was one."""
        try:
            yield
        except Exception:
            self.refuse_changed()
            raise

    def _hash(self, paths: Sequence[Path]) -> dict[Path, str]:
        todo = blocks(paths, _FILES_PER_TASK)
        done = self._tasks(hash_files, todo)
        return dict(zip(paths, (digest for block in done for digest in block)))


def hash_files(paths: Sequence[Path]) -> list[str]:
    """Hash some files."""
    return [sha256(path) for path in paths]


def _changed(before: os.stat_result, now: os.stat_result) -> bool:
    return any(
        getattr(before, name) != getattr(now, name)
        for name in ("st_size", "st_mtime_ns", "st_ino", "st_dev")
    )


def _words(path: Path, before: os.stat_result, now: os.stat_result) -> str:
    sizes = (
        f"it has {now.st_size} bytes instead of {before.st_size}"
        if now.st_size != before.st_size
        else "its size is the same"
    )
    return (
        f"{path} changed while it was read ({sizes}): wait until it is complete, and run "
        "dials.truncfix again"
    )
