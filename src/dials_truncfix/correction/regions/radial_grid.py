"""Equidistant radii to which the pixels of all images of a sweep are assigned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.regions.scattering import Radii

FloatArray = npt.NDArray[np.floating[Any]]

#: Steps between these are a few per cent of those between annuli, and fall on no edge.
N_NODES = 128
# Handled at once, which keeps the memory small.
_ROWS = 16


@dataclass(frozen=True)
class RadialGrid:
    """
    Radii at which distributions are interpolated, and the nearest of each pixel.

    Attributes
    ----------
    radius : ndarray, shape (n_nodes,), float64
        Equidistant, ascending, any unit.
    node : ndarray, shape (ny, nx), uint8
        Index of the nearest for each pixel.
    """

    radius: npt.NDArray[np.float64]
    node: npt.NDArray[np.uint8]


def radial_grid(radius: Radii, low: float, high: float) -> RadialGrid:
    """
    Divide a range of radii evenly.

    Parameters
    ----------
    radius : array, shape (ny, nx), float
        Radial coordinate of each pixel, any unit.
    low, high : float
        Smallest and largest radius of the grid; pixels beyond belong to its ends.

    Returns
    -------
    RadialGrid
    """
    scale = (N_NODES - 1) / (high - low) if high > low else 0.0
    node = np.empty(radius.shape, dtype=np.uint8)
    for start in range(0, len(node), _ROWS):
        rows = slice(start, start + _ROWS)
        at = radius[rows].astype(np.float64)
        node[rows] = np.rint(np.clip((at - low) * scale, 0, N_NODES - 1))
    return RadialGrid(np.linspace(low, high, N_NODES), node)
