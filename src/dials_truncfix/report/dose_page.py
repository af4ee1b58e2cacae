"""Rates and doses as a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dials_truncfix.calibrate.dose.dose_words import dose_table, mdoc_table
from dials_truncfix.calibrate.dose.image_dose import (
    ImageDose,
    Scale,
    accumulated,
    highest_rate,
)
from dials_truncfix.calibrate.dose.mdoc_dose import MdocDose
from dials_truncfix.camera.coincidence import LossCurve
from dials_truncfix.report.comparison import html_table
from dials_truncfix.report.page import (
    Content,
    Figure,
    FigureGrid,
    Notice,
    Section,
    render_page,
)
from dials_truncfix.report.palette import BLACK, BLUE, VERMILLION


def dose_page(
    images: Sequence[ImageDose],
    scale: Scale | None,
    doses: Sequence[MdocDose],
    words: Sequence[str],
    warned: Sequence[str],
) -> str:
    """Make the page.

    Raises
    ------
    ImportError
        Without jinja2 or plotly.
    """
    content: list[Content] = [Notice(list(words), "plain")]
    if warned:
        content.insert(0, Notice(list(warned), "warning"))
    sections = [Section("Doses", content)]
    if images and scale is not None:
        figures = [_rates(images)]
        if math.isfinite(images[0].dose):
            figures.append(_dose(images, scale))
        if scale.loss is not None:
            figures.append(_curve(images, scale.loss))
        sections.append(Section("Images", [FigureGrid(figures)]))
        sections.append(Section("All images", [html_table(dose_table(images, scale))]))
    if doses:
        figures = _metadata(doses)
        table = html_table(mdoc_table(doses))
        grid: list[Content] = [FigureGrid(figures)] if figures else []
        sections.append(Section("Metadata", [*grid, table]))
    return render_page(
        "Dose rate and dose",
        sections,
        program="dials.truncfix_calibrate",
        summary=words[0],
    )


def _layout(x: str, y: str) -> dict[str, Any]:
    return {
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}, "rangemode": "tozero"},
    }


def _rates(images: Sequence[ImageDose]) -> Figure:
    rate = np.array([image.rate for image in images])
    return Figure(
        {
            "data": [
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "x": np.arange(1, len(images) + 1),
                    "y": rate,
                    "error_y": {
                        "type": "data",
                        "array": [image.rate_sd for image in images],
                        "width": 0,
                    },
                    "line": {"color": BLUE},
                }
            ],
            "layout": _layout("image", "e⁻ per physical pixel and second"),
        },
        description=f"Rate of {len(images)} images, {rate.min():.4g} to {rate.max():.4g}.",
        title="Rate of electrons",
        caption="The bars are the uncertainty of each image; that of the scale is common to "
        "all.",
    )


def _dose(images: Sequence[ImageDose], scale: Scale) -> Figure:
    dose, error = accumulated(images, scale)
    x = np.arange(1, len(images) + 1)
    return Figure(
        {
            "data": [
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "x": x,
                    "y": dose,
                    "error_y": {"type": "data", "array": error, "width": 0},
                    "line": {"color": BLUE},
                }
            ],
            "layout": _layout("image", "dose so far (e⁻/Å²)"),
        },
        description=f"Accumulated dose, {dose[-1]:.4g} ± {error[-1]:.2g} e⁻/Å² at the end.",
        title="Accumulated dose",
        caption="With the uncertainty of the scale.",
    )


def _curve(images: Sequence[ImageDose], loss: LossCurve) -> Figure:
    limit = highest_rate(loss)
    rate = np.linspace(0.0, limit, 200)
    at = np.array([image.rate for image in images])
    return Figure(
        {
            "data": [
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": rate,
                    "y": loss.counted(rate),
                    "line": {"color": BLACK},
                    "name": loss.name,
                },
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": [0.0, limit],
                    "y": [0.0, limit],
                    "line": {"color": BLACK, "dash": "dot"},
                    "name": "all counted",
                },
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": at,
                    "y": loss.counted(at),
                    "marker": {"color": VERMILLION, "size": 8},
                    "name": "images",
                },
            ],
            "layout": _layout("e⁻ per physical pixel and second", "counts"),
        },
        description=f"Counts against electrons by {loss.name}, up to {limit:.4g}, with the "
        "images on it.",
        title="Linearisation",
        caption="Where the curve is flat, counts do not tell the rate; it ends where it is "
        "refused.",
    )


def _metadata(doses: Sequence[MdocDose]) -> list[Figure]:
    both = [d for d in doses if math.isfinite(d.rate + d.stated_rate)]
    if len(both) < 2:
        return []
    x = np.array([d.stated_rate for d in both])
    y = np.array([d.rate for d in both])
    top = float(max(x.max(), y.max()))
    return [
        Figure(
            {
                "data": [
                    {
                        "type": "scatter",
                        "mode": "markers",
                        "x": x,
                        "y": y,
                        "marker": {"color": BLUE, "size": 6},
                        "name": "sections",
                    },
                    {
                        "type": "scatter",
                        "mode": "lines",
                        "x": [0.0, top],
                        "y": [0.0, top],
                        "line": {"color": BLACK, "dash": "dot"},
                        "name": "the same",
                    },
                ],
                "layout": _layout(
                    "rate as stated (e⁻/px/s)", "rate by the mean counts (e⁻/px/s)"
                ),
            },
            description=f"Rates by counts against stated rates of {len(both)} sections.",
            title="Stated and computed rates",
        )
    ]
