"""The axis of directions on the image, once around."""

from __future__ import annotations

from typing import Any


def azimuth_axis(dtick: int = 90) -> dict[str, Any]:
    """Describe the axis.

    Parameters
    ----------
    dtick : int
        Between two ticks, degrees.

    Returns
    -------
    dict
        Layout of plotly.
    """
    return {
        "title": {"text": "azimuth, fast towards slow (°)"},
        "range": [0, 360],
        "dtick": dtick,
    }
