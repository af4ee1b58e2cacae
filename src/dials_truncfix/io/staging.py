"""Many output files at once: all of them appear in their folder, or none."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dials_truncfix.io.atomic import refuse_other_than_file

_PREFIX = ".truncfix-"
# The process that works in a hidden folder holds a lock on this file, which the system
# takes from it however it ends.
_LOCK = ".lock"
# A folder may be so old before its file is locked.
_SECONDS_TO_LOCK = 60.0


@contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """Make a folder for output; after any exception it is as absent as before.

    Parameters
    ----------
    folder : pathlib.Path
        Made with its parents when it does not exist.

    Raises
    ------
    OSError
        When the folder cannot be made.
    """
    folder = Path(folder).absolute()
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in made:
            try:
                path.rmdir()
            except OSError:
                # it holds something by now, or was never made
                break
        raise


@contextmanager
def staging_folder(destination: Path) -> Iterator[Path]:
    """Collect files in a hidden folder, and move them out when all went well.

    Parameters
    ----------
    destination : pathlib.Path
        The folder in which the files shall appear; made when it does not exist.

    Yields
    ------
    pathlib.Path
        A folder on the same file system, so that moving a file is atomic.

    Raises
    ------
    OSError
        When the destination cannot be made or written.

    Notes
    -----
    After any exception, an interrupt included, the hidden folder is removed, and so
    are the folders that were made for the destination.
    """
    destination = Path(destination).absolute()
    with output_folder(destination):
        with scratch_folder(destination) as staging:
            yield staging
            files = sorted(path for path in staging.iterdir() if path.name != _LOCK)
            for path in files:
                refuse_other_than_file(destination / path.name)
            for path in files:
                os.replace(path, destination / path.name)


@contextmanager
def staged_files(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Write several files that appear together when all went well.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        The files, in folders that exist.

    Yields
    ------
    list of pathlib.Path
        What to write instead: hidden names of the same suffix in the same folders.

    Raises
    ------
    OSError
        When a folder cannot be written, or a name is taken by something else than a file.
    """
    temporary = []
    try:
        for path in paths:
            refuse_other_than_file(path)
            handle, name = tempfile.mkstemp(
                prefix=_PREFIX, suffix=path.suffix, dir=path.absolute().parent
            )
            os.close(handle)
            temporary.append(Path(name))
        yield temporary
        # mkstemp lets nobody else read
        mask = os.umask(0)
        os.umask(mask)
        for staged, path in zip(temporary, paths):
            staged.chmod(0o666 & ~mask)
            os.replace(staged, path)
    finally:
        for staged in temporary:
            staged.unlink(missing_ok=True)


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """Provide a hidden folder for what does not fit into memory; in the end it is gone.

    Parameters
    ----------
    beside : pathlib.Path
        Folder in which it is made.

    Yields
    ------
    pathlib.Path
        The folder.

    Raises
    ------
    OSError
        When it cannot be made.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=beside))
    except OSError as error:
        # the name that the caller knows
        error.filename = str(beside)
        raise
    try:
        with (folder / _LOCK).open("wb") as lock:
            _lock(lock)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(folder: Path) -> list[Path]:
    """Remove the hidden folders of processes that were killed.

    Only folders of this user are touched that `scratch_folder` has made and that no
    process on any machine works in any more.

    Parameters
    ----------
    folder : pathlib.Path
        Where to look; it may be absent.

    Returns
    -------
    list of pathlib.Path
        What was removed.
    """
    removed = []
    for path in sorted(Path(folder).glob(f"{_PREFIX}*")):
        try:
            state = path.lstat()
            if path.is_symlink() or not path.is_dir() or state.st_uid != os.geteuid():
                continue
            if time.time() - state.st_mtime < _SECONDS_TO_LOCK:
                continue
            with (path / _LOCK).open("r+b") as lock:
                if not _lock(lock):
                    continue
                shutil.rmtree(path)
        except OSError:
            # it went away, or was not made by `scratch_folder`
            continue
        removed.append(path)
    return removed


def _lock(stream: IO[bytes]) -> bool:
    """Lock a file for this process; False when another one has it, or none can."""
    try:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def refuse_unwritable(paths: Sequence[Path]) -> None:
    """Raise an OSError about the first file that could not be written.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        The files.

    Raises
    ------
    OSError
        When a folder cannot be written, or a name is taken by something else than a file.
    """
    for path in paths:
        refuse_other_than_file(path)
        folder = path.absolute().parent
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            error.filename = str(folder)
            raise
