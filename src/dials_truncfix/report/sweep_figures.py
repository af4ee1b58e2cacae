"""What truncation did, and how it changes with resolution and along the sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.report.page import Figure, FigureGrid
from dials_truncfix.report.palette import BLACK, BLUE, GREEN, PURPLE, VERMILLION
from dials_truncfix.report.resolution import (
    inverse_square,
    middle_of,
    resolution_axis,
    shell_name,
)
from dials_truncfix.report.sweep_results import RingSeries, SweepResults

Array = npt.NDArray[np.float64]

#: Edge of the box in which Hattne et al. (2016) measured spots, pixels.
BOX = 13
_MOST_POINTS = 300
_FEW_POINTS = 60
_LINES = (
    (BLUE, "solid", "circle"),
    (GREEN, "dash", "square"),
    (PURPLE, "dashdot", "diamond"),
    (VERMILLION, "dot", "triangle-up"),
)


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
    names = _names(rings)
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
        "xaxis": _resolution_axis(rings),
        "yaxis": {"title": {"text": "pixels (%)"}, "rangemode": "tozero"},
    }
    return Figure(
        {"data": data, "layout": layout},
        description=(
            f"Zeros against resolution: {_ends(recorded, '%', names)}. By the fits: "
            f"{_ends(fitted, '%', names)}."
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
    for (colour, dash, symbol), k in zip(_LINES, _some_rings(rings)):
        x, y, size = thinned(results.numbers, values[:, k])
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
        x, y, size = thinned(results.numbers, fitted[:, k])
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
        "xaxis": _image_axis(results.numbers),
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
            f"beam, the crystal or the shutter.{_averaged(results.numbers)}"
        ),
    )


def bias_figure(results: SweepResults, rings: RingSeries) -> Figure:
    """Draw by how much truncation lowers the intensity of a strong spot."""
    lift = -rings.p_nonpositive * rings.mean_nonpositive
    known = np.isfinite(lift)
    mean = np.where(known, lift, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    bias = -(BOX**2) * np.where(known.any(axis=0), mean, np.nan)
    gain, what = _electrons(results.record)
    x, names = middle_of(rings.d_limits), _names(rings)
    electrons = bias / gain
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "ADU",
            "x": x,
            "y": bias,
            "line": {"color": BLUE, "width": 2},
            "connectgaps": True,
            "marker": {"color": BLUE, "size": 8},
            "text": [
                f"{name}: {value:.0f} ADU" + (f", {e:.1f} e⁻" if np.isfinite(e) else "")
                for name, value, e in zip(names, bias, electrons)
            ],
            "hovertemplate": "%{text}<extra></extra>",
        },
    ]
    lowest = float(np.nanmin(bias)) if np.isfinite(bias).any() else -1.0
    ends = [1.12 * min(lowest, -1e-3), 0.0]
    layout: dict[str, Any] = {
        "showlegend": False,
        "xaxis": _resolution_axis(rings),
        "yaxis": {"title": {"text": "bias of the intensity (ADU)"}, "range": ends},
    }
    if np.isfinite(gain):
        # a second axis needs a trace of its own
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": x,
                "y": electrons,
                "yaxis": "y2",
                "opacity": 0,
                "hoverinfo": "skip",
            }
        )
        layout["yaxis2"] = {
            "title": {"text": "the same (e⁻)"},
            "range": [end / gain for end in ends],
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
        }
    return Figure(
        {"data": data, "layout": layout},
        description=(
            f"Bias of the intensity in a {BOX} × {BOX} box: "
            f"{_ends(bias, 'ADU', names, digits=0)}."
        ),
        title=f"Bias of the intensity in a box of {BOX} × {BOX} pixels",
        caption=(
            f"{BOX**2} times the lift of the background, P(x ≤ 0) × mean of the zeros. "
            "A spot loses as much when none of its own pixels was cut off; in weaker "
            f"spots these make up for some of it.{what}"
        ),
    )


def _electrons(record: Mapping[str, Any]) -> tuple[float, str]:
    """Find the gain by which ADU become electrons, and say which it is."""
    camera, estimate = record.get("camera"), record.get("gain_estimate") or {}
    if camera:
        return float(camera["gain"]), " e⁻: divided by the gain of the camera."
    if estimate.get("reliable"):
        return float(estimate["gain"]), (
            " e⁻: divided by the effective gain, in which the excess noise of the "
            "camera is included."
        )
    return float("nan"), ""


def drift_figures(results: SweepResults, rings: RingSeries) -> FigureGrid:
    """Draw the moments of the fits along the sweep."""
    chosen = _some_rings(rings)
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
            _LINES, ("solid", "dashed", "dash-dotted", "dotted"), chosen
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
    for (colour, dash, symbol), k in zip(_LINES, chosen):
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
        "xaxis": _image_axis(results.numbers),
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
        caption=caption + _averaged(results.numbers),
        height=300,
    )


def thinned(numbers: npt.NDArray[np.int64], values: Array) -> tuple[Array, Array, int]:
    """Average neighbouring images where there are too many to draw.

    Parameters
    ----------
    numbers : ndarray, shape (n,), int64
        Numbers of the images.
    values : ndarray, shape (n,), float64
        One for each; NaN is left out.

    Returns
    -------
    x, y : ndarray, float64
        At most 300 points.
    size : int
        Images in each.
    """
    size = _images_per_point(len(numbers))
    if size == 1:
        return numbers.astype(np.float64), values, 1
    starts = np.arange(0, len(numbers), size)
    known = np.isfinite(values)
    count = np.add.reduceat(known.astype(np.float64), starts)
    total = np.add.reduceat(np.where(known, values, 0.0), starts)
    y = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    per_point = np.diff(np.append(starts, len(numbers)))
    return np.add.reduceat(numbers.astype(np.float64), starts) / per_point, y, size


def _images_per_point(n_images: int) -> int:
    return -(-n_images // _MOST_POINTS)


def _averaged(numbers: npt.NDArray[np.int64]) -> str:
    size = _images_per_point(len(numbers))
    return f" Each point is the average of {size} images." if size > 1 else ""


def _some_rings(rings: RingSeries) -> list[int]:
    """Choose up to four annuli from the centre to the edge."""
    n = rings.n_rings
    return sorted({round(k) for k in np.linspace(0, n - 1, min(n, len(_LINES)))})


def _names(rings: RingSeries) -> list[str]:
    return [
        f"annulus {k + 1}, {shell_name(*limits)}"
        for k, limits in enumerate(rings.d_limits)
    ]


def _resolution_axis(rings: RingSeries) -> dict[str, Any]:
    low, high = inverse_square(rings.d_limits[[0, -1], [0, 1]])
    return resolution_axis(float(low), float(high))


def _image_axis(numbers: npt.NDArray[np.int64]) -> dict[str, Any]:
    first, last = int(numbers[0]), int(numbers[-1])
    room = max(0.03 * (last - first), 0.5)
    axis: dict[str, Any] = {
        "title": {"text": "image"},
        "range": [first - room, last + room],
        "tickformat": "d",
    }
    if last - first < 6:
        axis["dtick"] = 1
    return axis


def _sd_over_images(values: Array) -> Array:
    """Take the standard deviation of each column; NaN without two values."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    mean = filled.sum(axis=0) / np.maximum(count, 1)
    square = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
    return np.where(count > 1, np.sqrt(square / np.maximum(count - 1, 1)), np.nan)


def _ends(values: Array, unit: str, names: Sequence[str], digits: int = 1) -> str:
    """Tell the first and the last of some values."""
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return "unknown"
    words = [
        f"{values[k]:.{digits}f} {unit} in {names[k]}"
        for k in dict.fromkeys((known[0], known[-1]))
    ]
    return " to ".join(words)
