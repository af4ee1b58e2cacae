"""Parameters of lattices: histograms and outliers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dials_truncfix.postrefine.lattice.target import PARAMETER_NAMES
from dials_truncfix.report.page import Figure, FigureGrid, Table, plot_text
from dials_truncfix.report.palette import BLUE, VERMILLION
from dials_truncfix.report.postrefine_results import (
    FAR,
    Array,
    Outlier,
    PostrefineResults,
)

#: Robust standard deviations that a histogram shows; what is beyond stands at its ends.
_SHOWN = 8.0
_N_BINS = 40
_MOST_NAMED = 20
_MOST_MARKED = 50
#: First digits of ticks of a logarithmic axis; of a short one those of equal steps.
_ROUND = ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7))
_FEWEST_TICKS, _MOST_TICKS = 3, 6


@dataclass(frozen=True)
class _Quantity:
    """How a parameter is shown: its symbol, its unit, and units per unit of the record."""

    symbol: str
    unit: str
    factor: float = 1.0
    logarithmic: bool = False

    def text(self, value: float) -> str:
        return f"{value * self.factor:.4g}".replace("-", "−")

    @property
    def beside(self) -> str:
        """The unit as it stands behind a number, on the same line."""
        gap = "" if self.unit in ("", "°") else "\u00a0"
        return f"{gap}{self.unit}".replace(" Å⁻¹", "\u00a0Å⁻¹")

    @property
    def title(self) -> str:
        return f"{self.symbol} ({self.unit})" if self.unit else self.symbol


QUANTITIES = {
    "G": _Quantity("G", "", logarithmic=True),
    "B": _Quantity("B", "Å²"),
    "theta_x": _Quantity("θx", "°"),
    "theta_y": _Quantity("θy", "°"),
    "rs": _Quantity("rs", "10⁻³ Å⁻¹", 1000.0, True),
}
_CAPTIONS = {
    "B": "Differences of disorder and of background between lattices, and absorption. "
    "Without a reference from elsewhere the mean is 0 by convention.",
    "theta_x": "Errors of the orientations before refinement, about an axis at right "
    "angles to the beam. They should scatter around 0 without a tail.",
    "theta_y": "The same about the other axis.",
    "rs": "Radius of the reciprocal lattice points: small and mosaic crystals, and a beam "
    "of several wavelengths, have large ones.",
}


def scale_figure(results: PostrefineResults) -> Figure:
    """Draw the histogram of G."""
    mean = (
        "Their geometric mean is 1 by convention."
        if results.record["parameters"]["reference"]["file"] is None
        else "They bring the lattices to the scale of the reference."
    )
    return _histogram(results, "G", mean)


def correlation_histogram(results: PostrefineResults) -> Figure:
    """Draw how well lattices agree with their reference, before and after."""
    edges = np.linspace(-1.0, 1.0, 2 * _N_BINS + 1)
    data, words, lowest = [], [], 1.0
    for key, name, colour in (
        ("cc_before", "before", VERMILLION),
        ("cc_after", "after", BLUE),
    ):
        values = results.of_accepted(key)
        counts, _ = np.histogram(values, edges)
        data.append(
            {
                "type": "bar",
                "name": name,
                "x": (edges[:-1] + edges[1:]) / 2,
                "y": counts,
                "width": np.diff(edges),
                "marker": {
                    "color": colour,
                    "opacity": 0.75,
                    "pattern": {"shape": "/" if name == "before" else ""},
                },
                "hovertemplate": f"CC %{{x:.2f}}: %{{y}} lattices {name}<extra></extra>",
            }
        )
        if len(values):
            words.append(f"{name} {np.median(values):.3f}".replace("-", "−"))
            lowest = min(lowest, float(values.min()))
    text = f"Median CC {', '.join(words)}." if words else "None is known."
    return Figure(
        {
            "data": data,
            "layout": {
                "barmode": "overlay",
                "bargap": 0,
                "xaxis": {
                    "title": {"text": "CC with the reference"},
                    "range": [max(lowest - 0.05, -1.0), 1.0],
                },
                "yaxis": {"title": {"text": "lattices"}, "rangemode": "tozero"},
            },
        },
        description=f"Histogram of the correlations of the lattices. {text}",
        title="How well the lattices agree with their reference",
        caption=(
            f"{text} Correlation of the intensities of a lattice with the full reference "
            "intensities before, and with the calculated ones after refinement. It does "
            "not depend on G."
        ),
        height=280,
    )


def parameter_grid(results: PostrefineResults) -> FigureGrid:
    """Draw the histograms of all other parameters."""
    return FigureGrid(
        [_histogram(results, name, caption) for name, caption in _CAPTIONS.items()], 2
    )


def _histogram(results: PostrefineResults, name: str, caption: str) -> Figure:
    quantity = QUANTITIES[name]
    known = np.isfinite(results.values[name]) & results.accepted
    values = results.values[name][known] * quantity.factor
    deviations = results.deviations(name)[known]
    names = [
        identifier for identifier, takes in zip(results.identifiers, known) if takes
    ]
    x = np.log10(values) if quantity.logarithmic else values
    edges = _edges(x, deviations)
    counts, _ = np.histogram(np.clip(x, edges[0], edges[-1]), edges)
    data: list[dict[str, Any]] = [_bars(quantity, edges, counts)]
    far = np.flatnonzero(np.abs(deviations) > FAR)
    far = far[np.argsort(-np.abs(deviations[far]), kind="stable")]
    if len(far):
        marked = far[:_MOST_MARKED]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": np.clip(x[marked], edges[0], edges[-1]),
                "y": np.full(len(marked), 0.04 * max(int(counts.max()), 1)),
                "marker": {
                    "color": VERMILLION,
                    "symbol": "triangle-up-open",
                    "size": 10,
                    "line": {"width": 2},
                },
                "cliponaxis": False,
                "text": [
                    f"{plot_text(names[i])}: {values[i]:.4g}{quantity.beside}"
                    for i in marked
                ],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    low, middle, high = np.percentile(values, [5, 50, 95])
    uncertainty = results.of_accepted(f"{name}_sd")
    words = f"Median {middle:.3g}, 5 to 95 %: {low:.3g} to {high:.3g}"
    words += f"{quantity.beside}."
    words += (
        f" Standard uncertainty {np.median(uncertainty) * quantity.factor:.2g} (median)."
        if len(uncertainty)
        else " It was not refined."
    )
    words = words.replace("-", "−")
    if len(far):
        words += f" Far from the others (triangles): {_named(names, far.tolist())}."
    axis: dict[str, Any] = {
        "title": {"text": quantity.title},
        "range": [edges[0], edges[-1]],
    }
    if quantity.logarithmic:
        axis |= log_ticks(edges[0], edges[-1])
    layout = {
        "showlegend": False,
        "bargap": 0,
        "xaxis": axis,
        "yaxis": {"title": {"text": "lattices"}, "rangemode": "tozero"},
    }
    return Figure(
        {"data": data, "layout": layout},
        description=f"Histogram of {quantity.symbol} of {len(values)} lattices. {words}",
        title=f"{quantity.symbol} of the accepted lattices",
        caption=f"{words} {caption}".replace("  ", " "),
        height=280,
    )


def _edges(x: Array, deviations: Array) -> Array:
    """Bins over the values, or over what is near if some are far."""
    near = x[~(np.abs(deviations) > _SHOWN)]
    near = near if len(near) else x
    low, high = float(near.min()), float(near.max())
    pad = 0.02 * (high - low) or max(abs(high), 1.0) * 0.01
    return np.linspace(low - pad, high + pad, _N_BINS + 1)


def _bars(quantity: _Quantity, edges: Array, counts: Any) -> dict[str, Any]:
    ends = 10.0**edges if quantity.logarithmic else edges
    return {
        "type": "bar",
        "x": (edges[:-1] + edges[1:]) / 2,
        "y": counts,
        "width": np.diff(edges),
        "marker": {"color": BLUE, "line": {"width": 0.5, "color": "#FFFFFF"}},
        "text": [
            f"{a:.4g} to {b:.4g}{quantity.beside}" for a, b in zip(ends, ends[1:])
        ],
        "textposition": "none",
        "hovertemplate": "%{text}: %{y} lattices<extra></extra>",
    }


def log_ticks(low: float, high: float) -> dict[str, Any]:
    """Label a logarithmic axis by round numbers, by more of them where it is short."""
    powers = range(int(np.floor(low)) - 1, int(np.ceil(high)) + 1)
    for digits in _ROUND:
        ticks = [
            float(f"{d * 10.0**n:.6g}")
            for n in powers
            for d in digits
            if low <= np.log10(d * 10.0**n) <= high
        ]
        if len(ticks) >= _FEWEST_TICKS:
            break
    else:
        first, last = 10.0**low, 10.0**high
        steps = (d * 10.0**n for n in range(-12, 12) for d in (1, 2, 5))
        step = next(x for x in steps if (last - first) / x <= _MOST_TICKS)
        whole = range(math.ceil(first / step), math.floor(last / step) + 1)
        ticks = [float(f"{k * step:.6g}") for k in whole]
    ticks = ticks[:: -(-len(ticks) // _MOST_TICKS) or 1]
    return {
        "tickvals": [float(np.log10(tick)) for tick in ticks],
        "ticktext": [f"{tick:g}" for tick in ticks],
    }


def _named(names: Sequence[str], far: Sequence[int], most: int = 3) -> str:
    listed = ", ".join(names[i] for i in far[:most])
    return f"{listed} and {len(far) - most} more" if len(far) > most else listed


def outlier_table(results: PostrefineResults, outliers: Sequence[Outlier]) -> Table:
    """List the lattices that are far from the others, with all their parameters."""
    found: dict[int, list[Outlier]] = {}
    for outlier in outliers:
        found.setdefault(outlier.lattice, []).append(outlier)
    rows = []
    for lattice, reasons in list(found.items())[:_MOST_NAMED]:
        why = ", ".join(
            f"{QUANTITIES[o.parameter].symbol} {o.deviation:+.0f}".replace("-", "−")
            for o in reasons
        )
        rows.append(
            [
                results.identifiers[lattice],
                why,
                *(
                    QUANTITIES[name].text(results.values[name][lattice])
                    for name in PARAMETER_NAMES
                ),
                f"{results.values['n_obs'][lattice]:.0f}",
                f"{results.values['cc_after'][lattice]:.3f}".replace("-", "−"),
            ]
        )
    header = ["Lattice", "Robust standard deviations from the median"]
    header += [QUANTITIES[name].title for name in PARAMETER_NAMES]
    header += ["Observations", "CC"]
    shown = (
        f" {_MOST_NAMED} of {len(found)} are shown; the record has all."
        if len(found) > _MOST_NAMED
        else ""
    )
    caption = (
        f"Accepted lattices with a parameter more than {FAR:g} robust standard deviations "
        f"(1.48 times the median absolute deviation) from the median.{shown}"
    )
    return Table(header, rows, caption)
