"""Images of few values in long runs, such as masks, in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class RunLengths:
    """
    Runs of equal pixels, line by line.

    Attributes
    ----------
    values : ndarray, shape (n_runs,), int32
        Value of each run.
    lengths : ndarray, shape (n_runs,), int64
        Number of pixels of each run.
    """

    values: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int64]


def run_lengths(image: npt.NDArray[Any]) -> RunLengths:
    """
    Find the runs of an image.

    Parameters
    ----------
    image : ndarray, shape (slow, fast), bool or integer of at most 32 bits

    Returns
    -------
    RunLengths
    """
    flat = image.ravel()
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat.size:
        starts = np.concatenate([[0], starts])
    return RunLengths(
        flat[starts].astype(np.int32),
        np.diff(starts, append=flat.size).astype(np.int64),
    )


def expand(runs: RunLengths, shape: tuple[int, int]) -> npt.NDArray[np.int32]:
    """
    Inverse of `run_lengths`.

    Parameters
    ----------
    runs : RunLengths
        Perhaps from a file that cannot be relied on.
    shape : tuple of int
        (slow, fast) size of the image, pixels. No more memory is used than such an
        image takes.

    Returns
    -------
    ndarray, shape (slow, fast), int32

    Raises
    ------
    ValueError
        When the runs do not make up an image of this size.
    """
    lengths = runs.lengths
    n_pixels = shape[0] * shape[1]
    if runs.values.ndim != 1 or lengths.shape != runs.values.shape:
        raise ValueError(f"{lengths.shape} lengths for {runs.values.shape} values")
    if len(lengths) and (lengths.min() < 0 or lengths.max() > n_pixels):
        raise ValueError(f"a run is longer than the image of {n_pixels} pixels")
    if len(lengths) > n_pixels or int(lengths.sum()) != n_pixels:
        raise ValueError(
            f"runs of {int(lengths.sum())} pixels for an image of {n_pixels}"
        )
    return np.repeat(runs.values, lengths).reshape(shape)
