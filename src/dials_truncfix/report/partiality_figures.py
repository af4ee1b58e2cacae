"""Observed beside calculated partialities, negative observations, and the trumpet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dials_truncfix.postrefine.lattice.partiality import Model, partiality
from dials_truncfix.postrefine.results.false_predictions import NAMES
from dials_truncfix.report.page import Figure, FigureGrid
from dials_truncfix.report.palette import BLACK, GREEN, GREY, PURPLE, VERMILLION
from dials_truncfix.report.postrefine_results import (
    Array,
    PostrefineResults,
    numbers,
)

#: Bins of fewer observations are not drawn.
_FEWEST = 10
#: Fractions of fewer are too coarse.
_FEWEST_OF_WHICH = 30
_LINES = {
    Model.SPHERE: (GREEN, "dash"),
    Model.LORENTZIAN: (PURPLE, "dot"),
    Model.GAUSSIAN: (BLACK, "solid"),
}
_TICKS = (-10, -3, -1, 0, 1, 3, 10, 30, 100, 300, 1000)
#: White to dark blue, the same order of brightness for any colour vision.
_COUNTS = [[0.0, "#E3EEF6"], [0.35, "#8FC7EA"], [0.7, "#0072B2"], [1.0, "#00263F"]]


def partiality_figures(results: PostrefineResults) -> FigureGrid | None:
    """Draw what was recorded of reflections beside what was calculated; None without any."""
    profiles = results.record["profiles"]
    if profiles is None:
        return None
    least = float(results.record["parameters"]["min_partiality"])
    by_error = profiles["by_excitation_error"]
    return FigureGrid(
        [
            _observed_against_calculated(profiles["by_partiality"], least),
            _radial_profile(by_error, Model(results.record["model"])),
            _negatives(by_error),
            _trumpet(profiles["trumpet"]),
        ],
        2,
    )


def _points(profile: Mapping[str, Any]) -> tuple[Array, ...]:
    """Middles of the bins with enough observations, and what they hold."""
    n = numbers(profile["n"])
    observed, sd = numbers(profile["observed"]), numbers(profile["observed_sd"])
    drawn = (n >= _FEWEST) & np.isfinite(observed)
    edges = numbers(profile["edges"])
    middle = (edges[:-1] + edges[1:]) / 2
    calculated = numbers(profile["calculated"])
    return tuple(x[drawn] for x in (middle, n, observed, sd, calculated))


def _observed(x: Array, y: Array, sd: Array, n: Array) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "observed",
        "x": x,
        "y": y,
        "error_y": {
            "type": "data",
            "array": sd,
            "thickness": 1.2,
            "width": 0,
            "color": VERMILLION,
        },
        "marker": {"color": VERMILLION, "size": 7, "symbol": "circle-open"},
        "text": [f"{number:.0f} observations" for number in n],
        "hovertemplate": "%{x:.3f}: %{y:.4f}<br>%{text}<extra></extra>",
    }


def _observed_against_calculated(profile: Mapping[str, Any], least: float) -> Figure:
    _, n, observed, sd, calculated = _points(profile)
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "equal",
            "x": [0, 1],
            "y": [0, 1],
            "line": {"color": BLACK, "width": 1.5},
            "hoverinfo": "skip",
        },
        _observed(calculated, observed, sd, n),
    ]
    off = np.abs(observed - calculated)
    largest = f"{off.max():.3f}" if len(off) else "unknown"
    layout = {
        "xaxis": {"title": {"text": "calculated partiality"}, "range": [-0.03, 1.03]},
        "yaxis": {"title": {"text": "observed part"}},
        "shapes": [_upright(least)],
        "annotations": [
            {
                "x": least,
                "y": 1,
                "yref": "paper",
                "text": "merged →",
                "xanchor": "left",
                "yanchor": "top",
                "showarrow": False,
                "font": {"size": 12},
            }
        ],
    }
    return Figure(
        {"data": data, "layout": layout},
        description=(
            f"Observed against calculated partiality; largest deviation {largest}."
        ),
        title="Observed against calculated partiality",
        caption=(
            "Mean part of the full intensities that was recorded, in bins of the "
            "calculated partiality; bars are standard deviations. Points off the line "
            f"mean that the model or its radius is wrong. Largest deviation: {largest}."
        ),
    )


def _radial_profile(profile: Mapping[str, Any], used: Model) -> Figure:
    x, n, observed, sd, _ = _points(profile)
    reach = float(np.abs(x).max()) if len(x) else 2.0
    t = np.linspace(-reach, reach, 161)
    data: list[dict[str, Any]] = []
    for model, (colour, dash) in _LINES.items():
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": NAMES[model] + (" (refined)" if model is used else ""),
                "x": t,
                "y": partiality(model, t, np.ones(len(t))),
                "line": {
                    "color": colour,
                    "dash": dash,
                    "width": 2.5 if model is used else 1.5,
                },
                "hoverinfo": "skip",
            }
        )
    data.append(_observed(x, observed, sd, n))
    layout = {
        "xaxis": {"title": {"text": "excitation error r_h / rs"}},
        "yaxis": {"title": {"text": "part recorded"}, "rangemode": "tozero"},
    }
    return Figure(
        {"data": data, "layout": layout},
        description=(
            "Part of the full intensity that was recorded against the excitation error, "
            f"beside the three models; refined with the {NAMES[used]}."
        ),
        title="Profile of the reciprocal lattice points",
        caption=(
            "The part that was recorded against the distance from the Ewald sphere, and "
            "the three models for the radius that was refined with one of them. Points "
            "lower on one side than on the other come from wrong orientations, cells or "
            "wavelengths."
        ),
    )


def _negatives(profile: Mapping[str, Any]) -> Figure:
    n = numbers(profile["n"])
    drawn = n >= _FEWEST_OF_WHICH
    edges = numbers(profile["edges"])
    middle = ((edges[:-1] + edges[1:]) / 2)[drawn]
    count, expected = (
        numbers(profile[name])[drawn] for name in ("n_negative", "expected_negative")
    )
    total: Array = n[drawn]
    share = count / total
    sd = np.sqrt(np.maximum(share * (1 - share), 1.0 / total) / total)
    points = _observed(middle, 100 * share, 100 * sd, total)
    points |= {"hovertemplate": "%{x:.2f}: %{y:.1f} % of %{text}<extra></extra>"}
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "expected by the model and σ",
        "x": middle,
        "y": 100 * expected / total,
        "line": {"color": BLACK, "width": 1.8},
        "hovertemplate": "%{x:.2f}: %{y:.1f} % expected<extra></extra>",
    }
    layout = {
        "xaxis": {"title": {"text": "excitation error r_h / rs"}},
        "yaxis": {
            "title": {"text": "below zero (%)"},
            "rangemode": "tozero",
            "range": [0, max(55.0, 105 * float(share.max(initial=0)))],
        },
        "shapes": [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": 50,
                "y1": 50,
                "line": {"color": GREY, "dash": "dot", "width": 1},
            }
        ],
    }
    words = (
        f"{count.sum():.0f} of {total.sum():.0f} observations are below zero, "
        f"{expected.sum():.0f} are expected."
    )
    return Figure(
        {"data": [line, points], "layout": layout},
        description=f"Negative observations against the excitation error. {words}",
        title="Negative observations",
        caption=(
            f"{words} Where nothing is recorded noise makes half of the observations "
            "negative (dotted). Those that come near it are false predictions; more than "
            "half means that the background was taken too high."
        ),
    )


def _trumpet(trumpet: Mapping[str, Any]) -> Figure:
    n = np.asarray(trumpet["n"], dtype=np.float64)
    r_h, size = numbers(trumpet["r_h_edges"]), numbers(trumpet["i_over_sigma_edges"])
    total = n.sum()
    mid_size = np.arcsinh((size[:-1] + size[1:]) / 2)
    x = 1000 * (r_h[:-1] + r_h[1:]) / 2
    # beyond the outermost bins that hold anything there is nothing to see
    rows = np.flatnonzero(n.sum(axis=1))
    low, high = (rows[0], rows[-1] + 1) if len(rows) else (0, len(n))
    with np.errstate(divide="ignore"):
        shade = np.where(n > 0, np.log10(np.maximum(n, 1)), np.nan)
    top = float(np.nanmax(shade)) if total else 1.0
    data = {
        "type": "heatmap",
        "x": x,
        "y": mid_size[low:high],
        "z": shade[low:high],
        "zmin": 0,
        "zmax": max(top, 0.5),
        "colorscale": _COUNTS,
        "customdata": np.stack(
            [n, np.broadcast_to(((size[:-1] + size[1:]) / 2)[:, None], n.shape)],
            axis=-1,
        )[low:high],
        "hovertemplate": "r_h %{x:.3f}·10⁻³ Å⁻¹, I/σ %{customdata[1]:.3g}: "
        "%{customdata[0]} observations<extra></extra>",
        "colorbar": {
            "title": {"text": "number", "side": "right"},
            "thickness": 12,
            "tickvals": list(range(int(top) + 1)),
            "ticktext": [f"{10**k:d}" for k in range(int(top) + 1)],
        },
    }
    strong = n[size[:-1] >= 10.0].sum(axis=0)
    spread = (
        float(np.sqrt(np.sum(strong * x**2) / strong.sum())) if strong.sum() else np.nan
    )
    words = (
        f"Strong observations (I/σ above 10) lie within {spread:.2g}·10⁻³ Å⁻¹ of the "
        "sphere (r.m.s.)."
        if np.isfinite(spread)
        else "No observation has I/σ above 10."
    )
    lowest, highest = np.arcsinh(size[low]), np.arcsinh(size[high])
    layout = {
        "xaxis": {"title": {"text": "excitation error r_h (10⁻³ Å⁻¹)"}},
        "yaxis": {
            "title": {"text": "I/σ as measured"},
            "range": [lowest, highest],
            "tickvals": [
                float(np.arcsinh(t))
                for t in _TICKS
                if lowest <= np.arcsinh(t) <= highest
            ],
            "ticktext": [
                f"{t}".replace("-", "−")
                for t in _TICKS
                if lowest <= np.arcsinh(t) <= highest
            ],
        },
    }
    return Figure(
        {"data": [data], "layout": layout},
        description=f"I/σ against the excitation error, as a density. {words}",
        title="Trumpet: I/σ against r_h",
        caption=(
            f"{words} Strong reflections should lie near the sphere, so that the mouth "
            "opens below. A mouth that is open above, or off the middle, comes from wrong "
            "orientations, cells or wavelengths."
        ),
    )


def _upright(x: float) -> dict[str, Any]:
    return {
        "type": "line",
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "x0": x,
        "x1": x,
        "line": {"color": GREY, "dash": "dot", "width": 1},
    }
