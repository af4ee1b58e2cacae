"""Values along the sweep: the axis of images, and which annuli are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.report.palette import BLUE, GREEN, PURPLE, VERMILLION

Array = npt.NDArray[np.float64]

#: Colour, line and mark of the annuli that are drawn.
LINES = (
    (BLUE, "solid", "circle"),
    (GREEN, "dash", "square"),
    (PURPLE, "dashdot", "diamond"),
    (VERMILLION, "dot", "triangle-up"),
)
_MOST_POINTS = 300


def thinned(numbers: npt.NDArray[np.int64], values: Array) -> tuple[Array, Array, int]:
    """Average neighbouring images where there are too many to draw.

    Parameters
    ----------
    numbers : ndarray, shape (n,), int64
        Numbers of the images.
    values : ndarray, shape (n,), float64
        One for each; NaN is left out.

    Returns
    -------
    x, y : ndarray, float64
        At most 300 points.
    size : int
        Images in each.
    """
    size = _images_per_point(len(numbers))
    if size == 1:
        return numbers.astype(np.float64), values, 1
    starts = np.arange(0, len(numbers), size)
    known = np.isfinite(values)
    count = np.add.reduceat(known.astype(np.float64), starts)
    total = np.add.reduceat(np.where(known, values, 0.0), starts)
    y = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    per_point = np.diff(np.append(starts, len(numbers)))
    return np.add.reduceat(numbers.astype(np.float64), starts) / per_point, y, size


def _images_per_point(n_images: int) -> int:
    return -(-n_images // _MOST_POINTS)


def averaged_words(numbers: npt.NDArray[np.int64]) -> str:
    """Say of how many images each point is the average; empty when of one."""
    size = _images_per_point(len(numbers))
    return f" Each point is the average of {size} images." if size > 1 else ""


def some_annuli(n: int) -> list[int]:
    """Choose up to four of n annuli, from the centre to the edge."""
    return sorted({round(k) for k in np.linspace(0, n - 1, min(n, len(LINES)))})


def image_axis(numbers: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Describe the axis, given the numbers of the images."""
    first, last = int(numbers[0]), int(numbers[-1])
    room = max(0.03 * (last - first), 0.5)
    axis: dict[str, Any] = {
        "title": {"text": "image"},
        "range": [first - room, last + room],
        "tickformat": "d",
    }
    if last - first < 6:
        axis["dtick"] = 1
    return axis
