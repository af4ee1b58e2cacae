"""The resolution axis: regular in 1/d², labelled in Å."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_NICE = (
    100, 50, 20, 10, 7, 5, 4, 3.5, 3, 2.7, 2.5, 2.3, 2.1, 2, 1.9, 1.8, 1.7, 1.6, 1.5,
    1.4, 1.3, 1.2, 1.1, 1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5,
)  # fmt: skip
# Labels may not be closer than this fraction of the axis: narrow screens.
_CLOSEST = 0.1
_LARGEST_TICK = 9.0


def inverse_square(d: Sequence[float] | Array) -> Array:
    """Return 1/d², Å⁻²; 0 where d is infinite or missing."""
    values = np.asarray(d, dtype=np.float64)
    return np.where(np.isfinite(values) & (values > 0), values, np.inf) ** -2.0


def middle_of(d_limits: Array) -> Array:
    """Place shells on the axis.

    Parameters
    ----------
    d_limits : ndarray, shape (n, 2), float64
        Resolution limits, Å.

    Returns
    -------
    ndarray, shape (n,), float64
        Å⁻².
    """
    return np.asarray(inverse_square(d_limits).mean(axis=1))


def resolution_axis(low: float, high: float) -> dict[str, Any]:
    """Describe the axis from low to high angle.

    Parameters
    ----------
    low, high : float
        Range in 1/d², Å⁻².

    Returns
    -------
    dict
        Layout of a plotly axis.
    """
    span = max(high - low, 1e-9)
    ends = [low - 0.04 * span, high + 0.04 * span]
    ticks: list[float] = []
    # near the beam numbers say little and take the room of others
    largest = _LARGEST_TICK * max(high, 1e-9) ** -0.5
    # round numbers come first, then what finds room between them
    for d in sorted(_NICE, key=lambda value: (value % 1 > 0, value * 2 % 1 > 0)):
        position = d**-2.0
        if (
            d <= largest
            and low <= position <= ends[1]
            and all(abs(position - other**-2.0) > _CLOSEST * span for other in ticks)
        ):
            ticks.append(d)
    ticks.sort(reverse=True)
    return {
        "title": {"text": "resolution d (Å)"},
        "range": ends,
        "tickvals": [d**-2.0 for d in ticks],
        "ticktext": [f"{d:g}" for d in ticks],
    }


def shell_name(inner: float, outer: float) -> str:
    """Name a shell by its limits, Å; so close to the beam that d says nothing, "beam"."""
    first = f"{inner:.2f}" if np.isfinite(inner) and inner < 100 else "beam"
    return f"{first}–{outer:.2f} Å"


def annuli_axis(d_limits: Array) -> dict[str, Any]:
    """Describe the axis over all annuli, given their limits (n, 2), Å."""
    low, high = inverse_square(d_limits[[0, -1], [0, 1]])
    return resolution_axis(float(low), float(high))


def annulus_names(d_limits: Array) -> list[str]:
    """Name annuli by their numbers and limits (n, 2), Å."""
    return [
        f"annulus {k + 1}, {shell_name(*limits)}" for k, limits in enumerate(d_limits)
    ]


def first_and_last(
    values: Array, unit: str, names: Sequence[str], digits: int = 1
) -> str:
    """Tell the first and the last known value in words, for those who see no figure."""
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return "unknown"
    words = [
        f"{values[k]:.{digits}f} {unit} in {names[k]}"
        for k in dict.fromkeys((known[0], known[-1]))
    ]
    return " to ".join(words)
