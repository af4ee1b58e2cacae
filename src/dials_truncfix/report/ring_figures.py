"""Figures of a calibration by rings."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.ellipse import strain_matrix
from dials_truncfix.calibrate.rings.cake import Cake, Pixels
from dials_truncfix.calibrate.rings.ring_result import (
    RingCalibration,
    final_cake,
    radial_contrast,
    tan_two_theta,
)
from dials_truncfix.report.azimuth_axis import azimuth_axis
from dials_truncfix.report.page import Figure
from dials_truncfix.report.palette import BLUE, GREY, VERMILLION

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_PICTURE_PIXELS = 360
_GREY_SCALE = [[0.0, "#FFFFFF"], [1.0, "#000000"]]


def image_figure(result: RingCalibration, image: Array, valid: BoolArray) -> Figure:
    """Draw the image with the rings over its right half."""
    factor = max(1, int(np.ceil(max(image.shape) / _PICTURE_PIXELS)))
    small = _reduced(np.where(valid, image, np.nan), factor)
    low, high = _limits(small)
    matrix = strain_matrix(*result.fit.geometry.strain)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 91)
    circle = matrix @ np.stack([np.cos(angle), np.sin(angle)]) / result.pixel_size
    curves = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": result.centre[0] + radius * circle[0],
            "y": result.centre[1] + radius * circle[1],
            "line": {"color": VERMILLION, "width": 1},
            "showlegend": False,
            "hovertemplate": f"{d:.3f} Å<extra></extra>",
        }
        for d, radius in zip(result.d, result.radius)
    ]
    slow, fast = image.shape
    plot = {
        "data": [
            {
                "type": "heatmap",
                # three digits are more than a screen shows
                "z": np.round((small - low) / (high - low), 3),
                "x0": factor / 2,
                "dx": factor,
                "y0": factor / 2,
                "dy": factor,
                "zmin": 0,
                "zmax": 1,
                "colorscale": _GREY_SCALE,
                "showscale": False,
                "hoverinfo": "skip",
            },
            *curves,
        ],
        "layout": {
            "xaxis": {
                "title": {"text": "fast (px)"},
                "range": [0, fast],
                "constrain": "domain",
                "showgrid": False,
            },
            "yaxis": {
                "title": {"text": "slow (px)"},
                "range": [slow, 0],
                "scaleanchor": "x",
                "constrain": "domain",
                "showgrid": False,
            },
        },
    }
    return Figure(
        plot,
        description=f"The image, with {len(result.d)} ellipses about "
        f"({result.centre[0]:.1f}, {result.centre[1]:.1f}).",
        title="The rings that were found",
        caption="Drawn over the right half only, so that the left one can be compared: "
        "every line must run along the middle of a ring.",
        aspect=round(min(max(1.12 * fast / slow, 0.6), 2.0), 3),
    )


def cake_figures(result: RingCalibration, pixels: Pixels) -> list[Figure]:
    """Draw azimuth against radius, as recorded and without the ellipse."""
    figures = []
    for undo, title, caption in (
        (False, "As recorded", "Circles would be straight; an ellipse waves twice about "
         "the lines."),
        (True, "Without the ellipse", "Every ring must lie on its line at all azimuths."),
    ):  # fmt: skip
        cake = final_cake(result, pixels, undo)
        figures.append(
            Figure(
                _cake_plot(result, cake),
                description=f"{title}: intensity against radius and azimuth, with a "
                "line at the radius of each ring.",
                title=title,
                caption=caption,
                height=380,
            )
        )
    return figures


def _cake_plot(result: RingCalibration, cake: Cake) -> dict[str, Any]:
    size = result.pixel_size
    known = np.isfinite(cake.error)
    values = np.where(known, cake.mean, np.nan)
    # the steep background about the beam would leave no grey for the rings
    with np.errstate(all="ignore"):
        values = values / np.nanmedian(values, axis=0, keepdims=True).clip(1e-9)
        values = values * np.nanmedian(np.where(known, cake.mean, np.nan), axis=0)
    contrast = _without_background(values)
    low, high = _limits(contrast)
    radius = np.arange(cake.mean.shape[1]) + 4.5
    return {
        "data": [
            {
                "type": "heatmap",
                "z": np.round((contrast - low) / (high - low), 3),
                "x": radius,
                "y": np.degrees(cake.azimuth),
                "zmin": 0,
                "zmax": 1,
                "colorscale": _GREY_SCALE,
                "showscale": False,
                "hoverinfo": "skip",
            }
        ],
        "layout": {
            "xaxis": {
                "title": {"text": "radius (px)"},
                "range": [radius[0], radius[-1]],
                "showgrid": False,
            },
            "yaxis": {**azimuth_axis(), "showgrid": False},
            "shapes": [
                {
                    "type": "line",
                    "x0": r / size,
                    "x1": r / size,
                    "y0": 0,
                    "y1": 360,
                    "line": {"color": VERMILLION, "width": 1, "dash": "dot"},
                }
                for r in result.radius
            ],
        },
    }


def _without_background(values: Array) -> Array:
    """Divide by the smooth radial part, column by column."""
    with np.errstate(all="ignore"):
        mean = np.nanmedian(values, axis=0)
    mean = np.where(np.isfinite(mean), mean, np.nanmedian(mean))
    kernel = np.hanning(43)[1:-1]
    smooth = np.convolve(np.pad(mean, 20, mode="edge"), kernel / kernel.sum(), "valid")
    return np.asarray(values / np.maximum(smooth, 1e-9))


def profile_figure(result: RingCalibration, pixels: Pixels) -> Figure:
    """Draw the mean over all azimuths, with the places of the standard's rings."""
    radius, contrast, _ = radial_contrast(final_cake(result, pixels))
    size = result.pixel_size
    expected = result.distance * tan_two_theta(result.standard.d, result.wavelength)
    inside = expected < radius[-1]
    seen = np.isin(np.arange(len(expected)), result.fit.rings)
    return Figure(
        {
            "data": [
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": radius / size,
                    "y": contrast,
                    "line": {"color": BLUE, "width": 1.5},
                    "hovertemplate": "%{x:.1f} px: %{y:.3g} ADU<extra></extra>",
                }
            ],
            "layout": {
                "xaxis": {"title": {"text": "radius (px)"}},
                "yaxis": {"title": {"text": "mean over its surroundings (ADU)"}},
                "showlegend": False,
                "shapes": [
                    {
                        "type": "line",
                        "yref": "paper",
                        "x0": r / size,
                        "x1": r / size,
                        "y0": 0,
                        "y1": 1,
                        "line": {
                            "color": VERMILLION if found else GREY,
                            "width": 1,
                            "dash": "dot",
                        },
                    }
                    for r, found in zip(expected[inside], seen[inside])
                ],
            },
        },
        description=f"Radial profile with {int(seen.sum())} rings of "
        f"{result.standard.name}.",
        title="Mean over all azimuths",
        caption="Dotted: the standard's rings; grey ones were too weak to be used.",
    )


