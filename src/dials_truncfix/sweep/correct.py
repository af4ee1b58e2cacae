"""The one place where the zeros of an image are replaced."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.annuli import Annuli
from dials_truncfix.correction.draw import draw_zeros
from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.mixture import linear_mixture
from dials_truncfix.correction.quantiles import (
    QuantileTables,
    conditional_tables,
    mean_preserving_knots,
)
from dials_truncfix.correction.zeros import radial_moments
from dials_truncfix.sweep.source import Frame
from dials_truncfix.sweep.work import SweepWork

IntArray = npt.NDArray[np.int32]


def corrected_pixels(
    work: SweepWork,
    index: int,
    frame: Frame,
    annuli: Annuli,
    fits: RingFits | None,
    assign: str | None = None,
    seed: int | None = None,
) -> IntArray:
    """Replace the zeros of one image.

    Parameters
    ----------
    work : SweepWork
        The sweep.
    index : int
        Position of the image.
    frame : Frame
        The image.
    annuli : Annuli
        Its annuli.
    fits : RingFits or None
        Fits of its annuli. None leaves the pixels as they are.
    assign : {'random', 'expected'}, optional
        What a zero becomes, if not what the options of the sweep say.
    seed : int, optional
        Seed of the draws, if not that of the options.

    Returns
    -------
    ndarray, shape (slow, fast), int32
        ADU. Without fits, the very pixels of the frame.
    """
    if fits is None or not fits.fitted.any():
        return frame.pixels
    tables = _tables(work, frame, annuli, fits)
    return draw_zeros(
        frame.pixels,
        annuli.labels,
        work.grid.node,
        tables,
        linear_mixture(tables.radius, work.grid.radius),
        seed=work.options.seed if seed is None else seed,
        image_number=work.source.numbers[index],
        assign=assign or work.options.assign,
        rounding=work.options.rounding,
    )


def _tables(
    work: SweepWork, frame: Frame, annuli: Annuli, fits: RingFits
) -> QuantileTables:
    """Quantile tables whose average over the zeros of each annulus is its fit's."""
    centroid, deviation = radial_moments(frame.pixels, annuli, work.radius)
    tables = conditional_tables(fits, centroid)
    return mean_preserving_knots(tables, deviation[fits.fitted])
