"""How high rings stand out, sector by sector, and in how many sectors together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.rings.ring_model import (
    N_SECTORS,
    RingGeometry,
    Window,
    basis,
)

Array = npt.NDArray[np.float64]

#: How many neighbouring sectors may be joined.
_JOINS = (1, 2, 3, 4, 6)
#: Height over its standard deviation that a ring shall have in a sector.
_TELLING = 4.0


def ring_heights(
    windows: Sequence[Window],
    tangent: Array,
    geometry: RingGeometry,
    parameters: Array,
) -> tuple[dict[int, Array], dict[int, Array]]:
    """Height of each ring in each sector, with its standard deviation (ADU)."""
    heights: dict[int, Array] = {}
    errors: dict[int, Array] = {}
    for window in windows:
        columns = basis(window, tangent, geometry, parameters)
        y = (np.sqrt(window.weight) * window.value)[..., None]
        inverse = np.linalg.pinv(np.swapaxes(columns, 1, 2) @ columns)
        linear = (inverse @ (np.swapaxes(columns, 1, 2) @ y))[..., 0]
        spread = np.sqrt(np.maximum(np.diagonal(inverse, axis1=1, axis2=2), 0.0))
        for k, ring in enumerate(window.rings):
            heights[int(ring)] = np.asarray(linear[:, k], float)
            errors[int(ring)] = np.asarray(np.maximum(spread[:, k], 1e-12))
    return heights, errors


def ring_significance(
    heights: dict[int, Array], errors: dict[int, Array], n: int
) -> Array:
    """Weighted mean height of each ring over its standard deviation."""
    result = np.zeros(n)
    for ring, height in heights.items():
        weight = errors[ring] ** -2.0
        result[ring] = np.sum(weight * height) / np.sqrt(np.sum(weight))
    return result


def sectors_to_join(
    heights: dict[int, Array], errors: dict[int, Array], n: int
) -> npt.NDArray[np.int64]:
    """How many sectors to join so that rings stand out in each."""
    result = np.full(n, _JOINS[-1])
    for ring, height in heights.items():
        # per sector of the cake, whatever was joined this time
        typical = np.median(height / errors[ring]) * np.sqrt(len(height) / N_SECTORS)
        enough = [join for join in _JOINS if typical * np.sqrt(join) > _TELLING]
        result[ring] = enough[0] if enough else _JOINS[-1]
    return result
