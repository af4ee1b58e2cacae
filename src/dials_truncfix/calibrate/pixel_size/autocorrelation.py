"""The lattice of a periodic image, from its filtered autocorrelation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

Array = npt.NDArray[np.float64]

#: Half widths of local means to try, over the shorter edge of the image: no smaller than
#: a repeat, and no larger than what else varies.
SMOOTHINGS = (0.25, 0.1, 0.04)
#: Between these percentiles no pixel is of dirt.
_MOST_PIXELS = (0.5, 99.5)
#: Longest lag over the edge of the image: beyond, too little overlaps.
_REACH = 0.5
#: Nearer to the middle than this the image is only like itself, pixels.
_SELF = 2.0
#: Peaks of so much of the highest one's height may be the first of the lattice, of these
#: the nearest ones.
_STARTER, _CANDIDATES = 0.5, 6
#: Height of peaks of a lattice over what is between them, in standard deviations.
_LEAST_CONTRAST = 1.3
#: Places half a repeat away that are so high are peaks themselves.
_PEAK_BETWEEN = 0.85
#: Pixels are square within these: relative lengths, and right angles (rad).
_LARGEST_RATIO, _LARGEST_SKEW = 0.06, np.radians(4.0)
#: Length and direction of the second axis may differ from what is expected by these.
_LENGTH_TOLERANCE, _ANGLE_TOLERANCE = 0.12, np.radians(12.0)
#: A lattice point's peak is looked for within this part of the shorter axis.
_CAPTURE = 0.22
#: Peaks that are fitted at most, along each axis to both sides.
_FURTHEST = 60


@dataclass(frozen=True)
class Peaks:
    """Peaks of an autocorrelation on a lattice.

    Attributes
    ----------
    axes : ndarray, shape (2, 2)
        The two repeats, rows (fast, slow), pixels.
    places : ndarray, shape (n, 2)
        Where the peaks are (fast, slow), pixels from the middle; one of each pair.
    score : float
        Their mean height over that of the places half a repeat away, in standard
        deviations of the autocorrelation over the root of their number.
    between : float
        Height of the highest of these places over that of the peaks.
    """

    axes: Array
    places: Array
    score: float
    between: float


def flattened(image: Array, smoothing: float) -> tuple[Array, Array]:
    """Divide an image by its local mean, and limit single bright and dark places.

    Parameters
    ----------
    image : ndarray, shape (slow, fast)
        Any unit.
    smoothing : float
        Half width of the local mean, over the shorter edge of the image.

    Returns
    -------
    flat : ndarray, shape (slow, fast)
        Over the local mean, minus 1.
    limited : ndarray, shape (slow, fast)
        Over the mean of all, minus 1: the local mean has traces of the lattice.
    """
    box = 2 * int(min(image.shape) * smoothing) + 1
    # the steps at the edge of a local mean are of no lattice
    mean = image
    for _ in range(2):
        mean = ndimage.uniform_filter(mean, box, mode="reflect")
    mean = np.maximum(mean, 0.05 * np.median(mean) + 1e-12)
    flat = image / mean - 1.0
    # the median deviation of images of few electrons is zero
    spread = float(np.clip(flat, *np.percentile(flat, _MOST_PIXELS)).std())
    limits = np.median(flat) + np.array([-5, 5]) * max(spread, 1e-12)
    flat = np.clip(flat, *limits)
    return flat, (1 + flat) * mean / mean.mean() - 1


def autocorrelation(flat: Array) -> Array:
    """Correlate an image with itself at all lags that overlap enough.

    Parameters
    ----------
    flat : ndarray, shape (slow, fast)
        From `flattened`.

    Returns
    -------
    ndarray, shape (2 m + 1, 2 n + 1)
        1 in the middle, at lag 0; 0 where too little overlaps.
    """
    slow, fast = flat.shape
    size = [fft.next_fast_len(2 * n) for n in flat.shape]
    power = np.abs(fft.rfft2(flat - flat.mean(), size)) ** 2
    product = fft.irfft2(power, size)
    reach = [int(_REACH * n) for n in (slow, fast)]
    rows = np.r_[-reach[0] : reach[0] + 1]
    columns = np.r_[-reach[1] : reach[1] + 1]
    overlap = np.outer(slow - np.abs(rows), fast - np.abs(columns))
    result = product[np.ix_(rows % size[0], columns % size[1])] / overlap
    return np.asarray(result / result[reach[0], reach[1]])


def find_peaks(
    correlation: Array,
    ratio: float = 1.0,
    start: tuple[float, float] | None = None,
) -> Peaks:
    """Fit a lattice of two axes at about right angles to an autocorrelation.

    Parameters
    ----------
    correlation : ndarray, shape (2 m + 1, 2 n + 1)
        From `autocorrelation`.
    ratio : float
        Expected length of the second axis over that of the first.
    start : tuple of float, optional
        About where the first peak is (fast, slow), pixels from the middle. Otherwise
        the nearest of the high peaks is taken.

    Returns
    -------
    Peaks

    Raises
    ------
    ValueError
        If there are no such peaks, or too few.
    """
    peaks, heights = _local_maxima(correlation)
    if not len(peaks):
        raise ValueError(
            "the image does not repeat itself: its autocorrelation is flat"
        )
    if start is None:
        # nearest first: how well its lattice stands out tells which one it is
        firsts = peaks[heights > _STARTER * heights.max()][:_CANDIDATES]
    else:
        # half of the peaks stand for their inverses
        side = np.sign(peaks @ np.array(start, float))[:, None]
        off = np.linalg.norm(side * peaks - np.array(start), axis=1)
        firsts = (side * peaks)[[np.argmin(off)]]
    found, reason = [], ValueError("the image has no lattice")
    for first in firsts:
        try:
            second = _second_axis(peaks, heights, first, ratio)
            fitted = _fit(correlation, np.array([first, second]))
            _refuse_oblique(fitted.axes, ratio)
            found.append(fitted)
        except ValueError as error:
            reason = error
    if not found:
        raise reason
    best = max(found, key=lambda candidate: candidate.score)
    if best.score < _LEAST_CONTRAST * np.sqrt(len(best.places)):
        raise ValueError(
            "no lattice stands out in the autocorrelation: expose longer, or give the "
            "first peak as pixel_size.start_peak"
        )
    if start is None and best.between > _PEAK_BETWEEN:
        raise ValueError(
            "the lattice found repeats within itself: its repeats are not those of the "
            "specimen; give the right first peak as pixel_size.start_peak"
        )
    return best


def _local_maxima(correlation: Array) -> tuple[Array, Array]:
    """Peaks off the middle in the half plane of positive fast lag, nearest first."""
    middle = np.array(correlation.shape) // 2
    slow, fast = np.indices(correlation.shape)
    distance = np.hypot(slow - middle[0], fast - middle[1])
    ring = distance.astype(int)
    # the peak of the image with itself ends where any direction falls below zero
    lowest = ndimage.minimum(correlation, ring, np.arange(middle.min()))
    own = max(_SELF, float(np.argmax(np.asarray(lowest) < 0)))
    smooth = ndimage.gaussian_filter(correlation, own / 8)
    top = smooth == ndimage.maximum_filter(smooth, size=2 * int(own / 2) + 1)
    top &= (distance > own) & (smooth > 0)
    top &= (
        (np.minimum(slow, fast) > 0) & (slow < 2 * middle[0]) & (fast < 2 * middle[1])
    )
    lag = np.column_stack([fast[top] - middle[1], slow[top] - middle[0]])
    height = smooth[top]
    half = (lag[:, 0] > 0) | ((lag[:, 0] == 0) & (lag[:, 1] > 0))
    lag, height = lag[half], height[half]
    order = np.argsort(np.hypot(*lag.T))
    return lag[order].astype(float), height[order]


def _second_axis(peaks: Array, heights: Array, first: Array, ratio: float) -> Array:
    """Highest peak at about the expected length and a right angle to the first."""
    both = np.concatenate([peaks, -peaks])
    height = np.concatenate([heights, heights])
    across = np.array([-first[1], first[0]]) * ratio
    length = np.linalg.norm(across)
    size = np.linalg.norm(both, axis=1)
    angle = np.arccos(np.clip(both @ across / (size * length), -1, 1))
    # both peaks are known to a pixel or so
    fits = np.abs(size - length) < max(_LENGTH_TOLERANCE * length, 1.5)
    fits &= angle < max(_ANGLE_TOLERANCE, 1.5 / length)
    if not fits.any():
        raise ValueError(
            f"the first peak is at a lag of {np.linalg.norm(first):.1f} pixels, and none "
            f"is {length:.1f} pixels across: give the right one as pixel_size.start_peak"
        )
    return np.asarray(both[fits][np.argmax(height[fits])])


def _fit(correlation: Array, axes: Array) -> Peaks:
    """Refine the axes against ever more peaks, further and further out."""
    middle = np.array(correlation.shape)[::-1] // 2
    longest = np.linalg.norm(axes, axis=1).max()
    furthest = float(np.hypot(*middle))
    reach = 2.5 * longest
    while True:
        index, place = _peaks_of(correlation, axes, min(reach, furthest))
        _refuse_too_few(index)
        inverse = np.linalg.inv(index.T @ index)
        axes = inverse @ index.T @ place
        residual = place - index @ axes
        if reach > furthest:
            break
        reach *= 1.5
    keep = _sound(residual)
    index, place = index[keep], place[keep]
    _refuse_too_few(index)
    # far lags rest on fewer pixels
    root = np.sqrt(np.prod(1 - _REACH * np.abs(place) / middle, axis=1))[:, None]
    axes = np.linalg.lstsq(root * index, root * place, rcond=None)[0]
    heights, spread = _heights(correlation, axes, index)
    contrast = (heights[0] - heights[1:].mean()) / spread
    between = float(heights[1:].max() / max(heights[0], 1e-12))
    return Peaks(axes, place, float(contrast * np.sqrt(len(place))), between)


def _refuse_too_few(index: Array) -> None:
    if len(index) < 4 or np.linalg.matrix_rank(index) < 2:
        raise ValueError(
            f"{len(index)} peaks of the autocorrelation lie on a lattice, and 4 that are not "
            "in one line are needed: expose longer, or record a lower magnification or a "
            "larger image"
        )


def _refuse_oblique(axes: Array, ratio: float) -> None:
    """Refuse repeats that only look like those of the specimen: combinations of them."""
    lengths = np.linalg.norm(axes, axis=1)
    sine = abs(np.linalg.det(axes)) / np.prod(lengths)
    off = abs(lengths[1] / lengths[0] / ratio - 1)
    if off > _LARGEST_RATIO or sine < np.cos(_LARGEST_SKEW):
        raise ValueError(
            f"the lattice found has repeats of {lengths[0]:.1f} and {lengths[1]:.1f} pixels "
            "that do not fit the specimen: expose longer, or give the first peak as "
            "pixel_size.start_peak"
        )


def _heights(correlation: Array, axes: Array, index: Array) -> tuple[Array, float]:
    """Height at lattice points and at the places half a repeat away, and its spread."""
    middle = np.array(correlation.shape) // 2
    result = []
    for shift in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)):
        place = np.rint((index - shift) @ axes).astype(int)[:, ::-1] + middle
        row, column = np.clip(place, 0, 2 * middle).T
        result.append(float(correlation[row, column].mean()))
    return np.array(result), float(correlation.std())


def _sound(residual: Array) -> npt.NDArray[np.bool_]:
    far = np.linalg.norm(residual, axis=1)
    return np.asarray(far <= 4 * max(float(np.median(far)), 1e-6))


def _peaks_of(correlation: Array, axes: Array, reach: float) -> tuple[Array, Array]:
    """Peaks near lattice points: indices and positions (fast, slow).

    One of each pair that inversion makes equal.
    """
    n = np.arange(-_FURTHEST, _FURTHEST + 1)
    first, second = (part.ravel() for part in np.meshgrid(n, n, indexing="ij"))
    half_plane = (first > 0) | ((first == 0) & (second > 0))
    index = np.column_stack([first, second])[half_plane]
    place = index @ axes
    middle = np.array(correlation.shape)[::-1] // 2
    capture = max(2, int(_CAPTURE * np.linalg.norm(axes, axis=1).min()))
    inside = np.all(np.abs(place) < middle - 2 * capture - 2, axis=1)
    inside &= np.linalg.norm(place, axis=1) < reach
    index, place = index[inside], place[inside]
    found, good = _tops(correlation, place + middle, capture)
    return index[good].astype(float), found[good] - middle


def _tops(
    correlation: Array, points: Array, capture: int
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Maxima near points (fast, slow), each by a paraboloid through its top.

    Returns
    -------
    tops : ndarray, shape (n, 2)
    good : ndarray, shape (n,), bool
        False where there is no maximum within reach.
    """
    column, row = np.rint(points).astype(int).T
    window = _windows(correlation, row, column, capture)
    best = window.reshape(len(points), -1).argmax(axis=1)
    down, right = np.divmod(best, 2 * capture + 1)
    good = (down > 0) & (down < 2 * capture) & (right > 0) & (right < 2 * capture)
    row, column = row + down - capture, column + right - capture
    # to about half way down the peak's side
    half = max(1, capture // 2)
    around = _windows(correlation, row, column, half).reshape(len(points), -1)
    v, u = np.mgrid[-half : half + 1, -half : half + 1].reshape(2, -1)
    terms = np.column_stack([np.ones_like(u), u, v, u * u, u * v, v * v]).astype(float)
    _, b, c, d, e, f = np.linalg.pinv(terms) @ around.T
    determinant = 4 * d * f - e * e
    good &= (d < 0) & (determinant > 0) & (around.max(axis=1, initial=0.0) > 0)
    safe = np.where(good, determinant, 1.0)
    x, y = (e * c - 2 * f * b) / safe, (e * b - 2 * d * c) / safe
    good &= (np.abs(x) <= half) & (np.abs(y) <= half)
    return np.column_stack([column + x, row + y]), good


def _windows(
    values: Array,
    row: npt.NDArray[np.int64],
    column: npt.NDArray[np.int64],
    half: int,
) -> Array:
    """Squares about points, shape (n, 2 half + 1, 2 half + 1)."""
    steps = np.arange(-half, half + 1)
    rows, columns = row[:, None] + steps, column[:, None] + steps
    return np.asarray(values[rows[:, :, None], columns[:, None, :]])
