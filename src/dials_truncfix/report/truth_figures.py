"""Figures of integrated intensities against the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dials_truncfix.compare.agreement import Agreement
from dials_truncfix.compare.comparison import TruthFigures
from dials_truncfix.compare.shells import NAN
from dials_truncfix.compare.tables import bin_name
from dials_truncfix.report.comparison_curves import (
    both,
    by_resolution,
    curve,
    dotted_line,
    places_of_shells,
)
from dials_truncfix.report.page import Figure

#: Slopes with larger errors are not drawn.
_UNCERTAIN = 0.15


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
    x, names = places_of_shells(limits)
    sides = {"before": before, "after": after}

    def curves(value: Callable[[Agreement], float]) -> list[Any]:
        return [
            curve(side, x, [value(s) for s in figures.shells[:-1]], names)
            for side, figures in sides.items()
        ]

    slopes = [
        curve(
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
        curve(
            side,
            bins,  # type: ignore[arg-type]
            [b.bias for b in figures.bins],
            [f"{name} {unit}" for name in bins],
            [b.bias_error for b in figures.bins],
        )
        for side, figures in sides.items()
    ]
    weakest = both(before.bins[0].bias, after.bins[0].bias, "+.2f")
    return [
        Figure(
            by_resolution(limits, slopes, "slope", [dotted_line(1)]),
            "Slope of observed on true intensities against resolution: over all "
            + both(before.shells[-1].slope, after.shells[-1].slope, ".3f")
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
                    "shapes": [dotted_line(0)],
                    "showlegend": False,
                },
            },
            f"Bias in bins of the true intensity: {weakest} {unit} in the weakest.",
            "Bias",
            "What lies outside the integration box is part of the bias.",
        ),
        Figure(
            by_resolution(
                limits,
                curves(lambda s: s.z_sd),
                "standard deviation of z",
                [dotted_line(1)],
            ),
            "Standard deviation of z against resolution: over all "
            + both(before.shells[-1].z_sd, after.shells[-1].z_sd, ".2f")
            + ".",
            "Standard deviations",
        ),
        Figure(
            by_resolution(
                limits,
                curves(lambda s: s.r_factor),
                "R",
                rangemode="tozero",
            ),
            "Sum of the deviations from the truth over its sum, against resolution: "
            "over all "
            + both(before.shells[-1].r_factor, after.shells[-1].r_factor, ".3f")
            + ".",
            "R to the truth",
            "Noise and bias of single reflections together: cutting pixels off can lower "
            "the noise by more than the bias that it adds. Merging averages noise, but "
            "no bias.",
        ),
    ]
