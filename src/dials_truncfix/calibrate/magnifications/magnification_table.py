"""The table of magnifications: its rows, and changes of them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

_KEYS = ("camera", "magnification")


@dataclass(frozen=True)
class Magnification:
    """What was measured at one magnification of one camera; None where nothing was.

    Attributes
    ----------
    camera : str
        Name or number.
    magnification : float
        As the microscope states it.
    pixel_size_nm, pixel_size_error_nm : float or None
        On the specimen, and its standard uncertainty.
    axis_deg, axis_error_deg : float or None
        Direction of an axis of a square grating that is the same at all magnifications,
        fast towards slow, known but for quarter turns.
    quarter_turns : int
        To add to the rotation against the next lower magnification by the axes.
    reference : float or None
        Another magnification, against which the next four were measured.
    ratio, ratio_error : float or None
        How many times larger the image is.
    turn_deg, turn_error_deg : float or None
        By how much it is turned, fast towards slow.
    source : str
        Where the numbers come from.
    others : mapping
        Columns that somebody else added.
    """

    camera: str
    magnification: float
    pixel_size_nm: float | None = None
    pixel_size_error_nm: float | None = None
    axis_deg: float | None = None
    axis_error_deg: float | None = None
    quarter_turns: int = 0
    reference: float | None = None
    ratio: float | None = None
    ratio_error: float | None = None
    turn_deg: float | None = None
    turn_error_deg: float | None = None
    source: str = ""
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, float]:
        """What no two rows have in common."""
        return self.camera, self.magnification


Table = Sequence[Magnification]

_COLUMNS = [f.name for f in fields(Magnification) if f.name != "others"]
_POSITIVE = {
    "magnification",
    "pixel_size_nm",
    "pixel_size_error_nm",
    "axis_error_deg",
    "reference",
    "ratio",
    "ratio_error",
    "turn_error_deg",
}


def parse_table(text: str, name: str) -> list[Magnification]:
    """Read a table of comma-separated values.

    Parameters
    ----------
    text : str
        With the names of the columns in the first line.
    name : str
        For messages.

    Returns
    -------
    list of Magnification
        In the order of the file.

    Raises
    ------
    ValueError
        About the first line that cannot be understood.
    """
    reader = csv.DictReader(io.StringIO(text), restkey="")
    try:
        return _rows(reader, name)
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.line_num}: {error}") from None


def _rows(reader: csv.DictReader[str], name: str) -> list[Magnification]:
    columns = list(reader.fieldnames or [])
    if not set(_KEYS) <= set(columns):
        raise ValueError(
            f"{name} is no table of magnifications: its first line has no columns camera "
            "and magnification; give another table.file"
        )
    rows: list[Magnification] = []
    for cells in reader:
        where = f"{name}, line {reader.line_num}"
        if "" in cells:
            raise ValueError(f"{where}: more cells than columns")
        row = _row({key: value or "" for key, value in cells.items()}, where)
        if row.key in {known.key for known in rows}:
            raise ValueError(
                f"{where}: camera {row.camera}, magnification {row.magnification:g} is "
                "there already; remove one of both"
            )
        rows.append(row)
    return rows


def _row(cells: Mapping[str, str], where: str) -> Magnification:
    values: dict[str, float | None] = {}
    for column in _COLUMNS:
        if column in ("camera", "source"):
            continue
        text = cells.get(column, "").strip()
        try:
            value = float(text) if text else None
        except ValueError:
            raise ValueError(f"{where}: {column} is {text!r}, and no number") from None
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{where}: {column} is {text}")
        if value is not None and column in _POSITIVE and value <= 0:
            raise ValueError(f"{where}: {column} is {text}, and has to be positive")
        values[column] = value
    magnification = values.pop("magnification")
    if magnification is None:
        raise ValueError(f"{where}: no magnification")
    turns = values.pop("quarter_turns") or 0.0
    if turns != round(turns):
        raise ValueError(f"{where}: quarter_turns is {turns:g}, and no whole number")
    return Magnification(
        camera=cells["camera"].strip(),
        magnification=magnification,
        quarter_turns=round(turns),
        source=cells.get("source", ""),
        others={key: cells[key] for key in cells if key not in _COLUMNS},
        **values,
    )


def format_table(table: Table) -> str:
    """Inverse of `parse_table`."""
    others = list(dict.fromkeys(key for row in table for key in row.others))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*_COLUMNS, *others])
    for row in table:
        cells = asdict(row)
        writer.writerow(
            [_text(cells[name]) for name in _COLUMNS]
            + [row.others.get(key, "") for key in others]
        )
    return stream.getvalue()


def _text(value: object) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def find_row(table: Table, camera: str, magnification: float) -> Magnification:
    """Return a row.

    Raises
    ------
    ValueError
        If there is none.
    """
    for row in table:
        if row.key == (camera, magnification):
            return row
    known = ", ".join(f"{row.magnification:g}" for row in table if row.camera == camera)
    raise ValueError(
        f"the table has no magnification {magnification:g} of camera {camera}: it has "
        f"{known or 'none of this camera'}"
    )


def with_measurement(table: Table, measured: Magnification) -> list[Magnification]:
    """Add a measurement to its row, or a row with it.

    What is None in `measured` stays as it was; quarter turns stay unless the axis is new.

    Raises
    ------
    ValueError
        If it is measured against itself.
    """
    if measured.reference == measured.magnification:
        raise ValueError(
            f"magnification {measured.magnification:g} cannot be measured against itself: "
            "give another one as table.reference"
        )
    if measured.key not in {row.key for row in table}:
        return [*table, measured]
    new = {
        name: value
        for name, value in asdict(measured).items()
        if name in _COLUMNS and name not in (*_KEYS, "quarter_turns", "source")
        if value is not None
    }
    if measured.axis_deg is not None:
        new["quarter_turns"] = measured.quarter_turns
    return [
        replace(row, **new, source=_joined(row.source, measured.source))
        if row.key == measured.key
        else row
        for row in table
    ]


def _joined(old: str, new: str) -> str:
    parts = [part for part in (*old.split("; "), new) if part]
    return "; ".join(dict.fromkeys(parts))


def without_row(table: Table, camera: str, magnification: float) -> list[Magnification]:
    """Remove a row.

    Raises
    ------
    ValueError
        If there is no such row.
    """
    gone = find_row(table, camera, magnification)
    return [row for row in table if row.key != gone.key]


def with_quarter_turns(
    table: Table, camera: str, magnification: float, turns: int
) -> list[Magnification]:
    """Add quarter turns to the rotation of a row.

    Raises
    ------
    ValueError
        If there is no such row.
    """
    turned = find_row(table, camera, magnification)
    return [
        replace(row, quarter_turns=row.quarter_turns + turns)
        if row.key == turned.key
        else row
        for row in table
    ]
