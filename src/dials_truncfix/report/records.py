"""Records of runs, read as they come: from anybody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dials_truncfix.io.json_object import parse_json
from dials_truncfix.io.source_files import open_regular, printable


def read_record_of(program: str, schema: Any, path: str) -> dict[str, Any]:
    """Read the record of a run.

    Parameters
    ----------
    program : str
        Whose record it should be; the file has its name.
    schema : object
        The version of records that is understood.
    path : str
        Of the record.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        When the file is no such record, or of another version.
    OSError
        When it cannot be read.
    """
    name = printable(path)
    with open_regular(path) as stream:
        text = stream.read()
    try:
        record = parse_json(text, name)
    except ValueError:
        record = {}
    if record.get("program") != program:
        raise ValueError(
            f"{name} is not a record of {program}: give the file that it wrote, "
            f"{program}.json"
        )
    found = record.get("schema")
    if found != schema:
        raise ValueError(
            f"{name} is a record of schema {printable(str(found))[:40]}, and this "
            f"version of the program reads schema {schema}: run {program} again"
        )
    return record


@contextmanager
def damage_of(name: str) -> Iterator[None]:
    """Turn whatever a damaged record leads to into one ValueError that names it."""
    try:
        yield
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        detail = f"{type(error).__name__} {error}".replace("\n", " ").strip()
        raise ValueError(
            f"{name} is a damaged record: {printable(detail)[:200]}"
        ) from None
