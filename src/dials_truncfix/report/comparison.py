"""A comparison of two integrations as a page of figures and tables."""

from __future__ import annotations

from dials_truncfix.compare.results import Compared
from dials_truncfix.compare.tables import Table as TextTable
from dials_truncfix.compare.tables import comparison_tables
from dials_truncfix.compare.words import findings, warnings
from dials_truncfix.report.comparison_curves import KEY
from dials_truncfix.report.comparison_figures import change_figures, merged_figures
from dials_truncfix.report.page import (
    Content,
    FigureGrid,
    Notice,
    Section,
    Table,
    render_page,
)
from dials_truncfix.report.truth_figures import truth_figures


def comparison_page(compared: Compared) -> str:
    """Make the page.

    Parameters
    ----------
    compared : Compared
        The comparison.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ImportError
        Without jinja2 or plotly.
    """
    comparison, unit = compared.comparison, compared.unit
    sentences = findings(compared)
    words: list[Content] = [Notice(sentences, "plain")]
    if warned := warnings(compared):
        words.insert(0, Notice(warned, "warning", "Before you compare"))
    words.append(Table(["", "File"], compared.files))
    sections = [
        Section("What changed", words),
        Section(
            "Integrated intensities",
            [
                "Reflections that both tables hold, before merging (compare figure 4 "
                "of Hattne et al., 2016).",
                FigureGrid(change_figures(comparison, unit), 2, KEY),
            ],
        ),
        Section(
            "Merged data",
            [
                "All reflections of each table (compare figure 5 of Hattne et al., "
                "2016).",
                FigureGrid(merged_figures(comparison), 2, KEY),
            ],
        ),
    ]
    if comparison.truth_before is not None and comparison.truth_after is not None:
        sections.append(
            Section(
                "Against the truth",
                [
                    "Slope: of observed on true intensities, the same at all "
                    "resolutions where nothing is lost. Bias: mean of observed minus "
                    "true. z: (observed - true)/σ, with standard deviation 1 if σ is "
                    "right.",
                    FigureGrid(
                        truth_figures(
                            comparison.truth_before,
                            comparison.truth_after,
                            comparison.truth_unit,
                        ),
                        2,
                        KEY,
                    ),
                ],
            )
        )
    tables = [html_table(table) for table in comparison_tables(compared)]
    sections.append(Section("Tables", tables, True))
    return render_page(
        "Integrated intensities before and after",
        sections,
        program="dials.truncfix_compare",
        summary=sentences[0],
    )


def html_table(table: TextTable) -> Table:
    """Put the two lines of a head of columns into one."""
    header, group = [], ""
    for name in table.header:
        first, _, second = name.partition("\n")
        group = first or group
        header.append(f"{group} {second}".strip())
    return Table(header, table.rows, table.title)
