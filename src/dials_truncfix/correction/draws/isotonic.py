"""Sequences that never fall."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def rising(
    values: list[float], weights: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """
    Fit a sequence that never falls, by weighted least squares.

    Parameters
    ----------
    values : list of float
        What to fit.
    weights : ndarray, shape (n,)
        Their weights.

    Returns
    -------
    ndarray, shape (n,), float64

    References
    ----------
    Barlow, R. E., Bartholomew, D. J., Bremner, J. M. & Brunk, H. D. (1972).
    Statistical Inference under Order Restrictions. Wiley (pool adjacent violators).
    """
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights.tolist()):
        pool = (value, float(weight), 1)
        while pools and pools[-1][0] > pool[0]:
            level, mass, number = pools.pop()
            total = mass + pool[1]
            mean = (level * mass + pool[0] * pool[1]) / total
            pool = (mean, total, number + pool[2])
        pools.append(pool)
    return np.repeat([p[0] for p in pools], [p[2] for p in pools])
