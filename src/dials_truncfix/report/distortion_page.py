"""A distortion field as a page."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.distortion.distortion_fit import Distortion
from dials_truncfix.calibrate.distortion.distortion_words import (
    findings,
    largest,
    pair_table,
    parameter_table,
    warnings,
)
from dials_truncfix.calibrate.distortion.overlaps import DistortionCalibration
from dials_truncfix.calibrate.pairs.robust_fit import RobustFit
from dials_truncfix.report.comparison import html_table
from dials_truncfix.report.page import (
    Content,
    Figure,
    FigureGrid,
    Notice,
    Section,
    render_page,
)
from dials_truncfix.report.palette import BLUE, GREY
from dials_truncfix.report.specimen_pictures import arrow_scale, arrows, picture_axes

Array = npt.NDArray[np.float64]

#: Lines of the grid along each side.
_LINES = 11
_POINTS = 61


def distortion_page(result: DistortionCalibration) -> str:
    """Make the page.

    Raises
    ------
    ImportError
        Without jinja2 or plotly.
    """
    sentences = findings(result)
    distortion = result.distortion
    words: list[Content] = [Notice(sentences, "plain")]
    if warned := warnings(result):
        words.insert(0, Notice(warned, "warning"))
    size = arrow_scale(distortion.plain.residuals, 0.15 * distortion.terms.scale)
    figures = [
        _grid(distortion),
        _residuals(distortion, distortion.plain, "Tiles without the field", size),
        _residuals(distortion, distortion.fit, "Tiles with the field", size),
    ]
    sections = [
        Section("Distortion", words),
        Section("The field, and what the tiles say", [FigureGrid(figures)]),
        Section(
            "Terms and pairs",
            [html_table(parameter_table(distortion)), html_table(pair_table(result))],
            folded=True,
        ),
    ]
    return render_page(
        "Distortion of the image",
        sections,
        program="dials.truncfix_calibrate",
        summary=sentences[0],
    )


def _grid(distortion: Distortion) -> Figure:
    slow, fast = distortion.terms.shape
    spacing = min(slow, fast) / (_LINES - 1)
    scale = arrow_scale(distortion.at(distortion.grid), 0.6 * spacing)
    along = np.linspace(0, 1, _POINTS)
    traces = []
    for enlarged, colour in ((0.0, GREY), (scale, BLUE)):
        lines = []
        for share in np.linspace(0, 1, _LINES):
            for line in (
                np.column_stack([fast * along, np.full(_POINTS, slow * share)]),
                np.column_stack([np.full(_POINTS, fast * share), slow * along]),
            ):
                lines += [line + enlarged * distortion.at(line), [[np.nan, np.nan]]]
        x, y = np.concatenate(lines).T
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": y,
                "line": {"color": colour, "width": 1.2 if enlarged else 0.8},
                "hoverinfo": "skip",
            }
        )
    room = 0.06 * max(slow, fast)
    size, error = largest(distortion)
    return Figure(
        {
            "data": traces,
            "layout": picture_axes((-room, fast + room), (-room, slow + room)),
        },
        description=f"A square grid as the image shows it; off by up to {size:.2f} ± "
        f"{error:.2f} pixels.",
        title="A square grid on the image",
        caption=f"Grey: without distortion; blue: with it, {scale:g} times as large.",
        aspect=1.1 * fast / slow,
    )


def _residuals(
    distortion: Distortion, fit: RobustFit, title: str, scale: float
) -> Figure:
    places = np.concatenate([pair.second for pair in distortion.pairs])
    slow, fast = distortion.terms.shape
    return Figure(
        {
            "data": arrows(places, fit.residuals, distortion.fit.kept, scale),
            "layout": picture_axes((0, fast), (0, slow)),
        },
        description=f"{title}: residuals of {len(places)} tiles, RMSD "
        f"{distortion.rmsd(fit):.3f} pixels.",
        title=title,
        caption=f"What is left of displacements, {scale:g} times as long. With the field "
        "they must point anywhere.",
        aspect=1.1 * fast / slow,
    )
