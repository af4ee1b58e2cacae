"""Merged intensities in shells of resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dials_truncfix.report.page import Content, Figure, FigureGrid, Table
from dials_truncfix.report.palette import BLUE, VERMILLION
from dials_truncfix.report.postrefine_results import Array, numbers
from dials_truncfix.report.resolution import middle_of, resolution_axis, shell_name

#: Colour, dash and symbol of the first and the second curve.
_LOOKS = ((BLUE, "solid", "circle"), (VERMILLION, "dash", "square-open"))


def shell_content(shells: Sequence[Mapping[str, Any]]) -> list[Content]:
    """Draw and list the figures of all shells.

    Parameters
    ----------
    shells : sequence of Mapping
        From the record; the last is all of them together.
    """
    limits = np.array([[s["d_max"], s["d_min"]] for s in shells[:-1]])
    reference = shells[-1]["cc_reference"] is not None and np.isfinite(
        shells[-1]["cc_reference"]
    )
    to_reference = [("r_iso", "R iso")], [("cc_reference", "CC to the reference")]
    figures = [
        _figure(
            shells,
            limits,
            [("completeness", "completeness")],
            "completeness (%)",
            "Completeness",
            factor=100,
            rangemode="tozero",
        ),
        _figure(
            shells,
            limits,
            [("multiplicity", "multiplicity")],
            "multiplicity",
            "Multiplicity",
            rangemode="tozero",
        ),
        _figure(
            shells,
            limits,
            [("i_over_sigma", "I/σ")],
            "mean I/σ",
            "I/σ of merged reflections",
            rangemode="tozero",
        ),
        _figure(
            shells,
            limits,
            [("cc_half", "CC½"), *(to_reference[1] if reference else [])],
            "correlation coefficient",
            "Correlation of half sets" + (" and to the reference" if reference else ""),
            "The halves are of lattices: the errors of one lattice's parameters stay in one "
            "half.",
            range=[-0.1, 1.05],
        ),
        _figure(
            shells,
            limits,
            [("r_split", "R split"), *(to_reference[0] if reference else [])],
            "R",
            "R split" + (" and R iso" if reference else ""),
            "R iso is the sum of the deviations from the reference, which one factor brings "
            "to the scale of the data, over its sum."
            if reference
            else "",
            rangemode="tozero",
        ),
        _figure(
            shells,
            limits,
            [("cc_after", "after"), ("cc_before", "before")],
            "correlation coefficient",
            "Single observations before and after",
            "Correlation of observations with what they were refined against, as measured "
            "and as full intensities.",
            range=[-0.1, 1.05],
        ),
    ]
    return [FigureGrid(figures, 2), _table(shells, reference)]


def _figure(
    shells: Sequence[Mapping[str, Any]],
    limits: Array,
    curves: Sequence[tuple[str, str]],
    axis: str,
    title: str,
    caption: str = "",
    factor: float = 1.0,
    **y_axis: Any,
) -> Figure:
    x, names = middle_of(limits), [shell_name(*pair) for pair in limits]
    data, words = [], []
    for (key, name), (colour, dash, symbol) in zip(curves, _LOOKS):
        values = factor * numbers([shell[key] for shell in shells])
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": x,
                "y": values[:-1],
                "text": names,
                "line": {"color": colour, "dash": dash},
                "marker": {"symbol": symbol, "size": 8, "color": colour},
                "hovertemplate": f"%{{text}}<br>{name}: %{{y:.4g}}<extra></extra>",
            }
        )
        unit = " %" if axis.endswith("(%)") else ""
        words.append(f"{name} {values[-1]:.4g}{unit}".replace("-", "−"))
    overall = f"Over all: {', '.join(words)}."
    return Figure(
        {
            "data": data,
            "layout": {
                "xaxis": resolution_axis(limits[0, 0] ** -2, limits[-1, 1] ** -2),
                "yaxis": {"title": {"text": axis}, **y_axis},
                "showlegend": len(curves) > 1,
            },
        },
        description=f"{title} against resolution. {overall}",
        title=title,
        caption=f"{overall} {caption}".strip(),
        height=280,
    )


def _table(shells: Sequence[Mapping[str, Any]], reference: bool) -> Table:
    columns = [
        ("Observations", "n_observed", 1, 0),
        ("Unique", "n_unique", 1, 0),
        ("Completeness (%)", "completeness", 100, 1),
        ("Multiplicity", "multiplicity", 1, 1),
        ("⟨I/σ⟩", "i_over_sigma", 1, 1),
        ("CC½", "cc_half", 1, 4),
        ("R split", "r_split", 1, 3),
        ("CC before", "cc_before", 1, 3),
        ("CC after", "cc_after", 1, 3),
    ]
    if reference:
        columns += [("R iso", "r_iso", 1, 3), ("CC to reference", "cc_reference", 1, 3)]
    rows = [
        [
            shell_name(shell["d_max"], shell["d_min"]).removesuffix(" Å"),
            *(_text(shell[key], factor, digits) for _, key, factor, digits in columns),
        ]
        for shell in shells
    ]
    return Table(
        ["d (Å)", *(name for name, *_ in columns)],
        rows,
        "The last row is of all reflections. R split as in White et al. (2012).",
    )


def _text(value: float | None, factor: float, digits: int) -> str:
    if value is None or not np.isfinite(value):
        return "–"
    return f"{factor * value:.{digits}f}".replace("-", "−")
