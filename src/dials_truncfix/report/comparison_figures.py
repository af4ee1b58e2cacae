"""Figures of a comparison of two integrations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dials_truncfix.compare.comparison import Comparison
from dials_truncfix.compare.merging import MergedShell
from dials_truncfix.report.comparison_curves import (
    both,
    by_resolution,
    curve,
    dotted_line,
    places_of_shells,
)
from dials_truncfix.report.page import Figure
from dials_truncfix.report.palette import BLACK


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
    x, names = places_of_shells(limits)
    shells, whole = comparison.changes[:-1], comparison.changes[-1]
    change = curve(
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
            by_resolution(
                limits, [change], f"mean of after - before ({unit})", [dotted_line(0)]
            ),
            f"Mean change of the intensities against resolution: over all "
            f"{whole.change:+.4g} {unit}.",
            "Change of intensity",
        ),
        Figure(
            by_resolution(limits, [ratio], "sum after / sum before", [dotted_line(1)]),
            f"Ratio of the sums of intensities against resolution: over all "
            f"{whole.ratio:.3f}.",
            "Relative change",
        ),
        Figure(
            by_resolution(
                limits,
                [
                    curve(
                        "before", x, [100 * c.negative_before for c in shells], names
                    ),
                    curve("after", x, [100 * c.negative_after for c in shells], names),
                ],
                "negative (%)",
                rangemode="tozero",
            ),
            "Fraction of negative intensities against resolution: over all "
            + both(100 * whole.negative_before, 100 * whole.negative_after, ".1f")
            + " %.",
            "Negative intensities",
        ),
        Figure(
            by_resolution(
                limits,
                [
                    curve("before", x, [c.i_over_sigma_before for c in shells], names),
                    curve("after", x, [c.i_over_sigma_after for c in shells], names),
                ],
                "mean I/σ before merging",
                [dotted_line(1)],
                rangemode="tozero",
            ),
            "Mean I/σ before merging against resolution: over all "
            + both(whole.i_over_sigma_before, whole.i_over_sigma_after, ".2f")
            + ".",
            "I/σ of single reflections",
        ),
    ]


def merged_figures(comparison: Comparison) -> list[Figure]:
    """Draw what the merged data of either table look like."""
    limits = comparison.limits.tolist()
    x, names = places_of_shells(limits)
    sides = {"before": comparison.merged_before, "after": comparison.merged_after}

    def curves(value: Callable[[MergedShell], float], **changes: Any) -> list[Any]:
        return [
            curve(side, x, [value(m) for m in shells[:-1]], names, **changes)
            for side, shells in sides.items()
        ]

    def overall(value: Callable[[MergedShell], float], form: str) -> str:
        before, after = (value(shells[-1]) for shells in sides.values())
        return both(before, after, form) + "."

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
            by_resolution(
                limits,
                curves(lambda m: m.i_over_sigma),
                "mean I/σ",
                [dotted_line(1)],
                rangemode="tozero",
            ),
            "Mean I/σ of merged reflections against resolution: over all "
            + overall(lambda m: m.i_over_sigma, ".2f"),
            "I/σ of merged reflections",
        ),
        Figure(
            by_resolution(
                limits, cc_curves, cc_title, [dotted_line(0)], range=[-0.1, 1.05]
            ),
            f"{cc_words} against resolution: CC½ over all "
            + overall(lambda m: m.cc_half, ".3f"),
            "Correlation of half sets",
            cc_caption,
        ),
        Figure(
            by_resolution(
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
            by_resolution(
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
