"""JSON objects from outside, read without harm."""

from __future__ import annotations

import json
from typing import Any

from dials_truncfix.io.source_files import printable

_MAX_DIGITS = 20


def parse_json(
    text: bytes, name: str, remedy: str = "run dials.truncfix again"
) -> dict[str, Any]:
    """
    Parse a JSON object of unknown origin.

    Parameters
    ----------
    text : bytes
        UTF-8.
    name : str
        Of the file, for messages.
    remedy : str
        What to do when it is damaged.

    Raises
    ------
    ValueError
        When it is no such thing.
    """
    try:
        content = json.loads(
            text.decode("utf-8"), parse_int=_integer, parse_constant=_constant
        )
    except RecursionError:
        raise ValueError(
            f"{name} is damaged (brackets in brackets): {remedy}"
        ) from None
    except ValueError as error:
        reason = printable(str(error))[:200]
        raise ValueError(f"{name} is damaged ({reason}): {remedy}") from None
    if type(content) is not dict:
        raise ValueError(f"{name} is damaged: it holds no fields: {remedy}")
    return content


def _integer(digits: str) -> int:
    # converting takes quadratic time
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")
