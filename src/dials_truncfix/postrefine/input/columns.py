"""Long arrays that are read and written in ranges, in memory or on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Column(Protocol):
    """One quantity of all observations."""

    def read(self, first: int, last: int) -> npt.NDArray[Any]:
        """Take rows `first` to `last`, shape (last - first, ...)."""

    def write(self, first: int, values: npt.NDArray[Any]) -> None:
        """Put values from row `first` on."""


@dataclass(frozen=True)
class MemoryColumn:
    """A column in memory.

    Attributes
    ----------
    values : ndarray, shape (n, ...)
        All rows.
    """

    values: npt.NDArray[Any]

    def read(self, first: int, last: int) -> npt.NDArray[Any]:
        """Take rows `first` to `last`."""
        return self.values[first:last]

    def write(self, first: int, values: npt.NDArray[Any]) -> None:
        """Put values from row `first` on."""
        self.values[first : first + len(values)] = values


@dataclass(frozen=True)
class FileColumn:
    """A column in a file of its own, which grows as it is written.

    Files are read and written, not mapped: mapped pages would count as memory of the program.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    dtype : numpy.dtype
        Of a number.
    width : int
        Numbers in a row; 1 for one-dimensional arrays.
    """

    path: Path
    dtype: np.dtype[Any]
    width: int = 1

    def read(self, first: int, last: int) -> npt.NDArray[Any]:
        """Take rows `first` to `last`.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        with _named(self.path):
            values = np.fromfile(
                self.path,
                self.dtype,
                self.width * (last - first),
                offset=first * self.width * self.dtype.itemsize,
            )
        return values if self.width == 1 else values.reshape(-1, self.width)

    def write(self, first: int, values: npt.NDArray[Any]) -> None:
        """Put values from row `first` on.

        Raises
        ------
        OSError
            If the file cannot be written, for example on a full disk.
        """
        with _named(self.path), self.path.open("r+b") as stream:
            stream.seek(first * self.width * self.dtype.itemsize)
            stream.write(np.ascontiguousarray(values, self.dtype).tobytes())


def make_column(
    folder: Path | None, name: str, n: int, dtype: npt.DTypeLike, width: int = 1
) -> Column:
    """Make a column of zeros.

    Parameters
    ----------
    folder : pathlib.Path or None
        Where to keep it; None for memory.
    name : str
        Of the file.
    n : int
        Number of rows.
    dtype : data-type
        Of a number.
    width : int
        Numbers in a row.

    Raises
    ------
    OSError
        If the file cannot be made.
    """
    if folder is None:
        return MemoryColumn(np.zeros(n if width == 1 else (n, width), dtype))
    path = folder / name
    with _named(path), path.open("wb") as stream:
        stream.truncate(n * width * np.dtype(dtype).itemsize)
    return FileColumn(path, np.dtype(dtype), width)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say which file an error is about: a full disk does not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
