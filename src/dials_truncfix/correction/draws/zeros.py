"""The zeros of an image that can be replaced, and where they lie in their regions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.regions.regions import Regions
from dials_truncfix.correction.regions.scattering import Radii

IntArray = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.floating[Any]]

# Pixels handled at once: a block's temporaries fit into the second-level cache.
_BLOCK = 1 << 16
# So many pixels tell the mean radius of the zeros of ten annuli to a hundredth of the
# width of an annulus.
_ENOUGH_FOR_MOMENTS = 200_000


def find_zeros(
    image: IntArray, labels: npt.NDArray[np.signedinteger[Any]]
) -> npt.NDArray[np.intp]:
    """
    Find the zeros in the regions of an image.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    labels : ndarray, shape (ny, nx), integer
        Region of each pixel; pixels with a negative label take no part.

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
    values, regions = image.ravel(), labels.ravel()
    found = [np.empty(0, dtype=np.intp)]
    for start in range(0, values.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        found.append(zeros_of_block(values[block], regions[block]) + start)
    return np.concatenate(found)


def zeros_of_block(
    values: IntArray, labels: npt.NDArray[np.signedinteger[Any]]
) -> npt.NDArray[np.intp]:
    """
    Find the zeros in a run of pixels; `find_zeros` for a part of an image.

    Parameters
    ----------
    values, labels : ndarray, shape (n_pixels,), integer
        Pixels, ADU, and their regions.

    Returns
    -------
    ndarray, shape (n,), intp
        Ascending indices into the run.
    """
    zero = values == 0
    zero &= labels >= 0
    return np.flatnonzero(zero)


def radial_moments(
    image: IntArray, regions: Regions, radius: Radii
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """
    Mean radius of the zeros of each region, and their mean distance from it.

    Of large images some rows are used, evenly spread.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    regions : Regions
        Regions of the image.
    radius : array, shape (ny, nx), float
        Radial coordinate, any unit.

    Returns
    -------
    mean : ndarray, shape (n_regions,), float64
        That of all pixels in a region without zeros.
    deviation : ndarray, shape (n_regions,), float64
        Mean absolute deviation; 0 in a region without zeros.
    """
    rows, zeros = some_zeros(image, regions.labels)
    region = regions.labels[rows].ravel().take(zeros)
    at = radius[rows].ravel().take(zeros).astype(np.float64)
    n_regions = regions.n_regions
    count = np.bincount(region, minlength=n_regions)
    mean = np.where(
        count > 0,
        np.bincount(region, at, n_regions) / np.maximum(count, 1),
        regions.table.radius,
    )
    away = np.abs(at - mean[region])
    return mean, np.bincount(region, away, n_regions) / np.maximum(count, 1)


def some_zeros(
    image: IntArray, labels: npt.NDArray[np.signedinteger[Any]]
) -> tuple[slice, npt.NDArray[np.intp]]:
    """
    Find the zeros in some rows of an image, evenly spread; in all of a small one.

    Parameters
    ----------
    image, labels
        As for `find_zeros`.

    Returns
    -------
    rows : slice
        The rows.
    zeros : ndarray, shape (n,), intp
        Ascending indices into these rows in C order.
    """
    rows = slice(None, None, max(image.size // _ENOUGH_FOR_MOMENTS, 1))
    return rows, zeros_of_block(image[rows].ravel(), labels[rows].ravel())
