"""Tables in the log and files of dials.truncfix_calibrate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dials.util import tabulate
from dxtbx.model import ExperimentList

from dials_truncfix import compat
from dials_truncfix.compare.record import as_json
from dials_truncfix.compare.tables import Table
from dials_truncfix.io.staging import staged_files
from dials_truncfix.report.plotly_js import missing_packages

logger = logging.getLogger("dials.truncfix.calibrate")


class Output(NamedTuple):
    """A file to write: name, what it is, and bytes, text, experiments or reflections."""

    path: str
    what: str
    content: Any


def log_tables(tables: Sequence[Table]) -> None:
    """Log tables, the first column flush left."""
    for table in tables:
        text = tabulate(
            table.rows,
            table.header,
            disable_numparse=True,
            colalign=["left", *["right"] * (len(table.header) - 1)],
        )
        logger.info("\n%s\n%s", table.title, text)


def log_words(findings: Sequence[str], warnings: Sequence[str]) -> None:
    """Log what was found, and what is to be minded."""
    logger.info("\n%s", "\n".join(findings))
    for sentence in warnings:
        logger.warning("%s", sentence)


def write_files(outputs: Sequence[Output]) -> None:
    """Write files, all or none.

    Raises
    ------
    OSError
        When a file cannot be written.
    """
    with staged_files([Path(output.path) for output in outputs]) as staged:
        for path, output in zip(staged, outputs):
            if isinstance(output.content, bytes):
                path.write_bytes(output.content)
            elif isinstance(output.content, str):
                path.write_text(output.content, encoding="utf-8")
            elif isinstance(output.content, ExperimentList):
                path.write_text(compat.experiments_as_json(output.content))
            else:
                output.content.as_file(str(path))
    for output in outputs:
        logger.info("Saving %s to %s", output.what, output.path)


def results(
    params: Any, record: dict[str, Any], page: Callable[[], str]
) -> list[Output]:
    """Record and page, where they are wanted and can be made.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        Of dials.truncfix_calibrate.
    record : dict
        Plain values.
    page : callable
        Makes the page.
    """
    outputs = []
    if params.output.json is not None:
        outputs.append(Output(params.output.json, "the figures", as_json(record)))
    if params.output.html is not None:
        if missing := missing_packages():
            logger.warning("No page is written: %s", missing)
        else:
            outputs.append(Output(params.output.html, "the page", page()))
    return outputs
