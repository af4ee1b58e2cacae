"""Curves of two sides, before and after, against the resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dials_truncfix.report.palette import BLUE, GREY, VERMILLION
from dials_truncfix.report.resolution import middle_of, resolution_axis, shell_name

#: Colours and their meaning, for the legend that all figures share.
KEY = [(VERMILLION, "before (squares)"), (BLUE, "after (circles)")]

_COLOURS = {"before": VERMILLION, "after": BLUE}
_SYMBOLS = {"before": "square-open", "after": "circle"}


def curve(
    side: str,
    x: Sequence[float],
    y: Sequence[float],
    text: Sequence[str],
    error: Sequence[float] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Draw one side of a comparison."""
    drawn = {
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
        drawn["error_y"] = {"array": list(error), "width": 0, "thickness": 1.2}
    return drawn


def dotted_line(y: float) -> dict[str, Any]:
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


def places_of_shells(limits: Sequence[float]) -> tuple[list[float], list[str]]:
    """Places and names of shells."""
    pairs = np.array([limits[:-1], limits[1:]]).T
    return middle_of(pairs).tolist(), [shell_name(*pair) for pair in pairs]


def by_resolution(
    limits: Sequence[float],
    curves: Sequence[dict[str, Any]],
    title: str,
    shapes: Sequence[dict[str, Any]] = (),
    **y_axis: Any,
) -> dict[str, Any]:
    """Plot curves against the resolution."""
    return {
        "data": list(curves),
        "layout": {
            "xaxis": resolution_axis(limits[0] ** -2, limits[-1] ** -2),
            "yaxis": {"title": {"text": title}, **y_axis},
            "shapes": list(shapes),
            "showlegend": False,
        },
    }


def both(before: float, after: float, form: str) -> str:
    """Word the values of both sides."""
    return f"{format(before, form)} before and {format(after, form)} after"
