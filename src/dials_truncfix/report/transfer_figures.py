"""Variance against mean of a calibration, with its line and what is left of it.

References
----------
Janesick, J. R., Klaasen, K. P. & Elliott, T. (1987). Opt. Eng. 26, 972-980,
doi:10.1117/12.7974183.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.gain.camera_numbers import by_camera
from dials_truncfix.calibrate.gain.flat_pairs import REACH
from dials_truncfix.calibrate.gain.gain_calibration import GainCalibration
from dials_truncfix.calibrate.gain.photon_transfer import NoiseLine, PhotonTransfer
from dials_truncfix.report.page import Figure
from dials_truncfix.report.palette import BLACK, BLUE, ORANGE, VERMILLION

Array = npt.NDArray[np.float64]

_MOST_POINTS = 1500
# Images whose regions differ by more of the whole range have many brightnesses.
_ONE_BRIGHTNESS = 0.4


def transfer_figures(result: GainCalibration) -> list[Figure]:
    """Draw the points with the line, and their distance from it.

    Parameters
    ----------
    result : GainCalibration
        With a photon transfer.

    Returns
    -------
    list of Figure
    """
    transfer = result.transfer
    if transfer is None:
        return []
    return [_variances(result, transfer), _residuals(transfer)]


def _variances(result: GainCalibration, transfer: PhotonTransfer) -> Figure:
    points = transfer.points
    low, high = transfer.mean_range
    start = min(low, max(transfer.pixels.pedestal, low - 0.3 * (high - low)))
    data = _markers(transfer, points.variance, "pixels")
    if transfer.spread:
        measured = np.isfinite(points.covariance)
        data += _markers(
            transfer,
            np.where(measured, points.variance + points.covariance, np.nan),
            "sums of pixels, per pixel",
            ORANGE,
        )
        data.append(_line(transfer.sums, start, high, ORANGE, "solid", "line of sums"))
    data.append(
        _line(transfer.pixels, start, high, BLACK, "solid", "line of single pixels")
    )
    camera = by_camera(result)
    if camera is not None and result.camera is not None:
        line = NoiseLine(
            camera.pixel_gain.value,
            camera.pixel_gain.sd,
            result.camera.pedestal + result.shift,
            0.0,
            0.0,
        )
        data.append(_line(line, start, high, VERMILLION, "dash", "camera model"))
    gain, sd = transfer.pixels.gain, transfer.pixels.gain_sd
    return Figure(
        {
            "data": data,
            "layout": {
                "xaxis": {"title": {"text": "mean (ADU)"}},
                "yaxis": {"title": {"text": "variance (ADU²)"}, "rangemode": "tozero"},
            },
        },
        description=f"{len(points)} regions: variance against mean; slope {gain:.4g} ± "
        f"{sd:.2g} ADU.",
        title="Variance against mean",
        caption="The slope of the line is the gain. Points of differences of two images are "
        "filled, those of laws fitted to truncated counts are open.",
        height=420,
    )


def _residuals(transfer: PhotonTransfer) -> Figure:
    points = transfer.points
    away = 100.0 * (points.variance / transfer.pixels.variance(points.mean) - 1.0)
    data = _markers(transfer, away, "pixels")
    middle = _medians(points.mean, away, points.source)
    data.append(
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": middle[0],
            "y": middle[1],
            "line": {"color": VERMILLION, "width": 2},
            "name": "median",
        }
    )
    limit = float(np.quantile(np.abs(away), 0.98)) * 1.2 + 1e-3
    return Figure(
        {
            "data": data,
            "layout": {
                "xaxis": {"title": {"text": "mean (ADU)"}},
                "yaxis": {
                    "title": {"text": "variance above the line (%)"},
                    "range": [-limit, limit],
                },
            },
        },
        description="Deviation of the variances from the line, in per cent.",
        title="What the line leaves",
        caption="The median has to stay near zero. A bend at the bright end is saturation; "
        "one at the dark end an uneven dark reference, or truncation.",
        height=420,
    )


def correlation_figure(result: GainCalibration) -> Figure:
    """Draw how pixels vary together with those around them."""
    found = result.correlation
    if found is None:
        raise ValueError("no correlation was measured")
    around = found.copy()
    around[REACH, REACH] = np.nan
    largest = max(float(np.nanmax(np.abs(around))), 1e-3)
    return Figure(
        {
            "data": [
                {
                    "type": "heatmap",
                    "z": np.round(around, 5),
                    "x0": -REACH,
                    "dx": 1,
                    "y0": -REACH,
                    "dy": 1,
                    "zmin": -largest,
                    "zmax": largest,
                    "colorscale": [[0, BLUE], [0.5, "#FFFFFF"], [1, VERMILLION]],
                    "colorbar": {"title": {"text": "correlation"}},
                }
            ],
            "layout": {
                "xaxis": {
                    "title": {"text": "fast (px)"},
                    "constrain": "domain",
                    "showgrid": False,
                },
                "yaxis": {
                    "title": {"text": "slow (px)"},
                    "scaleanchor": "x",
                    "constrain": "domain",
                    "showgrid": False,
                    "autorange": "reversed",
                },
            },
        },
        description=f"Correlation of a pixel with those around it, up to {largest:.3f}.",
        title="Correlation with the pixels around",
        caption="Measured in the difference of the two brightest images. Without a spread of "
        "light, all are zero but for noise.",
        aspect=1.3,
    )


def _markers(
    transfer: PhotonTransfer, y: Array, name: str, colour: str = BLUE
) -> list[dict[str, Any]]:
    points = transfer.points
    traces = []
    for from_law in (False, True):
        which = np.flatnonzero((points.from_law == from_law) & np.isfinite(y))
        which = which[:: -(-len(which) // _MOST_POINTS) or 1]
        if len(which):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": points.mean[which],
                    "y": y[which],
                    "marker": {
                        "color": colour,
                        "size": 5,
                        "opacity": 0.5,
                        "symbol": "circle-open" if from_law else "circle",
                    },
                    "name": f"{name}, fitted laws" if from_law else name,
                }
            )
    return traces


def _line(
    line: NoiseLine, low: float, high: float, colour: str, dash: str, name: str
) -> dict[str, Any]:
    x = np.array([low, high])
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": line.variance(x),
        "line": {"color": colour, "width": 2, "dash": dash},
        "name": name,
    }


def _medians(x: Array, y: Array, source: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Medians of each image, or, where images are not of one brightness, along x.

    Within one brightness, what chance does to mean and variance is not independent.
    """
    groups = [np.flatnonzero(source == s) for s in np.unique(source)]
    within = float(np.median([np.ptp(x[g]) for g in groups]))
    if within > _ONE_BRIGHTNESS * float(np.ptp(x)):
        order = np.argsort(x, kind="stable")
        groups = np.array_split(order, max(1, min(20, len(order) // 5)))
    groups.sort(key=lambda g: float(np.median(x[g])))
    return (
        np.array([float(np.median(x[g])) for g in groups]),
        np.array([float(np.median(y[g])) for g in groups]),
    )
