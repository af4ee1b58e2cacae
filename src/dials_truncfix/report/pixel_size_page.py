"""A calibration of the pixel size as a page."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.pixel_size.autocorrelation import autocorrelation
from dials_truncfix.calibrate.pixel_size.pixel_size import PixelSize
from dials_truncfix.calibrate.pixel_size.pixel_size_words import (
    findings,
    pixel_size_table,
    warnings,
)
from dials_truncfix.report.comparison import html_table
from dials_truncfix.report.page import (
    Content,
    Figure,
    FigureGrid,
    Notice,
    Section,
    render_page,
)
from dials_truncfix.report.palette import BLUE, VERMILLION

Array = npt.NDArray[np.float64]

#: Repeats of the lattice that are shown to either side.
_REPEATS = 4.5
_PICTURE_PIXELS = 240


def pixel_size_page(result: PixelSize, image: Array) -> str:
    """Make the page.

    Raises
    ------
    ImportError
        Without jinja2 or plotly.
    """
    sentences = findings(result)
    words: list[Content] = [
        Notice(sentences, "plain"),
        html_table(pixel_size_table(result)),
    ]
    if warned := warnings(result):
        words.insert(0, Notice(warned, "warning"))
    reach = int(_REPEATS * result.lattice.lengths.max())
    sections = [
        Section("Pixel size", words),
        Section(
            "Image and autocorrelation",
            [FigureGrid([_image(image, reach), _correlation(result, image, reach)])],
        ),
    ]
    return render_page(
        "Pixel size on the specimen",
        sections,
        program="dials.truncfix_calibrate",
        summary=sentences[0],
    )


def _heatmap(values: Array, start: float, step: int) -> dict[str, Any]:
    low, high = np.percentile(values, [2.0, 99.0])
    return {
        "type": "heatmap",
        "z": np.round((values - low) / max(high - low, 1e-12), 3),
        "x0": start,
        "dx": step,
        "y0": start,
        "dy": step,
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0.0, "#FFFFFF"], [1.0, "#000000"]],
        "showscale": False,
        "hoverinfo": "skip",
    }


def _square(name: str, low: float, high: float) -> dict[str, Any]:
    return {
        "xaxis": {
            "title": {"text": f"fast{name} (px)"},
            "range": [low, high],
            "constrain": "domain",
            "showgrid": False,
        },
        "yaxis": {
            "title": {"text": f"slow{name} (px)"},
            "range": [high, low],
            "scaleanchor": "x",
            "constrain": "domain",
            "showgrid": False,
        },
        "showlegend": False,
    }


def _image(image: Array, reach: int) -> Figure:
    half = min(reach, min(image.shape) // 2)
    middle = [n // 2 for n in image.shape]
    piece = image[
        middle[0] - half : middle[0] + half, middle[1] - half : middle[1] + half
    ]
    step = max(1, int(np.ceil(len(piece) / _PICTURE_PIXELS)))
    n = len(piece) // step
    small = piece[: n * step, : n * step].reshape(n, step, n, step).mean(axis=(1, 3))
    return Figure(
        {
            "data": [_heatmap(small, step / 2, step)],
            "layout": _square("", 0, n * step),
        },
        description="A piece from the middle of the image.",
        title="The middle of the image",
        aspect=1.1,
    )


def _correlation(result: PixelSize, image: Array, reach: int) -> Figure:
    values = autocorrelation(image)
    middle = [n // 2 for n in values.shape]
    half = min(reach, *middle)
    piece = values[
        middle[0] - half : middle[0] + half + 1, middle[1] - half : middle[1] + half + 1
    ]
    step = max(1, int(np.ceil(len(piece) / _PICTURE_PIXELS)))
    # without the middle, which outshines all
    piece = np.minimum(piece, np.partition(piece.ravel(), -9)[-9])[::step, ::step]
    peaks = result.lattice.peaks
    peaks = np.concatenate([peaks, -peaks])
    peaks = peaks[np.abs(peaks).max(axis=1) < half]
    axes = [
        {
            "type": "scatter",
            "mode": "lines+text",
            "x": [0, axis[0]],
            "y": [0, axis[1]],
            "text": ["", str(k + 1)],
            "textposition": "top center",
            "textfont": {"color": VERMILLION, "size": 16},
            "line": {"color": VERMILLION, "width": 3},
            "hoverinfo": "skip",
        }
        for k, axis in enumerate(result.lattice.axes)
    ]
    return Figure(
        {
            "data": [
                _heatmap(piece, -half, step),
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": peaks[:, 0],
                    "y": peaks[:, 1],
                    "marker": {
                        "symbol": "circle-open",
                        "color": BLUE,
                        "size": 9,
                        "line": {"width": 1.5},
                    },
                    "hovertemplate": "%{x:.2f}, %{y:.2f} px<extra></extra>",
                },
                *axes,
            ],
            "layout": _square(" lag", -half, half),
        },
        description=f"Autocorrelation with {result.lattice.n_peaks} pairs of peaks on a "
        "lattice, and its two axes.",
        title="Its autocorrelation",
        caption="Every circle must sit on a dark peak, and every strong peak have one; "
        "otherwise give the first peak as pixel_size.start_peak.",
        aspect=1.1,
    )
