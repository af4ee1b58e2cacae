"""Arrays from ``.npz`` and ``.npy`` files of unknown origin."""

from __future__ import annotations

import io
import math
import os
import zipfile
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import PathLike

# No more bytes than this come of one in DEFLATE.
_HIGHEST_RATIO = 1100
# It has no annotations.
_FORMAT: Any = np.lib.format
_HEADERS = {
    (1, 0): _FORMAT.read_array_header_1_0,
    (2, 0): _FORMAT.read_array_header_2_0,
}
_DAMAGE = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_arrays(path: PathLike, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """Read some arrays; nothing is unpickled, and sizes in headers cost no memory.

    Parameters
    ----------
    path : str or os.PathLike
        Archive that ``numpy.savez`` or ``numpy.savez_compressed`` wrote.
    names : iterable of str
        Which arrays.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    ValueError
        If one is missing, damaged, or larger than what is stored of it.
    OSError
        If the file cannot be read.
    """
    held = os.path.getsize(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: _array(archive, f"{name}.npy", held) for name in names}
    except _DAMAGE as error:
        raise ValueError(str(error).strip("'\"") or "it is damaged") from None


def _array(archive: zipfile.ZipFile, member: str, held: int) -> npt.NDArray[Any]:
    entry = archive.getinfo(member)
    if entry.compress_size > held or entry.file_size > _HIGHEST_RATIO * held:
        raise ValueError(f"{member} claims {entry.file_size} bytes")
    try:
        return parse_array(archive.read(entry))
    except ValueError as error:
        raise ValueError(f"{member}: {error}") from None


def parse_array(content: bytes) -> npt.NDArray[Any]:
    """Take the array out of a ``.npy`` file; nothing is unpickled.

    Parameters
    ----------
    content : bytes
        Of the file.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If it is damaged, of another version, or claims more than it holds, which
        costs no memory.
    """
    stream = io.BytesIO(content)
    version = _FORMAT.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError("it is of another version")
    shape, _, dtype = _HEADERS[version](stream)
    if stream.tell() + math.prod(shape) * dtype.itemsize > len(content):
        raise ValueError(f"it claims {shape} numbers and does not hold them")
    stream.seek(0)
    array: npt.NDArray[Any] = _FORMAT.read_array(stream, allow_pickle=False)
    return array
