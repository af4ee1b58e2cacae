"""Figures of a comparison of two integrations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dials_truncfix.compare.agreement import Agreement
from dials_truncfix.compare.comparison import Comparison, TruthFigures
from dials_truncfix.compare.merging import MergedShell
from dials_truncfix.compare.shells import NAN
from dials_truncfix.compare.tables import bin_name
from dials_truncfix.report.page import Figure
from dials_truncfix.report.palette import BLACK, BLUE, GREY, VERMILLION
from dials_truncfix.report.resolution import middle_of, resolution_axis, shell_name

#: Colours and their meaning, for the legend that all figures share.
KEY = [(VERMILLION, "before (squares)"), (BLUE, "after (circles)")]

_COLOURS = {"before": VERMILLION, "after": BLUE}
_SYMBOLS = {"before": "square-open", "after": "circle"}
#: Slopes with larger errors are not drawn.
_UNCERTAIN = 0.15


def _curve(
    side: str,
    x: Sequence[float],
    y: Sequence[float],
    text: Sequence[str],
    error: Sequence[float] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    curve = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": side,
        "x": list(x),
        "y": list(y),
        "text": list(text),
        "hovertemplate": f"%{{text}}<br>{side}: %{{y:.4g}}<extra></extra>",
        "line": {
            "color": _COLOURS[side],
            "dash": "dash" if side == "before" else "solid",
        },
        "marker": {"symbol": _SYMBOLS[side], "size": 8},
        **changes,
    }
    if error is not None:
        curve["error_y"] = {"array": list(error), "width": 0, "thickness": 1.2}
    return curve


def _line(y: float) -> dict[str, Any]:
    """Dotted line across a plot."""
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": y,
        "y1": y,
        "line": {"color": GREY, "dash": "dot", "width": 1},
    }


def _shells(limits: Sequence[float]) -> tuple[list[float], list[str]]:
    """Places and names of shells."""
    pairs = np.array([limits[:-1], limits[1:]]).T
    return middle_of(pairs).tolist(), [shell_name(*pair) for pair in pairs]


def _by_resolution(
    limits: Sequence[float],
    curves: Sequence[dict[str, Any]],
    title: str,
    shapes: Sequence[dict[str, Any]] = (),
    **y_axis: Any,
) -> dict[str, Any]:
    return {
        "data": list(curves),
        "layout": {
            "xaxis": resolution_axis(limits[0] ** -2, limits[-1] ** -2),
            "yaxis": {"title": {"text": title}, **y_axis},
            "shapes": list(shapes),
            "showlegend": False,
        },
    }


def _range(before: float, after: float, form: str) -> str:
    return f"{format(before, form)} before and {format(after, form)} after"


def change_figures(comparison: Comparison, unit: str) -> list[Figure]:
    """Draw what became of the reflections that both tables hold.

    Parameters
    ----------
    comparison : Comparison
        The figures.
    unit : str
        Unit of the intensities.

    Returns
    -------
    list of Figure
    """
    limits = comparison.limits.tolist()
    x, names = _shells(limits)
    shells, whole = comparison.changes[:-1], comparison.changes[-1]
    change = _curve(
        "after",
        x,
        [c.change for c in shells],
        names,
        [c.change_error for c in shells],
        name="change",
        hovertemplate="%{text}<br>%{y:.3g}<extra></extra>",
        line={"color": BLACK},
        marker={"symbol": "diamond", "size": 8, "color": BLACK},
    )
    ratio = {
        **change,
        "y": [c.ratio for c in shells],
        "error_y": {"visible": False},
    }
    return [
        Figure(
            _by_resolution(
                limits, [change], f"mean of after - before ({unit})", [_line(0)]
            ),
            f"Mean change of the intensities against resolution: over all "
            f"{whole.change:+.4g} {unit}.",
            "Change of intensity",
        ),
        Figure(
            _by_resolution(limits, [ratio], "sum after / sum before", [_line(1)]),
            f"Ratio of the sums of intensities against resolution: over all "
            f"{whole.ratio:.3f}.",
            "Relative change",
        ),
        Figure(
            _by_resolution(
                limits,
                [
                    _curve(
                        "before", x, [100 * c.negative_before for c in shells], names
                    ),
                    _curve("after", x, [100 * c.negative_after for c in shells], names),
                ],
                "negative (%)",
                rangemode="tozero",
            ),
            "Fraction of negative intensities against resolution: over all "
            + _range(100 * whole.negative_before, 100 * whole.negative_after, ".1f")
            + " %.",
            "Negative intensities",
        ),
        Figure(
            _by_resolution(
                limits,
                [
                    _curve("before", x, [c.i_over_sigma_before for c in shells], names),
                    _curve("after", x, [c.i_over_sigma_after for c in shells], names),
                ],
                "mean I/σ before merging",
                [_line(1)],
                rangemode="tozero",
            ),
            "Mean I/σ before merging against resolution: over all "
            + _range(whole.i_over_sigma_before, whole.i_over_sigma_after, ".2f")
            + ".",
            "I/σ of single reflections",
        ),
    ]


def merged_figures(comparison: Comparison) -> list[Figure]:
    """Draw what the merged data of either table look like."""
    limits = comparison.limits.tolist()
    x, names = _shells(limits)
    sides = {"before": comparison.merged_before, "after": comparison.merged_after}

    def curves(value: Callable[[MergedShell], float], **changes: Any) -> list[Any]:
        return [
            _curve(side, x, [value(m) for m in shells[:-1]], names, **changes)
            for side, shells in sides.items()
        ]

    def overall(value: Callable[[MergedShell], float], form: str) -> str:
        return _range(*(value(shells[-1]) for shells in sides.values()), form) + "."

    cc_curves = curves(lambda m: m.cc_half)
    cc_title, cc_words, cc_caption = (
        "CC½",
        "CC½",
        (
            "CC½ says how well halves of the data agree, not how right they are; cutting "
            "pixels off raises it."
        ),
    )
    if comparison.truth_before is not None:
        cc_curves += [
            {
                **curve,
                "line": {**curve["line"], "dash": "dot"},
                "hovertemplate": curve["hovertemplate"].replace(": ", ", truth: "),
                "marker": {**curve["marker"], "symbol": "x-thin-open"},
            }
            for curve in curves(lambda m: m.cc_truth)
        ]
        cc_title = "correlation coefficient"
        cc_words = "CC½, and dotted with crosses the correlation with the truth,"
        cc_caption += (
            " Dotted, with crosses: correlation of the merged data with the truth, in "
            "which a bias does not show either."
        )
    return [
        Figure(
            _by_resolution(
                limits,
                curves(lambda m: m.i_over_sigma),
                "mean I/σ",
                [_line(1)],
                rangemode="tozero",
            ),
            "Mean I/σ of merged reflections against resolution: over all "
            + overall(lambda m: m.i_over_sigma, ".2f"),
            "I/σ of merged reflections",
        ),
        Figure(
            _by_resolution(limits, cc_curves, cc_title, [_line(0)], range=[-0.1, 1.05]),
            f"{cc_words} against resolution: CC½ over all "
            + overall(lambda m: m.cc_half, ".3f"),
            "Correlation of half sets",
            cc_caption,
        ),
        Figure(
            _by_resolution(
                limits,
                curves(lambda m: 100 * m.completeness),
                "completeness (%)",
                rangemode="tozero",
            ),
            "Completeness against resolution: over all "
            + overall(lambda m: 100 * m.completeness, ".1f"),
            "Completeness",
        ),
        Figure(
            _by_resolution(
                limits,
                curves(lambda m: m.multiplicity),
                "multiplicity",
                rangemode="tozero",
            ),
            "Multiplicity against resolution: over all "
            + overall(lambda m: m.multiplicity, ".2f"),
            "Multiplicity",
        ),
    ]


def truth_figures(before: TruthFigures, after: TruthFigures, unit: str) -> list[Figure]:
    """Draw how either table agrees with the truth.

    Parameters
    ----------
    before, after : TruthFigures
        Figures of either table.
    unit : str
        Unit of the true intensities.

    Returns
    -------
    list of Figure
    """
    shells = before.shells[:-1]
    limits = [shells[0].low, *(s.high for s in shells)]
    x, names = _shells(limits)
    sides = {"before": before, "after": after}

    def curves(value: Callable[[Agreement], float]) -> list[Any]:
        return [
            _curve(side, x, [value(s) for s in figures.shells[:-1]], names)
            for side, figures in sides.items()
        ]

    slopes = [
        _curve(
            side,
            x,
            [s.slope if s.slope_error < _UNCERTAIN else NAN for s in shells],
            names,
            [s.slope_error for s in shells],
        )
        for side, shells in ((n, f.shells[:-1]) for n, f in sides.items())
    ]
    bins = [bin_name(b) for b in before.bins]
    biases = [
        _curve(
            side,
            bins,  # type: ignore[arg-type]
            [b.bias for b in figures.bins],
            [f"{name} {unit}" for name in bins],
            [b.bias_error for b in figures.bins],
        )
        for side, figures in sides.items()
    ]
    weakest = _range(before.bins[0].bias, after.bins[0].bias, "+.2f")
    return [
        Figure(
            _by_resolution(limits, slopes, "slope", [_line(1)]),
            "Slope of observed on true intensities against resolution: over all "
            + _range(before.shells[-1].slope, after.shells[-1].slope, ".3f")
            + ".",
            "Slope",
        ),
        Figure(
            {
                "data": biases,
                "layout": {
                    "xaxis": {
                        "title": {"text": f"true intensity ({unit})"},
                        "type": "category",
                    },
                    "yaxis": {"title": {"text": f"bias ({unit})"}},
                    "shapes": [_line(0)],
                    "showlegend": False,
                },
            },
            f"Bias in bins of the true intensity: {weakest} {unit} in the weakest.",
            "Bias",
            "What lies outside the integration box is part of the bias.",
        ),
        Figure(
            _by_resolution(
                limits, curves(lambda s: s.z_sd), "standard deviation of z", [_line(1)]
            ),
            "Standard deviation of z against resolution: over all "
            + _range(before.shells[-1].z_sd, after.shells[-1].z_sd, ".2f")
            + ".",
            "Standard deviations",
        ),
        Figure(
            _by_resolution(
                limits,
                curves(lambda s: s.r_factor),
                "R",
                rangemode="tozero",
            ),
            "Sum of the deviations from the truth over its sum, against resolution: "
            "over all "
            + _range(before.shells[-1].r_factor, after.shells[-1].r_factor, ".3f")
            + ".",
            "R to the truth",
            "Noise and bias of single reflections together: cutting pixels off can lower "
            "the noise by more than the bias that it adds. Merging averages noise, but "
            "no bias.",
        ),
    ]
