"""A calibration by reflections as a page."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.spots.spot_fit import SpotFit
from dials_truncfix.calibrate.spots.spot_words import (
    crystal_table,
    findings,
    fit_table,
    group_table,
    warnings,
)
from dials_truncfix.calibrate.spots.spots import SpotCalibration
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
from dials_truncfix.report.palette import BLUE, VERMILLION

Array = npt.NDArray[np.float64]

_SECTORS = 24
#: Squares along an edge of the map of residuals.
_SQUARES = 12
_FEWEST = 4


def spots_page(result: SpotCalibration) -> str:
    """Make the page.

    Raises
    ------
    ImportError
        Without jinja2 or plotly.
    """
    sentences = findings(result)
    words: list[Content] = [
        Notice(sentences, "plain"),
        html_table(group_table(result)),
        html_table(fit_table(result)),
    ]
    if warned := warnings(result):
        words.insert(0, Notice(warned, "warning"))
    content: list[Content] = []
    for group in range(result.n_groups):
        name = "" if result.n_groups == 1 else f"Group {group + 1}: "
        content.append(azimuth_figure(result, group, name))
        content.append(
            FigureGrid(
                [
                    residual_figure(
                        result, result.circles, group, f"{name}circles".capitalize()
                    ),
                    residual_figure(
                        result, result.fit, group, f"{name}ellipses".capitalize()
                    ),
                ]
            )
        )
    sections = [
        Section("Magnification", words),
        Section("Observed and expected positions", content),
        Section("Crystals", [html_table(crystal_table(result))], True),
    ]
    return render_page(
        "Anisotropic magnification by reflections",
        sections,
        program="dials.truncfix_calibrate",
        summary=sentences[0],
    )


def _of_group(result: SpotCalibration, fit: SpotFit, group: int) -> tuple[Array, Array]:
    """Positions about the beam and residuals of a group, pixels."""
    parts = [
        ((spots.position - spots.centre) / spots.pixel_size, residual)
        for spots, residual in zip(result.sets, fit.position_residuals)
        if spots.group == group
    ]
    return tuple(np.concatenate(p) for p in zip(*parts))  # type: ignore[return-value]


def azimuth_figure(result: SpotCalibration, group: int, name: str) -> Figure:
    """Draw the relative radial residual against azimuth, without and with ellipse."""
    traces = []
    for fit, label, colour, symbol in (
        (result.circles, "circles", VERMILLION, "square-open"),
        (result.fit, "ellipses", BLUE, "circle"),
    ):
        place, residual = _of_group(result, fit, group)
        radius = np.hypot(*place.T)
        relative = 100 * np.sum(place * residual, axis=1) / radius**2
        azimuth = np.degrees(np.arctan2(place[:, 1], place[:, 0])) % 360
        sector = (azimuth * _SECTORS / 360).astype(int) % _SECTORS
        far = radius > 0.3 * radius.max()
        members = [relative[(sector == k) & far] for k in range(_SECTORS)]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": label,
                "x": (np.arange(_SECTORS) + 0.5) * 360 / _SECTORS,
                "y": [float(np.median(m)) if len(m) else None for m in members],
                "line": {"color": colour, "width": 1.5},
                "marker": {"symbol": symbol, "size": 7},
                "hovertemplate": "%{x:.0f}°: %{y:.3f} %<extra></extra>",
            }
        )
    return Figure(
        {
            "data": traces,
            "layout": {
                "xaxis": azimuth_axis(45),
                "yaxis": {
                    "title": {"text": "observed - expected radius (%)"},
                    "zeroline": True,
                },
                "showlegend": True,
            },
        },
        description="Relative radial residual against azimuth: fit without ellipses "
        f"{result.circles.rmsd:.3f} px, with them {result.fit.rmsd:.3f} px RMSD.",
        title=f"{name}Does the magnification depend on the direction?",
        caption="An ellipse that the fit lacks is a wave with two periods; what cells "
        "and orientations took of it is missing from the wave. Medians of sectors.",
    )


def residual_figure(
    result: SpotCalibration, fit: SpotFit, group: int, title: str
) -> Figure:
    """Draw mean residuals as arrows over the image."""
    place, residual = _of_group(result, fit, group)
    reach = float(np.abs(place).max())
    square = np.floor((place / reach + 1) * 0.5 * _SQUARES).astype(int)
    square = np.clip(square, 0, _SQUARES - 1)
    number = square[:, 1] * _SQUARES + square[:, 0]
    count = np.bincount(number, minlength=_SQUARES**2)
    full = count >= _FEWEST
    means = [
        np.bincount(number, values, _SQUARES**2)[full] / count[full]
        for values in (*place.T, *residual.T)
    ]
    largest = max(
        float(np.percentile(np.hypot(*r.T), 90))
        for r in (_of_group(result, result.circles, group)[1],)
    )
    factor = 0.9 * (2 * reach / _SQUARES) / max(largest, 1e-9)
    x, y, dx, dy = means
    gap = np.full(len(x), np.nan)
    return Figure(
        {
            "data": [
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": np.column_stack([x, x + factor * dx, gap]).ravel(),
                    "y": np.column_stack([y, y + factor * dy, gap]).ravel(),
                    "line": {"color": BLUE, "width": 2},
                    "hoverinfo": "skip",
                },
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": x,
                    "y": y,
                    "marker": {"color": BLUE, "size": 4},
                    "text": [f"({a:+.3f}, {b:+.3f}) px" for a, b in zip(dx, dy)],
                    "hovertemplate": "%{text}<extra></extra>",
                },
            ],
            "layout": {
                "xaxis": {
                    "title": {"text": "fast from the beam (px)"},
                    "range": [-1.1 * reach, 1.1 * reach],
                    "constrain": "domain",
                },
                "yaxis": {
                    "title": {"text": "slow from the beam (px)"},
                    "range": [1.1 * reach, -1.1 * reach],
                    "scaleanchor": "x",
                    "constrain": "domain",
                },
                "showlegend": False,
            },
        },
        description=f"{title}: mean of observed minus expected positions in squares; "
        f"RMSD {fit.rmsd:.3f} px.",
        title=title,
        caption="Lines from the dots are means of observed minus expected positions, "
        f"{factor:.0f} times enlarged.",
        aspect=1.1,
    )
