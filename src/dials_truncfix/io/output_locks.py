"""One run at a time writes an output: locks that die with their process."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from dials_truncfix.io.atomic import refuse_other_than_file, temporary_name

#: What file systems without locks say.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


@contextlib.contextmanager
def locked_outputs(paths: Sequence[Path]) -> Iterator[None]:
    """Keep other runs from writing these outputs as long as the context lasts.

    A hidden file beside each is locked. The system takes the lock away however the
    process ends; the file itself stays after a kill, and the next run removes it, and
    the half-written ones that `atomic_write` had begun in the place of the outputs.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        Files, or folders, in folders that exist.

    Raises
    ------
    BlockingIOError
        When another process writes one of them.
    OSError
        When a folder cannot be written.
    """
    with contextlib.ExitStack() as locks:
        # always in the same order, whatever that of the outputs
        for path in sorted(set(paths), key=os.path.abspath):
            if path.exists() and not (path.is_file() or path.is_dir()):
                # a device has room for any number of logs
                continue
            locks.enter_context(_locked(path))
            for abandoned in path.parent.glob(
                temporary_name(glob.escape(path.name), "*")
            ):
                if re.fullmatch(r"[0-9a-f]{12}", abandoned.name.split(".")[-2]):
                    abandoned.unlink(missing_ok=True)
        yield


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = path.with_name(f".{path.name.lstrip('.')}.lock")
    descriptor = _open_and_lock(lock, path)
    try:
        yield
    finally:
        # before the lock goes, so that nobody waits for a file that has lost its name
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(descriptor)


def _open_and_lock(lock: Path, path: Path) -> int:
    while True:
        descriptor = _open(lock, path)
        try:
            _flock(descriptor, path)
            with contextlib.suppress(FileNotFoundError):
                # else who had it has removed it meanwhile
                if os.path.samestat(os.stat(lock), os.fstat(descriptor)):
                    break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        owner = f"process {os.getpid()} on {socket.gethostname()}"
        os.write(descriptor, owner.encode())
    return descriptor


def _open(lock: Path, path: Path) -> int:
    refuse_other_than_file(lock)
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        # the name that the caller knows
        error.filename = str(path)
        raise


def _flock(descriptor: int, path: Path) -> None:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 200).decode(errors="replace")
        raise BlockingIOError(
            errno.EWOULDBLOCK,
            f"Another run ({owner or 'just begun'}) is writing this",
            str(path),
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
