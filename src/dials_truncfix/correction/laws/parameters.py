"""Access to one parameter of many distributions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def column(theta: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    """Return one parameter of all rows as a contiguous array.

    numpy evaluates exp, log and their like by vector code or by the C library,
    which differ in the last bit, and for strided arrays chooses by where they
    happen to lie in memory. Contiguous ones give the same bits every time.

    Parameters
    ----------
    theta : NDArray[np.float64]
        (..., 3) parameters.
    index : int
        Which one.

    Returns
    -------
    NDArray[np.float64]
        (...)
    """
    return theta[..., index].copy()
