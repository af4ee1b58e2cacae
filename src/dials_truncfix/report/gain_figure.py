"""The photon-transfer plot: variance against mean, whose slope is the gain.

References
----------
Janesick, J. R., Klaasen, K. P. & Elliott, T. (1987). Opt. Eng. 26, 972-980,
doi:10.1117/12.7974183.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.packed import unpack_array
from dials_truncfix.report.page import Figure, FigureGrid
from dials_truncfix.report.palette import BLACK, BLUE, VERMILLION
from dials_truncfix.sweep.illustrations import NoiseRecord

Array = npt.NDArray[np.float64]

_LARGEST_ARRAY = 1 << 24
_MOST_POINTS = 2000
# Of the points, the part that the enlarged plot is about.
_DARK_PART = 0.5


def gain_figures(noise: NoiseRecord, record: Mapping[str, Any]) -> FigureGrid:
    """Draw the points, the fitted line, and the one that was written where it differs.

    Parameters
    ----------
    noise : NoiseRecord
        From the record.
    record : Mapping
        The record itself: gain, pedestal and how they were estimated.

    Returns
    -------
    FigureGrid
        All of it, and the dark end enlarged.

    Raises
    ------
    ValueError
        When the record is damaged.
    """
    points = np.asarray(unpack_array(noise.points, _LARGEST_ARRAY), np.float64)
    if points.ndim != 2 or points.shape[1] != 5 or not len(points):
        raise ValueError("the noise points have a wrong shape")
    # every so many, in the order of brightness
    points = points[np.argsort(points[:, 1], kind="stable")]
    points = points[:: -(-len(points) // _MOST_POINTS)]
    mean = points[:, 1]
    estimate = record.get("gain_estimate") or {}
    written = float(record["gain"]), float(record["pedestal"])
    lines = []
    if estimate.get("reliable"):
        fitted = float(estimate["gain"]), float(estimate["pedestal"])
        lines.append((fitted, BLACK, "solid", "fitted line"))
    if not lines or not np.allclose(lines[0][0], written, rtol=1e-3):
        lines.append((written, VERMILLION, "dash", "as written"))
    low = min(float(mean.min()), written[1], 0.0)
    bright = float(mean.max())
    dark = min(float(np.quantile(mean, _DARK_PART)) * 1.5, bright)
    words = _words(estimate, *written)
    if record.get("camera"):
        words += " The camera counts, whose line is dashed."
    return FigureGrid(
        [
            _figure(
                points,
                lines,
                (low, bright),
                "Variance against mean",
                f"Variance against mean of the corrected pixels. {words}",
                f"{words} The points should lie on the line, whose slope is the gain. "
                "Points above it hold spots or a steep background.",
            ),
            _figure(
                points[mean <= dark],
                lines,
                (low, max(dark, low + 1.0)),
                "The same near zero",
                "The dark end of the same points.",
                "The line meets the axis at the pedestal, which is below zero by the "
                "variance of the read noise over the gain. DIALS takes variance = gain "
                "× (value − pedestal).",
            ),
        ],
        columns=2,
    )


def _figure(
    points: Array,
    lines: Sequence[tuple[tuple[float, float], str, str, str]],
    limits: tuple[float, float],
    title: str,
    description: str,
    caption: str,
) -> Figure:
    image, mean, variance, error, zeros = points.T
    low, high = limits
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "pixels of one radius in one image",
            "x": mean,
            "y": variance,
            "error_y": {
                "type": "data",
                "array": error,
                "thickness": 0.8,
                "width": 0,
                "color": "rgba(0,114,178,0.45)",
            },
            "marker": {"color": BLUE, "size": 5, "opacity": 0.65},
            "customdata": np.stack([image, 100 * zeros], axis=1),
            "hovertemplate": "image %{customdata[0]:.0f}: mean %{x:.2f} ADU, variance "
            "%{y:.1f} ADU², %{customdata[1]:.0f} % had been zero<extra></extra>",
        }
    ]
    data += [_line(*line, high) for line in lines]
    room = 0.04 * max(high - low, 1.0)
    # a few points with spots in them shall not press the others to the axis
    tops = [float(np.quantile(variance, 0.97)) if len(variance) else 1.0]
    tops += [gain * (high - pedestal) for (gain, pedestal), *_ in lines]
    layout = {
        "xaxis": {
            "title": {"text": "mean (ADU)"},
            "range": [low - room, high + room],
        },
        "yaxis": {"title": {"text": "variance (ADU²)"}, "range": [0, 1.12 * max(tops)]},
    }
    return Figure(
        {"data": data, "layout": layout},
        description=description,
        title=title,
        caption=caption,
        height=380,
    )


def _line(
    line: tuple[float, float], colour: str, dash: str, name: str, high: float
) -> dict[str, Any]:
    gain, pedestal = line
    x = np.array([pedestal, max(high, pedestal)])
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": gain * (x - pedestal),
        "line": {"color": colour, "width": 1.8, "dash": dash},
        "hoverinfo": "skip",
    }


def _words(estimate: Mapping[str, Any], gain: float, pedestal: float) -> str:
    if not estimate.get("reliable"):
        return (
            f"No line could be fitted; gain {gain:.3g} and pedestal {pedestal:.3g} ADU "
            "were written."
        ).replace("-", "−")
    return (
        f"Gain {estimate['gain']:.2f} ± {estimate['gain_sd']:.2f} ADU, pedestal "
        f"{estimate['pedestal']:.2f} ± {estimate['pedestal_sd']:.2f} ADU, read noise "
        f"{estimate['read_noise']:.2f} ADU."
    ).replace("-", "−")
