"""Figures of a lattice that was found in an image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.pairs.correlation import averaged
from dials_truncfix.calibrate.pixel_size.autocorrelation import (
    autocorrelation,
    flattened,
)
from dials_truncfix.calibrate.pixel_size.pixel_size import PixelSize
from dials_truncfix.report.page import Figure
from dials_truncfix.report.palette import BLUE, VERMILLION
from dials_truncfix.report.specimen_pictures import (
    averaging_step,
    grey_heatmap,
    picture_axes,
)

Array = npt.NDArray[np.float64]

#: Repeats of the specimen that are shown in each corner of the image.
_CORNER_REPEATS = 3.5
#: Points along an edge of the mean repeat.
_CELL_POINTS = 64


def corners_figure(result: PixelSize, image: Array) -> Figure:
    """Draw the first and the last corner of the image under one lattice."""
    half = min(int(_CORNER_REPEATS * result.lattice.lengths.max()), *image.shape)
    start = np.array(image.shape)[::-1] - half
    step = averaging_step((2 * half, 2 * half))
    pieces = (image[:half, :half], image[start[1] :, start[0] :])
    picture = np.concatenate([averaged(piece, step) for piece in pieces], axis=1)
    edge = step * len(picture)
    nodes = _nodes(result)
    x, y = [], []
    for corner, shift in ((np.zeros(2), 0), (start, edge)):
        own = nodes - corner
        own = own[np.all((own > 0) & (own < edge), axis=1)]
        x.extend(own[:, 0] + shift)
        y.extend(own[:, 1])
    layout = picture_axes((0, 2 * edge), (0, edge))
    layout["xaxis"]["title"] = {"text": f"first and last {edge} px of fast and slow"}
    layout["xaxis"]["showticklabels"] = False
    layout["shapes"] = [
        {"type": "line", "x0": edge, "x1": edge, "y0": 0, "y1": edge,
         "line": {"color": BLUE, "width": 2}}
    ]  # fmt: skip
    crosses = {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "marker": {
            "symbol": "cross-thin",
            "size": 11,
            "line": {"width": 2, "color": VERMILLION},
        },
        "hoverinfo": "skip",
    }
    return Figure(
        {
            "data": [
                grey_heatmap(picture, step / 2, step, dark_is_high=False),
                crosses,
            ],
            "layout": layout,
        },
        description=f"Two opposite corners of the image under {len(x)} points of the "
        "lattice.",
        title="First and last corner of the image, under one lattice",
        caption="Crosses must sit on the same feature of the specimen in both corners: "
        "an error of the pixel size would show here first.",
        aspect=2.0,
    )


def _nodes(result: PixelSize) -> Array:
    """Place in every repeat where it differs most from its surroundings, pixels."""
    lattice = result.lattice
    mean = lattice.mean_cell
    strange = int(np.argmax(np.abs(mean - np.median(mean))))
    peak = np.array(np.unravel_index(strange, mean.shape)) / len(mean)
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * np.array(result.shape)[::-1]
    reach = (corners - lattice.origin) @ np.linalg.inv(lattice.axes)
    low, high = np.floor(reach.min(axis=0)), np.ceil(reach.max(axis=0))
    first, second = np.meshgrid(*(np.arange(a - 1, b + 1) for a, b in zip(low, high)))
    index = np.column_stack([first.ravel(), second.ravel()]) + peak
    return np.asarray(lattice.origin + index @ lattice.axes)


def shifts_figure(result: PixelSize) -> Figure:
    """Draw how far areas of the image are from the lattice."""
    lattice = result.lattice
    shift = lattice.shifts
    largest = max(float(np.percentile(np.hypot(*shift.T), 90)), 1e-9)
    factor = 0.8 * np.sqrt(np.prod(result.shape) / len(shift)) / largest
    gap = np.full(len(shift), np.nan)
    x, y = lattice.places.T
    ends_x, ends_y = (lattice.places + factor * shift).T
    slow, fast = result.shape
    return Figure(
        {
            "data": [
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": np.column_stack([x, ends_x, gap]).ravel(),
                    "y": np.column_stack([y, ends_y, gap]).ravel(),
                    "line": {"color": BLUE, "width": 2},
                    "hoverinfo": "skip",
                },
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": x,
                    "y": y,
                    "marker": {"color": BLUE, "size": 4},
                    "text": [f"({a:+.3f}, {b:+.3f}) px" for a, b in shift],
                    "hovertemplate": "%{text}<extra></extra>",
                },
            ],
            "layout": picture_axes((0, fast), (0, slow)),
        },
        description=f"Shifts of {len(x)} areas of the image from the lattice; RMSD "
        f"{lattice.rmsd:.3f} px.",
        title="How far areas of the image are from the lattice",
        caption=f"Shifts {factor:.0f} times enlarged, RMSD {lattice.rmsd:.3f} px. Where "
        "they run alike over many areas, the image or the specimen is distorted.",
        aspect=1.1,
    )


def mean_cell_figure(result: PixelSize) -> Figure:
    """Draw the mean of all repeats, twice along each axis."""
    mean = result.lattice.mean_cell
    step = max(1, len(mean) // _CELL_POINTS)
    cell = np.tile(mean[::step, ::step], (2, 2))
    size = 2 / len(cell)
    layout = picture_axes((0, 2), (0, 2))
    layout["xaxis"]["title"] = {"text": "second axis (repeats)"}
    layout["yaxis"]["title"] = {"text": "first axis (repeats)"}
    return Figure(
        {
            "data": [grey_heatmap(cell, size / 2, size, dark_is_high=False)],
            "layout": layout,
        },
        description="Mean of all repeats of the image.",
        title="The mean repeat",
        caption="Two by two; it must look like the specimen, once in each repeat.",
        aspect=1.1,
    )


def correlation_figure(result: PixelSize, image: Array, reach: int) -> Figure:
    """Draw the autocorrelation with the peaks that were used."""
    values = autocorrelation(flattened(image, result.smoothing)[0])
    middle = [n // 2 for n in values.shape]
    half = min(reach, *middle)
    piece = values[
        middle[0] - half : middle[0] + half + 1, middle[1] - half : middle[1] + half + 1
    ]
    step = averaging_step(piece.shape)
    # without the middle, which outshines all
    piece = np.minimum(piece, np.partition(piece.ravel(), -9)[-9])[::step, ::step]
    peaks = result.peaks.places
    peaks = np.concatenate([peaks, -peaks])
    peaks = peaks[np.abs(peaks).max(axis=1) < half]
    axes = [
        {
            "type": "scatter",
            "mode": "lines+text",
            "x": [0, axis[0]],
            "y": [0, axis[1]],
            "text": ["", str(k + 1)],
            "textposition": "top center",
            "textfont": {"color": VERMILLION, "size": 16},
            "line": {"color": VERMILLION, "width": 3},
            "hoverinfo": "skip",
        }
        for k, axis in enumerate(result.lattice.axes)
    ]
    return Figure(
        {
            "data": [
                grey_heatmap(piece, -half, step),
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": peaks[:, 0],
                    "y": peaks[:, 1],
                    "marker": {
                        "symbol": "circle-open",
                        "color": BLUE,
                        "size": 9,
                        "line": {"width": 1.5},
                    },
                    "hovertemplate": "%{x:.2f}, %{y:.2f} px<extra></extra>",
                },
                *axes,
            ],
            "layout": picture_axes((-half, half), (-half, half), " lag"),
        },
        description=f"Autocorrelation with {len(result.peaks.places)} pairs of peaks on a "
        "lattice, and its two axes.",
        title="Its autocorrelation",
        caption="Every circle must sit on a dark peak, and every strong peak have one; "
        "otherwise give the first peak as pixel_size.start_peak.",
        aspect=1.1,
    )
