"""What pooling made of the intensities, in shells of resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.combine.pooling import FloatArray, Pooled, missing_information
from dials_truncfix.compare.shells import shell_limits, shell_of


@dataclass(frozen=True)
class Shell:
    """One shell of resolution.

    Attributes
    ----------
    d_max, d_min : float
        Limits, Å.
    n : int
        Reflections.
    intensity : float
        Mean, in the unit of the table.
    i_over_sigma : float
        Mean of pooled intensity over its standard deviation.
    within, between : float
        Mean variance within the replicates, and between them, in that unit squared.
    missing : float
        Fraction of the information that was lost with the pixels below zero.
    degrees_of_freedom : float
        Median of those of the pooled variances.
    sigma_ratio : float
        Root of the mean pooled variance over that of single replicates.
    """

    d_max: float
    d_min: float
    n: int
    intensity: float
    i_over_sigma: float
    within: float
    between: float
    missing: float
    degrees_of_freedom: float
    sigma_ratio: float


def pooled_shells(
    pooled: Pooled, d: FloatArray, n_replicates: int, n_shells: int
) -> list[Shell]:
    """Average in shells, and over all as the last one.

    Parameters
    ----------
    pooled : Pooled
        The reflections.
    d : ndarray, shape (n,)
        Their resolution, Å.
    n_replicates : int
        Number of replicates.
    n_shells : int
        Number of shells, even in 1/d².

    Returns
    -------
    list of Shell
        Shells without a reflection are left out.
    """
    limits = shell_limits(d[pooled.pooled], n_shells)
    number = np.where(pooled.pooled, shell_of(d, limits), -1)
    shells = [
        _shell(pooled, number == k, limits[k], limits[k + 1], n_replicates)
        for k in range(n_shells)
        if np.any(number == k)
    ]
    return [*shells, _shell(pooled, number >= 0, limits[0], limits[-1], n_replicates)]


def _shell(
    pooled: Pooled,
    mine: npt.NDArray[np.bool_],
    d_max: float,
    d_min: float,
    n_replicates: int,
) -> Shell:
    part = pooled.select(mine)
    within, between = float(part.within.mean()), float(part.between.mean())
    return Shell(
        d_max=float(d_max),
        d_min=float(d_min),
        n=len(part.n),
        intensity=float(part.value.mean()),
        i_over_sigma=float(np.mean(part.value / np.sqrt(part.variance))),
        within=within,
        between=between,
        missing=missing_information(within, between, n_replicates),
        degrees_of_freedom=float(np.median(part.degrees_of_freedom)),
        sigma_ratio=float(np.sqrt(part.variance.mean() / within)),
    )
