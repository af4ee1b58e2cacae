"""What has been done of a sweep, so that a run goes on where a killed one ended.

Each task writes an entry when its files are complete: their marks, and its result.
The entries of a run lie in a folder whose name is the digest of all that determines
its output, see `run_key`; so nothing of another run is ever taken for a part of it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Callable

from dials_truncfix.io.atomic import atomic_write
from dials_truncfix.io.plain import from_plain, to_plain
from dials_truncfix.parallel import TaskMap
from dials_truncfix.sweep.measure import ImageFits, fit_images
from dials_truncfix.sweep.write import (
    fit_and_write_images,
    smallest_values,
    write_images,
)

#: Functions whose results are kept, and the types of these. The others are quick, or
#: have results that are as large as the images.
_KEPT: dict[Callable[[Any], Any], Any] = {
    fit_images: list[ImageFits],
    fit_and_write_images: list[ImageFits],
    smallest_values: list[int],
    write_images: int,
}
#: Fields of tasks that the key of the run, or the names of the files, stand for.
_LEFT_OUT = ("sweep", "paths")
# Read at once, which stays in the cache.
_BLOCK = 1 << 18


@dataclasses.dataclass(frozen=True)
class Step:
    """A task whose result is kept.

    Attributes
    ----------
    function : callable
        Does the task.
    task : object
        The task.
    entry : str
        Path of the entry.
    signature : str
        Digest of the task.
    """

    function: Callable[[Any], Any]
    task: Any
    entry: str
    signature: str


def take_step(step: Step) -> tuple[Any, dict[str, str]]:
    """Do a task, and write the entry about it; returns its result, and marks of its files."""
    result = step.function(step.task)
    files = {path: mark(Path(path)) for path in _files(step.task)}
    entry = {
        "signature": step.signature,
        "files": files,
        "result": to_plain(result),
    }
    with atomic_write(step.entry) as stream:
        stream.write(json.dumps(entry).encode())
    return result, files


class Journal:
    """A map over tasks that leaves out what has been done.

    Parameters
    ----------
    folder : pathlib.Path
        Of the entries; it exists.
    tasks : TaskMap
        Where the work is done.
    final : mapping of pathlib.Path to pathlib.Path
        Folder in which files are written to where they are moved in the end: a killed run
        may have moved some of them.
    """

    def __init__(
        self, folder: Path, tasks: TaskMap, final: Mapping[Path, Path]
    ) -> None:
        self._folder = folder
        self._tasks = tasks
        self._final = dict(final)
        self._n_calls = 0
        #: Files that were found whole.
        self.n_kept = 0
        #: Marks of all files, by the paths where they are in the end.
        self.marks: dict[Path, str] = {}

    def __call__(
        self, function: Callable[[Any], Any], tasks: Iterable[Any]
    ) -> Iterator[Any]:
        """Yield ``function(task)`` for every task, in the tasks' order, as `TaskMap` does."""
        if function not in _KEPT:
            yield from self._tasks(function, tasks)
            return
        self._n_calls += 1
        steps = [
            Step(function, task, str(self._entry(function, i)), _signature(task))
            for i, task in enumerate(tasks)
        ]
        known = [self._known(step) for step in steps]
        self.n_kept += sum(len(step[1]) for step in known if step is not None)
        todo = (step for step, result in zip(steps, known) if result is None)
        results = iter(self._tasks(take_step, todo))
        for step in known:
            result, files = next(results) if step is None else step
            self.marks.update((self._moved(path), files[path]) for path in files)
            yield result

    def _entry(self, function: Callable[[Any], Any], position: int) -> Path:
        # the same functions are called in the same order whenever the key is the same
        name = f"{self._n_calls}_{function.__name__}_{position:05d}.json"
        return self._folder / name

    def _known(self, step: Step) -> tuple[Any, dict[str, str]] | None:
        """Read what `take_step` returned, if the files are whole; else None."""
        try:
            entry = json.loads(Path(step.entry).read_bytes())
            if entry["signature"] != step.signature:
                return None
            files = entry["files"]
            if list(files) != _files(step.task):
                return None
            if not all(self._is_whole(path, files[path]) for path in files):
                return None
            return from_plain(_KEPT[step.function], entry["result"]), files
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def _is_whole(self, path: str, known: str) -> bool:
        return any(is_whole(place, known) for place in (Path(path), self._moved(path)))

    def _moved(self, path: str) -> Path:
        return self._final[Path(path).parent] / Path(path).name


def mark(path: Path) -> str:
    """
    Return what tells a file that is whole from one that is not.

    Its size, and the CRC-32 of all of it: what a crash of the machine leaves of a file can
    have its size. Nobody's malice is to be feared here, and a cryptographic hash would take
    a tenth of the time in which the file was made.

    Parameters
    ----------
    path : pathlib.Path
        A complete file.
    """
    size = crc = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            size += len(block)
            crc = zlib.crc32(block, crc)
    return f"{size} {crc:08x}"


def is_whole(path: Path, known: str) -> bool:
    """Say whether there is a regular file with this mark."""
    return path.is_file() and mark(path) == known


def _files(task: Any) -> list[str]:
    """List the files that a task writes."""
    destinations = getattr(task, "destinations", ())
    return [path for destination in destinations for path in destination.paths]


def _signature(task: Any) -> str:
    return digest_of(_plain(task))


def _plain(value: Any) -> Any:
    """Describe a task by plain values, but for what all tasks have in common."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.name not in _LEFT_OUT
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return to_plain(value)


def digest_of(plain: Any) -> str:
    """Return the SHA-256 of plain JSON values."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
