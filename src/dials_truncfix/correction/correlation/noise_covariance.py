"""Covariance of a pixel with all of its neighbours, in images with drawn zeros."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.correlation.flat_tiles import (
    N_PARTS,
    Lag,
    flat_tiles,
    pairs,
)
from dials_truncfix.correction.correlation.latent_scores import Scores
from dials_truncfix.correction.correlation.noise_correlation import (
    FAR,
    REACH,
    half_plane,
    more_than_chance,
)

IntArray = npt.NDArray[np.integer[Any]]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NoiseCovariance:
    """
    What sums of pixels vary more than the pixels by themselves.

    Attributes
    ----------
    level : ndarray, shape (n_classes,), float64
        Mean of pixels of similar brightness, ADU.
    covariance : ndarray, shape (n_classes,), float64
        Sum of the covariances of such a pixel with all others, ADU².
    """

    level: Array
    covariance: Array


def noise_covariance(drawn: IntArray, scores: Scores) -> NoiseCovariance | None:
    """
    Add up the covariances of pixels with those around them, between the spots.

    Parameters
    ----------
    drawn : ndarray, shape (ny, nx), integer
        Image whose zeros were replaced by correlated draws, ADU.
    scores : Scores
        Scores by which they were drawn.

    Returns
    -------
    NoiseCovariance or None
        None where the image is too small, or most of it is odd.
    """
    tiles = flat_tiles(scores)
    if len(tiles) < N_PARTS:
        return None
    group = tiles.cut(scores.group)
    value = tiles.cut(drawn).astype(np.float64)
    n_pixels = np.bincount(group[tiles.use], minlength=len(scores.threshold))
    total = np.bincount(group[tiles.use], value[tiles.use], len(scores.threshold))
    away = value - (total / np.maximum(n_pixels, 1))[group]
    away *= tiles.use
    kind = tiles.part[:, None, None] * scores.n_classes + scores.brightness[group]

    def average(lags: list[Lag]) -> Array:
        """Mean covariance at each lag, (n_parts, n_classes, n_lags)."""
        means = []
        for here, there in pairs(lags):
            which, size = kind[here].ravel(), N_PARTS * scores.n_classes
            product = np.bincount(which, (away[here] * away[there]).ravel(), size)
            number = np.bincount(
                which, (tiles.use[here] & tiles.use[there]).ravel(), size
            )
            means.append(product / np.maximum(number, 1))
        table = np.stack(means, axis=1).reshape(N_PARTS, scores.n_classes, -1)
        return np.asarray(table)

    near = average(half_plane(REACH)).mean(axis=0)
    # what far pixels have in common is the background's shape
    common = more_than_chance(average(list(FAR)).mean(axis=2))
    number = np.bincount(
        scores.brightness[group[tiles.use]], minlength=scores.n_classes
    )
    level = np.bincount(scores.brightness[group[tiles.use]], value[tiles.use])
    return NoiseCovariance(
        level / np.maximum(number, 1), 2.0 * (near - common[:, None]).sum(axis=1)
    )
