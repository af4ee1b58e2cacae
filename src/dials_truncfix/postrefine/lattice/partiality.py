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
from scipy.special import erf

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


def swept_with_derivatives(
    model: Model, r_first: FloatArray, r_last: FloatArray, rs: FloatArray
) -> tuple[FloatArray, tuple[FloatArray, FloatArray], FloatArray]:
    """Calculate partiality of a rotation, and its derivatives.

    A point that moves through the Ewald sphere at constant speed gives the integral of its
    profile between the excitation errors at the ends of the rotation, over the whole
    integral.

    Parameters
    ----------
    model : Model
        Radial profile.
    r_first, r_last : ndarray
        Excitation errors at the beginning and the end, Å⁻¹.
    rs : ndarray
        Radii of the reciprocal lattice points, Å⁻¹.

    Returns
    -------
    partiality : ndarray
        Between 0 and 1; 1 for reflections that are recorded fully.
    by_r_h : tuple of ndarray
        Derivatives with respect to the two excitation errors, Å.
    by_log_rs : ndarray
        Derivative with respect to the logarithm of rs.
    """
    first, last = _integral(model, r_first / rs), _integral(model, r_last / rs)
    # points enter the sphere or leave it
    sign = np.where(r_last >= r_first, 1.0, -1.0)
    area = _AREAS[model]
    before = sign * partiality(model, r_first, rs) / (area * rs)
    after = sign * partiality(model, r_last, rs) / (area * rs)
    return (
        sign * (last - first),
        (-before, after),
        r_first * before - r_last * after,
    )


#: Integrals of the profiles over r_h/rs.
_AREAS = {
    Model.SPHERE: 4.0 / 3.0,
    Model.LORENTZIAN: math.pi / math.sqrt(2.0),
    Model.GAUSSIAN: math.sqrt(math.pi / _2_LN_2),
}


def _integral(model: Model, t: FloatArray) -> FloatArray:
    """Integral of a profile from its middle to r_h/rs, over the whole integral."""
    if model is Model.SPHERE:
        inside = np.clip(t, -1.0, 1.0)
        return np.asarray(0.75 * inside - 0.25 * inside**3)
    if model is Model.LORENTZIAN:
        return np.asarray(np.arctan(math.sqrt(2.0) * t) / math.pi)
    return np.asarray(0.5 * erf(math.sqrt(_2_LN_2) * t))
