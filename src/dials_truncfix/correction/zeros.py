"""The zeros of an image that can be replaced, and where they lie in their annuli."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.floating[Any]]

# Pixels handled at once: a block's temporaries fit into the second-level cache.
_BLOCK = 1 << 16
# Adding to one number again and again waits for each sum; neighbours add to eight.
_LANES = 8
_LANE = np.tile(np.arange(_LANES), _BLOCK // _LANES)


@dataclass(frozen=True)
class Zeros:
    """
    Pixels recorded as zero that belong to an annulus.

    Attributes
    ----------
    index : ndarray, shape (n,), intp
        Ascending indices into the image in C order.
    ring : ndarray, shape (n,), integer
        Annulus of each.
    radius : ndarray, shape (n,), float
        Radial coordinate of each, any unit.
    n_rings : int
        Number of annuli.
    """

    index: npt.NDArray[np.intp]
    ring: IntArray
    radius: FloatArray
    n_rings: int

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.index)

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """Number of zeros in each annulus, shape (n_rings,), int64."""
        return np.bincount(self.ring, minlength=self.n_rings).astype(np.int64)

    def mean_radius(self, fallback: FloatArray) -> npt.NDArray[np.float64]:
        """
        Average the radius of the zeros of each annulus.

        Parameters
        ----------
        fallback : ndarray, shape (n_rings,)
            Radius of an annulus without zeros.

        Returns
        -------
        ndarray, shape (n_rings,), float64
        """
        total = np.zeros(self.n_rings)
        for start in range(0, len(self), _BLOCK):
            block = slice(start, start + _BLOCK)
            total += _sums(self.ring[block], self.radius[block], self.n_rings)
        return np.where(self.counts > 0, total / np.maximum(self.counts, 1), fallback)

    def mean_deviation(
        self, centre: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """
        Average the distance of the zeros of each annulus from a radius.

        Parameters
        ----------
        centre : ndarray, shape (n_rings,), float64
            Radius of each annulus.

        Returns
        -------
        ndarray, shape (n_rings,), float64
            0 in an annulus without zeros.
        """
        total = np.zeros(self.n_rings)
        for start in range(0, len(self), _BLOCK):
            block = slice(start, start + _BLOCK)
            away = centre.take(self.ring[block])
            away -= self.radius[block]
            np.abs(away, out=away)
            total += _sums(self.ring[block], away, self.n_rings)
        return np.asarray(total / np.maximum(self.counts, 1))


def find_zeros(
    image: IntArray, labels: IntArray, radius: FloatArray, n_rings: int
) -> Zeros:
    """
    Find the zeros in the annuli of an image.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    labels : ndarray, shape (ny, nx), integer
        Annulus of each pixel; pixels with a negative label take no part.
    radius : ndarray, shape (ny, nx), float
        Radial coordinate.
    n_rings : int
        Number of annuli; labels are smaller than this.

    Returns
    -------
    Zeros

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if not image.shape == labels.shape == radius.shape:
        raise ValueError(
            f"image {image.shape}, labels {labels.shape} and radius {radius.shape} "
            "differ in shape"
        )
    values, rings, radii = image.ravel(), labels.ravel(), radius.ravel()
    found = []
    for start in range(0, values.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        zero = np.flatnonzero((values[block] == 0) & (rings[block] >= 0))
        zero += start
        found.append(zero)
    index = np.concatenate(found) if found else np.empty(0, dtype=np.intp)
    return Zeros(index, rings.take(index), radii.take(index), n_rings)


def _sums(ring: IntArray, values: FloatArray, n_rings: int) -> npt.NDArray[np.float64]:
    """
    Sum the values of each annulus.

    Parameters
    ----------
    ring, values : ndarray, shape (n,)
        Annuli and what belongs to them, one block.
    n_rings : int
        Number of annuli.

    Returns
    -------
    ndarray, shape (n_rings,), float64
    """
    lane = ring.astype(np.intp)
    lane *= _LANES
    lane += _LANE[: len(lane)]
    sums = np.bincount(lane, values, n_rings * _LANES)
    return np.asarray(sums.reshape(n_rings, _LANES).sum(axis=1))
