"""The photon-transfer plot: variance against mean, whose slope is the gain.

References
----------
Janesick, J. R., Klaasen, K. P. & Elliott, T. (1987). Opt. Eng. 26, 972-980,
doi:10.1117/12.7974183.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.packed import unpack_array
from dials_truncfix.report.page import Figure
from dials_truncfix.report.palette import BLACK, BLUE, VERMILLION
from dials_truncfix.sweep.illustrations import NoiseRecord

Array = npt.NDArray[np.float64]

_LARGEST_ARRAY = 1 << 24
_MOST_POINTS = 2000


def gain_figure(noise: NoiseRecord, record: Mapping[str, Any]) -> Figure:
    """Draw the points, the fitted line, and the one that was written where it differs.

    Parameters
    ----------
    noise : NoiseRecord
        From the record.
    record : Mapping
        The record itself: gain, pedestal and how they were estimated.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        When the record is damaged.
    """
    points = np.asarray(unpack_array(noise.points, _LARGEST_ARRAY), np.float64)
    if points.ndim != 2 or points.shape[1] != 5:
        raise ValueError("the noise points have a wrong shape")
    # every so many, in the order of brightness
    points = points[np.argsort(points[:, 1], kind="stable")]
    points = points[:: -(-len(points) // _MOST_POINTS) or 1]
    image, mean, variance, error, zeros = points.T
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "pixels of one radius and image",
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
    high = float(mean.max())
    estimate = record.get("gain_estimate") or {}
    gain, pedestal = float(record["gain"]), float(record["pedestal"])
    reliable = bool(estimate.get("reliable"))
    if reliable:
        fitted = float(estimate["gain"]), float(estimate["pedestal"])
        data.append(_line(*fitted, high, BLACK, "solid", "fitted line"))
    if not reliable or not np.allclose(fitted, (gain, pedestal), rtol=1e-3):
        data.append(_line(gain, pedestal, high, VERMILLION, "dash", "written"))
    low = min(float(mean.min()), pedestal, 0.0)
    room = 0.04 * max(high - low, 1.0)
    layout = {
        "xaxis": {
            "title": {"text": "mean (ADU)"},
            "range": [low - room, high + room],
        },
        "yaxis": {
            "title": {"text": "variance (ADU²)"},
            "range": [0, 1.08 * float(np.max(variance + error))],
        },
    }
    words = _words(estimate, gain, pedestal)
    return Figure(
        {"data": data, "layout": layout},
        description=f"Variance against mean of the corrected pixels. {words}",
        title="Variance against mean",
        caption=(
            "The points should lie on the line. Its slope is the gain. Where it meets "
            "the axis is the pedestal, below zero by the variance of the read noise over "
            "the gain; DIALS takes variance = gain × (value - pedestal)."
        ),
        height=400,
    )


def _line(
    gain: float, pedestal: float, high: float, colour: str, dash: str, name: str
) -> dict[str, Any]:
    x = np.array([pedestal, max(high, pedestal)])
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{name}: gain {gain:.3g} ADU, pedestal {pedestal:.3g} ADU",
        "x": x,
        "y": gain * (x - pedestal),
        "line": {"color": colour, "width": 1.8, "dash": dash},
        "hoverinfo": "skip",
    }


def _words(estimate: Mapping[str, Any], gain: float, pedestal: float) -> str:
    if not estimate.get("reliable"):
        return (
            f"No line could be fitted. Gain {gain:.3g} and pedestal {pedestal:.3g} ADU "
            "were written."
        )
    return (
        f"Gain {estimate['gain']:.2f} ± {estimate['gain_sd']:.2f} ADU, pedestal "
        f"{estimate['pedestal']:.2f} ± {estimate['pedestal_sd']:.2f} ADU, read noise "
        f"{estimate['read_noise']:.2f} ADU."
    )
