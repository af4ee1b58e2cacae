"""Correlation of the noise of neighbouring pixels, measured in spite of truncation.

Pairs of pixels are cross-tabulated by classes of their scores, of which the zeros are
one. The correlation of the normal variates behind the table is found by maximum
likelihood, separately for each distance and brightness: the polychoric correlation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtr

from dials_truncfix.correction.correlation.bivariate_normal import (
    rectangle_probabilities,
)
from dials_truncfix.correction.correlation.flat_tiles import (
    N_PARTS,
    FlatTiles,
    Lag,
    flat_tiles,
    pairs,
)
from dials_truncfix.correction.correlation.latent_scores import Scores

IntArray = npt.NDArray[np.integer[Any]]
Array = npt.NDArray[np.float64]

#: Pixels farther apart than this are taken to be correlated through others only.
REACH = 3
#: At these distances only a background that the fits do not follow correlates pixels.
FAR = tuple(
    (slow, sign * fast) for slow in (6, 7, 8) for fast in (6, 7, 8) for sign in (1, -1)
)
# Pairs with a score above the last limit are left out: spots that were not seen.
_LIMITS = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.65)
_N_CATEGORIES = len(_LIMITS) + 2
_GRID = np.tanh(np.linspace(-0.9, 2.0, 88))
_CHANCE = 1e-3


def half_plane(reach: int) -> list[Lag]:
    """Lags (slow, fast) up to a reach, one of each pair of opposite ones."""
    return [
        (slow, fast)
        for slow in range(reach + 1)
        for fast in range(-reach, reach + 1)
        if slow > 0 or fast > 0
    ]


@dataclass(frozen=True)
class NoiseCorrelation:
    """
    Correlation of the normal scores of neighbouring pixels of one image.

    Attributes
    ----------
    lags : ndarray, shape (n_lags, 2), int64
        Distances (slow, fast), pixels; their opposites have the same correlation.
    pooled, pooled_sd : ndarray, shape (n_lags,), float64
        Correlation over all brightnesses, and its standard deviation.
    by_class : ndarray, shape (n_classes, n_lags), float64
        Correlation of each class of brightness, drawn towards a multiple of the
        pooled one as far as it differs by chance.
    level : ndarray, shape (n_classes,), float64
        Brightness of the classes: mean of what ordered the nodes of the scores.
    significant : bool
        Whether independent noise would hardly look like this.
    n_pairs : int
        Pairs of direct neighbours that were used.
    """

    lags: npt.NDArray[np.int64]
    pooled: Array
    pooled_sd: Array
    by_class: Array
    level: Array
    significant: bool
    n_pairs: int


def measure_correlation(image: IntArray, scores: Scores) -> NoiseCorrelation | None:
    """
    Measure the correlation of neighbouring pixels between the spots.

    Spots, shadows and what is near them are left out. A background that the fits do not follow
    correlates near and far pixels alike: what is seen at a distance of about ten
    pixels is taken off.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    scores : Scores
        Of the image.

    Returns
    -------
    NoiseCorrelation or None
        None where the image is too small, or most of it is odd.

    References
    ----------
    Olsson, U. (1979). Psychometrika 44, 443-460, doi:10.1007/BF02296207.
    """
    tiles = flat_tiles(scores)
    if len(tiles) < N_PARTS:
        return None
    near = half_plane(REACH)
    counts = _cross_tables(tiles, image, scores, [*near, *FAR])
    # each part of each class of brightness, for their scatter
    each = _maximum(_log_likelihoods(counts))
    classes = _maximum(_log_likelihoods(counts.sum(axis=0, keepdims=True)))[0]
    common = more_than_chance(each[..., len(near) :].mean(axis=2))[:, None]
    each, classes = (
        (correlation[..., : len(near)] - common) / (1.0 - common)
        for correlation in (each, classes)
    )
    weights = counts[:, :, 0].sum(axis=(0, 2, 3)).astype(np.float64)
    weights /= weights.sum()
    pooled = weights @ classes
    parts = np.einsum("pcl,c->pl", each, weights)
    direct = [near.index(lag) for lag in ((0, 1), (1, 0))]
    return NoiseCorrelation(
        lags=np.array(near),
        pooled=pooled,
        pooled_sd=parts.std(axis=0, ddof=1) / np.sqrt(N_PARTS),
        by_class=_shrink(classes, each.var(axis=0, ddof=1) / N_PARTS, pooled),
        level=scores.level,
        significant=any(
            _chance(parts[:, some].mean(axis=1)) < _CHANCE
            for some in (direct, slice(None))
        ),
        n_pairs=int(counts[:, :, direct[0]].sum()),
    )


def _chance(values: Array) -> float:
    """Probability of a mean as far from 0, by Student's t test of numbers, shape (n,)."""
    # scipy.stats has this too, and takes 25 MB of memory
    error = np.sqrt(values.var(ddof=1) / len(values))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = values.mean() / error
    return float(2.0 * stdtr(len(values) - 1, -np.abs(t)))


