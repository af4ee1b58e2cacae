"""A close look at a few corrected images: their noise, their histograms, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.correlation.correlation_summary import (
    SweepCorrelation,
    summarise_correlations,
)
from dials_truncfix.correction.correlation.flat_tiles import TILE
from dials_truncfix.correction.correlation.noise_correlation import NoiseCorrelation
from dials_truncfix.correction.correlation.noise_covariance import (
    NoiseCovariance,
    noise_covariance,
)
from dials_truncfix.correction.draws.pixel_law import noise_correlation, regional_law
from dials_truncfix.correction.excerpt import find_close_up, small_picture
from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.gain import NoiseProfile, noise_profile
from dials_truncfix.correction.regions.regions import Regions, RegionTable
from dials_truncfix.correction.regions.scattering import d_spacing
from dials_truncfix.correction.value_counts import ValueCounts, count_values
from dials_truncfix.sweep.correct import IntArray, corrected_pixels
from dials_truncfix.sweep.source import Frame
from dials_truncfix.sweep.work import SweepWork, unpack

# Scores of all pixels of larger images would be the largest thing in memory. The
# correlation of the noise comes from 640 000 pixels, spread over what there is.
_MOST_PIXELS = 1 << 22
_ENOUGH_PIXELS = 1 << 21


@dataclass(frozen=True)
class LookTask:
    """An image to look at.

    Attributes
    ----------
    sweep : bytes
        The packed sweep.
    index : int
        Position of the image.
    fits : RingFits
        Its fits.
    picture : bool
        Whether a picture is wanted.
    """

    sweep: bytes
    index: int
    fits: RingFits
    picture: bool


@dataclass(frozen=True)
class BeforeAndAfter:
    """An image before and after its correction, small, and a piece at full size.

    Attributes
    ----------
    binning : int
        Edge of the squares over which the small pictures are averages, pixels.
    before, after : ndarray, shape (n_slow, n_fast), float64
        Small pictures, ADU; NaN where the detector does not measure.
    corner : tuple of int
        Row and column of the first pixel of the piece.
    shows_spot : bool
        Whether there is a weak spot in its middle.
    d_spacing : float
        Resolution of its middle, Å.
    piece_before, piece_after : ndarray, shape (n, m), int32
        The piece, ADU.
    """

    binning: int
    before: npt.NDArray[np.float64]
    after: npt.NDArray[np.float64]
    corner: tuple[int, int]
    shows_spot: bool
    d_spacing: float
    piece_before: IntArray
    piece_after: IntArray


@dataclass(frozen=True)
class CloseLook:
    """What was seen in one image.

    Attributes
    ----------
    index : int
        Position of the image.
    noise : NoiseProfile
        Noise against brightness.
    regions : RegionTable
        Regions of the image.
    d_limits : ndarray, shape (n_regions, 2), float64
        Their resolution limits, Å.
    counts : ValueCounts
        Their histograms.
    picture : BeforeAndAfter or None
        Where it was wanted.
    correlation : NoiseCorrelation or None
        Of neighbouring pixels, where draws are correlated, else with the picture.
    covariance : NoiseCovariance or None
        Where the correlation is more than chance, what comes of it.
    """

    index: int
    noise: NoiseProfile
    regions: RegionTable
    d_limits: npt.NDArray[np.float64]
    counts: ValueCounts
    picture: BeforeAndAfter | None
    correlation: NoiseCorrelation | None = None
    covariance: NoiseCovariance | None = None


def look_closely(task: LookTask) -> CloseLook:
    """Correct an image and look at it."""
    work = unpack(task.sweep)
    frame = work.source.read(task.index, narrow=work.only_zeros_matter)
    regions = work.image_regions(frame)
    image = (work, task.index, frame, regions, task.fits)
    # expected values have too little noise to tell the gain
    drawn = corrected_pixels(*image, assign="random")
    written = drawn if work.options.assign == "random" else corrected_pixels(*image)
    correlation, covariance = _correlation(work, frame, regions, task, drawn)
    return CloseLook(
        index=task.index,
        noise=noise_profile(drawn, regions.labels >= 0, work.radius),
        regions=regions.table,
        d_limits=work.d_limits(regions.table),
        counts=count_values(frame.pixels, written, regions.labels, task.fits),
        picture=_before_and_after(work, frame, written) if task.picture else None,
        correlation=correlation,
        covariance=covariance,
    )


def _correlation(
    work: SweepWork, frame: Frame, regions: Regions, task: LookTask, drawn: IntArray
) -> tuple[NoiseCorrelation | None, NoiseCovariance | None]:
    """Measure the correlation of the noise where draws need it, and in one image."""
    wanted = task.picture or work.options.noise == "correlated"
    if not wanted or not task.fits.fitted.any():
        return None, None
    law = regional_law(frame.pixels, regions, work.radius, work.nodes, task.fits)
    rows = _enough_rows(*drawn.shape)
    part = replace(law, labels=law.labels[rows], node=law.node[rows])
    scores, correlation = noise_correlation(frame.pixels[rows], part)
    if correlation is None or not correlation.significant:
        return correlation, None
    return correlation, noise_covariance(drawn[rows], scores)


def _enough_rows(n_slow: int, n_fast: int) -> slice:
    """Choose the rows about the middle of a large image that are looked at."""
    if n_slow * n_fast <= _MOST_PIXELS:
        return slice(0, n_slow)
    height = min(max(_ENOUGH_PIXELS // (n_fast * TILE), 1) * TILE, n_slow)
    first = (n_slow - height) // 2
    return slice(first, first + height)


def looked_correlation(looks: Sequence[CloseLook]) -> SweepCorrelation | None:
    """Average the correlation of the noise over the images in which it was measured."""
    return summarise_correlations(
        [look.correlation for look in looks if look.correlation is not None]
    )


def _before_and_after(
    work: SweepWork, frame: Frame, written: IntArray
) -> BeforeAndAfter:
    before, binning = small_picture(frame.pixels, frame.valid)
    close_up = find_close_up(frame.pixels, frame.valid, work.radius)
    window = (close_up.slow, close_up.fast)
    slow, fast = close_up.centre
    radius = work.radius[slow : slow + 1, fast : fast + 1]
    return BeforeAndAfter(
        binning=binning,
        before=before,
        after=small_picture(written, frame.valid)[0],
        corner=(close_up.slow.start, close_up.fast.start),
        shows_spot=close_up.shows_spot,
        d_spacing=float(d_spacing(radius, work.source.wavelength)[0, 0]),
        piece_before=frame.pixels[window].astype(np.int32),
        piece_after=written[window].astype(np.int32),
    )
