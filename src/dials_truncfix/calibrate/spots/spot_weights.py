"""Weights of reflections, less where they stand out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.biweight import (
    IN_PLANE,
    MEDIAN_DISTANCE,
    plane_inflation,
    plane_weights,
)
from dials_truncfix.correction.medians import MAD_TO_SD

Array = npt.NDArray[np.float64]


def position_weights(observed: Sequence[Array]) -> tuple[list[Array], float]:
    """1/σ² of each residual, less where it stands out; and what that costs.

    Positions of all crystals share a standard deviation, and so do angles.

    Parameters
    ----------
    observed : sequence of ndarray, shape (n, 3)
        Residuals of position (pixels) and angle (rad; 0 where it is not known), crystal
        by crystal.

    Returns
    -------
    weights : list of ndarray, shape (n, 3)
    inflation : float
        Factor by which uncertainties are larger than the weights say.
    """
    everything = np.concatenate(observed)
    position = np.hypot(everything[:, 0], everything[:, 1])
    sd = [max(float(np.median(position)) / MEDIAN_DISTANCE, 1e-9)] * 2
    angle = everything[:, 2][everything[:, 2] != 0]
    sd.append(
        max(MAD_TO_SD * float(np.median(np.abs(angle))), 1e-9) if len(angle) else np.inf
    )
    # either may make a reflection an outlier
    far = np.maximum(position / sd[0], IN_PLANE * np.abs(everything[:, 2]) / sd[2])
    weight = plane_weights(far, 1.0)
    each = np.split(weight, np.cumsum([len(part) for part in observed])[:-1])
    return [w[:, None] / np.array(sd) ** 2 for w in each], plane_inflation(weight)
