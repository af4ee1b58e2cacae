"""The rate at each pixel of an image, from the pixels around it.

A weighted mean of the pixels around a pixel, itself left out, tells what to expect of
it. How much it tells, the image itself says: the low values of all pixels with such a
mean show which rate explains them best. Where neighbours are bright by chance that is
the rate of the background, where they are bright for a spot it is a higher one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dials_truncfix.correction.draws.isotonic import rising
from dials_truncfix.correction.draws.rate_laws import N_RATES, RateLaws
from dials_truncfix.correction.regions.grouping import cut_evenly

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
CodeArray = npt.NDArray[np.uint16]

# Means over the background first, which fits of annuli do not follow everywhere, then
# over spots with their tails, then over their cores; standard deviations, pixels.
_BACKGROUND_SIGMA = 8.0
_SPOT_SIGMAS = (2.4, 1.0)
# Classes of the local mean: fifths, and halves of what is left at the bright end.
_LOWER_CLASSES = (0.0, 0.2, 0.4, 0.6, 0.8)
_SPOTS_ONLY = (0.0, 0.95)
_FEWEST_PIXELS = 100
_PIXELS_OF_A_GROUP = 20_000
_MOST_GROUPS = 12
_FEWEST_IN_AN_IMAGE = 2000
_SHIFTS = np.arange(-64, 200)
_N_CODES = 16384
_CODED_RANGE = (-4.0, 8.0)
# Pixels handled at once: a block's temporaries fit into the cache.
_BLOCK = 1 << 17


def local_rates(
    image: IntArray,
    eligible: BoolArray,
    start: ByteArray,
    laws: RateLaws,
    spots_only: bool = False,
) -> ByteArray:
    """
    Find the rate at each pixel from the pixels around it.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    eligible : ndarray, shape (ny, nx), bool
        True for the pixels that take part.
    start : ndarray, shape (ny, nx), uint8
        Rate by the fits of the regions, as index into the rates of the laws; any
        number where a pixel takes no part.
    laws : RateLaws
        Laws of the camera.
    spots_only : bool
        Use the pixels next to a pixel only where they are far brighter than most:
        elsewhere they tell of the noise, if that is correlated.

    Returns
    -------
    ndarray, shape (ny, nx), uint8
        Indices of the rates. A pixel's own value has no part in its rate, except as
        one of the thousands that a class consists of.
    """
    low = eligible & (image >= 0) & (image < laws.log_low.shape[1])
    rates = start.copy()
    if np.count_nonzero(low) < _FEWEST_IN_AN_IMAGE:
        return rates
    for sigma in (_BACKGROUND_SIGMA, *_SPOT_SIGMAS):
        near = sigma < _BACKGROUND_SIGMA
        if sigma != _SPOT_SIGMAS[-1]:
            # spots belong to the brightness of the background that they stand on
            group = _groups(rates, low)
        excess = _excess(image, eligible, rates, laws, capped=not near)
        code = _coded(_mean_of_others(excess, sigma))
        fractions = _SPOTS_ONLY if near and spots_only else _LOWER_CLASSES
        number, middle = _classes(code, group, low, fractions)
        counts = _count(image, rates, number, code, group, low, laws)
        _move(rates, code, group, _shifts(counts, middle, laws))
    return rates


def _blocks(*maps: npt.NDArray[Any]) -> Iterator[tuple[npt.NDArray[Any], ...]]:
    """Go through maps of an image in parallel, as flat views of some pixels each."""
    flat = [pixels.reshape(-1) for pixels in maps]
    for start in range(0, flat[0].size, _BLOCK):
        yield tuple(pixels[start : start + _BLOCK] for pixels in flat)


def _groups(rates: ByteArray, low: BoolArray) -> ByteArray:
    """Group pixels of similar rates, about equally many low ones each, (ny, nx)."""
    n_pixels = np.zeros(N_RATES, dtype=np.int64)
    for rate, use in _blocks(rates, low):
        n_pixels += np.bincount(rate[use], minlength=N_RATES)
    group = cut_evenly(n_pixels, _PIXELS_OF_A_GROUP, _MOST_GROUPS)
    return np.asarray(group[rates])


def _excess(
    image: IntArray, eligible: BoolArray, rates: ByteArray, laws: RateLaws, capped: bool
) -> FloatArray:
    """
    Compress the values and take off what is expected of them.

    Parameters
    ----------
    image, eligible, rates, laws
        As for `local_rates`.
    capped : bool
        Cap what bright pixels count, so that spots hardly count.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        0 where a pixel takes no part.
    """
    excess = np.empty(image.shape, dtype=np.float32)
    expected = laws.expected_capped if capped else laws.expected
    for result, value, rate, use in _blocks(excess, image, rates, eligible):
        laws.compressed.take(value, out=result, mode="clip")
        if capped:
            np.minimum(result, laws.cap.take(rate), out=result)
        result -= expected.take(rate)
        result *= use
    return excess


def _mean_of_others(excess: FloatArray, sigma: float) -> FloatArray:
    """
    Average over the surroundings of each pixel without the pixel itself.

    Pixels that take no part, and those beyond the edge, count as being as bright as
    expected.

    Parameters
    ----------
    excess : ndarray, shape (ny, nx), float32
        What to average.
    sigma : float
        Standard deviation of the weights, pixels.

    Returns
    -------
    ndarray, shape (ny, nx), float32
    """
    mean = excess
    if sigma < _BACKGROUND_SIGMA:
        reach = round(3.0 * sigma)
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        kernel /= kernel.sum()
        own = kernel[reach] ** 2
        for axis in (0, 1):
            mean = ndimage.correlate1d(mean, kernel, axis, mode="constant")
    else:
        # two running means cost less than a normal distribution as wide
        width = 2 * round(0.5 * np.sqrt(6.0) * sigma) + 1
        own = 1.0 / width**2
        for axis in (0, 1, 0, 1):
            mean = ndimage.uniform_filter1d(mean, width, axis, mode="constant")
    mean -= np.float32(own) * excess
    mean /= np.float32(1.0 - own)
    return np.asarray(mean)


def _coded(mean: FloatArray) -> CodeArray:
    """Turn local means into numbers from 0 to 16383, in the same shape; spoils them."""
    lowest, highest = _CODED_RANGE
    mean -= np.float32(lowest)
    mean *= np.float32((_N_CODES - 1) / (highest - lowest))
    np.clip(mean, 0, _N_CODES - 1, out=mean)
    return mean.astype(np.uint16)


def _classes(
    code: CodeArray, group: ByteArray, low: BoolArray, fractions: tuple[float, ...]
) -> tuple[ByteArray, npt.NDArray[np.float64]]:
    """
    Divide the low pixels of each group into classes by their local mean.

    Parameters
    ----------
    code : ndarray, shape (ny, nx), uint16
        Local mean.
    group : ndarray, shape (ny, nx), uint8
        Group.
    low : ndarray, shape (ny, nx), bool
        True for the pixels that count.
    fractions : tuple of float
        Where the first classes begin. Further ones take halves of the last, down to
        about a hundred pixels.

    Returns
    -------
    number : ndarray, shape (n_groups, 16384), uint8
        Class of each code.
    middle : ndarray, shape (n_groups, n_classes), float64
        Code that a class stands for: its median; of the lower class of spots only,
        its upper end. NaN where a class has no pixels.
    """
    n_groups = int(group.max()) + 1
    histogram = np.zeros(n_groups * _N_CODES, dtype=np.int64)
    for number, mine, use in _blocks(code, group, low):
        entry = mine[use].astype(np.intp)
        entry *= _N_CODES
        entry += number[use]
        histogram += np.bincount(entry, minlength=len(histogram))
    up_to = np.cumsum(histogram.reshape(n_groups, _N_CODES), axis=1)
    classes = np.zeros((n_groups, _N_CODES), dtype=np.uint8)
    middles = []
    for row, total in enumerate(up_to[:, -1]):
        begins = list(fractions)
        while (rest := 0.5 * (1.0 - begins[-1])) * total >= _FEWEST_PIXELS:
            begins.append(1.0 - rest)
        ends = np.searchsorted(up_to[row], np.array(begins[1:]) * total)
        classes[row] = np.searchsorted(ends, np.arange(_N_CODES), side="left")
        halves = 0.5 * (np.array(begins) + np.array([*begins[1:], 1.0]))
        if fractions == _SPOTS_ONLY:
            halves[0] = fractions[1]
        middles.append(np.searchsorted(up_to[row], halves * total).astype(float))
    most = max(len(middle) for middle in middles)
    padded = [np.pad(m, (0, most - len(m)), constant_values=np.nan) for m in middles]
    return classes, np.array(padded)


def _count(
    image: IntArray,
    rates: ByteArray,
    number: ByteArray,
    code: CodeArray,
    group: ByteArray,
    low: BoolArray,
    laws: RateLaws,
) -> npt.NDArray[np.int64]:
    """Count low values by group, class and rate; (n_groups, n_classes, 256, n_low)."""
    n_classes, n_low = int(number.max()) + 1, laws.log_low.shape[1]
    shape = (len(number), n_classes, N_RATES, n_low)
    counts = np.zeros(int(np.prod(shape)), dtype=np.int64)
    for value, rate, local, mine, use in _blocks(image, rates, code, group, low):
        some = np.flatnonzero(use)
        place = mine.take(some).astype(np.intp)
        place *= _N_CODES
        place += local.take(some)
        entry = mine.take(some).astype(np.intp)
        entry *= n_classes
        entry += number.ravel().take(place)
        entry *= N_RATES
        entry += rate.take(some)
        entry *= n_low
        entry += value.take(some)
        counts += np.bincount(entry, minlength=len(counts))
    return counts.reshape(shape)


def _shifts(
    counts: npt.NDArray[np.int64], middle: npt.NDArray[np.float64], laws: RateLaws
) -> npt.NDArray[np.int16]:
    """
    Find by how many steps the rates of each class are too low.

    The shift maximises the likelihood of the low values, given that they are low:
    bright pixels, of which spots have many, say little about the rates at zeros.

    Parameters
    ----------
    counts : ndarray, shape (n_groups, n_classes, 256, n_low)
        From `_count`.
    middle : ndarray, shape (n_groups, n_classes)
        From `_classes`.
    laws : RateLaws
        Laws of the camera.

    Returns
    -------
    ndarray, shape (n_groups, 16384), int16
        Interpolated between the classes.
    """
    shifts = np.zeros((len(counts), _N_CODES), dtype=np.int16)
    for row, at in enumerate(middle):
        n_pixels = counts[row].sum(axis=(1, 2))
        known = np.flatnonzero(np.isfinite(at) & (n_pixels[: len(at)] > 0))
        # brighter neighbours do not make a darker pixel
        best = [_best_shift(counts[row, number], laws) for number in known]
        level = rising(best, n_pixels[known])
        shifts[row] = np.rint(np.interp(np.arange(_N_CODES), at[known], level))
    return shifts


def _best_shift(counts: npt.NDArray[np.int64], laws: RateLaws) -> float:
    """Shift of the largest likelihood for counts of shape (256, n_low)."""
    rate = np.flatnonzero(counts.any(axis=1))
    # not as a product of matrices, which would wake the threads of OpenBLAS
    by_rate = np.einsum("rv,sv->rs", counts[rate].astype(np.float64), laws.log_low)
    moved = np.clip(rate[:, None] + _SHIFTS, 0, N_RATES - 1)
    likelihood = np.take_along_axis(by_rate, moved, axis=1).sum(axis=0)
    return float(_SHIFTS[likelihood.argmax()])


def _move(
    rates: ByteArray, code: CodeArray, group: ByteArray, shifts: npt.NDArray[np.int16]
) -> None:
    """Add the shifts of their groups and local means to the rates, in place."""
    for rate, local, mine in _blocks(rates, code, group):
        place = mine.astype(np.intp)
        place *= _N_CODES
        place += local
        moved = shifts.ravel().take(place)
        moved += rate
        np.clip(moved, 0, N_RATES - 1, out=moved)
        rate[:] = moved
