"""A self-contained HTML page of text, figures and tables.

Whatever is put into a page is text: it is escaped, so that names of files and
metadata cannot become markup. Figures are plotly dictionaries with numpy arrays or
plain numbers; the page carries plotly.js and works without a network.

Examples
--------
>>> plot = {"data": [{"x": [1, 2], "y": [3, 4]}], "layout": {}}
>>> section = Section("Numbers", ["What to look for.", Figure(plot, "A rising line")])
>>> html = render_page("A title", [section])
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Union

import numpy as np
import numpy.typing as npt

from dials_truncfix import __version__
from dials_truncfix.report.palette import plot_template
from dials_truncfix.report.plotly_js import compressed_plotly_js, plotly_js_version

# More digits than a screen can show.
_DIGITS = 6


@dataclass(frozen=True)
class Figure:
    """A plot with its words.

    Attributes
    ----------
    plot : Mapping
        ``data`` and ``layout`` of plotly. Axes need their units in the titles. Text
        from outside goes through `plot_text` first.
    description : str
        What one sees, with the main numbers, for readers who do not see it.
    title : str
        Short heading above the plot.
    caption : str
        What to look for, below the plot.
    height : int
        Of the plot, CSS pixels.
    aspect : float or None
        Width over height, instead of `height`; for pictures.
    """

    kind: ClassVar[str] = "figure"
    plot: Mapping[str, Any]
    description: str
    title: str = ""
    caption: str = ""
    height: int = 340
    aspect: float | None = None


@dataclass(frozen=True)
class FigureGrid:
    """Figures side by side, as many as there is room for.

    Attributes
    ----------
    figures : sequence of Figure
        In reading order.
    columns : int
        Most figures in a row, 2 to 4.
    key : sequence of (str, str)
        Colour and meaning: one legend for all the figures.
    """

    kind: ClassVar[str] = "grid"
    figures: Sequence[Figure]
    columns: int = 2
    key: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Table:
    """Rows of cells; columns of nothing but numbers are set flush right.

    Attributes
    ----------
    header : sequence of str
        Names of the columns with their units.
    rows : sequence of sequences
        Cells, made text by ``str``; None is an empty cell.
    caption : str
        What the table shows.
    """

    kind: ClassVar[str] = "table"
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""

    @property
    def numeric(self) -> list[bool]:
        """Columns in which every cell is a number, a dash or empty."""
        columns = zip(*self.rows) if self.rows else [() for _ in self.header]
        return [all(map(_is_number, column)) for column in columns]


@dataclass(frozen=True)
class Notice:
    """Sentences in a box: warnings, or good news.

    Attributes
    ----------
    sentences : sequence of str
        One for each item.
    level : {'warning', 'good', 'plain'}
        How the box looks.
    heading : str
        First line of the box.
    """

    kind: ClassVar[str] = "notice"
    sentences: Sequence[str]
    level: str = "warning"
    heading: str = ""


#: A string is a paragraph.
Content = Union[str, Figure, FigureGrid, Table, Notice]


@dataclass(frozen=True)
class Section:
    """Part of a page.

    Attributes
    ----------
    heading : str
        Also in the list of contents.
    content : sequence of str, Figure, FigureGrid, Table or Notice
        In reading order.
    folded : bool
        Whether the reader has to open it.
    """

    heading: str
    content: Sequence[Content]
    folded: bool = False

    @property
    def anchor(self) -> str:
        """Name for links."""
        return re.sub(r"[^a-z0-9]+", "-", self.heading.lower()).strip("-")


def render_page(
    title: str,
    sections: Sequence[Section],
    *,
    program: str = "dials.truncfix",
    summary: str = "",
) -> str:
    """Make a page.

    Parameters
    ----------
    title : str
        Of the page.
    sections : sequence of Section
        In reading order, with different headings.
    program : str
        Which command made the page.
    summary : str
        One or two sentences below the title.

    Returns
    -------
    str
        HTML of 2.5 MB plus the figures' data, the same for the same arguments.

    Raises
    ------
    ImportError
        Without jinja2 or plotly; see `plotly_js.missing_packages`.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dials_truncfix.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["json"] = _json_in_html
    numbers = _count_up()
    return environment.get_template("page.html").render(
        title=title,
        sections=sections,
        program=program,
        summary=summary,
        version=__version__,
        next_id=lambda: next(numbers),
        template=plot_template(),
        plotly_js=compressed_plotly_js(),
        plotly_version=plotly_js_version(),
    )


def plot_text(text: str) -> str:
    """Escape text for titles, labels and annotations of plots.

    plotly takes some HTML in them, links included.
    """
    return html.escape(text, quote=False)


def _json_in_html(value: Any) -> Any:
    """Write a value as JSON that can stand in a script element."""
    from markupsafe import Markup

    text = json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))
    # inside script elements no entities are known, but in JSON these escapes are;
    # the rest of the text is ASCII
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _plain(value: Any) -> Any:
    """Turn numpy's types into Python's, and numbers that are not finite into null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return _shortened(value)
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        if all(type(item) is float for item in value):
            return _shortened(np.array(value, dtype=float))
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return float(f"{value:.{_DIGITS}g}")
    return value


def _shortened(values: npt.NDArray[np.floating[Any]]) -> list[Any]:
    """Round numbers to as many digits as a screen can show; not finite ones are null."""
    x = values.astype(np.float64)
    finite = np.isfinite(x)
    size = np.abs(np.where(finite & (x != 0), x, 1.0))
    places = _DIGITS - 1 - np.floor(np.log10(size))
    # Powers of ten are exact up to 10²², and whole numbers times or over them are the
    # doubles nearest to what is meant.
    far = np.abs(places) > 22
    power = 10.0 ** np.where(far, 0.0, np.abs(places))
    up = places > 0
    whole = np.rint(np.where(up, x * power, x / power))
    short = np.where(up, whole / power, whole * power)
    short[far] = [float(f"{value:.{_DIGITS}g}") for value in x[far]]
    if finite.all():
        return list(short.tolist())
    listed = short.astype(object)
    listed[~finite] = None
    return list(listed.tolist())


def _is_number(cell: Any) -> bool:
    number = r"[-−+±]?\d[\d.]*(e[-+]?\d+)?( ± [\d.]+)?"
    return cell is None or re.fullmatch(f"({number}|[-–—]?)", str(cell)) is not None


def _count_up() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number
