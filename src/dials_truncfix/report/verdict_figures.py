"""What the verdict rests on: zeros against those that a counting detector would have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dials_truncfix.report.page import Figure, FigureGrid
from dials_truncfix.report.palette import BLACK, SKY_BLUE, VERMILLION

_MOST_LEVELS = 16
# Predictions less certain than this decide nothing, and are not drawn.
_LARGEST_SD_LOG = 0.3


def verdict_figures(verdict: Mapping[str, Any]) -> FigureGrid | None:
    """Draw the zeros of all regions, and the low counts of one.

    Parameters
    ----------
    verdict : Mapping
        From the record.

    Returns
    -------
    FigureGrid or None
        None where no pixel is zero.
    """
    regions = verdict.get("regions") or []
    if not any(region["n_zero"] for region in regions):
        return None
    # the darkest one that allows a prediction
    shown = next((i for i, r in enumerate(regions) if np.isfinite(_predicted(r))), 0)
    return FigureGrid([_zeros(regions), _low_counts(regions[shown], shown)], columns=2)


def _predicted(region: Mapping[str, Any]) -> float:
    """Zeros predicted for a counting detector, %; NaN where too little is known."""
    sd_log = region["sd_log"]
    if region["n_predicted"] is None or sd_log is None or sd_log > _LARGEST_SD_LOG:
        return float("nan")
    percent = 100.0 * float(region["n_predicted"]) / max(region["n_pixels"], 1)
    return float(np.minimum(percent, 100.0))


def _zeros(regions: Sequence[Mapping[str, Any]]) -> Figure:
    x = np.arange(1, len(regions) + 1)
    n_pixels = np.array([region["n_pixels"] for region in regions], dtype=float)
    recorded = 100 * np.array([r["n_zero"] for r in regions]) / n_pixels
    predicted = np.array([_predicted(region) for region in regions])
    error = predicted * np.array([region["sd_log"] or 0.0 for region in regions])
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "recorded as zero",
            "x": x,
            "y": recorded,
            "marker": {"color": VERMILLION, "size": 9},
            "hovertemplate": "region %{x}: %{y:.2f} % zeros<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "a counting detector",
            "x": x,
            "y": predicted,
            "error_y": {"type": "data", "array": error, "thickness": 1, "width": 3},
            "marker": {"color": BLACK, "size": 9, "symbol": "diamond-open"},
            "hovertemplate": "region %{x}: %{y:.2f} % predicted<extra></extra>",
        },
    ]
    layout = {
        "xaxis": {
            "title": {"text": "region, from dark to bright"},
            "range": [0.5, len(regions) + 0.5],
            "dtick": 1 if len(regions) <= 6 else 2,
            "tick0": 1,
        },
        "yaxis": {"title": {"text": "pixels (%)"}, "rangemode": "tozero"},
    }
    known = np.isfinite(predicted)
    told = (
        f" A counting detector would have {np.min(predicted[known]):.1f} % to "
        f"{np.max(predicted[known]):.1f} %."
        if known.any()
        else " Nothing can be predicted for a counting detector."
    )
    return Figure(
        {"data": data, "layout": layout},
        description=(
            f"Zeros of {len(regions)} regions of similar brightness: from "
            f"{recorded.min():.1f} % to {recorded.max():.1f} % of the pixels.{told}"
        ),
        title="Zeros, and those of a counting detector",
        caption=(
            "Regions of similar brightness in a few images. Where zeros are counts, "
            "circles and diamonds coincide. Where values below zero were cut off, there "
            "are many more zeros. A diamond is missing where too few pixels are above "
            "zero to predict anything."
        ),
    )


def _low_counts(region: Mapping[str, Any], number: int) -> Figure:
    counts = np.array(region["low_counts"][:_MOST_LEVELS], dtype=float)
    percent = 100 * counts / max(region["n_pixels"], 1)
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "name": "recorded",
            "x": np.arange(len(percent)),
            "y": percent,
            "marker": {"color": [VERMILLION] + [SKY_BLUE] * (len(percent) - 1)},
            "showlegend": False,
            "hovertemplate": "level %{x}: %{y:.2f} %<extra></extra>",
        }
    ]
    told = ""
    predicted = _predicted(region)
    if np.isfinite(predicted):
        told = f", {predicted:.1f} % would be by counting"
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "zeros predicted for a counting detector",
                "x": [0],
                "y": [predicted],
                "marker": {"color": BLACK, "size": 10, "symbol": "diamond-open"},
                "hovertemplate": "predicted: %{y:.2f} %<extra></extra>",
            }
        )
    layout = {
        "bargap": 0.15,
        "xaxis": {
            "title": {"text": "grey level"},
            "range": [-0.7, len(percent) - 0.3],
            "dtick": 2,
        },
        "yaxis": {"title": {"text": "pixels (%)"}, "rangemode": "tozero"},
    }
    return Figure(
        {"data": data, "layout": layout},
        description=(
            f"Low counts of region {number + 1}: {percent[0]:.1f} % of the pixels are "
            f"zero{told}."
        ),
        title=f"Low counts of region {number + 1}",
        caption=(
            "The counts just above zero predict how many zeros a counting detector "
            "would have had."
            if told
            else "Too few pixels are above zero to predict the zeros of a counting "
            "detector."
        ),
    )
