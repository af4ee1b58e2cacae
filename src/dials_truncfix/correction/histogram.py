"""Histograms of the low pixel values of every annulus of an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.regions.annuli import OUTSIDE

IntArray = npt.NDArray[np.integer[Any]]

# Pixels handled at once: fewer, and the tables of their counts take longer than the
# pixels; more, and they leave the cache.
_BLOCK = 1 << 18


def ring_histograms(
    image: IntArray, labels: IntArray, n_rings: int, n_bins: int
) -> npt.NDArray[np.int64]:
    """
    Count how often each small value occurs in each annulus.

    Negative pixels are in no bin: `negative_counts` counts them.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    labels : ndarray, shape (ny, nx), integer
        Annulus of each pixel; pixels with a negative label take no part.
    n_rings : int
        Number of annuli; labels are smaller than this.
    n_bins : int
        Number of bins, at least two. The last one holds every value from
        ``n_bins - 1`` upwards.

    Returns
    -------
    ndarray, shape (n_rings, n_bins), int64

    Raises
    ------
    ValueError
        If the image is not of an integer type, the shapes differ, a label is too
        large, or a number of rings or bins makes no sense.
    """
    _check(image, labels, n_rings)
    if n_bins < 2:
        raise ValueError(f"a histogram needs at least two bins, not {n_bins}")
    # Row 0 takes the pixels outside all annuli, column 0 the negative values.
    rows, columns = n_rings + 1, n_bins + 1
    total = np.zeros(rows * columns, dtype=np.int64)
    highest = image.dtype.type(min(n_bins - 1, int(np.iinfo(image.dtype).max)))
    code = np.min_scalar_type(-rows * columns)
    if labels.size and labels.min() < OUTSIDE:
        labels = np.maximum(labels, OUTSIDE)
    for values, rings in _blocks(image, labels):
        row = rings.astype(code)
        row *= columns
        row += columns + 1
        # Clipped before they are narrowed, which would wrap large numbers around.
        row += _clipped(values, highest).astype(code)
        total += np.bincount(row, minlength=total.size)
    return total.reshape(rows, columns)[1:, 1:].copy()


def negative_counts(
    image: IntArray, labels: IntArray, n_rings: int
) -> npt.NDArray[np.int64]:
    """
    Count the negative pixels of each annulus.

    Parameters
    ----------
    image, labels, n_rings
        As for `ring_histograms`.

    Returns
    -------
    ndarray, shape (n_rings,), int64

    Raises
    ------
    ValueError
        As for `ring_histograms`.
    """
    _check(image, labels, n_rings)
    if image.dtype.kind == "u":
        return np.zeros(n_rings, dtype=np.int64)
    rings = labels.ravel()[np.flatnonzero(image < 0)]
    return np.bincount(rings[rings >= 0], minlength=n_rings).astype(np.int64)


def _clipped(values: IntArray, highest: Any) -> IntArray:
    """
    Limit values to the bins; most blocks hold none to be limited.

    Parameters
    ----------
    values : ndarray, shape (n,), integer
        Recorded values, ADU.
    highest : integer of the same type
        Last bin.

    Returns
    -------
    ndarray, shape (n,)
        -1 … `highest`; the argument itself where that is what it holds.
    """
    if values.max() > highest:
        values = np.minimum(values, highest)
    if values.min() < 0:
        values = np.maximum(values, values.dtype.type(-1))
    return values


def _blocks(image: IntArray, labels: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """
    Cut an image and its labels into corresponding runs of pixels.

    Parameters
    ----------
    image, labels : ndarray
        Arrays of one shape.

    Yields
    ------
    tuple of ndarray
        Values and labels of the next run, each of shape (n,).
    """
    values, rings = image.ravel(), labels.ravel()
    for start in range(0, values.size, _BLOCK):
        stop = start + _BLOCK
        yield values[start:stop], rings[start:stop]


def _check(image: IntArray, labels: IntArray, n_rings: int) -> None:
    """
    Refuse images and labels that do not fit together.

    Parameters
    ----------
    image, labels, n_rings
        As for `ring_histograms`.

    Raises
    ------
    ValueError
        If they do not fit.
    """
    if image.dtype.kind not in "iu":
        raise ValueError(f"pixels must be integers, not {image.dtype}")
    if image.shape != labels.shape:
        raise ValueError(
            f"image {image.shape} and labels {labels.shape} differ in shape"
        )
    if n_rings < 1:
        raise ValueError(f"the number of annuli must be positive, not {n_rings}")
    if labels.size and int(labels.max()) >= n_rings:
        raise ValueError(f"label {int(labels.max())} in {n_rings} annuli")
