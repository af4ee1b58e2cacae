"""How the cycles converged, how models predict what was held out, and what σ is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.results.false_predictions import NAMES
from dials_truncfix.report.page import Figure, FigureGrid, Table
from dials_truncfix.report.palette import BLUE, VERMILLION
from dials_truncfix.report.postrefine_results import numbers


def cycle_figures(
    cycles: Sequence[Mapping[str, Any]], n_lattices: int, tolerance: float
) -> FigureGrid:
    """Draw changes, correlations and accepted lattices, cycle by cycle."""
    names = ["scaling", *(str(number) for number in range(1, len(cycles)))]
    change = 100 * numbers([cycle["change"] for cycle in cycles])
    cc = numbers([cycle["mean_cc"] for cycle in cycles])
    accepted = numbers([cycle["n_accepted"] for cycle in cycles])
    line = {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": 100 * tolerance,
        "y1": 100 * tolerance,
        "line": {"color": VERMILLION, "dash": "dot", "width": 1.2},
    }
    return FigureGrid(
        [
            _curve(
                names,
                change,
                "change (%)",
                "Change of the mean intensities",
                f"The cycles end below {100 * tolerance:g} % (dotted).",
                f"{change[-1]:.3g} % in the last cycle",
                {"type": "log", "dtick": 1, "exponentformat": "none"},
                [line],
            ),
            _curve(
                names,
                cc,
                "mean correlation",
                "Correlation",
                "Of the observed with the calculated intensities, averaged over accepted "
                "lattices.",
                f"{cc[-1]:.4f} in the last cycle",
            ),
            _curve(
                names,
                accepted,
                "lattices",
                "Accepted lattices",
                "",
                f"{accepted[-1]:.0f} of {n_lattices} in the last cycle",
                {"rangemode": "tozero"},
            ),
        ],
        3,
    )


def _curve(
    x: Sequence[str],
    y: Any,
    axis: str,
    title: str,
    caption: str,
    words: str,
    y_axis: Mapping[str, Any] | None = None,
    shapes: Sequence[Mapping[str, Any]] = (),
) -> Figure:
    data = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(x),
        "y": y,
        "line": {"color": BLUE},
        "marker": {"size": 8},
        "hovertemplate": "%{x}: %{y:.4g}<extra></extra>",
    }
    return Figure(
        {
            "data": [data],
            "layout": {
                "xaxis": {"title": {"text": "cycle"}, "type": "category"},
                "yaxis": {"title": {"text": axis}, **(y_axis or {})},
                "shapes": list(shapes),
                "showlegend": False,
            },
        },
        description=f"{title} against cycle: {words}.",
        title=title,
        caption=f"{words[:1].upper()}{words[1:]}. {caption}".strip(),
        height=260,
    )


def model_figure(held_out: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the residuals of observations held out beside those of all others."""
    names = [NAMES[Model(h["model"])] for h in held_out]
    bars = [
        {
            "type": "bar",
            "name": name,
            "x": names,
            "y": numbers([h[key] for h in held_out]),
            "marker": {"color": colour, "pattern": {"shape": pattern}},
            "hovertemplate": f"%{{x}}: %{{y:.4f}} {name}<extra></extra>",
        }
        for key, name, colour, pattern in (
            ("r_free", "R free: held out", BLUE, ""),
            ("r_work", "R work: all others", VERMILLION, "/"),
        )
    ]
    words = ", ".join(f"{name} {h['r_free']:.3f}" for name, h in zip(names, held_out))
    return Figure(
        {
            "data": bars,
            "layout": {
                "xaxis": {"title": {"text": "model of partiality"}, "type": "category"},
                "yaxis": {"title": {"text": "residual R"}, "rangemode": "tozero"},
                "barmode": "group",
            },
        },
        description=f"Residuals of the models of partiality. R free: {words}.",
        title="Free residual",
        caption=(
            "Sum of |observed − calculated| over the sum of |observed|. A free residual "
            "far above the other says that lattices have more parameters than their "
            "observations carry."
        ),
        height=280,
    )


def model_table(held_out: Sequence[Mapping[str, Any]]) -> Table:
    """List the figures of the models."""
    best = min(h["score"] for h in held_out)
    rows = [
        [
            NAMES[Model(h["model"])],
            *(f"{h[key]:.3f}" for key in ("r_free", "cc_free", "r_work", "cc_work")),
            f"{h['score'] - best:.4f}",
            str(h["n_free"]),
        ]
        for h in held_out
    ]
    header = ["Model", "R free", "CC free", "R work", "CC work", "Score", "Held out"]
    return Table(
        header,
        rows,
        "Score: mean negative log likelihood of an observation held out, above the least. "
        "The least decides.",
    )


def error_figure(check: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the spread of deviations over their standard deviations, by intensity."""
    x = numbers([entry["intensity"] for entry in check])
    curves = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": x,
            "y": numbers([entry[key] for entry in check]),
            "line": {"color": colour, "dash": dash},
            "marker": {"color": colour, "symbol": symbol, "size": 8},
            "hovertemplate": f"I %{{x:.4g}}: %{{y:.3f}} {name}<extra></extra>",
        }
        for key, name, colour, dash, symbol in (
            ("after", "with the error model", BLUE, "solid", "circle"),
            ("before", "before", VERMILLION, "dash", "square-open"),
        )
    ]
    after = numbers([entry["after"] for entry in check])
    words = f"With the error model: {np.nanmin(after):.2f} to {np.nanmax(after):.2f}."
    return Figure(
        {
            "data": curves,
            "layout": {
                "xaxis": {
                    "title": {"text": "full intensity"},
                    "type": "log",
                    "dtick": 1,
                    "exponentformat": "none",
                },
                "yaxis": {"title": {"text": "spread of z"}, "rangemode": "tozero"},
                "shapes": [
                    {
                        "type": "line",
                        "xref": "paper",
                        "x0": 0,
                        "x1": 1,
                        "y0": 1,
                        "y1": 1,
                        "line": {"color": VERMILLION, "dash": "dot", "width": 1.2},
                    }
                ],
            },
        },
        description=f"Spread of deviations in standard deviations by intensity. {words}",
        title="Deviations over their standard deviations",
        caption=(
            f"{words} Deviations of full intensities from the mean of the other lattices. "
            "Their spread should be 1 (dotted) for weak and strong reflections alike."
        ),
        height=280,
    )
