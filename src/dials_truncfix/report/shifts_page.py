"""A calibration of image shift or stage as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dials_truncfix.calibrate.pairs.correlation import averaged
from dials_truncfix.calibrate.pairs.shift_series import ShiftCalibration
from dials_truncfix.calibrate.pairs.shift_words import findings, shift_tables, warnings
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

_ROOM = 1.15


def shifts_page(result: ShiftCalibration, images: Sequence[Array]) -> str:
    """Make the page; the images are empty where the .mdoc file was enough.

    Raises
    ------
    ImportError
        Without jinja2 or plotly.
    """
    sentences = findings(result)
    vectors, pairs = shift_tables(result)
    words: list[Content] = [Notice(sentences, "plain"), html_table(vectors)]
    if warned := warnings(result):
        words.insert(0, Notice(warned, "warning"))
    sections = [
        Section("Displacement by shift", words),
        Section(
            "Displacements",
            [FigureGrid([_displacements(result), _residuals(result)])],
        ),
    ]
    if len(images):
        sections.append(
            Section("All images on each other", [FigureGrid(_means(result, images))])
        )
    sections.append(Section("Pairs of images", [html_table(pairs)], folded=True))
    return render_page(
        "Image shift" if result.what == "image_shift" else "Stage shift",
        sections,
        program="dials.truncfix_calibrate",
        summary=sentences[0],
    )


def _points(places: Array, name: str, symbol: str, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": places[:, 0],
        "y": places[:, 1],
        "marker": {
            "symbol": symbol,
            "color": colour,
            "size": 11,
            "line": {"width": 2, "color": colour},
        },
        "hovertemplate": "%{x:.2f}, %{y:.2f} px<extra></extra>",
    }


def _displacements(result: ShiftCalibration) -> Figure:
    found = result.displacements
    fitted = found - result.matrix.residuals
    reach = _ROOM * float(np.abs(found).max())
    unit = 0.85 * reach / result.matrix.lengths.max()
    axes = [
        {
            "type": "scatter",
            "mode": "lines+text",
            "x": [0, unit * result.matrix.matrix[0, k]],
            "y": [0, unit * result.matrix.matrix[1, k]],
            "text": ["", name],
            "textfont": {"color": VERMILLION, "size": 16},
            "textposition": "middle center",
            "line": {"color": VERMILLION, "width": 1.5},
            "showlegend": False,
            "hoverinfo": "skip",
        }
        for k, name in enumerate("xy")
    ]
    layout = picture_axes((-reach, reach), (-reach, reach), " displacement")
    layout["showlegend"] = True
    return Figure(
        {
            "data": [
                *axes,
                _points(found, "found", "circle-open", BLUE),
                _points(fitted, "by the matrix", "cross-thin", VERMILLION),
            ],
            "layout": layout,
        },
        description=f"{len(found)} displacements between images, up to "
        f"{np.linalg.norm(found, axis=1).max():.0f} pixels, and those that the matrix gives.",
        title="Found, and by the matrix",
        caption="Every circle must have a cross in it. The lines show where x and y go.",
        aspect=1.1,
    )


def _residuals(result: ShiftCalibration) -> Figure:
    left = result.matrix.residuals
    reach = _ROOM * max(float(np.abs(left).max()), 3 * float(result.errors.max()), 1e-3)
    points = _points(left, "", "circle", BLUE)
    points["marker"]["size"] = 8
    for axis, errors in zip("xy", result.errors.T):
        points[f"error_{axis}"] = {
            "type": "data",
            "array": errors,
            "color": BLUE,
            "thickness": 1,
            "width": 0,
        }
    return Figure(
        {
            "data": [points],
            "layout": picture_axes((-reach, reach), (-reach, reach), " residual"),
        },
        description=f"What the matrix leaves of the displacements: RMSD "
        f"{result.matrix.rmsd:.3f} pixels.",
        title="What is left",
        caption="Bars are standard uncertainties by the scatter of tiles. Points further "
        "out are shifts that were not made as recorded.",
        aspect=1.1,
    )


def _means(result: ShiftCalibration, images: Sequence[Array]) -> list[Figure]:
    step = averaging_step(images[0].shape)
    small = [averaged(image, step) for image in images]
    place = np.zeros((len(images), 2))
    for (i, j), displacement in zip(result.pairs, result.displacements):
        place[j] = place[i] + displacement
    aligned = [
        ndimage.shift(image, -shift[::-1] / step, order=1, cval=np.nan)
        for image, shift in zip(small, place)
    ]
    stack = np.array(aligned)
    count = np.isfinite(stack).sum(axis=0)
    total = np.where(np.isfinite(stack), stack, 0.0).sum(axis=0)
    mean = total / np.maximum(count, 1)
    slow, fast = (step * n for n in mean.shape)
    return [
        Figure(
            {
                "data": [grey_heatmap(values, step / 2, step, dark_is_high=False)],
                "layout": picture_axes((0, fast), (0, slow)),
            },
            description=f"Mean of {len(images)} images, {title.lower()}.",
            title=title,
            caption=caption,
            aspect=1.1 * fast / slow,
        )
        for values, title, caption in (
            (np.mean(small, axis=0), "As recorded", "Mean of all images."),
            (
                mean,
                "Laid on the first",
                "Mean of all images, shifted back by what was found. It must be as "
                "sharp as a single image.",
            ),
        )
    ]
