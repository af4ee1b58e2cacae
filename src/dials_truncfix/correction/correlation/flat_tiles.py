"""Pixels between the spots of an image, in tiles of which pairs are taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dials_truncfix.correction.correlation.latent_scores import Scores

BoolArray = npt.NDArray[np.bool_]

#: Edge of a tile, pixels.
TILE = 16
#: Tiles are dealt out to so many parts, whose scatter tells the error of what is
#: measured in all of them.
N_PARTS = 8
_MOST_TILES = 2500
# Pixels so near to a spot or shadow may belong to it.
_HALO = 4
_SMALLEST_SHARE = 0.4

Lag = tuple[int, int]


@dataclass(frozen=True)
class FlatTiles:
    """
    Some tiles of an image.

    Attributes
    ----------
    row, column : ndarray, shape (n_tiles,), intp
        Which tiles.
    use : ndarray, shape (n_tiles, 16, 16), bool
        True for the pixels that are neither spots nor shadows, nor near to any.
    """

    row: npt.NDArray[np.intp]
    column: npt.NDArray[np.intp]
    use: BoolArray

    def __len__(self) -> int:
        """Return the number of tiles."""
        return len(self.row)

    @property
    def part(self) -> npt.NDArray[np.intp]:
        """Part that each tile belongs to, shape (n_tiles,)."""
        return np.arange(len(self)) % N_PARTS

    def cut(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Take the tiles out of an image or map, shape (n_tiles, 16, 16)."""
        return np.asarray(_tiled(pixels).swapaxes(1, 2)[self.row, self.column])


def flat_tiles(scores: Scores) -> FlatTiles:
    """
    Choose tiles, at most 2500, spread over an image.

    Parameters
    ----------
    scores : Scores
        Of the image.

    Returns
    -------
    FlatTiles
        None of them where most of the image is odd: what is left is no fair sample.
    """
    away = ndimage.maximum_filter(scores.odd, 2 * _HALO + 1, mode="constant")
    use = _tiled(scores.eligible & ~away)
    chosen = np.flatnonzero(use.any(axis=(1, 3)))
    if use.sum() < _SMALLEST_SHARE * np.count_nonzero(scores.eligible):
        chosen = chosen[:0]
    chosen = chosen[:: -(-max(len(chosen), 1) // _MOST_TILES)]
    row, column = np.divmod(chosen, max(use.shape[2], 1))
    return FlatTiles(row, column, use.swapaxes(1, 2)[row, column])


def pairs(lags: list[Lag]) -> Iterator[tuple[Any, Any]]:
    """
    Index the first and second pixels of all pairs within tiles.

    Parameters
    ----------
    lags : list of (int, int)
        Distances (slow, fast) of the second from the first, slow not negative, pixels.

    Yields
    ------
    tuple
        Indices into arrays of shape (n_tiles, 16, 16), for each lag.
    """
    for slow, fast in lags:
        here = np.s_[:, : TILE - slow, max(0, -fast) : TILE - max(0, fast)]
        there = np.s_[:, slow:, max(0, fast) : TILE + min(0, fast)]
        yield here, there


def _tiled(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Cut an image into whole tiles, shape (n_slow, 16, n_fast, 16)."""
    n_slow, n_fast = (n // TILE for n in pixels.shape)
    whole = pixels[: n_slow * TILE, : n_fast * TILE]
    return whole.reshape(n_slow, TILE, n_fast, TILE)
