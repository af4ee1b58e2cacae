"""The lattice of a periodic image, from its filtered autocorrelation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

Array = npt.NDArray[np.float64]

#: Longest lag over the edge of the image: beyond, too little overlaps.
_REACH = 0.5
#: Nearer to the middle than this the image is only like itself, pixels.
_SELF = 2.0
#: Peaks of so much of the highest one's height may be the first of the lattice.
_STARTER = 0.5
#: Length and direction of the second axis may differ from what is expected by these.
_LENGTH_TOLERANCE, _ANGLE_TOLERANCE = 0.12, np.radians(12.0)
#: A lattice point's peak is looked for within this part of the shorter axis.
_CAPTURE = 0.22
#: Peaks that are fitted at most, along each axis to both sides.
_FURTHEST = 60


@dataclass(frozen=True)
class Lattice:
    """Repeats of an image.

    Attributes
    ----------
    axes : ndarray, shape (2, 2)
        The two repeats, rows (fast, slow), pixels.
    covariance : ndarray, shape (4, 4)
        Of their elements in this order, pixels².
    n_peaks : int
        Peaks of the autocorrelation to which they were fitted, one of each pair.
    rmsd : float
        Root mean square distance of the peaks from the lattice, pixels.
    peaks : ndarray, shape (n, 2)
        Where they are (fast, slow), pixels from the middle.
    """

    axes: Array
    covariance: Array
    n_peaks: int
    rmsd: float
    peaks: Array

    @property
    def lengths(self) -> Array:
        """Lengths of the axes, pixels."""
        return np.asarray(np.linalg.norm(self.axes, axis=1))

    @property
    def length_errors(self) -> Array:
        """Their standard uncertainties, pixels."""
        result = []
        for k in range(2):
            direction = self.axes[k] / np.linalg.norm(self.axes[k])
            part = self.covariance[2 * k : 2 * k + 2, 2 * k : 2 * k + 2]
            result.append(np.sqrt(direction @ part @ direction))
        return np.array(result)

    @property
    def directions(self) -> Array:
        """Directions of the axes, fast towards slow, rad."""
        return np.asarray(np.arctan2(self.axes[:, 1], self.axes[:, 0]))

    @property
    def direction_errors(self) -> Array:
        """Their standard uncertainties, rad."""
        result = []
        for k in range(2):
            length = np.linalg.norm(self.axes[k])
            across = np.array([-self.axes[k, 1], self.axes[k, 0]]) / length
            part = self.covariance[2 * k : 2 * k + 2, 2 * k : 2 * k + 2]
            result.append(np.sqrt(across @ part @ across) / length)
        return np.array(result)


def autocorrelation(image: Array, longest: float | None = None) -> Array:
    """Correlate an image with itself at all lags that overlap enough.

    Parameters
    ----------
    image : ndarray, shape (slow, fast)
        Any unit.
    longest : float, optional
        Longest repeat expected, pixels: what varies more slowly is filtered out. A
        quarter of the image if not given.

    Returns
    -------
    ndarray, shape (2 m + 1, 2 n + 1)
        1 in the middle, at lag 0; 0 where too little overlaps.
    """
    smooth = longest or min(image.shape) / 4
    slow, fast = image.shape
    # the steps at the edge of a local mean are of no lattice
    mean = image
    for _ in range(2):
        mean = ndimage.uniform_filter(mean, int(2 * smooth) + 1, mode="reflect")
    flat = image / np.maximum(mean, 0.05 * np.median(mean) + 1e-12) - 1.0
    spread = 1.4826 * np.median(np.abs(flat - np.median(flat)))
    # single bright or dark places, such as dirt, count no more than the lattice
    flat = np.clip(flat, *np.median(flat) + np.array([-5, 5]) * max(spread, 1e-12))
    flat -= flat.mean()
    size = [fft.next_fast_len(2 * n) for n in image.shape]
    power = np.abs(fft.rfft2(flat, size)) ** 2
    product = fft.irfft2(power, size)
    reach = [int(_REACH * n) for n in (slow, fast)]
    rows = np.r_[-reach[0] : reach[0] + 1]
    columns = np.r_[-reach[1] : reach[1] + 1]
    overlap = np.outer(slow - np.abs(rows), fast - np.abs(columns))
    result = product[np.ix_(rows % size[0], columns % size[1])] / overlap
    return np.asarray(result / result[reach[0], reach[1]])


def find_lattice(
    correlation: Array,
    ratio: float = 1.0,
    start: tuple[float, float] | None = None,
) -> Lattice:
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
    Lattice

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
    distance = np.linalg.norm(peaks, axis=1)
    if start is None:
        high = heights > _STARTER * heights.max()
        first = peaks[high][np.argmin(distance[high])]
    else:
        # half of the peaks stand for their inverses
        side = np.sign(peaks @ np.array(start, float))[:, None]
        off = np.linalg.norm(side * peaks - np.array(start), axis=1)
        first = (side * peaks)[np.argmin(off)]
    second = _second_axis(peaks, heights, first, ratio)
    return _fit(correlation, np.array([first, second]))


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


def _fit(correlation: Array, axes: Array) -> Lattice:
    """Refine the axes against ever more peaks, further and further out."""
    middle = np.array(correlation.shape)[::-1] // 2
    longest = np.linalg.norm(axes, axis=1).max()
    furthest = float(np.hypot(*middle))
    reach = 2.5 * longest
    while True:
        index, place = _peaks_of(correlation, axes, min(reach, furthest))
        if len(index) < 4:
            raise ValueError(
                f"{len(index)} peaks of the autocorrelation lie on a lattice, and 4 are "
                "needed: record a lower magnification, or a larger image"
            )
        inverse = np.linalg.inv(index.T @ index)
        axes = inverse @ index.T @ place
        residual = place - index @ axes
        if reach > furthest:
            break
        reach *= 1.5
    keep = _sound(residual)
    index, place = index[keep], place[keep]
    # far lags rest on fewer pixels
    weight = np.prod(1 - _REACH * np.abs(place) / middle, axis=1)
    root = np.sqrt(weight)[:, None]
    inverse = np.linalg.inv((root * index).T @ (root * index))
    axes = inverse @ (root * index).T @ (root * place)
    residual = place - index @ axes
    # all peaks share the image's noise and the lattice's flaws, and neighbours deviate
    # alike: there are about as many independent ones as along the edges
    independent = np.sqrt(len(index))
    variance = (root * residual).T @ (root * residual) / max(independent - 2, 1.0)
    return Lattice(
        axes=axes,
        covariance=np.kron(inverse, variance),
        n_peaks=len(index),
        rmsd=float(np.sqrt(np.mean(np.sum(residual**2, axis=1)))),
        peaks=place,
    )


def _sound(residual: Array) -> npt.NDArray[np.bool_]:
    far = np.linalg.norm(residual, axis=1)
    return far <= 4 * max(float(np.median(far)), 1e-6)


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
