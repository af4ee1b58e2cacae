"""Output that is collected in a hidden folder which a killed run leaves to the next.

Other than `staging`'s, the folder has a name by which it is found again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dials_truncfix.io.atomic import refuse_other_than_file, temporary_name
from dials_truncfix.io.output_locks import locked_outputs


@contextlib.contextmanager
def work_folder(path: Path, *, outlives_interrupts: bool) -> Iterator[Path]:
    """Provide a folder to one process at a time; in the end it is gone.

    Parameters
    ----------
    path : pathlib.Path
        The folder, in one that exists. It may hold what a killed run has left.
    outlives_interrupts : bool
        Leave it where it is when the run is told to end, or lacks memory.

    Yields
    ------
    pathlib.Path
        The folder.

    Raises
    ------
    BlockingIOError
        When another process works in it.
    OSError
        When it cannot be made.
    """
    with locked_outputs([path]):
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            # the name that the caller knows
            error.filename = str(path.parent)
            raise
        kept = False
        try:
            yield path
        except (KeyboardInterrupt, SystemExit, ChildProcessError, MemoryError):
            kept = outlives_interrupts
            raise
        finally:
            if not kept:
                shutil.rmtree(path, ignore_errors=True)


def clear(folder: Path, kept: str | None = None) -> list[str]:
    """Remove everything in a folder, but for what has this name.

    Returns
    -------
    list of str
        Names of what was removed.
    """
    others = sorted(path for path in folder.iterdir() if path.name != kept)
    for path in others:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    return [path.name for path in others]


def remove_half_written(folder: Path) -> None:
    """Remove the files that `atomic_write` had begun when the process was killed."""
    for path in folder.glob(temporary_name("*", "*")):
        path.unlink()


def move_out(folder: Path, destination: Path) -> None:
    """Give the files of a folder, all complete, their place in another one.

    Raises
    ------
    OSError
        When one cannot be moved; then those that were moved are gone.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for path in files:
        refuse_other_than_file(destination / path.name)
    moved = []
    try:
        for path in files:
            os.replace(path, destination / path.name)
            moved.append(destination / path.name)
    except OSError:
        for path in moved:
            path.unlink(missing_ok=True)
        raise
