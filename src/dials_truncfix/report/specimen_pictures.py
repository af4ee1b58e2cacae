"""Images of specimens as plots, and arrows on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.report.palette import GREY, VERMILLION

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: More points to a side than a page shows.
PICTURE_PIXELS = 240


def averaging_step(shape: tuple[int, ...]) -> int:
    """Pixels to average along each side for a picture."""
    return max(1, int(np.ceil(max(shape) / PICTURE_PIXELS)))


def grey_heatmap(
    values: Array, start: float, step: float, *, dark_is_high: bool = True
) -> dict[str, Any]:
    """Draw values in shades of grey.

    Parameters
    ----------
    values : ndarray, shape (slow, fast)
        Any unit; NaN stays empty.
    start, step : float
        Middle of the first value and distance of values on both axes, pixels.
    dark_is_high : bool
        Whether high values are black.
    """
    low, high = np.nanpercentile(values, [2.0, 99.0])
    ends = ["#FFFFFF", "#000000"] if dark_is_high else ["#000000", "#FFFFFF"]
    return {
        "type": "heatmap",
        "z": np.round((values - low) / max(high - low, 1e-12), 3),
        "x0": start,
        "dx": step,
        "y0": start,
        "dy": step,
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0.0, ends[0]], [1.0, ends[1]]],
        "showscale": False,
        "hoverinfo": "skip",
    }


def picture_axes(
    width: tuple[float, float], height: tuple[float, float], name: str = ""
) -> dict[str, Any]:
    """Lay out axes of equal scale, slow downwards.

    Parameters
    ----------
    width, height : tuple of float
        Ends along fast and slow, pixels.
    name : str
        What is drawn against them, such as `` lag``.
    """
    return {
        "xaxis": {
            "title": {"text": f"fast{name} (px)"},
            "range": list(width),
            "constrain": "domain",
            "nticks": 5,
            "showgrid": False,
        },
        "yaxis": {
            "title": {"text": f"slow{name} (px)"},
            "range": list(height[::-1]),
            "scaleanchor": "x",
            "constrain": "domain",
            "nticks": 5,
            "showgrid": False,
        },
        "showlegend": False,
    }


def arrows(
    places: Array, vectors: Array, kept: BoolArray, enlarged: float
) -> list[dict[str, Any]]:
    """Draw vectors from places; those that were left out in grey.

    Parameters
    ----------
    places, vectors : ndarray, shape (n, 2)
        (fast, slow), pixels.
    kept : ndarray, shape (n,), bool
        Which count.
    enlarged : float
        By how much vectors are drawn longer.
    """
    traces = []
    for which, colour in ((~kept, GREY), (kept, VERMILLION)):
        start = places[which]
        end = start + enlarged * vectors[which]
        if not len(start):
            continue
        gap = np.full(len(start), np.nan)
        lines = np.stack([start, end, np.column_stack([gap, gap])], axis=1)
        x, y = lines.reshape(-1, 2).T
        traces += [
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": y,
                "line": {"color": colour, "width": 2},
                "hoverinfo": "skip",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "x": start[:, 0],
                "y": start[:, 1],
                "marker": {"color": colour, "size": 5},
                "customdata": vectors[which],
                "hovertemplate": "%{customdata[0]:.3f}, %{customdata[1]:.3f} px"
                "<extra></extra>",
            },
        ]
    return traces


def arrow_scale(vectors: Array, spacing: float) -> float:
    """By how much to enlarge vectors: 1, 2 or 5 times a power of ten."""
    if not len(vectors):
        return 1.0
    longest = float(np.percentile(np.linalg.norm(vectors, axis=1), 90))
    wanted = 0.7 * spacing / max(longest, 1e-9)
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(max(step * power for step in (1, 2, 5) if step * power <= wanted))
