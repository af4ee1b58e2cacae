"""Groups of about equally many pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def cut_evenly(
    n_pixels: npt.NDArray[np.int64], size: int, most: int
) -> npt.NDArray[np.uint8]:
    """
    Give consecutive parts numbers, each to about equally many pixels.

    Parameters
    ----------
    n_pixels : ndarray, shape (n,)
        Pixels of the parts.
    size : int
        Pixels that a number is to have at least.
    most : int
        Largest count of numbers, up to 256.

    Returns
    -------
    ndarray, shape (n,), uint8
        Ascending from 0; every number has a part.
    """
    total = max(int(n_pixels.sum()), 1)
    n_numbers = int(np.clip(total // size, 1, most))
    middle = np.cumsum(n_pixels) - 0.5 * n_pixels
    number = np.minimum(middle * n_numbers // total, n_numbers - 1)
    number[n_pixels == 0] = -1.0
    # parts without pixels go with the part before, or with the first
    number = np.maximum.accumulate(number)
    some = np.unique(number[n_pixels > 0])
    if len(some) == 0:
        return np.zeros(len(n_pixels), dtype=np.uint8)
    return np.asarray(np.searchsorted(some, np.maximum(number, some[0])), np.uint8)
