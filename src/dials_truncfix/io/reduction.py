"""Make images smaller without aliasing, as SerialEM does for K2 and K3."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def reduce_antialiased(image: npt.NDArray[Any], factor: int) -> npt.NDArray[np.float32]:
    """Reduce an image by a Lanczos-3 filter, to sums of counts.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Counts.
    factor : int
        By which both sides get smaller; they have to be multiples of it.

    Returns
    -------
    ndarray of float32, shape (ny // factor, nx // factor)
        Counts of the larger pixels: weighted means, times `factor` squared. The filter
        has negative lobes, so that some are below zero.

    Raises
    ------
    ValueError
        If the factor is not positive or does not divide the sides, or where Pillow,
        which does the work, is missing.
    """
    rows, columns = image.shape
    if factor < 1 or rows % factor or columns % factor:
        raise ValueError(
            f"an image of {columns} x {rows} pixels cannot be reduced by {factor}"
        )
    counts = np.ascontiguousarray(image, dtype=np.float32)
    if factor == 1:
        return counts
    try:
        from PIL import Image
    except ImportError:
        raise ValueError(
            "reduction of images needs the Python package Pillow (pip install pillow)"
        ) from None
    # Pillow goes over columns and rows one after the other, with weights that are
    # normalized at the edges too.
    small = Image.fromarray(counts).resize(
        (columns // factor, rows // factor), Image.LANCZOS
    )
    reduced: npt.NDArray[np.float32] = np.asarray(small) * np.float32(factor**2)
    return reduced
