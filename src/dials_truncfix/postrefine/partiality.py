"""How much of a reflection is recorded, as a function of its excitation error.

The models and equation numbers are those of the postrefinement note of cctbx.xfel (models
A, B and G for a reciprocal lattice point of radius rs). All three have the same full width at
half maximum, √2 rs.
"""

from __future__ import annotations

import math
from enum import Enum

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_2_LN_2 = 2.0 * math.log(2.0)


class Model(Enum):
    """Radial profile of a reciprocal lattice point.

    References
    ----------
    Uervirojnangkoorn, M. et al. (2015). eLife 4, e05421 (model B).
    https://doi.org/10.7554/eLife.05421
    """

    #: A: 1 - r_h²/rs² inside the sphere, 0 outside (equation 6).
    SPHERE = "sphere"
    #: B: rs²/(2 r_h² + rs²) (equation 10).
    LORENTZIAN = "lorentzian"
    #: G: exp(-2 ln 2 r_h²/rs²) (equation 33).
    GAUSSIAN = "gaussian"


def partiality(model: Model, r_h: FloatArray, rs: FloatArray) -> FloatArray:
    """Fraction of a reflection that is recorded.

    Parameters
    ----------
    model : Model
        Radial profile.
    r_h : ndarray
        Excitation errors, Å⁻¹.
    rs : ndarray
        Radii of the reciprocal lattice points, Å⁻¹; broadcast against `r_h`.

    Returns
    -------
    ndarray
        Between 0 and 1.
    """
    return with_derivatives(model, r_h, rs)[0]


def with_derivatives(
    model: Model, r_h: FloatArray, rs: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Calculate partiality and its derivatives.

    Parameters
    ----------
    model, r_h, rs
        As for `partiality`.

    Returns
    -------
    partiality : ndarray
        Between 0 and 1.
    by_r_h : ndarray
        Derivative with respect to the excitation error, Å (equations 11 and 34). At the edge
        of the sphere that from inside.
    by_log_rs : ndarray
        Derivative with respect to the logarithm of rs (rs times equations 28 and 35).
    """
    t = r_h / rs
    if model is Model.SPHERE:
        inside = np.abs(t) <= 1.0
        value = np.where(inside, 1.0 - t * t, 0.0)
        slope = np.where(inside, -2.0 * t, 0.0)
    elif model is Model.LORENTZIAN:
        value = 1.0 / (1.0 + 2.0 * t * t)
        slope = -4.0 * t * value * value
    else:
        value = np.exp(-_2_LN_2 * t * t)
        slope = -2.0 * _2_LN_2 * t * value
    # all depend on r_h/rs only, so that one slope serves both derivatives
    return value, slope / rs, -t * slope
