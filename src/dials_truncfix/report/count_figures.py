"""Counts near zero of a calibration, with the law of its camera."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.gain.gain_calibration import GainCalibration
from dials_truncfix.calibrate.gain.truncated_levels import Level
from dials_truncfix.correction.fit import fit_histograms
from dials_truncfix.correction.joint_camera.camera_model import CameraModel
from dials_truncfix.correction.value_counts import value_probabilities
from dials_truncfix.report.page import Figure
from dials_truncfix.report.palette import BLACK, SKY_BLUE

Array = npt.NDArray[np.float64]

_MOST_FIGURES = 4
# Of the pixels, those above what is drawn.
_LEFT_OUT = 2e-3


def count_figures(result: GainCalibration) -> list[Figure]:
    """Draw the histograms of up to four images, dark to bright, with their laws.

    Parameters
    ----------
    result : GainCalibration
        Of a calibration.

    Returns
    -------
    list of Figure
        None where no camera was fitted.
    """
    if result.camera is None or not result.levels:
        return []
    order = sorted(result.levels, key=lambda level: _mean(level.histograms.sum(axis=0)))
    n = min(_MOST_FIGURES, len(order))
    some = [order[i] for i in np.unique(np.linspace(0, len(order) - 1, n).astype(int))]
    return [_figure(level, result.camera.model, result.truncated) for level in some]


def _mean(counts: npt.NDArray[np.int64]) -> float:
    return float(counts @ np.arange(len(counts)) / max(counts.sum(), 1))


def _figure(level: Level, camera: CameraModel, truncated: bool) -> Figure:
    counts = level.histograms.sum(axis=0)
    n_pixels = int(counts.sum())
    above = np.cumsum(counts[::-1])[::-1]
    highest = max(int(np.count_nonzero(above > _LEFT_OUT * n_pixels)), 8)
    lowest = -int(np.ceil(4.0 * camera.read_noise - min(camera.dark, 0.0)))
    fits = fit_histograms(level.histograms, "camera", camera.rounding, camera=camera)
    expected = np.zeros(highest - lowest + 1)
    if fits.fitted.any():
        weight = fits.n_pixels[fits.fitted].astype(float)
        law = value_probabilities(fits, lowest, highest)
        expected = weight @ law[fits.fitted]
    values = np.arange(lowest, highest + 1)
    what = "recorded as zero" if truncated else "at or below zero"
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "x": np.arange(1, highest + 1),
            "y": counts[1 : highest + 1],
            "marker": {"color": SKY_BLUE},
            "name": "counts above zero",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "x": values,
            "y": expected,
            "line": {"color": BLACK, "width": 2, "shape": "hvh"},
            "name": "law of the camera",
        },
    ]
    share = 100.0 * counts[0] / max(n_pixels, 1)
    by_law = (
        100.0 * float(expected[values <= 0].sum()) / max(float(expected.sum()), 1.0)
    )
    top = 1.15 * max(float(counts[1:].max()), float(expected[1:].max()), 1.0)
    return Figure(
        {
            "data": data,
            "layout": {
                "xaxis": {"title": {"text": "value above the dark level (ADU)"}},
                "yaxis": {"title": {"text": "pixels"}, "range": [0, top]},
                "bargap": 0.05,
            },
        },
        description=f"Histogram of an image of which {share:.2f} % are {what}; the law of "
        f"the camera says {by_law:.2f} %.",
        title=f"{share:.1f} % {what}, {by_law:.1f} % by the law",
        caption="The line has to follow the bars; what it has at and below zero is what "
        "was cut off.",
        height=380,
    )
