"""The low counts of each annulus with the fit and what was restored.

References
----------
Hattne, J., Shi, D., de la Cruz, M. J., Reyes, F. E. & Gonen, T. (2016). J. Appl. Cryst.
49, 1029-1034, doi:10.1107/S1600576716007196, figure 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.packed import unpack_array
from dials_truncfix.report.page import Figure, FigureGrid
from dials_truncfix.report.palette import (
    BLACK,
    ORANGE,
    SKY_BLUE,
    VERMILLION,
    VERMILLION_TEXT,
)
from dials_truncfix.report.resolution import shell_name
from dials_truncfix.report.sweep_results import RingSeries
from dials_truncfix.sweep.illustrations import HistogramRecord

Array = npt.NDArray[np.float64]

#: Regions that are drawn.
MOST_FIGURES = 12
_MOST_BARS = 100
_LARGEST_ARRAY = 1 << 24
# The deepest and the highest values hold this part of the pixels, and are left out.
_LEFT_OUT = 5e-4
# Words stand to the right of zero unless this side is so much shorter.
_ROOM = 0.6
# Shown beyond the range of the fit.
_BEYOND = 1.7
_KEY = (
    (SKY_BLUE, "recorded, above zero"),
    (VERMILLION, "recorded as zero (outline; the number tells its height)"),
    (ORANGE, "what the zeros became"),
    (BLACK, "fitted distribution (line; dotted beyond the fitted range)"),
)


def histogram_figures(histograms: HistogramRecord, rings: RingSeries) -> FigureGrid:
    """Draw the histograms of the annuli, or of twelve of them.

    Parameters
    ----------
    histograms : HistogramRecord
        From the record.
    rings : RingSeries
        For the quality of the fits.

    Returns
    -------
    FigureGrid

    Raises
    ------
    ValueError
        When the record is damaged.
    """
    recorded, corrected, expected = (
        unpack_array(packed, _LARGEST_ARRAY)
        for packed in (histograms.recorded, histograms.corrected, histograms.expected)
    )
    n = len(histograms.d_limits)
    shapes = (n, recorded.shape[-1]), (n, 1 - histograms.lowest)
    total = (n, recorded.shape[-1] - histograms.lowest)
    if (recorded.shape, corrected.shape, expected.shape) != (*shapes, total) or not (
        n == len(histograms.n_pixels) == len(histograms.i_max)
    ):
        raise ValueError("the histograms differ in size")
    shown = np.unique(np.linspace(0, n - 1, min(n, MOST_FIGURES)).round().astype(int))
    figures = [
        _figure(
            int(k),
            histograms,
            np.asarray(recorded[k], np.float64),
            np.asarray(corrected[k], np.float64),
            np.asarray(expected[k], np.float64),
            rings,
        )
        for k in shown
    ]
    return FigureGrid(figures, columns=3, key=_KEY)


def _figure(
    k: int,
    histograms: HistogramRecord,
    recorded: Array,
    corrected: Array,
    expected: Array,
    rings: RingSeries,
) -> Figure:
    n_pixels = max(histograms.n_pixels[k], 1)
    lowest, i_max = histograms.lowest, histograms.i_max[k]
    low, high = _range(corrected, recorded, lowest, i_max)
    width = -(-(high - low + 1) // _MOST_BARS)
    # bins end at zero, so that none holds both restored and recorded values
    below = _binned(corrected[::-1][: 1 - low] / n_pixels, width)[::-1]
    above = _binned(recorded[1 : high + 1] / n_pixels, width)
    fit_below = _binned(expected[-lowest::-1][: 1 - low] / n_pixels, width)[::-1]
    fit_above = _binned(expected[1 - lowest :][:high] / n_pixels, width)
    x_below = -width * np.arange(len(below))[::-1] - (width - 1) / 2
    x_above = 1 + width * np.arange(len(above)) + (width - 1) / 2
    x = np.concatenate([x_below, x_above])
    fit = 100 * np.concatenate([fit_below, fit_above])
    zeros = 100 * recorded[0] / n_pixels
    top = 1.28 * 100 * max(below.max(initial=0), above.max(initial=0), fit.max() / 100)
    fitted = x <= max(i_max, 0)
    beyond = x >= x[fitted].max()
    data: list[dict[str, Any]] = [
        _bars(x_above, 100 * above, width, SKY_BLUE, "recorded"),
        _bars(x_below, 100 * below, width, ORANGE, "restored"),
        {
            "type": "scatter",
            "mode": "lines",
            "x": [-0.5, -0.5, 0.5, 0.5],
            "y": [0, min(zeros, 1.2 * top), min(zeros, 1.2 * top), 0],
            "line": {"color": VERMILLION, "width": 1.5},
            "hoverinfo": "skip",
        },
    ]
    if i_max >= 0:
        data += [
            _line(x[fitted], fit[fitted], "solid"),
            _line(x[beyond], fit[beyond], "dot"),
        ]
    # where there is room for words
    side = 1 if high >= -_ROOM * low else -1
    layout = {
        "showlegend": False,
        "bargap": 0,
        "xaxis": {"title": {"text": "pixel value (ADU)"}, "range": [low - 1, high + 1]},
        "yaxis": {
            "title": {"text": "pixels (% per ADU)"},
            "range": [0, top],
            "rangemode": "tozero",
        },
        "annotations": [
            {
                "text": f"{zeros:.1f} % recorded<br>as zero",
                "x": side / 2,
                "y": 0.995,
                "xref": "x",
                "yref": "paper",
                "xanchor": "left" if side > 0 else "right",
                "yanchor": "top",
                "xshift": 5 * side,
                "align": "left" if side > 0 else "right",
                "showarrow": False,
                "font": {"color": VERMILLION_TEXT, "size": 12},
            }
        ],
    }
    whole = len(histograms.d_limits) == rings.n_rings
    name = f"{'Annulus' if whole else 'Region'} {k + 1}"
    limits = shell_name(*histograms.d_limits[k])
    quality = _quality(k, histograms, rings)
    return Figure(
        {"data": data, "layout": layout},
        description=(
            f"Histogram of {name.lower()}, {limits}. {zeros:.1f} % of the pixels were "
            f"recorded as zero. {quality}"
        ),
        title=f"{name}: {limits}",
        caption=quality,
        height=270,
    )


def _range(
    corrected: Array, recorded: Array, lowest: int, i_max: int
) -> tuple[int, int]:
    """Choose the values to show, ADU."""
    depth = np.cumsum(corrected)
    low = lowest + int(np.searchsorted(depth, _LEFT_OUT * max(depth[-1], 1)))
    high = min(max(int(_BEYOND * i_max), 8), len(recorded) - 1)
    return min(low, -1), max(high, 1)


def _binned(values: Array, width: int) -> Array:
    """Average neighbouring values."""
    if width == 1:
        return values
    starts = np.arange(0, len(values), width)
    sizes = np.diff(np.append(starts, len(values)))
    return np.add.reduceat(values, starts) / sizes if len(values) else values


def _bars(x: Array, y: Array, width: int, colour: str, name: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "x": x,
        "y": y,
        "width": width,
        "marker": {"color": colour, "line": {"width": 0}},
        "hovertemplate": f"%{{x:.0f}} ADU: %{{y:.3f}} % {name}<extra></extra>",
    }


def _line(x: Array, y: Array, dash: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": BLACK, "width": 1.8, "dash": dash},
        "hovertemplate": "%{x:.0f} ADU: %{y:.3f} % by the fit<extra></extra>",
    }


def _quality(k: int, histograms: HistogramRecord, rings: RingSeries) -> str:
    if histograms.i_max[k] < 0:
        return "No distribution could be fitted."
    if len(histograms.d_limits) != rings.n_rings:
        # the annuli are divided, or some are merged in these images
        return ""
    return (
        f"rmsd {rings.average('rmsd')[k]:.3g} pixels per ADU, "
        f"χ² {rings.average('chi_square')[k]:.2f} per degree of freedom."
    )
