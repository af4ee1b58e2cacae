"""Zeros against resolution and image, as recorded and as fitted."""

from __future__ import annotations

from typing import Any

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
from dials_truncfix.report.palette import BLACK, VERMILLION
from dials_truncfix.report.resolution import (
    annuli_axis,
    annulus_names,
    first_and_last,
    middle_of,
)
from dials_truncfix.report.sweep_results import RingSeries, SweepResults

Array = npt.NDArray[np.float64]


def zero_figures(results: SweepResults, rings: RingSeries) -> FigureGrid:
    """Draw the zeros against resolution and image, as recorded and as fitted."""
    return FigureGrid(
        [_zeros_by_resolution(rings), _zeros_by_image(results, rings)], columns=2
    )


def _zeros_by_resolution(rings: RingSeries) -> Figure:
    x = middle_of(rings.d_limits)
    with np.errstate(invalid="ignore", divide="ignore"):
        recorded = 100 * rings.n_zero.sum(axis=0) / rings.n_pixels.sum(axis=0)
    spread = 100 * np.nan_to_num(_sd_over_images(rings.zero_fraction))
    fitted = 100 * rings.average("p_nonpositive")
    names = annulus_names(rings.d_limits)
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "recorded as zero",
            "x": x,
            "y": recorded,
            "error_y": {
                "type": "data",
                "array": spread,
                "thickness": 1.2,
                "width": 3,
                "color": VERMILLION,
            },
            "marker": {"color": VERMILLION, "size": 9, "symbol": "circle-open"},
            "text": names,
            "hovertemplate": "%{text}: %{y:.2f} % zeros<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "P(x ≤ 0) by the fit",
            "x": x,
            "y": fitted,
            "line": {"color": BLACK, "width": 1.8},
            "marker": {"color": BLACK, "size": 3},
            "connectgaps": True,
            "text": names,
            "hovertemplate": "%{text}: %{y:.2f} % by the fit<extra></extra>",
        },
    ]
    layout = {
        "xaxis": annuli_axis(rings.d_limits),
        "yaxis": {"title": {"text": "pixels (%)"}, "rangemode": "tozero"},
    }
    return Figure(
        {"data": data, "layout": layout},
        description=(
            f"Zeros against resolution: {first_and_last(recorded, '%', names)}. By the fits: "
            f"{first_and_last(fitted, '%', names)}."
        ),
        title="Zeros against resolution",
        caption=(
            "The line should run through the points: the fits then expect as many zeros "
            "as there are. Bars show how much the images differ."
        ),
    )


def _zeros_by_image(results: SweepResults, rings: RingSeries) -> Figure:
    values = 100 * rings.zero_fraction
    fitted = 100 * rings.p_nonpositive
    data: list[dict[str, Any]] = []
    for (colour, dash, symbol), k in zip(LINES, some_annuli(rings.n_rings)):
        x, y, _ = thinned(results.numbers, values[:, k])
        name = f"annulus {k + 1}"
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": x,
                "y": y,
                "marker": {"color": colour, "symbol": symbol, "size": 6},
                "hovertemplate": f"{name}, image %{{x:.0f}}: %{{y:.2f}} % zeros"
                "<extra></extra>",
            }
        )
        x, y, _ = thinned(results.numbers, fitted[:, k])
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": y,
                "line": {"color": colour, "dash": dash, "width": 1.5},
                "showlegend": False,
                "hovertemplate": f"{name}, image %{{x:.0f}}: %{{y:.2f}} % by the fit"
                "<extra></extra>",
            }
        )
    layout = {
        "xaxis": image_axis(results.numbers),
        "yaxis": {"title": {"text": "pixels (%)"}, "rangemode": "tozero"},
    }
    whole = 100 * rings.n_zero.sum(axis=1) / np.maximum(rings.n_pixels.sum(axis=1), 1)
    return Figure(
        {"data": data, "layout": layout},
        description=(
            f"Zeros along the sweep: from {np.min(whole):.1f} % to {np.max(whole):.1f} "
            "% of the pixels of an image."
        ),
        title="Zeros along the sweep",
        caption=(
            "Points: recorded as zero. Lines: P(x ≤ 0) by the fit. Jumps come from the "
            f"beam, the crystal or the shutter.{averaged_words(results.numbers)}"
        ),
    )


def _sd_over_images(values: Array) -> Array:
    """Take the standard deviation of each column; NaN without two values."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    mean = filled.sum(axis=0) / np.maximum(count, 1)
    square = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
    return np.where(count > 1, np.sqrt(square / np.maximum(count - 1, 1)), np.nan)
