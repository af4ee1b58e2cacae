"""Colours that are told apart with any colour vision, and the look of all plots.

References
----------
Okabe, M. & Ito, K. (2008). Color universal design (palette of eight colours),
https://jfly.uni-koeln.de/color/.
"""

from __future__ import annotations

from typing import Any

BLACK = "#000000"
ORANGE = "#E69F00"
SKY_BLUE = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#767676"
#: Vermillion for small letters, which need more contrast than areas.
VERMILLION_TEXT = "#A84A00"

#: In the order in which curves of equal standing take them.
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY_BLUE, BLACK)

#: Below zero blue, zero white, above zero grey to black: from 0 to 1, with zero at
#: the fraction that `signed_scale` is given.
_NEGATIVE = ("#003B6F", "#0072B2", "#8FC7EA")
_POSITIVE = ("#C9C9C9", "#7A7A7A", "#000000")

TEXT = "#1F2328"
_LINE = "#8A8F98"
_GRID = "#E8EAED"
FONT = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', "
    "'Liberation Sans', Arial, sans-serif"
)


def signed_scale(low: float, high: float) -> list[list[Any]]:
    """Colours for values on both sides of zero; every negative value is blue.

    Parameters
    ----------
    low, high : float
        Ends of the scale; high is above zero.

    Returns
    -------
    list of [position, colour]
        As plotly wants a ``colorscale``.
    """
    zero = min(max(-low / (high - low), 0.0), 1.0)
    below = [zero * i / len(_NEGATIVE) for i in range(len(_NEGATIVE))]
    above = [zero + (1 - zero) * (i + 1) / len(_POSITIVE) for i in range(3)]
    scale = [[x, colour] for x, colour in zip(below, _NEGATIVE)] if zero else []
    scale.append([zero, "#FFFFFF"])
    return scale + [[x, colour] for x, colour in zip(above, _POSITIVE)]


def plot_template() -> dict[str, Any]:
    """Defaults of every plot of a page, as a plotly template."""
    axis = {
        "automargin": True,
        "gridcolor": _GRID,
        "linecolor": _LINE,
        "showline": True,
        "tickcolor": _LINE,
        "ticks": "outside",
        "ticklen": 4,
        "title": {"standoff": 8},
        "zeroline": False,
    }
    return {
        "layout": {
            "colorway": list(CYCLE),
            "font": {"family": FONT, "size": 13, "color": TEXT},
            "hoverlabel": {"font": {"family": FONT}},
            "hovermode": "closest",
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1.02,
                "yanchor": "bottom",
                "bgcolor": "rgba(0,0,0,0)",
            },
            "margin": {"l": 52, "r": 14, "t": 14, "b": 46},
            "paper_bgcolor": "#FFFFFF",
            "plot_bgcolor": "#FFFFFF",
            "xaxis": axis,
            "yaxis": axis,
        }
    }
