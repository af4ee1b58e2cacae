"""Experiments, record and report of a sweep."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

from dials_truncfix.io.atomic import atomic_write
from dials_truncfix.sweep.options import OutputOptions

logger = logging.getLogger("dials.truncfix.report")

#: Makes the report of a record, and of what to call it.
Page = Callable[[Mapping[str, Any], str], str]


def write_text(files: ExitStack, path: str | None, text: bytes) -> None:
    """Write an output that appears when the stack is closed without an exception.

    Raises
    ------
    OSError
        When it cannot be written, be it for want of space: not only when it is closed.
    """
    if path is not None:
        stream = files.enter_context(atomic_write(path))
        stream.write(text)
        stream.flush()


def write_page(
    files: ExitStack,
    page: Page | None,
    record: Mapping[str, Any],
    output: OutputOptions,
) -> bool:
    """Write the report, if there shall be one; it appears when the stack is closed.

    Returns
    -------
    bool
        Whether it was made.
    """
    if page is None or output.html is None:
        return False
    try:
        text = page(record, output.json or "the record")
    except ValueError as error:
        # mode=report can make it of the record, which must not be lost with it
        logger.warning("No report was written: %s", error)
        return False
    write_text(files, output.html, text.encode())
    return True


def remove_former(paths: list[str | None]) -> None:
    """Remove what describes images that are about to be replaced."""
    for path in paths:
        if path is not None:
            Path(path).unlink(missing_ok=True)
