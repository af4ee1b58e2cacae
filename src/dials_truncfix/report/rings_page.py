"""A calibration by rings as a page."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.rings.cake import Pixels
from dials_truncfix.calibrate.rings.ring_result import RingCalibration
from dials_truncfix.calibrate.rings.ring_words import (
    findings,
    result_table,
    ring_table,
    warnings,
)
from dials_truncfix.report.comparison import html_table
from dials_truncfix.report.page import (
    Content,
    FigureGrid,
    Notice,
    Section,
    render_page,
)
from dials_truncfix.report.ring_figures import (
    cake_figures,
    deviation_figure,
    image_figure,
    profile_figure,
)


def rings_page(
    result: RingCalibration,
    pixels: Pixels,
    image: npt.NDArray[np.float64],
    valid: npt.NDArray[np.bool_],
) -> str:
    """Make the page.

    Parameters
    ----------
    result : RingCalibration
        The calibration.
    pixels : Pixels
        What was measured.
    image, valid : ndarray, shape (slow, fast)
        The same as an image, ADU.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ImportError
        Without jinja2 or plotly.
    """
    sentences = findings(result)
    words: list[Content] = [
        Notice(sentences, "plain"),
        html_table(result_table(result)),
    ]
    if warned := warnings(result):
        words.insert(0, Notice(warned, "warning"))
    sections = [
        Section("Calibration", words),
        Section(
            "Rings",
            [
                FigureGrid(
                    [image_figure(result, image, valid), profile_figure(result, pixels)]
                ),
                FigureGrid(cake_figures(result, pixels)),
                deviation_figure(result),
                html_table(ring_table(result)),
            ],
        ),
    ]
    return render_page(
        f"Camera length and ellipse by {result.standard.name}",
        sections,
        program="dials.truncfix_calibrate",
        summary=sentences[0],
    )
