"""Read the record of a run, as far as its images are to be made again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from dials_truncfix.io.json_object import parse_json
from dials_truncfix.io.source_files import (
    ReadingRights,
    open_regular,
    printable,
    reading_rights,
)
from dials_truncfix.sweep.recipe import Recipe
from dials_truncfix.sweep.recipe_checks import recipe_from_plain
from dials_truncfix.sweep.record import SCHEMA
from dials_truncfix.sweep.record_layout import recipe_of

_DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Record:
    """
    What a record says of the images.

    Attributes
    ----------
    name : str
        Its path, for messages.
    recipe : Recipe
        How the images of the first draw are made.
    draws : tuple of (int, int)
        Seed and offset of each draw.
    hashes : tuple of str
        SHA-256 of each source file, in the order of the recipe.
    version : str
        Of the program that wrote it.
    rights : ReadingRights
        Which files may be read on its behalf.
    """

    name: str
    recipe: Recipe
    draws: tuple[tuple[int, int], ...]
    hashes: tuple[str, ...]
    version: str
    rights: ReadingRights


def read_record(path: str) -> Record:
    """
    Read a record.

    Parameters
    ----------
    path : str
        Its path.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is no record of corrected images, or one of another schema.
    """
    name = printable(path)
    with open_regular(path) as stream:
        owner = os.fstat(stream.fileno()).st_uid
        content = parse_json(stream.read(), name)
    if content.get("program") != "dials.truncfix":
        raise ValueError(f"{name} is no record of dials.truncfix")
    if content.get("schema") != SCHEMA:
        raise ValueError(
            f"{name} is of schema {printable(str(content.get('schema')))[:40]}, and this "
            f"version reads schema {SCHEMA}: run dials.truncfix again"
        )
    if "recipe" not in content:
        raise ValueError(
            f"{name} does not say how images were corrected: it is the record of "
            "mode=check, or of an earlier version; run dials.truncfix again"
        )
    try:
        plain = recipe_of(content)
    except _DAMAGE as error:
        raise ValueError(
            f"{name} is damaged ({printable(str(error))[:200]}): run dials.truncfix again"
        ) from None
    recipe = recipe_from_plain(plain, name)
    try:
        hashes = tuple(str(file["sha256"]) for file in content["source"]["files"])
        draws = tuple(_draw(draw) for draw in content["replicates"])
        version = str(content["versions"]["dials_truncfix"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{name} is damaged (its source files, replicates or versions): run "
            "dials.truncfix again"
        ) from None
    if not draws:
        raise ValueError(
            f"{name} is damaged (it does not list its draws): run dials.truncfix again"
        )
    return Record(name, recipe, draws, hashes, version, reading_rights(path, owner))


def _draw(plain: Any) -> tuple[int, int]:
    """Seed and offset of a draw."""
    seed, offset = plain["seed"], plain["offset"]
    if not (type(seed) is int and type(offset) is int and abs(offset) < 2**31):
        raise ValueError(f"seed {seed}, offset {offset}")
    return seed, offset
