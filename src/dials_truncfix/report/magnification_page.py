"""Magnification and rotation between two images as a page."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dials_truncfix.calibrate.pairs.correlation import averaged
from dials_truncfix.calibrate.pairs.magnification_pair import MagnificationPair
from dials_truncfix.calibrate.pairs.magnification_words import (
    findings,
    magnification_table,
    warnings,
)
from dials_truncfix.calibrate.pairs.registration import warp
from dials_truncfix.report.comparison import html_table
from dials_truncfix.report.page import (
    Content,
    Figure,
    FigureGrid,
    Notice,
    Section,
    render_page,
)
from dials_truncfix.report.specimen_pictures import (
    arrow_scale,
    arrows,
    averaging_step,
    grey_heatmap,
    picture_axes,
)

Array = npt.NDArray[np.float64]

#: Squares of the checkerboard along the shorter side.
_SQUARES = 6


def magnification_page(pair: MagnificationPair, first: Array, second: Array) -> str:
    """Make the page.

    Raises
    ------
    ImportError
        Without jinja2 or plotly.
    """
    sentences = findings(pair)
    words: list[Content] = [
        Notice(sentences, "plain"),
        html_table(magnification_table(pair)),
    ]
    if warned := warnings(pair):
        words.insert(0, Notice(warned, "warning"))
    sections = [
        Section("Magnification and rotation", words),
        Section(
            "Both images on each other",
            [FigureGrid([_checkerboard(pair, first, second), _residuals(pair)])],
        ),
    ]
    return render_page(
        "Magnification and rotation between two images",
        sections,
        program="dials.truncfix_calibrate",
        summary=sentences[0],
    )


def _levelled(image: Array) -> Array:
    middle = np.nanmedian(image)
    spread = np.nanmedian(np.abs(image - middle))
    return np.asarray((image - middle) / max(float(spread), 1e-12))


def _checkerboard(pair: MagnificationPair, first: Array, second: Array) -> Figure:
    step = averaging_step(first.shape)
    one, two = averaged(first, step), averaged(second, step)
    found = pair.registration.fitted.transformation
    back, valid = warp(
        ndimage.spline_filter(two, order=3),
        found.averaged(step, (one.shape[0], one.shape[1])),
    )
    one, two = _levelled(one), _levelled(np.where(valid, back, np.nan))
    square = max(1, math.ceil(min(one.shape) / _SQUARES))
    row, column = np.indices(one.shape) // square
    board = np.where((row + column) % 2, one, two)
    slow, fast = (step * n for n in board.shape)
    return Figure(
        {
            "data": [grey_heatmap(board, step / 2, step, dark_is_high=False)],
            "layout": picture_axes((0, fast), (0, slow)),
        },
        description=f"Squares of the first image and of the second one, turned back by "
        f"{math.degrees(pair.rotation):.3f}° and scaled back by {pair.magnification:.4f}.",
        title="Squares of both images in turn",
        caption="What crosses the edge of a square must go on in the next one.",
        aspect=1.1 * fast / slow,
    )


def _residuals(pair: MagnificationPair) -> Figure:
    found = pair.registration.fitted
    # of tiles of the first image, turned and scaled back
    vectors = found.residuals @ np.linalg.inv(found.transformation.matrix).T
    scale = arrow_scale(vectors[found.kept], pair.registration.side)
    slow, fast = pair.shape
    return Figure(
        {
            "data": arrows(pair.registration.first, vectors, found.kept, scale),
            "layout": picture_axes((0, fast), (0, slow)),
        },
        description=f"Displacements of {len(vectors)} tiles left after the fit; "
        f"{found.kept.sum()} agree within {found.rmsd:.3f} pixels.",
        title="What is left of each tile's displacement",
        caption=f"Arrows are {scale:g} times as long as they are. They must point "
        "anywhere: a pattern is a stretch or a distortion. Grey tiles were left out.",
        aspect=1.1 * fast / slow,
    )