def deviation_figure(result: RingCalibration) -> Figure:
    """Draw how far each ring is from its place."""
    size, fit = result.pixel_size, result.fit
    return Figure(
        {
            "data": [
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": result.radius / size,
                    "y": fit.deviation / size,
                    "error_y": {
                        "array": 2 * fit.deviation_error / size,
                        "width": 0,
                        "thickness": 1.2,
                    },
                    "marker": {"color": BLUE, "size": 8},
                    "text": [f"{d:.3f} Å" for d in result.d],
                    "hovertemplate": "%{text}: %{y:.3f} px<extra></extra>",
                }
            ],
            "layout": {
                "xaxis": {"title": {"text": "radius (px)"}},
                "yaxis": {
                    "title": {"text": "observed - model (px)"},
                    "zeroline": True,
                    "zerolinecolor": GREY,
                },
                "showlegend": False,
            },
        },
        description="Deviation of the radius of each ring from the model, with two "
        "standard uncertainties.",
        title="Are they the standard's rings?",
        caption="A wrong standard or lattice constant bends this away from zero. Bars: "
        "two standard uncertainties.",
    )


def _reduced(image: Array, factor: int) -> Array:
    slow, fast = (n // factor for n in image.shape)
    cut = image[: slow * factor, : fast * factor].reshape(slow, factor, fast, factor)
    known = np.isfinite(cut)
    total = np.where(known, cut, 0.0).sum(axis=(1, 3))
    count = known.sum(axis=(1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _limits(values: Array) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = np.percentile(known, [2.0, 99.0])
    return float(low), float(max(high, low + 1e-9))
