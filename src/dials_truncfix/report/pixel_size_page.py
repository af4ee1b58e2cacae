"""A calibration of the pixel size as a page."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.pixel_size.pixel_size import PixelSize
from dials_truncfix.calibrate.pixel_size.pixel_size_words import (
    findings,
    pixel_size_table,
    warnings,
)
from dials_truncfix.report.comparison import html_table
from dials_truncfix.report.lattice_figures import (
    corners_figure,
    correlation_figure,
    mean_cell_figure,
    shifts_figure,
)
from dials_truncfix.report.page import (
    Content,
    FigureGrid,
    Notice,
    Section,
    render_page,
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
            "Does the lattice fit?",
            [
                corners_figure(result, image),
                FigureGrid([shifts_figure(result), mean_cell_figure(result)]),
                correlation_figure(result, image, reach),
            ],
        ),
    ]
    return render_page(
        "Pixel size on the specimen",
        sections,
        program="dials.truncfix_calibrate",
        summary=sentences[0],
    )
