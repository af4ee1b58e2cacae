"""dials.truncfix_calibrate mode=table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dials.util import Sorry

from dials_truncfix.calibrate.magnifications.chain import chain_magnifications
from dials_truncfix.calibrate.magnifications.magnification_table import (
    Magnification,
    format_table,
    parse_table,
    with_measurement,
    with_quarter_turns,
    without_row,
)
from dials_truncfix.calibrate.magnifications.result_files import measurement_of
from dials_truncfix.calibrate.magnifications.table_words import (
    chain_table,
    findings,
    table_record,
    warnings,
)
from dials_truncfix.command_line.calibrate_output import (
    Output,
    log_tables,
    log_words,
    write_files,
)
from dials_truncfix.compare.record import as_json
from dials_truncfix.io.output_locks import locked_outputs
from dials_truncfix.report.magnifications_page import magnifications_page
from dials_truncfix.report.plotly_js import missing_packages

logger = logging.getLogger("dials.truncfix.calibrate")

_NUMBERS = {
    "pixel_size": "pixel_size_nm",
    "pixel_size_error": "pixel_size_error_nm",
    "axis": "axis_deg",
    "axis_error": "axis_error_deg",
    "ratio": "ratio",
    "ratio_error": "ratio_error",
    "turn": "turn_deg",
    "turn_error": "turn_error_deg",
}


def table(params: Any, files: Sequence[str]) -> None:
    """List or change the table of magnifications.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        Of dials.truncfix_calibrate.
    files : sequence of str
        Result of mode=pixel_size or mode=pair to add, if any.

    Raises
    ------
    ValueError
        When something cannot be read or changed.
    OSError
        When a file cannot be read or written.
    """
    own = params.table
    path = Path(own.file)
    if files and own.action != "add":
        raise Sorry(f"{files[0]}: only table.action=add takes a file")
    if own.action == "list":
        if not path.exists():
            raise Sorry(f"{path}: there is no such table; table.action=add makes it")
        _show(_read(path))
        return
    if own.magnification is None:
        raise Sorry(f"table.action={own.action} needs table.magnification")
    # nobody else may change the table between reading and writing
    with locked_outputs([path]):
        rows = _read(path) if path.exists() else []
        rows = _changed(own, rows, files)
        chains = _show(rows)
        outputs = [
            Output(str(path), "the table", format_table(rows)),
            Output(
                str(path.with_suffix(".json")),
                "the table with all chains",
                as_json(table_record(chains)),
            ),
        ]
        if params.output.html is not None:
            if missing := missing_packages():
                logger.warning("No page is written: %s", missing)
            else:
                page = magnifications_page(chains)
                outputs.append(Output(params.output.html, "the page", page))
        write_files(outputs)


def _read(path: Path) -> list[Magnification]:
    return parse_table(path.read_text(encoding="utf-8", errors="replace"), str(path))


def _changed(
    own: Any, rows: list[Magnification], files: Sequence[str]
) -> list[Magnification]:
    camera, magnification = own.camera, own.magnification
    if own.action == "remove":
        return without_row(rows, camera, magnification)
    if own.action == "turn":
        return with_quarter_turns(rows, camera, magnification, own.quarter_turns)
    given = {
        column: getattr(own, name)
        for name, column in _NUMBERS.items()
        if getattr(own, name) is not None
    }
    if bool(files) == bool(given) or len(files) > 1:
        raise Sorry(
            "table.action=add takes one result of mode=pixel_size or mode=pair, or numbers "
            "such as table.pixel_size, and not both"
        )
    if files:
        measured = measurement_of(Path(files[0]), camera, magnification, own.reference)
        return with_measurement(rows, measured)
    if {"ratio", "turn_deg"} & set(given) and own.reference is None:
        raise Sorry(
            "table.ratio and table.turn are against another magnification: give it as "
            "table.reference"
        )
    return with_measurement(
        rows,
        Magnification(
            camera, magnification, reference=own.reference, source="given", **given
        ),
    )


def _show(rows: Sequence[Magnification]) -> dict[str, Any]:
    cameras = sorted({row.camera for row in rows})
    chains = {
        camera: chain_magnifications([row for row in rows if row.camera == camera])
        for camera in cameras
    }
    log_tables([chain_table(camera, chain) for camera, chain in chains.items()])
    log_words(findings(chains), warnings(chains))
    return chains
