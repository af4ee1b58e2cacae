"""Some rows of a reflection file, without reading all of it.

A ``.refl`` file is one msgpack array: the name of the type, the version of the layout, and a
map of ``identifiers``, ``nrows`` and ``data``. In ``data`` each column is its type and an array
of the number of rows and their bytes, all rows of one size. Only those heads are parsed here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.reflection_file import layout_version

_NAME = "dials::af::reflection_table"
#: Columns whose rows are not of one size, or hold addresses of memory that is gone.
_NOT_PLAIN = ("Shoebox<>", "std::string")
#: Numbers of msgpack that follow their first byte.
_NUMBERS = {
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
#: Lengths of strings, bytes, arrays and maps.
_LENGTHS = {
    0xD9: ">B",
    0xDA: ">H",
    0xDB: ">I",
    0xC4: ">B",
    0xC5: ">H",
    0xC6: ">I",
    0xDC: ">H",
    0xDD: ">I",
    0xDE: ">H",
    0xDF: ">I",
}


@dataclass(frozen=True)
class ReflectionColumn:
    """Where a column is.

    Attributes
    ----------
    kind : str
        Type, as DIALS names it.
    offset : int
        Of its first byte in the file.
    size : int
        Bytes of a row.
    """

    kind: str
    offset: int
    size: int


@dataclass(frozen=True)
class ReflectionColumns:
    """What the heads in a reflection file say.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    version : int
        Of the layout.
    identifiers : dict
        Names of experiments by ``id``.
    n_rows : int
        Number of reflections.
    columns : dict of ReflectionColumn
        By name; those with rows of different sizes are absent.
    """

    path: Path
    version: int
    identifiers: dict[int, str]
    n_rows: int
    columns: dict[str, ReflectionColumn]

    def rows(self, name: str) -> npt.NDArray[np.uint8]:
        """Map a column, shape (n_rows, size): only what is used of it is read."""
        column = self.columns[name]
        return np.memmap(
            self.path,
            np.uint8,
            "r",
            offset=column.offset,
            shape=(self.n_rows, column.size),
        )

    def packed(self, rows: slice | npt.NDArray[np.int64]) -> bytes:
        """Pack some of the rows as a reflection file, without identifiers."""
        parts = [bytes([0x93]), _string(_NAME), bytes([self.version, 0x83])]
        parts += [_string("identifiers"), bytes([0x80])]
        blobs = {name: self.rows(name)[rows] for name in self.columns}
        n = len(next(iter(blobs.values()))) if blobs else 0
        parts += [_string("nrows"), _number(n), _string("data")]
        parts.append(struct.pack(">BI", 0xDF, len(blobs)))
        for name, blob in blobs.items():
            parts += [_string(name), bytes([0x92]), _string(self.columns[name].kind)]
            parts += [bytes([0x92]), _number(n)]
            parts += [struct.pack(">BI", 0xC6, blob.size), blob.tobytes()]
        return b"".join(parts)


def read_columns(path: Path) -> ReflectionColumns:
    """Read the heads in a reflection file.

    Parameters
    ----------
    path : pathlib.Path
        File to read.

    Returns
    -------
    ReflectionColumns

    Raises
    ------
    ValueError
        If the file is no reflection file, damaged, or of an unknown layout.
    OSError
        If it cannot be read.
    """
    version = layout_version(path)
    with path.open("rb") as stream:
        try:
            return _parse(path, version, stream)
        except (LookupError, TypeError, UnicodeDecodeError, struct.error) as error:
            raise ValueError(f"{path}: the file is damaged ({error})") from None


def _parse(path: Path, version: int, stream: BinaryIO) -> ReflectionColumns:
    size = path.stat().st_size
    if _head(stream) != 3 or _value(stream) != _NAME or _value(stream) != version:
        raise ValueError(f"{path}: not a reflection file")
    identifiers: dict[int, str] = {}
    n_rows, columns = 0, {}
    for _ in range(_head(stream)):
        entry = _value(stream)
        if entry == "identifiers":
            pairs = range(_head(stream))
            identifiers = {_value(stream): _value(stream) for _ in pairs}
        elif entry == "nrows":
            n_rows = _value(stream)
        elif entry == "data":
            for _ in range(_head(stream)):
                name, column = _column(stream, n_rows)
                if column is not None:
                    columns[name] = column
        else:
            raise ValueError(f"{path}: unknown entry {entry!r}")
    if stream.tell() > size:
        raise ValueError(f"{path}: the file is damaged (it is cut short)")
    return ReflectionColumns(path, version, identifiers, n_rows, columns)


def _column(stream: BinaryIO, n_rows: int) -> tuple[str, ReflectionColumn | None]:
    name = _value(stream)
    _head(stream)
    kind = _value(stream)
    _head(stream)
    n = _value(stream)
    length = _head(stream)
    offset = stream.tell()
    stream.seek(length, 1)
    plain = kind not in _NOT_PLAIN and n == n_rows and n > 0 and length % n == 0
    return name, ReflectionColumn(kind, offset, length // n) if plain else None


def _head(stream: BinaryIO) -> int:
    """Length of the string, bytes, array or map that follows."""
    return _length(stream.read(1)[0], stream)


def _length(first: int, stream: BinaryIO) -> int:
    if 0x80 <= first <= 0x9F:
        return first & 0x0F
    if 0xA0 <= first <= 0xBF:
        return first & 0x1F
    return _unpacked(_LENGTHS[first], stream)


def _value(stream: BinaryIO) -> Any:
    """Read a number or a string."""
    first = stream.read(1)[0]
    if first <= 0x7F:
        return first
    if first >= 0xE0:
        return first - 0x100
    if first in _NUMBERS:
        return _unpacked(_NUMBERS[first], stream)
    return stream.read(_length(first, stream)).decode()


def _unpacked(form: str, stream: BinaryIO) -> int:
    return int(struct.unpack(form, stream.read(struct.calcsize(form)))[0])


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">BB", 0xD9, len(encoded)) + encoded


def _number(value: int) -> bytes:
    return struct.pack(">BQ", 0xCF, value)


def numbers(rows: npt.NDArray[np.uint8], dtype: str) -> npt.NDArray[Any]:
    """Read the bytes of rows as one number each, shape (n_rows,)."""
    return np.ascontiguousarray(rows).view(dtype)[:, 0]
