"""Defects of a camera, drawn at random."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Pixels and columns within this margin stay good, so that every bad one has neighbours.
_MARGIN = 2


def random_defects(
    shape: tuple[int, int], n_pixels: int, n_columns: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_] | None:
    """Mark pixels and columns as bad.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx).
    n_pixels, n_columns : int
        How many.
    rng : numpy.random.Generator
        Where from.

    Returns
    -------
    ndarray of bool, shape (ny, nx), or None
        None where none is bad.

    Raises
    ------
    ValueError
        If there are more defects than room for them.
    """
    if not n_pixels and not n_columns:
        return None
    rows, columns = (side - 2 * _MARGIN for side in shape)
    if n_columns > columns // 4 or n_pixels > rows * columns // 4:
        raise ValueError(
            f"{n_pixels} bad pixels and {n_columns} bad columns are too many for "
            f"{shape[1]} x {shape[0]} pixels"
        )
    bad = np.zeros(shape, dtype=bool)
    inner = bad[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    bad[:, _MARGIN + rng.choice(columns, n_columns, replace=False)] = True
    y, x = np.divmod(rng.choice(rows * columns, n_pixels, replace=False), columns)
    inner[y, x] = True
    return bad
