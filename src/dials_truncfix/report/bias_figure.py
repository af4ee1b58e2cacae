"""What truncation did to intensities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dials_truncfix.report.page import Figure
from dials_truncfix.report.palette import BLUE
from dials_truncfix.report.resolution import (
    annuli_axis,
    annulus_names,
    first_and_last,
    middle_of,
)
from dials_truncfix.report.sweep_results import RingSeries, SweepResults

#: Edge of the box in which Hattne et al. (2016) measured spots, pixels.
BOX = 13


def bias_figure(results: SweepResults, rings: RingSeries) -> Figure:
    """Draw by how much truncation lowers the intensity of a strong spot."""
    bias = -(BOX**2) * rings.average("lift")
    gain, what = _electrons(results.record)
    x, names = middle_of(rings.d_limits), annulus_names(rings.d_limits)
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
        "xaxis": annuli_axis(rings.d_limits),
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
            f"{first_and_last(bias, 'ADU', names, digits=0)}."
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
