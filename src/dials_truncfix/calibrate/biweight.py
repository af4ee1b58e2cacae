"""Weights of outlying residuals in the plane, and what they cost.

References
----------
Beaton, A. E. & Tukey, J. W. (1974). Technometrics 16, 147-185 (biweight),
doi:10.1080/00401706.1974.10489171.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Residuals of so many standard deviations have no weight.
BIWEIGHT = 4.685
#: Median distance of a two-dimensional normal distribution, in standard deviations.
MEDIAN_DISTANCE = 1.1774
#: A distance in two dimensions is longer than a residual in one.
IN_PLANE = 1.2


def plane_weights(distance: Array, sd: float) -> Array:
    """Weigh distances in two dimensions.

    Parameters
    ----------
    distance : ndarray, shape (n,)
        Any unit.
    sd : float
        Standard deviation along one of both dimensions, same unit.

    Returns
    -------
    ndarray, shape (n,)
        1 for small distances, 0 beyond 5.6 standard deviations.
    """
    far = np.clip(distance / (IN_PLANE * BIWEIGHT * sd), 0.0, 1.0)
    return np.asarray((1 - far**2) ** 2)


def plane_inflation(weight: Array) -> float:
    """Mean weight over mean slope of weight × residual, in two dimensions.

    The curvature of a robust target is the slope, not the weight: by this factor
    uncertainties are larger than the weights say.
    """
    root = np.sqrt(weight)
    slope = float(np.where(root > 0, root * (3 * root - 2), 0.0).mean())
    mean = float(weight.mean())
    return mean / max(slope, 0.1 * mean)
