"""How the parameters of lattices are correlated, within a lattice and between them."""

from __future__ import annotations

import numpy as np

from dials_truncfix.postrefine.lattice.target import PARAMETER_NAMES
from dials_truncfix.report.page import Figure, FigureGrid
from dials_truncfix.report.palette import TEXT, signed_scale
from dials_truncfix.report.parameter_figures import QUANTITIES
from dials_truncfix.report.postrefine_results import Array, PostrefineResults

#: Correlations darker than this take white letters.
_DARK = 0.55


def correlation_figures(results: PostrefineResults) -> FigureGrid:
    """Draw correlations within lattices, and those between lattices."""
    within = results.correlations[results.accepted].astype(np.float64)
    return FigureGrid(
        [
            _matrix(
                _medians(within),
                "Within a lattice",
                "Median correlation coefficients of the parameters of a lattice",
                "From the normal matrices: which parameters the observations of a lattice "
                "cannot tell apart. Near ±1 two parameters share one piece of information, "
                "and neither is known as well as its partner being known would make it.",
            ),
            _matrix(
                _between(results),
                "Between lattices",
                "Correlation coefficients of the refined values over all lattices",
                "Of the refined values (logarithms of G and rs), by their ranks. What is "
                "correlated here and not at the left is so in the crystals, the beam or "
                "the indexing.",
            ),
        ],
        2,
    )


def _medians(within: Array) -> Array:
    n = len(PARAMETER_NAMES)
    result = np.full((n, n), np.nan)
    for j in range(n):
        for k in range(n):
            known = within[:, j, k][np.isfinite(within[:, j, k])]
            if len(known):
                result[j, k] = np.median(known)
    return result


def _between(results: PostrefineResults) -> Array:
    n = len(PARAMETER_NAMES)
    result = np.full((n, n), np.nan)
    values = [results.values[name][results.accepted] for name in PARAMETER_NAMES]
    for j in range(n):
        for k in range(j):
            both = np.isfinite(values[j]) & np.isfinite(values[k])
            a, b = values[j][both], values[k][both]
            if len(a) >= 10 and np.ptp(a) > 0 and np.ptp(b) > 0:
                ranks = np.array([np.argsort(np.argsort(x)) for x in (a, b)])
                result[j, k] = result[k, j] = np.corrcoef(ranks)[0, 1]
    return result


def _matrix(values: Array, title: str, description: str, caption: str) -> Figure:
    symbols = [QUANTITIES[name].symbol for name in PARAMETER_NAMES]
    n = len(symbols)
    # the diagonal says nothing
    shown = np.where(np.eye(n, dtype=bool), np.nan, values)
    pairs = [(j, k) for j in range(n) for k in range(j) if np.isfinite(shown[j, k])]
    pairs.sort(key=lambda pair: -abs(shown[pair]))
    largest = ", ".join(
        f"{symbols[k]} and {symbols[j]} {shown[j, k]:+.2f}".replace("-", "−")
        for j, k in pairs[:2]
    )
    annotations = [
        {
            "x": symbols[k],
            "y": symbols[j],
            "text": f"{round(shown[j, k], 2) + 0.0:.2f}".replace("-", "−"),
            "showarrow": False,
            "font": {"color": "#FFFFFF" if abs(shown[j, k]) > _DARK else TEXT},
        }
        for j in range(n)
        for k in range(n)
        if np.isfinite(shown[j, k])
    ]
    data = {
        "type": "heatmap",
        "x": symbols,
        "y": symbols,
        "z": shown,
        "zmin": -1,
        "zmax": 1,
        "colorscale": signed_scale(-1.0, 1.0),
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hovertemplate": "%{x}, %{y}: %{z:.3f}<extra></extra>",
    }
    layout = {
        "annotations": annotations,
        "xaxis": {"title": {"text": "parameter"}, "showgrid": False},
        "yaxis": {
            "title": {"text": "parameter"},
            "autorange": "reversed",
            "showgrid": False,
        },
    }
    return Figure(
        {"data": [data], "layout": layout},
        description=f"{description}. Largest: {largest or 'none known'}.",
        title=title,
        caption=f"Largest: {largest}. {caption}" if largest else caption,
    )
