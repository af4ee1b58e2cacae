"""The zeros of an image that can be replaced, and where they lie in their annuli."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.annuli import Annuli

IntArray = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.floating[Any]]

# Pixels handled at once: a block's temporaries fit into the second-level cache.
_BLOCK = 1 << 16
# Evenly spread, they tell the mean radius in an annulus to a thousandth of its width.
_ENOUGH_FOR_MOMENTS = 100_000


def find_zeros(image: IntArray, labels: npt.NDArray[np.int16]) -> npt.NDArray[np.intp]:
    """
    Find the zeros in the annuli of an image.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    labels : ndarray, shape (ny, nx), integer
        Annulus of each pixel; pixels with a negative label take no part.

    Returns
    -------
    ndarray, shape (n,), intp
        Ascending indices into the image in C order.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if image.shape != labels.shape:
        raise ValueError(
            f"image {image.shape} and labels {labels.shape} differ in shape"
        )
    values, rings = image.ravel(), labels.ravel()
    found = []
    for start in range(0, values.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        zero = np.flatnonzero((values[block] == 0) & (rings[block] >= 0))
        zero += start
        found.append(zero)
    return np.concatenate(found) if found else np.empty(0, dtype=np.intp)


def radial_moments(
    zeros: npt.NDArray[np.intp], annuli: Annuli, radius: FloatArray
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """
    Mean radius of the zeros of each annulus, and their mean distance from it.

    Of more than 10⁵ zeros a part is used, evenly spread over the image.

    Parameters
    ----------
    zeros : ndarray, shape (n,), intp
        From `find_zeros`.
    annuli : Annuli
        Annuli of the image.
    radius : ndarray, shape (ny, nx), float
        Radial coordinate, any unit.

    Returns
    -------
    mean : ndarray, shape (n_rings,), float64
        That of all pixels in an annulus without zeros.
    deviation : ndarray, shape (n_rings,), float64
        Mean absolute deviation; 0 in an annulus without zeros.
    """
    some = zeros[:: max(len(zeros) // _ENOUGH_FOR_MOMENTS, 1)]
    ring = annuli.labels.ravel().take(some)
    at = radius.ravel().take(some).astype(np.float64)
    count = np.bincount(ring, minlength=annuli.n_rings)
    mean = np.where(
        count > 0,
        np.bincount(ring, at, annuli.n_rings) / np.maximum(count, 1),
        annuli.radius,
    )
    away = np.abs(at - mean[ring])
    return mean, np.bincount(ring, away, annuli.n_rings) / np.maximum(count, 1)
