"""A comparison of two integrations as a page of figures and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dials_truncfix.compare.agreement import Agreement
from dials_truncfix.compare.comparison import Comparison, TruthFigures
from dials_truncfix.compare.merging import MergedShell
from dials_truncfix.compare.results import Compared
from dials_truncfix.compare.shells import NAN
from dials_truncfix.compare.tables import Table as TextTable
from dials_truncfix.compare.tables import bin_name, comparison_tables
from dials_truncfix.compare.words import findings, warnings
from dials_truncfix.report.page import (
    Content,
    Figure,
    FigureGrid,
    Notice,
    Section,
    Table,
    render_page,
)
from dials_truncfix.report.palette import BLACK, BLUE, GREY, VERMILLION

_COLOURS = {"before": VERMILLION, "after": BLUE}
_SYMBOLS = {"before": "square-open", "after": "circle"}
_KEY = [(VERMILLION, "before (squares)"), (BLUE, "after (circles)")]
_TICKS = (20, 10, 7, 5, 4, 3.5, 3, 2.6, 2.3, 2, 1.8, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1, 1)
_FEWEST_TICKS = 4
#: Slopes with larger errors are not drawn.
_UNCERTAIN = 0.15


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
                FigureGrid(_change_figures(comparison, unit), 2, _KEY),
            ],
        ),
        Section(
            "Merged data",
            [
                "All reflections of each table (compare figure 5 of Hattne et al., "
                "2016).",
                FigureGrid(_merged_figures(comparison), 2, _KEY),
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
                        _truth_figures(
                            comparison.truth_before,
                            comparison.truth_after,
                            comparison.truth_unit,
                        ),
                        2,
                        _KEY,
                    ),
                ],
            )
        )
    tables = [_html_table(table) for table in comparison_tables(compared)]
    sections.append(Section("Tables", tables, True))
    return render_page(
        "Integrated intensities before and after",
        sections,
        program="dials.truncfix_compare",
        summary=sentences[0],
    )


def _html_table(table: TextTable) -> Table:
    header, group = [], ""
    for name in table.header:
        first, _, second = name.partition("\n")
        group = first or group
        header.append(f"{group} {second}".strip())
    return Table(header, table.rows, table.title)


def _resolution_axis(limits: Sequence[float]) -> dict[str, Any]:
    """Axis even in 1/d², labelled in Å."""
    low, high = limits[0] ** -2, limits[-1] ** -2
    margin = 0.02 * (high - low)
    ticks: list[float] = []
    nearest = (high - low) / 9
    for d in _TICKS:
        if low <= d**-2 <= high and (not ticks or d**-2 - ticks[-1] ** -2 > nearest):
            ticks.append(d)
    if len(ticks) < _FEWEST_TICKS:
        ticks = [round(x**-0.5, 2) for x in np.linspace(low, high, 6)[1:]]
    return {
        "title": {"text": "resolution (Å)"},
        "tickvals": [d**-2 for d in ticks],
        "ticktext": [f"{d:g}" for d in ticks],
        "range": [low - margin, high + margin],
    }


def _centres(limits: Sequence[float]) -> list[float]:
    return [(a**-2 + b**-2) / 2 for a, b in zip(limits, limits[1:])]


def _curve(
    side: str,
    x: Sequence[float],
    y: Sequence[float],
    text: Sequence[str],
    error: Sequence[float] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    curve = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": side,
        "x": list(x),
        "y": list(y),
        "text": list(text),
        "hovertemplate": f"%{{text}}<br>{side}: %{{y:.4g}}<extra></extra>",
        "line": {
            "color": _COLOURS[side],
            "dash": "dash" if side == "before" else "solid",
        },
        "marker": {"symbol": _SYMBOLS[side], "size": 8},
        **changes,
    }
    if error is not None:
        curve["error_y"] = {"array": list(error), "width": 0, "thickness": 1.2}
    return curve


def _line(y: float) -> dict[str, Any]:
    """Dotted line across a plot."""
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": y,
        "y1": y,
        "line": {"color": GREY, "dash": "dot", "width": 1},
    }


def _names(limits: Sequence[float]) -> list[str]:
    return [f"{a:.2f}-{b:.2f} Å" for a, b in zip(limits, limits[1:])]


def _by_resolution(
    comparison_limits: Sequence[float],
    curves: Sequence[dict[str, Any]],
    title: str,
    shapes: Sequence[dict[str, Any]] = (),
    **y_axis: Any,
) -> dict[str, Any]:
    return {
        "data": list(curves),
        "layout": {
            "xaxis": _resolution_axis(comparison_limits),
            "yaxis": {"title": {"text": title}, **y_axis},
            "shapes": list(shapes),
            "showlegend": False,
        },
    }


def _range(before: float, after: float, form: str) -> str:
    return f"{format(before, form)} before and {format(after, form)} after"


def _change_figures(comparison: Comparison, unit: str) -> list[Figure]:
    limits = comparison.limits.tolist()
    x, names = _centres(limits), _names(limits)
    shells, whole = comparison.changes[:-1], comparison.changes[-1]
    change = _curve(
        "after",
        x,
        [c.change for c in shells],
        names,
        [c.change_error for c in shells],
        name="change",
        hovertemplate="%{text}<br>%{y:.3g}<extra></extra>",
        line={"color": BLACK},
        marker={"symbol": "diamond", "size": 8, "color": BLACK},
    )
    ratio = {
        **change,
        "y": [c.ratio for c in shells],
        "error_y": {"visible": False},
    }
    return [
        Figure(
            _by_resolution(
                limits, [change], f"mean of after - before ({unit})", [_line(0)]
            ),
            f"Mean change of the intensities against resolution: over all "
            f"{whole.change:+.4g} {unit}.",
            "Change of intensity",
        ),
        Figure(
            _by_resolution(limits, [ratio], "sum after / sum before", [_line(1)]),
            f"Ratio of the sums of intensities against resolution: over all "
            f"{whole.ratio:.3f}.",
            "Relative change",
        ),
        Figure(
            _by_resolution(
                limits,
                [
                    _curve(
                        "before", x, [100 * c.negative_before for c in shells], names
                    ),
                    _curve("after", x, [100 * c.negative_after for c in shells], names),
                ],
                "negative (%)",
                rangemode="tozero",
            ),
            "Fraction of negative intensities against resolution: over all "
            + _range(100 * whole.negative_before, 100 * whole.negative_after, ".1f")
            + " %.",
            "Negative intensities",
        ),
        Figure(
            _by_resolution(
                limits,
                [
                    _curve("before", x, [c.i_over_sigma_before for c in shells], names),
                    _curve("after", x, [c.i_over_sigma_after for c in shells], names),
                ],
                "mean I/σ before merging",
                [_line(1)],
                rangemode="tozero",
            ),
            "Mean I/σ before merging against resolution: over all "
            + _range(whole.i_over_sigma_before, whole.i_over_sigma_after, ".2f")
            + ".",
            "I/σ of single reflections",
        ),
    ]


def _merged_figures(comparison: Comparison) -> list[Figure]:
    limits = comparison.limits.tolist()
    x, names = _centres(limits), _names(limits)
    sides = {"before": comparison.merged_before, "after": comparison.merged_after}

    def curves(value: Callable[[MergedShell], float], **changes: Any) -> list[Any]:
        return [
            _curve(side, x, [value(m) for m in shells[:-1]], names, **changes)
            for side, shells in sides.items()
        ]

    def overall(value: Callable[[MergedShell], float], form: str) -> str:
        return _range(*(value(shells[-1]) for shells in sides.values()), form) + "."

    cc_curves = curves(lambda m: m.cc_half)
    cc_title, cc_words, cc_caption = (
        "CC½",
        "CC½",
        (
            "CC½ says how well halves of the data agree, not how right they are; cutting "
            "pixels off raises it."
        ),
    )
    if comparison.truth_before is not None:
        cc_curves += [
            {
                **curve,
                "line": {**curve["line"], "dash": "dot"},
                "hovertemplate": curve["hovertemplate"].replace(": ", ", truth: "),
                "marker": {**curve["marker"], "symbol": "x-thin-open"},
            }
            for curve in curves(lambda m: m.cc_truth)
        ]
        cc_title = "correlation coefficient"
        cc_words = "CC½, and dotted with crosses the correlation with the truth,"
        cc_caption += (
            " Dotted, with crosses: correlation of the merged data with the truth, in "
            "which a bias does not show either."
        )
    return [
        Figure(
            _by_resolution(
                limits,
                curves(lambda m: m.i_over_sigma),
                "mean I/σ",
                [_line(1)],
                rangemode="tozero",
            ),
            "Mean I/σ of merged reflections against resolution: over all "
            + overall(lambda m: m.i_over_sigma, ".2f"),
            "I/σ of merged reflections",
        ),
        Figure(
            _by_resolution(limits, cc_curves, cc_title, [_line(0)], range=[-0.1, 1.05]),
            f"{cc_words} against resolution: CC½ over all "
            + overall(lambda m: m.cc_half, ".3f"),
            "Correlation of half sets",
            cc_caption,
        ),
        Figure(
            _by_resolution(
                limits,
                curves(lambda m: 100 * m.completeness),
                "completeness (%)",
                rangemode="tozero",
            ),
            "Completeness against resolution: over all "
            + overall(lambda m: 100 * m.completeness, ".1f"),
            "Completeness",
        ),
        Figure(
            _by_resolution(
                limits,
                curves(lambda m: m.multiplicity),
                "multiplicity",
                rangemode="tozero",
            ),
            "Multiplicity against resolution: over all "
            + overall(lambda m: m.multiplicity, ".2f"),
            "Multiplicity",
        ),
    ]


def _truth_figures(
    before: TruthFigures, after: TruthFigures, unit: str
) -> list[Figure]:
    shells = before.shells[:-1]
    limits = [shells[0].low, *(s.high for s in shells)]
    x, names = _centres(limits), _names(limits)
    sides = {"before": before, "after": after}

    def curves(value: Callable[[Agreement], float]) -> list[Any]:
        return [
            _curve(side, x, [value(s) for s in figures.shells[:-1]], names)
            for side, figures in sides.items()
        ]

    slopes = [
        _curve(
            side,
            x,
            [s.slope if s.slope_error < _UNCERTAIN else NAN for s in shells],
            names,
            [s.slope_error for s in shells],
        )
        for side, shells in ((n, f.shells[:-1]) for n, f in sides.items())
    ]
    bins = [bin_name(b) for b in before.bins]
    biases = [
        _curve(
            side,
            bins,  # type: ignore[arg-type]
            [b.bias for b in figures.bins],
            [f"{name} {unit}" for name in bins],
            [b.bias_error for b in figures.bins],
        )
        for side, figures in sides.items()
    ]
    weakest = _range(before.bins[0].bias, after.bins[0].bias, "+.2f")
    return [
        Figure(
            _by_resolution(limits, slopes, "slope", [_line(1)]),
            "Slope of observed on true intensities against resolution: over all "
            + _range(before.shells[-1].slope, after.shells[-1].slope, ".3f")
            + ".",
            "Slope",
        ),
        Figure(
            {
                "data": biases,
                "layout": {
                    "xaxis": {
                        "title": {"text": f"true intensity ({unit})"},
                        "type": "category",
                    },
                    "yaxis": {"title": {"text": f"bias ({unit})"}},
                    "shapes": [_line(0)],
                    "showlegend": False,
                },
            },
            f"Bias in bins of the true intensity: {weakest} {unit} in the weakest.",
            "Bias",
            "What lies outside the integration box is part of the bias.",
        ),
        Figure(
            _by_resolution(
                limits, curves(lambda s: s.z_sd), "standard deviation of z", [_line(1)]
            ),
            "Standard deviation of z against resolution: over all "
            + _range(before.shells[-1].z_sd, after.shells[-1].z_sd, ".2f")
            + ".",
            "Standard deviations",
        ),
        Figure(
            _by_resolution(
                limits,
                curves(lambda s: s.r_factor),
                "R",
                rangemode="tozero",
            ),
            "Sum of the deviations from the truth over its sum, against resolution: "
            "over all "
            + _range(before.shells[-1].r_factor, after.shells[-1].r_factor, ".3f")
            + ".",
            "R to the truth",
            "Noise and bias of single reflections together: cutting pixels off can lower "
            "the noise by more than the bias that it adds. Merging averages noise, but "
            "no bias.",
        ),
    ]
