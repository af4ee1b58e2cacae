"""What the figures of the report need beyond the fits, as the record keeps it.

All of it comes from the images of the sample, so that its size does not depend on the
length of the sweep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.value_counts import add_counts
from dials_truncfix.io.packed import PackedArray, pack_array
from dials_truncfix.sweep.close_look import BeforeAndAfter, CloseLook

#: Regions whose histograms are kept apart; more are added up annulus by annulus.
_MOST_REGIONS = 24
#: Stands in small pictures for what was not measured.
NO_PIXEL = np.iinfo(np.int16).min
_STEPS_PER_SD = 8.0


@dataclass(frozen=True)
class HistogramRecord:
    """Histograms of the regions, summed over images of the same division.

    Attributes
    ----------
    images : tuple of int
        Numbers of the images.
    d_limits : tuple of (float, float)
        Resolution limits of each region, or annulus, Å.
    n_pixels : tuple of int
        Pixels of each.
    lowest : int
        Smallest value of `corrected` and `expected`, ADU.
    recorded : PackedArray
        (n_regions, n), pixels recorded as 0, 1, …
    corrected : PackedArray
        (n_regions, 1 - lowest), what the zeros became, up to 0. The first column holds
        all smaller values.
    expected : PackedArray
        (n_regions, n - lowest), by the fits, which are scaled to the pixels in their
        range.
    i_max : tuple of int
        Largest value that the fits took in, ADU; -1 without a fit.
    """

    images: tuple[int, ...]
    d_limits: tuple[tuple[float, float], ...]
    n_pixels: tuple[int, ...]
    lowest: int
    recorded: PackedArray
    corrected: PackedArray
    expected: PackedArray
    i_max: tuple[int, ...]


@dataclass(frozen=True)
class NoiseRecord:
    """Noise against brightness of the images of the sample.

    Attributes
    ----------
    points : PackedArray
        (n, 5): image number, mean (ADU), variance, its standard error (ADU²), fraction
        of pixels that had been zero.
    """

    points: PackedArray


@dataclass(frozen=True)
class PictureRecord:
    """One image before and after.

    Attributes
    ----------
    image : int
        Its number.
    binning : int
        Edge of the squares of which the small pictures show the mean, pixels.
    step : float
        Unit of the small pictures, ADU.
    before, after : PackedArray
        Small pictures in steps; the smallest int16 where nothing was measured.
    corner : tuple of int
        Row and column of the first pixel of the piece.
    shows_spot : bool
        Whether there is a weak spot in the middle of the piece.
    d_spacing : float
        Resolution there, Å.
    piece_before, piece_after : PackedArray
        The piece at full size, ADU.
    """

    image: int
    binning: int
    step: float
    before: PackedArray
    after: PackedArray
    corner: tuple[int, int]
    shows_spot: bool
    d_spacing: float
    piece_before: PackedArray
    piece_after: PackedArray


@dataclass(frozen=True)
class Illustrations:
    """All of it; what could not be had is None."""

    histograms: HistogramRecord | None
    noise: NoiseRecord | None
    picture: PictureRecord | None


def make_illustrations(
    looks: Sequence[CloseLook], numbers: Sequence[int]
) -> Illustrations:
    """Gather what the report shows.

    Parameters
    ----------
    looks : sequence of CloseLook
        At images of the sample.
    numbers : sequence of int
        Numbers of all images of the sweep.

    Returns
    -------
    Illustrations
    """
    pictures = [
        _picture(look.picture, numbers[look.index])
        for look in looks
        if look.picture is not None
    ]
    return Illustrations(
        histograms=_histograms(looks, numbers),
        noise=_noise(looks, numbers),
        picture=pictures[0] if pictures else None,
    )


def _histograms(
    looks: Sequence[CloseLook], numbers: Sequence[int]
) -> HistogramRecord | None:
    """Add up the images that share the commonest division into regions."""
    fitted = [look for look in looks if (look.counts.i_max >= 0).any()]
    if not fitted:
        return None
    key, _ = Counter(look.regions.key for look in fitted).most_common(1)[0]
    alike = [look for look in fitted if look.regions.key == key]
    limits = alike[0].d_limits
    group = np.arange(len(limits))
    if len(limits) > _MOST_REGIONS:
        limits, group = _annuli(limits, alike[0].regions.ring)
    counts = add_counts([look.counts for look in alike], group)
    n_pixels = np.zeros(len(limits), np.int64)
    for look in alike:
        np.add.at(n_pixels, group, look.regions.n_pixels)
    return HistogramRecord(
        images=tuple(numbers[look.index] for look in alike),
        d_limits=tuple((float(inner), float(outer)) for inner, outer in limits),
        n_pixels=tuple(n_pixels.tolist()),
        lowest=counts.lowest,
        recorded=pack_array(counts.recorded.astype(np.uint32)),
        corrected=pack_array(counts.corrected.astype(np.uint32)),
        expected=pack_array(_short(counts.expected)),
        i_max=tuple(int(value) for value in counts.i_max),
    )


def _annuli(
    limits: npt.NDArray[np.float64], ring: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Put the regions of each annulus together."""
    rings, group = np.unique(ring, return_inverse=True)
    joined = [
        (limits[ring == number, 0].max(), limits[ring == number, 1].min())
        for number in rings
    ]
    return np.array(joined), group


def _short(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Drop the digits that nobody sees, which would not compress."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.rint(mantissa * 4096) / 4096, exponent).astype(np.float32)


def _noise(looks: Sequence[CloseLook], numbers: Sequence[int]) -> NoiseRecord | None:
    points = [
        np.column_stack(
            [
                np.full(len(look.noise.mean), numbers[look.index]),
                look.noise.mean,
                look.noise.variance,
                look.noise.variance_sd,
                look.noise.nonpositive,
            ]
        )
        for look in looks
    ]
    if not sum(map(len, points)):
        return None
    return NoiseRecord(pack_array(np.concatenate(points).astype(np.float32)))


def _picture(picture: BeforeAndAfter, image: int) -> PictureRecord:
    step = _step(picture)
    return PictureRecord(
        image=image,
        binning=picture.binning,
        step=step,
        before=pack_array(_in_steps(picture.before, step)),
        after=pack_array(_in_steps(picture.after, step)),
        corner=picture.corner,
        shows_spot=picture.shows_spot,
        d_spacing=picture.d_spacing,
        piece_before=pack_array(picture.piece_before),
        piece_after=pack_array(picture.piece_after),
    )


def _step(picture: BeforeAndAfter) -> float:
    """Choose a unit that is fine against the noise: a power of two, ADU."""
    known = picture.after[np.isfinite(picture.after)]
    if not known.size:
        return 1.0
    low, middle = np.percentile(known, [15.9, 50.0])
    return float(2.0 ** np.floor(np.log2(max(middle - low, 1e-2) / _STEPS_PER_SD)))


def _in_steps(values: npt.NDArray[np.float64], step: float) -> npt.NDArray[np.int16]:
    """Write values as small integers, the brightest cut off."""
    known = np.isfinite(values)
    steps = np.rint(np.where(known, values, 0.0) / step)
    steps = np.clip(steps, NO_PIXEL + 1, np.iinfo(np.int16).max)
    return np.where(known, steps, NO_PIXEL).astype(np.int16)
