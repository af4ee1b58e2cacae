"""The one place where the zeros of an image are replaced."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.draw import draw_zeros
from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.region_law import law_of_zeros
from dials_truncfix.correction.regions import Regions
from dials_truncfix.sweep.source import Frame
from dials_truncfix.sweep.work import SweepWork

IntArray = npt.NDArray[np.int32]


def corrected_pixels(
    work: SweepWork,
    index: int,
    frame: Frame,
    regions: Regions,
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
    regions : Regions
        Its regions.
    fits : RingFits or None
        Fits of its regions. None leaves the pixels as they are.
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
    tables, mixture = law_of_zeros(frame.pixels, regions, work.radius, work.nodes, fits)
    return draw_zeros(
        frame.pixels,
        regions.labels,
        work.nodes.node,
        tables,
        mixture,
        seed=work.options.seed if seed is None else seed,
        image_number=work.source.numbers[index],
        assign=assign or work.options.assign,
        rounding=work.options.rounding,
    )