def more_than_chance(parts: Array) -> Array:
    """Average parts, shape (n_parts, n), drawn to 0 as far as they scatter, (n,)."""
    square = parts.mean(axis=0) ** 2
    chance = parts.var(axis=0, ddof=1) / len(parts)
    real = np.maximum(square - chance, 0.0) / np.maximum(square, 1e-12)
    return np.asarray(real * parts.mean(axis=0))


def _cross_tables(
    tiles: FlatTiles, image: IntArray, scores: Scores, lags: list[Lag]
) -> npt.NDArray[np.int64]:
    """
    Cross-tabulate the categories of pairs of pixels.

    Returns
    -------
    ndarray, shape (n_parts, n_classes, n_lags, n_categories, n_categories), int64
        Category 0 are the zeros; a pair has the brightness of its first pixel.
    """
    category = np.searchsorted(_LIMITS, tiles.cut(scores.score)).astype(np.uint8)
    category += 1
    category[tiles.cut(image) <= 0] = 0
    category[~tiles.use] = _N_CATEGORIES
    width = _N_CATEGORIES + 1
    shape = (N_PARTS, scores.n_classes, width, width)
    first = tiles.part[:, None, None] * scores.n_classes
    first = first + scores.brightness[tiles.cut(scores.group)]
    first = (first * width + category) * width
    tables = []
    for here, there in pairs(lags):
        entry = (first[here] + category[there]).ravel()
        tables.append(np.bincount(entry, minlength=int(np.prod(shape))))
    counts = np.stack(tables).reshape(len(lags), *shape)
    return np.moveaxis(counts, 0, 2)[..., :-1, :-1]


def _log_likelihoods(counts: npt.NDArray[np.int64]) -> Array:
    """
    Log likelihood of each table for the correlations of the grid.

    The limits between the categories follow from how many pixels of a class are in
    each. Pairs with a pixel in the last category are left out, and the probabilities
    of the others normalised accordingly.

    Parameters
    ----------
    counts : ndarray, shape (n_parts, n_classes, n_lags, n_categories, n_categories)

    Returns
    -------
    ndarray, shape (n_parts, n_classes, n_lags, n_grid), float64
    """
    result = np.empty((*counts.shape[:3], len(_GRID)))
    for number in range(counts.shape[1]):
        margin = counts[:, number].sum(axis=(0, 1, 3)).astype(np.float64)
        share = np.cumsum(margin) / max(margin.sum(), 1.0)
        limits = np.concatenate([[-np.inf], ndtri(np.clip(share[:-1], 0.0, 1.0))])
        p = rectangle_probabilities(limits, _GRID)
        p /= p.sum(axis=(1, 2), keepdims=True)
        log_p = np.log(np.maximum(p, 1e-12)).reshape(len(_GRID), -1)
        inside = counts[:, number, :, :-1, :-1].astype(np.float64)
        cells = inside.reshape(*inside.shape[:2], -1)
        # not as a product of matrices, which would wake the threads of OpenBLAS
        result[:, number] = np.einsum("plc,gc->plg", cells, log_p)
    return result


def _maximum(log_likelihood: Array) -> Array:
    """Correlation of the largest log likelihood, by a parabola through its top."""
    top = np.clip(log_likelihood.argmax(axis=-1), 1, len(_GRID) - 2)[..., None]
    left, middle, right = (
        np.take_along_axis(log_likelihood, top + step, axis=-1)[..., 0]
        for step in (-1, 0, 1)
    )
    bend = left - 2.0 * middle + right
    flat = bend >= 0
    step = np.where(flat, 0.0, 0.5 * (left - right) / np.where(flat, -1.0, bend))
    at = np.arctanh(_GRID)
    place = at[top[..., 0]] + np.clip(step, -1.0, 1.0) * (at[1] - at[0])
    # a table without pairs says nothing
    return np.where(np.ptp(log_likelihood, axis=-1) > 0, np.tanh(place), 0.0)


def _shrink(classes: Array, variance: Array, pooled: Array) -> Array:
    """
    Draw the classes towards a common pattern as far as they differ by chance.

    The spread of light correlates the signal, not the read noise: classes then share
    the pattern, and the brighter have more of it.

    Parameters
    ----------
    classes, variance : ndarray, shape (n_classes, n_lags)
        Correlations and the squares of their standard deviations.
    pooled : ndarray, shape (n_lags,)
        The pattern.

    Returns
    -------
    ndarray, shape (n_classes, n_lags), float64

    References
    ----------
    James, W. & Stein, C. (1961). Proc. 4th Berkeley Symp. Math. Stat. Prob. 1,
    361-379.
    """
    share = (classes @ pooled) / max(float(pooled @ pooled), 1e-12)
    pattern = share[:, None] * pooled
    away = classes - pattern
    square = (away**2).mean(axis=0)
    real = np.maximum(square - variance.mean(axis=0), 0.0) / np.maximum(square, 1e-12)
    return np.asarray(pattern + real * away)
