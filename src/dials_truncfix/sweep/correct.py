"""The one place where the zeros of an image are replaced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.draws.pixel_law import (
    PixelLaw,
    draw_runs,
    regional_law,
    with_correlation,
    with_local_rates,
)
from dials_truncfix.correction.draws.pixel_runs import joined, plain_runs
from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.regions.regions import Regions
from dials_truncfix.sweep.source import Frame
from dials_truncfix.sweep.work import SweepWork

IntArray = npt.NDArray[np.integer[Any]]
SignedArray = npt.NDArray[np.signedinteger[Any]]


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
    assign : {'random', 'expected', 'local'}, optional
        What a zero becomes, if not what the options of the sweep say.
    seed : int, optional
        Seed of the draws, if not that of the options.

    Returns
    -------
    ndarray, shape (slow, fast), int32
        ADU. Without fits, the very pixels of the frame. Of a frame that was read as a
        narrow one, int16 where they fit.
    """
    law = image_law(work, frame, regions, fits, assign)
    if law is None:
        return frame.pixels
    runs = drawn_runs(work, index, frame, law, assign, seed)
    return joined(runs, work.source.shape, _type_of_drawn(frame))


def _type_of_drawn(frame: Frame) -> npt.DTypeLike:
    """Return the type of a corrected image: as narrow as the recorded one, signed."""
    narrow = np.int16
    if frame.pixels.dtype == np.uint16 and frame.pixels.max() <= np.iinfo(narrow).max:
        return narrow
    return np.int32


def image_law(
    work: SweepWork,
    frame: Frame,
    regions: Regions,
    fits: RingFits | None,
    assign: str | None = None,
) -> PixelLaw | None:
    """Find the law of each zero of one image, which all draws share.

    Parameters
    ----------
    work, frame, regions, fits, assign
        As for `corrected_pixels`.

    Returns
    -------
    PixelLaw or None
        None without fits.
    """
    if fits is None or not fits.fitted.any():
        return None
    image = frame.pixels
    law = regional_law(image, regions, work.radius, work.nodes, fits)
    if work.options.noise == "correlated":
        law = with_correlation(image, law)
    if (assign or work.options.assign) == "local":
        correlated = law.correlation is not None
        law = with_local_rates(image, law, fits, spots_only=correlated)
        if correlated:
            # measured again, as spots have rates of their own now
            law = with_correlation(image, law)
    return law


def drawn_runs(
    work: SweepWork,
    index: int,
    frame: Frame,
    law: PixelLaw | None,
    assign: str | None = None,
    seed: int | None = None,
) -> Iterator[SignedArray]:
    """Draw the zeros of one image from their laws, in runs of consecutive pixels.

    Parameters
    ----------
    work, index, frame, assign, seed
        As for `corrected_pixels`.
    law : PixelLaw or None
        From `image_law`. Without one the pixels stay as they are.

    Yields
    ------
    ndarray, shape (n,), int32 or int16
        ADU, in C order; a copy.
    """
    if law is None:
        yield from plain_runs(frame.pixels)
        return
    options = work.options
    expected = (assign or options.assign) == "expected"
    yield from draw_runs(
        frame.pixels,
        law,
        seed=options.seed if seed is None else seed,
        image_number=work.source.numbers[index],
        assign="expected" if expected else "random",
        rounding=options.rounding,
    )
