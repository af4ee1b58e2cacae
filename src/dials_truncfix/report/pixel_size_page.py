"""A calibration of the pixel size as a page."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.pairs.correlation import averaged
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
from dials_truncfix.report.specimen_pictures import (
    averaging_step,
    grey_heatmap,
    picture_axes,
)

Array = npt.NDArray[np.float64]

#: Repeats of the lattice that are shown to either side.
_REPEATS = 4.5


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


def _image(image: Array, reach: int) -> Figure:
    half = min(reach, min(image.shape) // 2)
    middle = [n // 2 for n in image.shape]
    piece = image[
        middle[0] - half : middle[0] + half, middle[1] - half : middle[1] + half
    ]
    step = averaging_step(piece.shape)
    small = averaged(piece, step)
    end = step * len(small)
    return Figure(
        {
            "data": [grey_heatmap(small, step / 2, step)],
            "layout": picture_axes((0, end), (0, end)),
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
    step = averaging_step(piece.shape)
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
                grey_heatmap(piece, -half, step),
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
            "layout": picture_axes((-half, half), (-half, half), " lag"),
        },
        description=f"Autocorrelation with {result.lattice.n_peaks} pairs of peaks on a "
        "lattice, and its two axes.",
        title="Its autocorrelation",
        caption="Every circle must sit on a dark peak, and every strong peak have one; "
        "otherwise give the first peak as pixel_size.start_peak.",
        aspect=1.1,
    )
