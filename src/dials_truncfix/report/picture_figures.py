"""One image before and after its correction, with a piece at full size.

References
----------
Hattne, J., Shi, D., de la Cruz, M. J., Reyes, F. E. & Gonen, T. (2016). J. Appl. Cryst.
49, 1029-1034, doi:10.1107/S1600576716007196, figure 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.packed import PackedArray, unpack_array
from dials_truncfix.report.page import Figure, FigureGrid
from dials_truncfix.report.palette import VERMILLION, signed_scale
from dials_truncfix.sweep.illustrations import NO_PIXEL, PictureRecord

Array = npt.NDArray[np.float64]

_LARGEST_ARRAY = 1 << 22


def picture_figures(picture: PictureRecord) -> tuple[FigureGrid, FigureGrid]:
    """Draw the image, and the piece.

    Parameters
    ----------
    picture : PictureRecord
        From the record.

    Returns
    -------
    tuple of FigureGrid
        Two figures each: before and after.

    Raises
    ------
    ValueError
        When the record is damaged.
    """
    before, after = (
        _small(packed, picture.step) for packed in (picture.before, picture.after)
    )
    pieces = [
        np.asarray(unpack_array(packed, _LARGEST_ARRAY), np.float64)
        for packed in (picture.piece_before, picture.piece_after)
    ]
    if before.shape != after.shape or pieces[0].shape != pieces[1].shape:
        raise ValueError("the pictures before and after differ in size")
    if min(map(len, (before.shape, pieces[0].shape))) != 2 or not before.size:
        raise ValueError("the pictures are not images")
    return _frames(picture, before, after), _pieces(picture, *pieces)


def _small(packed: PackedArray, step: float) -> Array:
    steps = unpack_array(packed, _LARGEST_ARRAY)
    return np.where(steps == NO_PIXEL, np.nan, steps * step)


def _frames(picture: PictureRecord, before: Array, after: Array) -> FigureGrid:
    known = after[np.isfinite(after)]
    low, high = (
        np.percentile(known, [0.5, 97.0]) if known.size else np.array([-1.0, 1.0])
    )
    low = min(float(low), -0.5)
    high = max(float(high), -low / 2, 1.0)
    scale = picture.binning
    squares = (
        f"Each point is the mean of {scale} × {scale} pixels. " if scale > 1 else ""
    )
    height, width = pieces_shape(picture)
    y, x = picture.corner
    window = {
        "type": "rect",
        "x0": x - 0.5,
        "x1": x + width - 0.5,
        "y0": y - 0.5,
        "y1": y + height - 0.5,
        "line": {"color": VERMILLION, "width": 2},
    }
    figures = []
    for values, name, caption in (
        (before, "before", f"{squares}The square marks the piece shown below."),
        (after, "after", "Blue is below zero. Where hardly any electron fell, blue and "
         "grey should balance."),
    ):  # fmt: skip
        median = float(np.nanmedian(values)) if known.size else float("nan")
        figures.append(
            _heatmap(
                values,
                (low, high),
                f"Image {picture.image} {name}",
                f"Image {picture.image} {name} correction; the median of the "
                f"background is {median:.2f} ADU.",
                caption,
                start=((scale - 1) / 2, (scale - 1) / 2),
                step=scale,
                shapes=[window],
            )
        )
    return FigureGrid(figures, columns=2)


def pieces_shape(picture: PictureRecord) -> tuple[int, int]:
    """Rows and columns of the piece."""
    height, width = picture.piece_before.shape
    return height, width


def _pieces(picture: PictureRecord, before: Array, after: Array) -> FigureGrid:
    low = min(float(after.min()), -1.0)
    high = max(float(np.percentile(before, 99.5)), -low, 1.0)
    zero = before == 0
    what = "A weak spot" if picture.shows_spot else "A piece of the background"
    where = f"{what} at d = {picture.d_spacing:.2f} Å"
    n_changed = int(np.count_nonzero(after != before))
    captions = (
        f"{where}, at full size. {100 * zero.mean():.0f} % of its pixels were recorded "
        "as zero and are white.",
        f"{n_changed} of the zeros became negative and are blue; those that stayed "
        "white became zero again. Every other pixel is as it was.",
    )
    figures = [
        _heatmap(
            values,
            (low, high),
            f"{what}, {name}",
            f"{where}, {name} correction: values from {values.min():.0f} to "
            f"{values.max():.0f} ADU, mean {values.mean():.2f} ADU.",
            caption,
            start=picture.corner,
            step=1,
            shapes=[],
        )
        for values, name, caption in zip((before, after), ("before", "after"), captions)
    ]
    return FigureGrid(figures, columns=2)


def _heatmap(
    values: Array,
    limits: tuple[float, float],
    title: str,
    description: str,
    caption: str,
    *,
    start: tuple[float, float],
    step: int,
    shapes: list[dict[str, Any]],
) -> Figure:
    low, high = limits
    n_slow, n_fast = values.shape
    trace = {
        "type": "heatmap",
        "z": values,
        "x0": start[1],
        "dx": step,
        "y0": start[0],
        "dy": step,
        "zmin": low,
        "zmax": high,
        "colorscale": signed_scale(low, high),
        "colorbar": {
            "title": {"text": "ADU"},
            "thickness": 12,
            "len": 0.9,
            "outlinewidth": 0.5,
        },
        "hovertemplate": "fast %{x:.0f}, slow %{y:.0f}: %{z:.4g} ADU<extra></extra>",
    }
    first = [place - step / 2 for place in start]
    layout = {
        "xaxis": {
            "title": {"text": "fast (pixel)"},
            "range": [first[1], first[1] + n_fast * step],
            "constrain": "domain",
            "showgrid": False,
        },
        "yaxis": {
            "title": {"text": "slow (pixel)"},
            "range": [first[0] + n_slow * step, first[0]],
            "scaleanchor": "x",
            "constrain": "domain",
            "showgrid": False,
        },
        "shapes": shapes,
    }
    return Figure(
        {"data": [trace], "layout": layout},
        description=description,
        title=title,
        caption=caption,
        # room for the axis and the colour bar
        aspect=round(min(max(1.16 * n_fast / n_slow, 0.5), 3.0), 3),
    )
