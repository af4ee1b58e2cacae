"""The beam as a page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.disc.disc import Disc
from dials_truncfix.calibrate.disc.disc_words import disc_table, findings, warnings
from dials_truncfix.calibrate.pairs.correlation import averaged
from dials_truncfix.report.azimuth_axis import azimuth_axis
from dials_truncfix.report.comparison import html_table
from dials_truncfix.report.page import (
    Content,
    Figure,
    FigureGrid,
    Notice,
    Section,
    render_page,
)
from dials_truncfix.report.palette import BLUE, GREY, VERMILLION
from dials_truncfix.report.specimen_pictures import (
    averaging_step,
    grey_heatmap,
    picture_axes,
)

Array = npt.NDArray[np.float64]

#: Images of a long series that are drawn.
_DRAWN = 6


def disc_page(
    discs: Sequence[Disc], images: Sequence[Array], pixel_nm: float | None
) -> str:
    """Make the page.

    Raises
    ------
    ImportError
        Without jinja2 or plotly.
    """
    sentences = findings(discs, pixel_nm)
    words: list[Content] = [
        Notice(sentences, "plain"),
        html_table(disc_table(discs)),
    ]
    if warned := warnings(discs):
        words.insert(0, Notice(warned, "warning"))
    figures = []
    for disc, image in list(zip(discs, images))[:_DRAWN]:
        figures += [_picture(disc, image), _residuals(disc)]
    content: list[Content] = [FigureGrid(figures)]
    if len(discs) > _DRAWN:
        content.append(f"The first {_DRAWN} of {len(discs)} images are drawn.")
    return render_page(
        "Place and size of the beam",
        [Section("The beam", words), Section("Edge and circle", content)],
        program="dials.truncfix_calibrate",
        summary=sentences[0],
    )


def _picture(disc: Disc, image: Array) -> Figure:
    step = averaging_step(image.shape)
    small = averaged(image, step)
    slow, fast = (step * n for n in small.shape)
    azimuth = np.linspace(0, 2 * np.pi, 241)
    circle = disc.circle
    x = circle.centre[0] + circle.radius * np.cos(azimuth)
    y = circle.centre[1] + circle.radius * np.sin(azimuth)
    traces = [
        grey_heatmap(small, step / 2, step, dark_is_high=False),
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": y,
            "line": {"color": VERMILLION, "width": 2},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "x": circle.centre[:1],
            "y": circle.centre[1:],
            "marker": {
                "symbol": "cross-thin",
                "size": 14,
                "line": {"color": VERMILLION, "width": 2},
            },
            "hovertemplate": "%{x:.2f}, %{y:.2f} px<extra></extra>",
        },
    ]
    return Figure(
        {"data": traces, "layout": picture_axes((0, fast), (0, slow))},
        description=f"{disc.name} with the circle: {2 * circle.radius:.1f} pixels wide, "
        f"centre at {circle.centre[0]:.1f}, {circle.centre[1]:.1f}.",
        title=disc.name,
        caption="The circle must lie on the edge all around.",
        aspect=1.1 * fast / slow,
    )


def _residuals(disc: Disc) -> Figure:
    circle = disc.circle
    offset = disc.edge.points - circle.centre
    azimuth = np.degrees(np.arctan2(offset[:, 1], offset[:, 0])) % 360
    reach = 1.2 * max(4 * circle.rmsd, 0.05)
    traces = []
    for which, colour in ((~circle.kept, GREY), (circle.kept, BLUE)):
        if not which.any():
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": azimuth[which],
                "y": np.clip(circle.residuals[which], -reach, reach),
                "marker": {"color": colour, "size": 5},
                "hovertemplate": "%{x:.0f}°: %{y:.2f} px<extra></extra>",
            }
        )
    return Figure(
        {
            "data": traces,
            "layout": {
                "xaxis": azimuth_axis(),
                "yaxis": {
                    "title": {"text": "edge outside of the circle (px)"},
                    "range": [-1.05 * reach, 1.05 * reach],
                },
                "showlegend": False,
            },
        },
        description=f"Distance of {len(azimuth)} points of the edge from the circle; RMSD "
        f"{circle.rmsd:.2f} pixels.",
        title="The edge against the circle",
        caption="Points must scatter about zero: two waves around are an ellipse. Grey "
        "points were left out.",
    )
