"""Sidecars: small JSON files that stand for corrected images.

A sidecar begins with `MAGIC` and the number of its schema. It holds no pixels, and
nothing in it is ever executed or unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dials_truncfix.io.json_object import parse_json
from dials_truncfix.io.source_files import (
    ReadingRights,
    open_regular,
    printable,
    read_up_to,
    reading_rights,
)

#: Raised when a field changes its meaning, or when equal fields give other pixels.
SCHEMA = 2

SUFFIX = ".tfx"

#: First bytes of every sidecar.
MAGIC = b'{"truncfix_sidecar":'

#: JSON needs up to thirty times its size in memory; an image takes about 3 kB of it.
MAX_BYTES = 1 << 26

_REMEDY = "run dials.truncfix again"


@dataclass(frozen=True)
class Sidecar:
    """
    What a sidecar says, and what it may have read.

    Attributes
    ----------
    content : mapping
        Plain JSON values.
    version : str
        Version of the program that wrote it.
    rights : ReadingRights
        Of this file.
    """

    content: Mapping[str, Any]
    version: str
    rights: ReadingRights


def is_sidecar(path: str) -> bool:
    """Say whether a file begins as sidecars do; never raises."""
    try:
        with open_regular(path) as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError, TypeError):
        return False


def format_sidecar(content: Mapping[str, Any], version: str) -> bytes:
    """
    Compose a sidecar.

    Parameters
    ----------
    content : mapping
        Plain JSON values, without NaN and infinities.
    version : str
        Of the program.

    Raises
    ------
    ValueError
        When there is more than a sidecar may hold.
    """
    fields = {"truncfix_sidecar": SCHEMA, "version": version, **content}
    lines = [
        f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'), allow_nan=False)}"
        for key, value in fields.items()
    ]
    text = ("{" + ",\n".join(lines) + "}\n").encode("ascii")
    if len(text) > MAX_BYTES:
        raise ValueError(
            f"the sidecar would take {len(text)} bytes, more than the {MAX_BYTES} that "
            "are read: give output.format=cbf"
        )
    return text


def read_sidecar(path: str) -> Sidecar:
    """
    Read a sidecar.

    Parameters
    ----------
    path : str
        Its path.

    Returns
    -------
    Sidecar
        Checked for its schema, not yet for its fields.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is no sidecar, damaged, too large, or of another schema.
    """
    shown = printable(str(path))
    with open_regular(path) as stream:
        status = os.fstat(stream.fileno())
        text = read_up_to(stream, MAX_BYTES + 1)
    if not text.startswith(MAGIC):
        raise ValueError(f"{shown} is no sidecar of dials.truncfix")
    if len(text) > MAX_BYTES:
        raise ValueError(f"{shown} is larger than any sidecar of dials.truncfix")
    content = parse_json(text, shown)
    schema, version = content.pop("truncfix_sidecar"), content.pop("version", None)
    if type(schema) is not int or type(version) is not str:
        raise ValueError(f"{shown} is damaged: it has no version: {_REMEDY}")
    if schema != SCHEMA:
        raise ValueError(
            f"{shown} was written by dials_truncfix {printable(version[:40])} as schema "
            f"{schema}, and this version reads schema {SCHEMA}: {_REMEDY}"
        )
    return Sidecar(content, version, reading_rights(str(path), status.st_uid))
