"""Moments of the fitted distributions along the sweep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dials_truncfix.report.image_axis import (
    LINES,
    averaged_words,
    image_axis,
    some_annuli,
    thinned,
)
from dials_truncfix.report.page import Figure, FigureGrid
from dials_truncfix.report.resolution import shell_name
from dials_truncfix.report.sweep_results import RingSeries, SweepResults

Array = npt.NDArray[np.float64]

_FEW_POINTS = 60


def drift_figures(results: SweepResults, rings: RingSeries) -> FigureGrid:
    """Draw the moments of the fits along the sweep."""
    chosen = some_annuli(rings.n_rings)
    figures = [
        _drift(results, rings, chosen, *what)
        for what in (
            (
                rings.mean,
                "Background",
                "mean of the pixels (ADU)",
                "It follows the beam, the thickness of the crystal, and ice.",
            ),
            (
                rings.sd,
                "Scatter",
                "standard deviation (ADU)",
                "Where the background is weak this is the read noise, and should "
                "stay the same.",
            ),
            (
                rings.mean_nonpositive,
                "Mean of what was zero",
                "mean of the zeros (ADU)",
                "What the fits make of the zeros. Scatter is the chance of the fits; "
                "slow drifts are those of the dark reference.",
            ),
        )
    ]
    key = [
        (colour, f"annulus {k + 1}: {shell_name(*rings.d_limits[k])} ({word})")
        for (colour, _, _), word, k in zip(
            LINES, ("solid", "dashed", "dash-dotted", "dotted"), chosen
        )
    ]
    return FigureGrid(figures, columns=3, key=key)


def _drift(
    results: SweepResults,
    rings: RingSeries,
    chosen: Sequence[int],
    values: Array,
    title: str,
    unit: str,
    caption: str,
) -> Figure:
    data = []
    for (colour, dash, symbol), k in zip(LINES, chosen):
        x, y, _ = thinned(results.numbers, values[:, k])
        few = len(x) <= _FEW_POINTS
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if few else "lines",
                "x": x,
                "y": y,
                "line": {"color": colour, "dash": dash, "width": 1.6},
                "marker": {"color": colour, "symbol": symbol, "size": 5},
                "hovertemplate": f"annulus {k + 1}, image %{{x:.0f}}: %{{y:.3f}} ADU"
                "<extra></extra>",
            }
        )
    layout = {
        "showlegend": False,
        "xaxis": image_axis(results.numbers),
        "yaxis": {"title": {"text": unit}},
    }
    ranges = "; ".join(
        f"annulus {k + 1} from {np.nanmin(values[:, k]):.2f} to "
        f"{np.nanmax(values[:, k]):.2f} ADU"
        for k in chosen
        if np.isfinite(values[:, k]).any()
    )
    return Figure(
        {"data": data, "layout": layout},
        description=f"{title} along the sweep: {ranges or 'no fits'}.",
        title=title,
        caption=caption + averaged_words(results.numbers),
        height=300,
    )
