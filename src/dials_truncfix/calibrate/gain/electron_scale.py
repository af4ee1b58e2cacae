"""ADU of an electron, from images whose electrons are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ElectronScale:
    """Mean signal of one electron.

    Attributes
    ----------
    adu_per_electron, adu_per_electron_sd : float
        ADU/e⁻, with the uncertainty of the electrons given.
    electrons, mean : tuple of float
        What it follows from: e⁻ per pixel, and ADU above the dark level.
    """

    adu_per_electron: float
    adu_per_electron_sd: float
    electrons: tuple[float, ...]
    mean: tuple[float, ...]


def electron_scale(
    mean: Sequence[float], electrons: Sequence[float], relative_error: float
) -> ElectronScale:
    """Fit the mean signal as proportional to the electrons.

    Parameters
    ----------
    mean : sequence of float
        Means of images above the dark level, ADU.
    electrons : sequence of float
        Incident electrons per pixel of each.
    relative_error : float
        Standard uncertainty of all electrons together, as a part of them.

    Returns
    -------
    ElectronScale

    Raises
    ------
    ValueError
        If there is no light, or a mean is not known.
    """
    x, y = np.asarray(electrons, float), np.asarray(mean, float)
    if not np.isfinite(y).all():
        raise ValueError("too many pixels are zero to tell the mean of an image")
    if x.shape != y.shape:
        raise ValueError(f"{len(x)} numbers of electrons for {len(y)} images")
    if not (x >= 0).all() or not (x > 0).any():
        raise ValueError("electrons must be positive")
    # beam currents are known to a part of themselves, hence the ratio of the sums
    scale = float(y.sum() / x.sum())
    if not scale > 0:
        raise ValueError(
            f"{x.sum():.3g} electrons a pixel give {y.sum():.3g} ADU above the dark level"
        )
    away = y - scale * x
    lit = np.count_nonzero(x)
    scatter = (
        math.sqrt(float(away @ away) * lit / max(lit - 1, 1)) / float(x.sum())
        if lit > 1
        else 0.0
    )
    return ElectronScale(
        scale,
        math.hypot(scatter, relative_error * scale),
        tuple(x.tolist()),
        tuple(y.tolist()),
    )
