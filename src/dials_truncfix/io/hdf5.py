"""HDF5 files: written so that they are complete or absent, and read from anybody."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Callable

import h5py

from dials_truncfix.io.atomic import PathLike, atomic_write

#: What h5py and HDF5 raise about damaged files.
DAMAGE = (
    OSError,
    LookupError,
    TypeError,
    AttributeError,
    ValueError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
)
# DEFLATE, and LZ4 behind a shuffle, write no more bytes than this for one.
_HIGHEST_RATIO = 1100
_SMALL = 1 << 20


def check_size(dataset: Any, images: int | None = None) -> None:
    """Refuse to read more than a file can hold: sizes in a header cost nothing.

    Parameters
    ----------
    dataset : h5py.Dataset
        What is to be read.
    images : int, optional
        How many along the first axis; all of it otherwise.

    Raises
    ------
    TypeError
        If this is no data set.
    ValueError
        If it claims more than the file, or what is compressed in it, can hold.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise TypeError(f"{dataset.name} is no data set")
    shape = dataset.shape or ()
    if images is not None:
        shape = (min(images, *shape[:1]), *shape[1:])
    claimed = math.prod(shape) * dataset.dtype.itemsize
    held = os.path.getsize(dataset.file.filename)
    filters = dataset.id.get_create_plist().get_nfilters()
    if claimed > _SMALL + held * (_HIGHEST_RATIO if filters else 1):
        raise ValueError(
            f"{dataset.name} claims {claimed} bytes, and the file has {held}"
        )


class _Sink:
    """A file that keeps the first error of the operating system to itself.

    HDF5 writes some of a file when it closes it, cannot close it when that fails, and
    brings the process down later. So after an error all further writes seem to succeed.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        written = 0
        while self.error is None and written < len(view):
            try:
                # a full disk may take a part
                written += self._stream.write(view[written:])
            except OSError as error:
                self.error = error
        return len(view)

    # h5py knows a file by its having this
    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def readinto(self, buffer: Any) -> int:
        return int(self._stream.readinto(buffer))  # type: ignore[attr-defined]

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._stream.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def flush(self) -> None:
        pass

    def write_at(self, offset: int, data: Any) -> None:
        """Write into a place that HDF5 has set aside."""
        self.seek(offset)
        self.write(data)


@contextmanager
def write_hdf5(path: PathLike) -> Iterator[Any]:
    """Open an HDF5 file that takes the name `path` when the block succeeds.

    Parameters
    ----------
    path : str or os.PathLike
        Name of the finished file.

    Yields
    ------
    h5py.File
        Open for writing.

    Raises
    ------
    OSError
        If the folder cannot be written to, or the disk is full.
    """
    with write_hdf5_and_bytes(path) as (file, _):
        yield file


@contextmanager
def write_hdf5_and_bytes(
    path: PathLike,
) -> Iterator[tuple[Any, Callable[[int, Any], None]]]:
    """As `write_hdf5`; what is yielded besides writes bytes at a place of the file.

    HDF5 writes with several copies of what it is given. The places are those of
    uncompressed chunks that it has set aside.
    """
    with atomic_write(path) as stream, open(stream.name, "r+b", buffering=0) as raw:
        sink = _Sink(raw)
        try:
            with h5py.File(sink, "w") as file:
                yield file, sink.write_at
        finally:
            if sink.error is not None:
                raise sink.error from None
