"""Files that a sidecar or a record refers to: recognised, found again, or refused.

A small file that names others can be made by anybody, and be given to somebody with
more rights. So a source is opened only when it is a regular file which has the
recorded size and fingerprint, so that whoever wrote the reference has read it before,
and which the reader has reason to trust, see `ReadingRights`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

#: Folders, separated as in PATH, below which anybody's sidecar may refer to images.
FOLDERS_VARIABLE = "DIALS_TRUNCFIX_SOURCES"

#: A fingerprint covers this many blocks of this many bytes, spread evenly.
N_BLOCKS = 16
BLOCK_SIZE = 1 << 16

_ROOT = 0


@dataclass(frozen=True)
class FilePrint:
    """
    What tells a file from another one.

    Attributes
    ----------
    name : str
        Without its folder.
    size : int
        Bytes.
    digest : str
        SHA-256, in hexadecimal digits, of blocks spread over the file, see
        `N_BLOCKS`; of all of it when it is smaller.
    """

    name: str
    size: int
    digest: str


@dataclass(frozen=True)
class SourceFile:
    """
    A file of images, and where to look for it.

    Attributes
    ----------
    path : str
        Absolute.
    relative : str
        From the folder of what refers to it, see `located`.
    parts : tuple of FilePrint
        The file itself first, and then those that belong to it, in the same folder.
    """

    path: str
    relative: str
    parts: tuple[FilePrint, ...]


@dataclass(frozen=True)
class ReadingRights:
    """
    Which files a sidecar or record may have read.

    Those below its own folder or below a folder that the user names; and all of
    them, when it, or they, belong to somebody who could read them without its help:
    it to the user or to root, or they to the user who wrote it.

    Attributes
    ----------
    referrer : str
        Path of the sidecar or record.
    owner : int
        User identity of its owner.
    folders : tuple of str
        Resolved folders below which everything may be read.
    """

    referrer: str
    owner: int
    folders: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Folder of the sidecar or record, links resolved."""
        return Path(self.referrer).parent

    def allow(self, path: str, status: os.stat_result) -> bool:
        """Say whether a file, given by its resolved path, may be read."""
        if self.owner in (os.geteuid(), _ROOT, status.st_uid):
            return True
        return any(
            os.path.commonpath([folder, path]) == folder
            for folder in (str(self.folder), *self.folders)
        )


def reading_rights(referrer: str, owner: int) -> ReadingRights:
    """
    Ask the environment which folders the user allows.

    Parameters
    ----------
    referrer : str
        Path of the sidecar or record.
    owner : int
        User identity of its owner.
    """
    named = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    return ReadingRights(
        os.path.realpath(referrer),
        owner,
        tuple(os.path.realpath(folder) for folder in named if folder),
    )


@contextlib.contextmanager
def open_regular(path: str) -> Iterator[BinaryIO]:
    """
    Open a regular file; never wait for a pipe, never touch a device.

    Raises
    ------
    OSError
        When it is no regular file, or cannot be read.
    ValueError
        When the path can name no file.
    """
    # some devices act on being opened
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise FileNotFoundError(f"{printable(path)} is not a regular file")
    # should it be exchanged meanwhile: a pipe without a writer would block
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(f"{printable(path)} is not a regular file")
        yield stream


def read_up_to(stream: BinaryIO, n_bytes: int) -> bytes:
    """Read a file, or this much of it; ``stream.read`` would set aside all of that."""
    held = os.fstat(stream.fileno()).st_size
    return stream.read(min(held, n_bytes))


