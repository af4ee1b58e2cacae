"""A start for images that differ in magnification and rotation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage, optimize

from dials_truncfix.calibrate.pairs.correlation import (
    LEAST_OVERLAP,
    Peak,
    averaged,
    band_passed,
    find_shift,
    search_step,
)
from dials_truncfix.calibrate.pairs.registration import warp
from dials_truncfix.calibrate.pairs.transformation import Transformation, similarity

Array = npt.NDArray[np.float64]

#: Sides of the averaged images of the search on a grid, and of its refinement, pixels.
_GRID_SIDE, _SIMPLEX_SIDE = 110, 220
#: And of those whose shift is found afterwards.
_SHIFT_SIDE = 640
#: Steps of the grid, rad and natural logarithm; details of a few pixels survive half.
_TURN, _GROWTH = np.radians(2.0), 0.03
#: So many of the best places of the grid are refined.
_CANDIDATES = 2


def search_similarity(
    first: Array,
    second: Array,
    magnification: tuple[float, float],
    rotation: tuple[float, float],
    largest_shift: float = 1.0,
) -> tuple[Transformation, Peak]:
    """Find magnification, rotation and shift by correlation, to about 10⁻³ and 0.1°.

    Parameters
    ----------
    first, second : ndarray, shape (slow, fast)
        Any unit, of one size.
    magnification : tuple of float
        About what the second image is magnified by, and by which part this may be off.
    rotation : tuple of float
        About by what it is turned, fast towards slow, and how far this may be off, rad.
    largest_shift : float
        As a part of the image's sides.

    Returns
    -------
    transformation : Transformation
    peak : Peak
        Of the correlation with the second image as it was turned and scaled back.

    Notes
    -----
    The spectra of images in log-polar coordinates tell magnification and rotation without
    the shift, and were tried first: magnifications were 2 % off.
    """
    growth = np.log(magnification[0]) + _steps(np.log1p(magnification[1]), _GROWTH)
    turn = rotation[0] + _steps(rotation[1], _TURN)
    one, two = _reduced(first, second, _GRID_SIDE)
    search = _Search(one, largest_shift)
    grid = [(g, t) for g in growth for t in turn]
    heights = [_height(search, two, g, t) for g, t in grid]
    one, two = _reduced(first, second, _SIMPLEX_SIDE)
    search = _Search(one, largest_shift)
    best = []
    for k in np.argsort(heights)[::-1][:_CANDIDATES]:
        start = np.array(grid[k])
        corners = start + [[0, 0], [_GROWTH / 2, 0], [0, _TURN / 2]]
        best.append(
            optimize.minimize(
                lambda p: -_height(search, two, p[0], p[1]),
                start,
                method="Nelder-Mead",
                options={
                    "initial_simplex": corners,
                    "xatol": 3e-4,
                    "fatol": 1e-5,
                    "maxfev": 60,
                },
            )
        )
    log_size, angle = min(best, key=lambda found: found.fun).x
    shape = (first.shape[0], first.shape[1])
    unshifted = similarity(float(np.exp(log_size)), float(angle), (0.0, 0.0), shape)
    step = search_step(shape, _SHIFT_SIDE)
    one, two = averaged(first, step), averaged(second, step)
    small = unshifted.averaged(step, (one.shape[0], one.shape[1]))
    back, _ = warp(ndimage.spline_filter(two, order=3), small)
    peak = find_shift(one, back, largest_shift)
    peak = replace(peak, shift=step * peak.shift)
    shift = unshifted.matrix @ peak.shift
    return Transformation(unshifted.matrix, shift, unshifted.centre), peak


def _steps(half: float, step: float) -> Array:
    """Evenly from -half to +half, 0 among them."""
    n = int(np.ceil(half / step))
    return np.asarray(half * np.arange(-n, n + 1) / max(n, 1))


def _reduced(first: Array, second: Array, side: int) -> tuple[Array, Array]:
    step = search_step((first.shape[0], first.shape[1]), side)
    first, second = (
        band_passed(averaged(image, step), 1.0, min(first.shape) / step / 12)
        for image in (first, second)
    )
    return first, second


class _Search:
    """Correlation of one image with many, whose variance is about the same all over."""

    def __init__(self, first: Array, largest_shift: float) -> None:
        shape = first.shape
        self.size = [fft.next_fast_len(2 * n, real=True) for n in shape]
        self.spectrum = np.conj(fft.rfft2(first, self.size))
        self.norm = float(np.linalg.norm(first))
        reach = [int(min(largest_shift, 1 - LEAST_OVERLAP) * n) for n in shape]
        rows, columns = (np.arange(-r, r + 1) for r in reach)
        self.pick = np.ix_(rows % self.size[0], columns % self.size[1])
        overlap = np.outer(1 - np.abs(rows) / shape[0], 1 - np.abs(columns) / shape[1])
        self.per_overlap = np.where(
            overlap >= LEAST_OVERLAP, 1 / np.sqrt(np.maximum(overlap, 1e-3)), 0.0
        )

    def correlate(self, second: Array) -> Array:
        """Return the coefficient times the root of the overlap, at all shifts."""
        product = fft.irfft2(self.spectrum * fft.rfft2(second, self.size), self.size)
        norm = self.norm * max(float(np.linalg.norm(second)), 1e-300)
        return np.asarray(product[self.pick] * self.per_overlap / norm)


def _height(search: _Search, second: Array, growth: float, turn: float) -> float:
    """Highest correlation at any shift, with the second image turned and scaled back."""
    shape = (second.shape[0], second.shape[1])
    matrix = similarity(float(np.exp(growth)), turn, (0, 0), shape).matrix
    matrix = matrix[::-1, ::-1]
    middle = (np.array(shape) - 1) / 2
    back = ndimage.affine_transform(
        second, matrix, middle - matrix @ middle, order=1, mode="constant"
    )
    return float(search.correlate(back).max())
