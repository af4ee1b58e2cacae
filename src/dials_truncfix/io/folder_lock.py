"""A folder that one process at a time changes, without a file that is left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Wait until no other process holds the lock of a folder, and hold it.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.

    Raises
    ------
    OSError
        If it is not there.

    Notes
    -----
    Where the file system or the machine knows no locks, nothing is locked.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except (ImportError, OSError):
            pass
        yield
    finally:
        os.close(descriptor)
