"""Spots on pixels, by exact integrals."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

FloatArray = npt.NDArray[np.float64]

#: Half width of a spot in standard deviations; what lies beyond is put inside.
SPOT_REACH = 5.0
_STAMP_PIXELS = 1 << 22


def add_gaussian_spots(
    image: FloatArray,
    x: FloatArray,
    y: FloatArray,
    intensity: FloatArray,
    sigma: float,
) -> None:
    """Add round Gaussian spots to an image, in place.

    Every pixel receives the integral over its area, and the pixels of a spot add up
    to its intensity. What falls off the image is lost.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float64
        The image.
    x, y : ndarray, shape (n,)
        Centres on the image, pixels (fast, slow).
    intensity : ndarray, shape (n,)
        Sum of each spot.
    sigma : float
        Standard deviation, pixels.

    Raises
    ------
    ValueError
        If the width is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"spots of width {sigma}")
    ny, nx = image.shape
    reach = math.ceil(SPOT_REACH * sigma)
    touches = (x > -reach) & (x < nx + reach) & (y > -reach) & (y < ny + reach)
    x, y, intensity = x[touches], y[touches], intensity[touches]
    # room for the whole of any spot that touches the image
    margin = 2 * reach + 1
    padded_shape = (ny + 2 * margin, nx + 2 * margin)
    padded = np.zeros(padded_shape[0] * padded_shape[1])
    block = max(1, _STAMP_PIXELS // (2 * reach + 1) ** 2)
    for start in range(0, len(x), block):
        part = slice(start, start + block)
        first_x, weight_x = _pixel_integrals(x[part], sigma, reach)
        first_y, weight_y = _pixel_integrals(y[part], sigma, reach)
        stamps = (intensity[part, None] * weight_y)[:, :, None] * weight_x[:, None, :]
        steps = np.arange(2 * reach + 1)
        rows = (first_y + margin)[:, None] + steps
        columns = (first_x + margin)[:, None] + steps
        pixels = (rows * padded_shape[1])[:, :, None] + columns[:, None, :]
        padded += np.bincount(pixels.ravel(), stamps.ravel(), minlength=padded.size)
    image += padded.reshape(padded_shape)[margin : margin + ny, margin : margin + nx]


def _pixel_integrals(
    centre: FloatArray, sigma: float, reach: int
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """First pixel and integrals over the 2 reach + 1 pixels around each centre."""
    first = np.floor(centre).astype(np.int64) - reach
    edges = first[:, None] + np.arange(2 * reach + 2) - centre[:, None]
    weights = np.diff(ndtr(edges / sigma), axis=1)
    return first, weights / weights.sum(axis=1, keepdims=True)
