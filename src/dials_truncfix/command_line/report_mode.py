"""The report of dials.truncfix, and mode=report, which makes it again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from dials.util import Sorry

from dials_truncfix.command_line.program import explain, keep_files
from dials_truncfix.io.atomic import atomic_write
from dials_truncfix.report.plotly_js import missing_packages
from dials_truncfix.report.sweep_results import read_record
from dials_truncfix.report.truncfix_page import truncfix_page

logger = logging.getLogger("dials.truncfix.report")


def write_report(record: Mapping[str, Any], path: str | None, name: str) -> None:
    """Write the report of a run that just ended.

    Without the packages that it needs, one sentence of the log says so.

    Parameters
    ----------
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
    _write(record, path, name)


def remake_report(files: Sequence[str], path: str | None) -> None:
    """Make the report from the record of an earlier run.

    Parameters
    ----------
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
            f"mode=report was given {len(files) or 'no'} records: give one, which a "
            "correction wrote, such as dials.truncfix.json"
        )
    if path is None:
        raise Sorry("output.html cannot be None: mode=report writes nothing else")
    if missing := missing_packages():
        raise Sorry(f"No report can be written: {missing}.")
    keep_files(files, [path])
    try:
        record = read_record(files[0])
    except OSError as error:
        raise Sorry(explain(error, files[0])) from None
    except ValueError as error:
        raise Sorry(str(error)) from None
    _write(record, path, files[0])


def _write(record: Mapping[str, Any], path: str, name: str) -> None:
    try:
        page = truncfix_page(record, name)
        with atomic_write(path) as stream:
            stream.write(page.encode())
    except OSError as error:
        raise Sorry(explain(error, path)) from None
    except ValueError as error:
        raise Sorry(f"No report was written: {error}") from None
    logger.info("Saving the report to %s", path)
