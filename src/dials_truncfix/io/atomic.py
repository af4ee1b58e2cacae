"""Write a file so that it is either complete or absent."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Union

PathLike = Union[str, "os.PathLike[str]"]


def refuse_other_than_file(path: Path) -> None:
    """Raise an OSError where a folder, device or pipe has the name of an output.

    A rename would put a file in the place of ``/dev/null`` where permissions allow it.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "Not a regular file", str(path))


def temporary_name(name: str, token: str) -> str:
    """Name of the file that becomes `name` when it is complete."""
    return f".{name}.{token}.tmp"


def check_writable(path: PathLike) -> None:
    """Raise the OSError that `atomic_write` would raise; leaves nothing behind."""

    class _Enough(Exception):
        pass

    with contextlib.suppress(_Enough), atomic_write(path):
        raise _Enough


@contextlib.contextmanager
def atomic_write(path: PathLike, *, fsync: bool = False) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the name `path` when the block succeeds.

    The temporary file lies in the same folder, because a rename is only
    atomic within one file system. Any exception, an interrupt included,
    removes it and leaves a previous file of that name as it was.

    Parameters
    ----------
    path : str or os.PathLike
        Name of the finished file.
    fsync : bool
        Wait until the data are on the disk before the rename.

    Yields
    ------
    BinaryIO
        Binary file object, open for writing (and seeking).

    Raises
    ------
    OSError
        If the folder cannot be written to, `path` is there and no regular file, or
        the disk is full.
    """
    target = Path(path)
    refuse_other_than_file(target)
    temporary = target.with_name(temporary_name(target.name, secrets.token_hex(6)))
    try:
        # "x" keeps the permissions that the user's umask asks for, which
        # tempfile.mkstemp would not.
        stream = open(temporary, "xb")
    except OSError as error:
        # the name that the caller knows
        error.filename = str(target)
        raise
    try:
        with stream:
            yield stream
            stream.flush()
            if fsync:
                os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
