"""Images in runs of consecutive pixels, which are small enough to stay in the cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

#: Pixels of a run: its temporaries fit into the second-level cache.
RUN_LENGTH = 1 << 17


def joined(
    runs: Iterable[npt.NDArray[np.signedinteger[Any]]],
    shape: tuple[int, ...],
    dtype: npt.DTypeLike = np.int32,
) -> npt.NDArray[Any]:
    """
    Put an image together from runs of consecutive pixels.

    Parameters
    ----------
    runs : iterable of ndarray, shape (n,), signed integer
        In C order.
    shape : tuple of int
        Of the image.
    dtype : numpy.dtype
        Of the result.

    Returns
    -------
    ndarray
        Of this shape and type.
    """
    image = np.empty(shape, dtype=dtype)
    flat, start = image.reshape(-1), 0
    for run in runs:
        flat[start : start + run.size] = run
        start += run.size
    return image


def plain_runs(
    image: npt.NDArray[np.integer[Any]],
) -> Iterator[npt.NDArray[np.signedinteger[Any]]]:
    """
    Cut an image into runs of consecutive pixels, as `drawn_runs` does.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        ADU.

    Yields
    ------
    ndarray, shape (n,), int32 or int16
        A copy; of unsigned 16 bits a narrow one where they fit.
    """
    flat, narrow = image.ravel(), np.iinfo(np.int16).max
    for start in range(0, flat.size, RUN_LENGTH):
        run = flat[start : start + RUN_LENGTH]
        fits = run.dtype == np.uint16 and run.max() <= narrow
        yield run.astype(np.int16 if fits else np.int32)
