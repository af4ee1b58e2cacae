"""The head of a reflection file, read without DIALS.

A ``.refl`` file is one msgpack array: the name of the type, the version of the
layout, and a map with the columns.
"""

from __future__ import annotations

from pathlib import Path

_NAME = b"dials::af::reflection_table"
# an array of three, and a string of 27 bytes
_HEAD = b"\x93" + bytes([0xA0 | len(_NAME)]) + _NAME
# msgpack writes small numbers as themselves
_LARGEST_FIXED_NUMBER = 0x7F


def layout_version(path: Path) -> int:
    """Read the version of the layout of a reflection file.

    Parameters
    ----------
    path : pathlib.Path
        File to read.

    Returns
    -------
    int
        Version.

    Raises
    ------
    ValueError
        If the file is no reflection file.
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as stream:
        version = version_in(stream.read(len(_HEAD) + 1))
    if version is None:
        raise ValueError(
            f"{path}: not a reflection file: give one that dials.integrate or "
            "dials.scale wrote"
        )
    return version


def version_in(content: bytes) -> int | None:
    """Version of the layout of packed reflections; None if it is something else."""
    if len(content) <= len(_HEAD) or not content.startswith(_HEAD):
        return None
    version = content[len(_HEAD)]
    return version if version <= _LARGEST_FIXED_NUMBER else None