def file_print(path: str) -> FilePrint:
    """
    Take the fingerprint of a file.

    Raises
    ------
    OSError
        When it is no regular file, or cannot be read.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        digest = hashlib.sha256()
        for start in _block_starts(size):
            stream.seek(start)
            digest.update(stream.read(BLOCK_SIZE))
    return FilePrint(os.path.basename(path), size, digest.hexdigest())


def _block_starts(size: int) -> list[int]:
    """Where blocks begin that cover a file, or are spread from its start to its end."""
    if size <= N_BLOCKS * BLOCK_SIZE:
        return list(range(0, size, BLOCK_SIZE))
    last = size - BLOCK_SIZE
    return [last * i // (N_BLOCKS - 1) for i in range(N_BLOCKS)]


def source_file(paths: Sequence[Path]) -> SourceFile:
    """
    Describe a file of images.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        The file, and then those that belong to it.
    """
    path = os.path.realpath(paths[0])
    return SourceFile(path, path, tuple(file_print(str(part)) for part in paths))


def located(source: SourceFile, folder: Path) -> SourceFile:
    """Say where a source lies from a folder, that of what will refer to it."""
    relative = os.path.relpath(source.path, os.path.realpath(folder))
    return replace(source, relative=relative)


def find_source(
    source: SourceFile,
    rights: ReadingRights,
    find_parts: Callable[[Path], Sequence[Path]],
) -> str:
    """
    Find a source again: where it lies from the referrer, else where it was.

    Parameters
    ----------
    source : SourceFile
        As recorded.
    rights : ReadingRights
        Where it may lie.
    find_parts : callable
        Lists the files that belong to one, itself first.

    Returns
    -------
    str
        Resolved path.

    Raises
    ------
    ValueError
        When it is missing, has changed, or must not be read.
    """
    problem = None
    for candidate in (source.relative, source.path):
        try:
            path = os.path.realpath(os.path.join(rights.folder, candidate))
            os.stat(path)
        except (OSError, ValueError):
            # ValueError: a text that cannot name a file
            continue
        problem = _refusal(path, rights) or _problem(source, path, rights, find_parts)
        if problem is None:
            return path
    here = printable(rights.referrer)
    raise ValueError(
        problem
        or f"{here} needs {printable(source.path)}, and there is no such file: put "
        "the images back to where they were, or to the same place beside it, or run "
        "dials.truncfix again"
    )


def _refusal(path: str, rights: ReadingRights) -> str | None:
    """Say why an existing file, given by its resolved path, must not be opened."""
    here, there = printable(rights.referrer), printable(path)
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        return f"{here} refers to {there}, which is not a regular file"
    if not rights.allow(path, status):
        return (
            f"{here} belongs to another user and refers to {there}, outside its own "
            f"folder: if you trust it, set the environment variable {FOLDERS_VARIABLE} "
            f"to {printable(os.path.dirname(path))}"
        )
    return None


def _problem(
    source: SourceFile,
    path: str,
    rights: ReadingRights,
    find_parts: Callable[[Path], Sequence[Path]],
) -> str | None:
    """Say why a file that may be opened cannot serve as source."""
    here, there = printable(rights.referrer), printable(path)
    try:
        parts = find_parts(Path(path))
        if len(parts) != len(source.parts):
            return (
                f"{there} consists of {len(parts)} files, where {here} was written "
                f"from {len(source.parts)}: run dials.truncfix again"
            )
        for part, known in zip(parts, source.parts):
            # a part can be a link to elsewhere
            if refusal := _refusal(os.path.realpath(part), rights):
                return refusal
            # whatever the sizes, no more than a megabyte is read
            found = file_print(str(part))
            if (found.size, found.digest) != (known.size, known.digest):
                return (
                    f"{printable(str(part))} is no longer the file from which {here} "
                    f"was written ({_difference(found, known)}): put the old one back, "
                    "or run dials.truncfix again"
                )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"{here} refers to {there}, which cannot be read: {reason}"
    return None


def _difference(found: FilePrint, known: FilePrint) -> str:
    if found.size != known.size:
        return f"{found.size} bytes instead of {known.size}"
    return "same size, other content"


def printable(text: str) -> str:
    """Show a text of unknown origin so that it cannot control a terminal."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )
