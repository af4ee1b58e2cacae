"""Axes of a periodic image, from how far its repeats are from where they should be.

The mean of all repeats is compared with each part of the image: a part is the mean repeat
of some height, shifted a little, on a plane background of its own. So uneven lines and
squares, of which replicas are made, do not matter. The shifts tell how the axes are wrong;
with better axes the mean is made again until nothing moves.

References
----------
Henderson, R., Baldwin, J. M., Downing, K. H., Lepault, J. & Zemlin, F. (1986).
Ultramicroscopy 19, 147-178 (shifts of the repeats of a crystal from its mean),
doi:10.1016/0304-3991(86)90203-2.
Cameron, A. C., Gelbach, J. B. & Miller, D. L. (2011). J. Bus. Econ. Stat. 29, 238-249,
equation 2.11 (covariance from scores that rows and columns share),
doi:10.1198/jbes.2010.07136.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.biweight import (
    MEDIAN_DISTANCE,
    plane_inflation,
    plane_weights,
)
from dials_truncfix.calibrate.pixel_size.lattice import Lattice
from dials_truncfix.calibrate.pixel_size.mean_cell import MeanCell, mean_cell

Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: More pixels to a repeat tell no more: images are reduced.
_PIXELS = 32
#: Parts of the image along each axis, at most.
_PARTS = 64
#: Smallest share of its pixels that a part at the edge must have.
_LEAST_FULL = 0.5
_FEWEST_PARTS = 4
#: Areas along each axis of which shifts are told, at most.
_AREAS = 12
_CYCLES = 30
#: Correlation of the means of two halves of all repeats.
_LEAST_LIKENESS = 0.5
#: A change that ends the cycles, of positions at the edge of the image, pixels.
_CONVERGED = 1e-3


@dataclass(frozen=True)
class _Parts:
    """Parts of the image: shape (n, ...)."""

    #: Repeats of a part along both axes.
    repeats: IntArray
    #: Number of the part along both axes, and its middle in repeats.
    index: IntArray
    middle: Array
    #: Height over the mean repeat, of what the shifts along both axes rest on.
    height: Array
    #: Height times shift, in repeats, and the inverse of its covariance.
    moment: Array
    certainty: Array


def fit_cells(image: Array, axes: Array) -> Lattice:
    """Refine the axes of a lattice.

    Parameters
    ----------
    image : ndarray, shape (slow, fast)
        Over its mean, minus 1.
    axes : ndarray, shape (2, 2)
        Repeats, rows (fast, slow), pixels, right within a quarter of a repeat over the
        image.

    Returns
    -------
    Lattice

    Raises
    ------
    ValueError
        If too few repeats are on the image.
    """
    factor = max(1, int(np.linalg.norm(axes, axis=1).min()) // _PIXELS)
    small = _reduced(image, factor)
    middle = np.array(small.shape[::-1], np.float64) / 2.0
    slow, fast = np.indices(small.shape)
    place = np.column_stack([fast.ravel() + 0.5, slow.ravel() + 0.5]) - middle
    value = small.ravel()
    axes = axes / factor
    offset = _offset(value, place, axes)
    converged = False
    for _ in range(_CYCLES):
        fractions = place @ np.linalg.inv(axes) + offset
        mean = mean_cell(value, fractions, np.linalg.norm(axes, axis=1))
        parts = _measure_parts(value, fractions, mean)
        weight = np.ones(len(parts.middle))
        for _ in range(3):
            step = _step(parts, weight)
            left = _residual(parts, step)
            distance = np.sqrt(np.einsum("ni,nij,nj->n", left, parts.certainty, left))
            sd = max(float(np.median(distance)) / MEDIAN_DISTANCE, 1e-12)
            weight = plane_weights(distance, sd)
        change = step[2:].reshape(2, 2)
        axes = axes + change @ axes
        if np.abs(np.abs(fractions).max(axis=0) @ change @ axes).max() < _CONVERGED:
            converged = True
            break
    _refuse_noise(value, fractions, axes)
    cov = np.kron(np.eye(2), axes.T) @ _covariance(parts, weight, step)
    cov = cov @ np.kron(np.eye(2), axes)
    areas, shifts = _area_shifts(parts, weight)
    n = np.ptp(parts.middle[weight > 0], axis=0) + parts.repeats
    return Lattice(
        axes=axes * factor,
        origin=np.asarray(middle - offset @ axes, np.float64) * factor,
        covariance=cov * factor**2,
        places=np.asarray((areas - offset) @ axes + middle, np.float64) * factor,
        shifts=shifts @ axes * factor,
        n_repeats=(int(round(n[0])), int(round(n[1]))),
        mean_cell=mean.value,
        converged=converged,
    )


def _refuse_noise(value: Array, fractions: Array, axes: Array) -> None:
    """Refuse a lattice of which every other repeat looks different."""
    odd = np.floor(fractions).astype(np.int64).sum(axis=1) % 2 == 1
    lengths = np.linalg.norm(axes, axis=1)
    first, second = (
        mean_cell(value[half], fractions[half], lengths).value.ravel()
        for half in (odd, ~odd)
    )
    spread = float(first.std() * second.std())
    likeness = np.mean((first - first.mean()) * (second - second.mean()))
    if not likeness > _LEAST_LIKENESS * spread or spread == 0:
        raise ValueError(
            "no lattice was found: the repeats of the likeliest one differ from each "
            "other; expose longer, or give the first peak as pixel_size.start_peak"
        )


def _reduced(image: Array, factor: int) -> Array:
    slow, fast = (n // factor for n in image.shape)
    cut = image[: slow * factor, : fast * factor]
    return np.asarray(cut.reshape(slow, factor, fast, factor).mean(axis=(1, 3)))


def _offset(value: Array, place: Array, axes: Array) -> Array:
    """Place of the middle of the image in a repeat, so that parts end off the lines."""
    fractions = place @ np.linalg.inv(axes)
    mean = mean_cell(value, fractions, np.linalg.norm(axes, axis=1)).value
    strength = (mean - np.median(mean)) ** 2
    turn = np.exp(2j * np.pi * np.arange(len(mean)) / len(mean))
    along = np.array([strength.sum(axis=1) @ turn, strength.sum(axis=0) @ turn])
    return np.asarray(0.5 - np.angle(along) / (2 * np.pi), float)


def _measure_parts(value: Array, fractions: Array, mean: MeanCell) -> _Parts:
    """Fit height, shift and a plane to each part."""
    cell = np.floor(fractions).astype(np.int64)
    first = cell.min(axis=0)
    n_cells = cell.max(axis=0) - first + 1
    repeats = -(-n_cells // _PARTS)
    index = (cell - first) // repeats
    n_first, n_second = index.max(axis=0) + 1
    number = index[:, 0] * n_second + index[:, 1]
    size = int(n_first * n_second)
    count = np.bincount(number, minlength=size)
    middle = np.column_stack(
        [np.bincount(number, f, size) / np.maximum(count, 1) for f in fractions.T]
    )
    full = count >= _LEAST_FULL * count.max()
    if full.sum() < _FEWEST_PARTS:
        raise ValueError(
            f"{int(full.sum())} repeats are on the image, and {_FEWEST_PARTS} are needed: "
            "record a lower magnification, or a larger image"
        )
    whole, first_lines, second_lines, *slopes = mean.at(fractions)
    # squares differ in brightness, and lines of both directions in depth
    quarter = (fractions - cell > 0.5) @ np.array([2, 1])
    bright = [(1 + whole) * (quarter == k) for k in range(4)]
    rest = whole - first_lines - second_lines
    columns = [*slopes, first_lines, second_lines, rest, *bright]
    m = len(columns)
    normal, right = np.zeros((size, m, m)), np.zeros((size, m))
    for i, column in enumerate(columns):
        right[:, i] = np.bincount(number, column * value, size)
        for j in range(i + 1):
            both = np.bincount(number, column * columns[j], size)
            normal[:, i, j] = normal[:, j, i] = both
    normal, right = normal[full], right[full]
    inverse = np.linalg.pinv(normal, hermitian=True)
    solution = np.einsum("nij,nj->ni", inverse, right)
    which = np.flatnonzero(full)
    heights = mean.shares * solution[:, 2:4] + (1 - mean.shares) * solution[:, 4:5]
    return _Parts(
        repeats=repeats,
        index=np.column_stack(np.divmod(which, n_second)),
        middle=middle[full],
        height=heights,
        moment=solution[:, :2],
        certainty=np.linalg.pinv(inverse[:, :2, :2], hermitian=True),
    )


def _slopes(parts: _Parts) -> Array:
    """Change of the shift of each part with the shared parameters, shape (n, 2, 6).

    These are the shift of all, and the rows of the relative change of the axes.
    """
    one = np.ones((len(parts.middle), 1))
    by = np.concatenate([one, parts.middle], axis=1)
    slopes = np.einsum("nk,ij->nikj", by, np.eye(2))
    return np.asarray(slopes.reshape(len(by), 2, 6))


def _residual(parts: _Parts, step: Array) -> Array:
    moved = parts.height * np.einsum("nij,j->ni", _slopes(parts), step)
    return np.asarray(parts.moment + moved)


def _curvature(parts: _Parts, weight: Array) -> Array:
    slopes = parts.height[..., None] * _slopes(parts)
    return np.asarray(
        np.einsum("n,nki,nkl,nlj->ij", weight, slopes, parts.certainty, slopes)
    )


def _scores(parts: _Parts, weight: Array, residual: Array) -> Array:
    """Gradient by the shared parameters, part by part, shape (n, 6)."""
    return np.asarray(
        np.einsum(
            "n,nki,nkl,nl->ni",
            weight,
            parts.height[..., None] * _slopes(parts),
            parts.certainty,
            residual,
        )
    )


def _area_shifts(parts: _Parts, weight: Array) -> tuple[Array, Array]:
    """Middles and shifts of areas of several parts, in repeats."""
    index = parts.index - parts.index.min(axis=0)
    size = -(-(index.max(axis=0) + 1) // _AREAS)
    _, area = np.unique(index // size, axis=0, return_inverse=True)
    area = area.ravel()
    slope = parts.height[..., None] * np.eye(2)
    scores = np.einsum("n,nki,nkl,nl->ni", weight, slope, parts.certainty, parts.moment)
    curvatures = np.einsum("n,nki,nkl,nlj->nij", weight, slope, parts.certainty, slope)
    n = int(area.max()) + 1
    score, curvature = np.zeros((n, 2)), np.zeros((n, 2, 2))
    middle, count = np.zeros((n, 2)), np.bincount(area, minlength=n)
    for total, values in (
        (score, scores),
        (curvature, curvatures),
        (middle, parts.middle),
    ):
        np.add.at(total, area, values)
    inverse = np.linalg.pinv(curvature, hermitian=True)
    known = np.linalg.eigvalsh(curvature)[:, 0] > 0
    shift = -np.einsum("nij,nj->ni", inverse, score)
    return (middle / count[:, None])[known], shift[known]


def _step(parts: _Parts, weight: Array) -> Array:
    gradient = _scores(parts, weight, parts.moment).sum(axis=0)
    curvature = _curvature(parts, weight)
    return np.asarray(-np.linalg.pinv(curvature, hermitian=True) @ gradient)


def _covariance(parts: _Parts, weight: Array, step: Array) -> Array:
    """Of the relative change of the axes, shape (4, 4).

    Parts along one line share its flaws: their scores are added up before they are
    squared, for the lines along both axes.
    """
    score = _scores(parts, weight, _residual(parts, step))
    n = len(score)
    single = score.T @ score * n / max(n - 3, 1)
    meat = -single
    for axis in range(2):
        line = parts.index[:, axis]
        total = np.zeros((line.max() + 1, 6))
        np.add.at(total, line, score)
        n_lines = len(np.unique(line))
        meat += total.T @ total * n_lines / max(n_lines - 1, 1)
    # lines that differ by less than chance make this smaller than that of single parts
    value, vector = np.linalg.eigh(meat - single)
    meat = single + (vector * np.maximum(value, 0)) @ vector.T
    bread = np.linalg.pinv(_curvature(parts, weight), hermitian=True)
    covariance = plane_inflation(weight) ** 2 * bread @ meat @ bread
    return np.asarray(covariance[2:, 2:])
