"""Regions of one brightness each, which a camera can be fitted to.

The law of a camera holds at one rate. An annulus of equal area mixes many, which looks
like a larger gain. Small tiles hardly do, and those of like brightness together have
pixels enough. A tile's brightness is judged by the tiles around it, so that the noise
of its own pixels does not decide where it goes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.medians import MAD_TO_SD
from dials_truncfix.correction.regions.annuli import OUTSIDE

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]

#: Edge of a tile, pixels.
TILE = 8
#: A region has at least so many pixels, as far as there are any …
PIXELS_OF_A_REGION = 2000
#: … and there are at most so many regions.
MOST_REGIONS = 150

_LARGEST_DEVIATION = 4.0
_TILE_ROWS = 16


def brightness_regions(image: IntArray, mask: BoolArray) -> npt.NDArray[np.int16]:
    """
    Divide an image into regions of similar brightness, from dark to bright.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    mask : ndarray, shape (ny, nx), bool
        True for the pixels that can be used.

    Returns
    -------
    ndarray, shape (ny, nx), int16
        Region of each pixel; ``OUTSIDE`` for pixels that cannot be used, those beyond
        the last whole tile, and tiles that stand out from those around them, as spots
        do.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if image.shape != mask.shape:
        raise ValueError(f"image {image.shape} and mask {mask.shape} differ in shape")
    labels = np.full(image.shape, OUTSIDE, dtype=np.int16)
    total, count = _tile_sums(image, mask)
    if not count.any():
        return labels
    own = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    around = _median_around(own)
    ordered = np.flatnonzero((count > 0) & np.isfinite(around))
    ordered = ordered[np.argsort(around.ravel()[ordered], kind="stable")]
    region = np.full(count.size, OUTSIDE, dtype=np.int16)
    if ordered.size:
        pixels = np.cumsum(count.ravel()[ordered])
        n = int(np.clip(pixels[-1] // PIXELS_OF_A_REGION, 1, MOST_REGIONS))
        region[ordered] = np.minimum((pixels - 1) * n // pixels[-1], n - 1)
        _leave_out_spots(region, (own - around).ravel(), ordered)
    for row, of_row in enumerate(region.reshape(count.shape)):
        rows, columns = slice(row * TILE, (row + 1) * TILE), slice(len(of_row) * TILE)
        labels[rows, columns] = np.where(
            mask[rows, columns], of_row.repeat(TILE), OUTSIDE
        )
    return labels


def _tile_sums(
    image: IntArray, mask: BoolArray
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sum the usable pixels of each whole tile, and count them."""
    n_slow, n_fast = image.shape[0] // TILE, image.shape[1] // TILE
    total, count = np.empty((2, n_slow, n_fast), dtype=np.int64)
    columns = slice(n_fast * TILE)
    # a few rows of tiles at a time: temporaries of an image would be large
    for start in range(0, n_slow, _TILE_ROWS):
        band = slice(start, start + _TILE_ROWS)
        used = mask[start * TILE : min(band.stop, n_slow) * TILE, columns]
        rows = image[start * TILE : min(band.stop, n_slow) * TILE, columns]
        shape = (-1, TILE, n_fast, TILE)
        values = np.where(used, rows, 0).reshape(shape)
        total[band] = values.sum(axis=(1, 3), dtype=np.int64)
        count[band] = used.reshape(shape).sum(axis=(1, 3), dtype=np.int64)
    return total, count


def _median_around(own: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the median over the up to eight tiles around each, without its own."""
    padded = np.pad(own, 1, constant_values=np.nan)
    n_slow, n_fast = own.shape
    around = np.stack(
        [
            padded[i : i + n_slow, j : j + n_fast]
            for i in range(3)
            for j in range(3)
            if (i, j) != (1, 1)
        ]
    )
    around.sort(axis=0)
    # NaN sorts last
    n = np.isfinite(around).sum(axis=0)
    low = np.take_along_axis(around, np.maximum(n - 1, 0)[None] // 2, axis=0)
    high = np.take_along_axis(around, n[None] // 2 % len(around), axis=0)
    return np.asarray(np.where(n > 0, 0.5 * (low + high)[0], np.nan))


def _leave_out_spots(
    region: npt.NDArray[np.int16],
    excess: npt.NDArray[np.float64],
    ordered: npt.NDArray[np.intp],
) -> None:
    """Take the tiles out of their regions that differ too much from those around."""
    edges = np.flatnonzero(np.diff(region[ordered], prepend=-1))
    for members in np.split(ordered, edges[1:]):
        away = excess[members] - np.median(excess[members])
        sd = MAD_TO_SD * float(np.median(np.abs(away)))
        region[members[np.abs(away) > _LARGEST_DEVIATION * max(sd, 1e-9)]] = OUTSIDE
