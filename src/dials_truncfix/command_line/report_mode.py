"""Reports of runs, and mode=report, which makes them again."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dials.util import Sorry

from dials_truncfix.command_line.program import explain, in_one_sentence, keep_files
from dials_truncfix.io.atomic import atomic_write
from dials_truncfix.report.plotly_js import missing_packages

logger = logging.getLogger("dials.truncfix.report")


@dataclass(frozen=True)
class Report:
    """How a program reads its records and makes pages of them.

    Attributes
    ----------
    read : callable
        Path to record; raises ValueError when it is none, OSError when it cannot be read.
    page : callable
        Record, and what to call it, to HTML; raises ValueError when it is damaged.
    described : str
        Which records there are, for messages.
    """

    read: Callable[[str], dict[str, Any]]
    page: Callable[[Mapping[str, Any], str], str]
    described: str


def write_report(
    report: Report, record: Mapping[str, Any], path: str | None, name: str
) -> None:
    """Write the report of a run that just ended.

    Without the packages that it needs, one sentence of the log says so.

    Parameters
    ----------
    report : Report
        Of the program.
    record : Mapping
        Of the run.
    path : str or None
        Where to write; None writes nothing.
    name : str
        What to call the record.

    Raises
    ------
    Sorry
        When it cannot be made or written.
    """
    if path is None:
        return
    if missing := missing_packages():
        logger.warning("No report was written: %s.", missing)
        return
    _write(report, record, path, name)


def remake_report(report: Report, files: Sequence[str], path: str | None) -> None:
    """Make the report from the record of an earlier run.

    Parameters
    ----------
    report : Report
        Of the program.
    files : sequence of str
        The record.
    path : str or None
        Where to write.

    Raises
    ------
    Sorry
        When there is not one record, or the report cannot be made or written.
    """
    if len(files) != 1:
        raise Sorry(
            f"mode=report was given {len(files) or 'no'} records: give one, "
            f"{report.described}"
        )
    if path is None:
        raise Sorry("output.html cannot be None: mode=report writes nothing else")
    if missing := missing_packages():
        raise Sorry(f"No report can be written: {missing}.")
    keep_files(files, [path])
    with in_one_sentence(files[0]):
        record = report.read(files[0])
    _write(report, record, path, files[0])


def remake_reports(report: Report, files: Sequence[str], path: str | None) -> None:
    """Make the reports of several sweeps, each beside its record; of one, as told.

    Parameters
    ----------
    report, files, path
        As for `remake_report`, but for the number of records.

    Raises
    ------
    Sorry
        As `remake_report` does, about the first of the records.
    """
    if len(files) < 2:
        remake_report(report, files, path)
        return
    beside = [
        None
        if path is None
        else os.path.join(os.path.dirname(f), os.path.basename(path))
        for f in files
    ]
    keep_files(files, beside)
    for file, page in zip(files, beside):
        remake_report(report, [file], page)


def _write(report: Report, record: Mapping[str, Any], path: str, name: str) -> None:
    try:
        page = report.page(record, name)
        with atomic_write(path) as stream:
            stream.write(page.encode())
    except OSError as error:
        raise Sorry(explain(error, path)) from None
    except ValueError as error:
        raise Sorry(f"No report was written: {error}") from None
    logger.info("Saving the report to %s", path)
