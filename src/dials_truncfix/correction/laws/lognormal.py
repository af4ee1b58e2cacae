"""Three-parameter lognormal distribution that contains the Gaussian and left skew.

x = a + b (exp(s z) - 1) / s with z standard normal and theta = (a, log b, s): a is the
median, b the slope dx/dz there, s the shape. s -> 0 is the Gaussian of mean a and
standard deviation b; s < 0 skews to the left. The paper's (µ, σ, τ) are
log(b / s), s and a - b / s for s > 0.

References
----------
Hattne, Shi, de la Cruz, Reyes & Gonen (2016). J. Appl. Cryst. 49, 1029-1034, eq. 1.
doi:10.1107/S1600576716007196
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from dials_truncfix.correction.laws.parameters import column

Array = NDArray[np.float64]

NAME = "lognormal"
# Skewness -0.95: a longer left tail, which nothing recorded could check, would give
# draws without bound.
SHAPE_BOUNDS = (-0.3, 2.0)
START_SHAPES = (-0.2, 0.02, 0.15, 0.3, 0.5, 0.8, 1.2)

_INV_SQRT_2PI = 0.3989422804014327
_SMALLEST_SHAPE = 1e-12
_SERIES_BELOW = 0.02
_SERIES_TERMS = 9


def cdf(x: Array, theta: Array) -> Array:
    """Evaluate the cumulative distribution.

    Parameters
    ----------
    x : NDArray[np.float64]
        (..., n) values, ADU.
    theta : NDArray[np.float64]
        (..., 3) parameters (a, log b, s).

    Returns
    -------
    NDArray[np.float64]
        (..., n) probabilities.
    """
    return np.asarray(ndtr(_score(x, theta)[0]))


def log_cdf(x: Array, theta: Array) -> Array:
    """Evaluate the logarithm of the cumulative distribution, exact far in the tail.

    Minus infinity below the support.
    """
    z, _, _, inside = _score(x, theta)
    return np.where(inside | (z > 0.0), log_ndtr(z), -np.inf)


def cdf_and_gradient(x: Array, theta: Array) -> tuple[Array, Array]:
    """Evaluate the cumulative distribution and its derivatives.

    Parameters
    ----------
    x : NDArray[np.float64]
        (..., n) values, ADU.
    theta : NDArray[np.float64]
        (..., 3) parameters (a, log b, s).

    Returns
    -------
    tuple of NDArray[np.float64]
        (..., n) probabilities and (3, ..., n) derivatives with respect to theta.
    """
    z, y, w, inside = _score(x, theta)
    density = np.where(inside, _INV_SQRT_2PI * np.exp(-0.5 * z * z), 0.0)
    slope = density / (1.0 + w)
    gradient = np.empty((3, *z.shape))
    gradient[0] = -slope / _scale(theta)
    gradient[1] = -slope * y
    gradient[2] = density * y * y * _shape_slope(w)
    return np.asarray(ndtr(z)), gradient


def pdf(x: Array, theta: Array) -> Array:
    """Evaluate the density, ADU⁻¹."""
    z, _, w, inside = _score(x, theta)
    density = _INV_SQRT_2PI * np.exp(-0.5 * z * z) / ((1.0 + w) * _scale(theta))
    return np.where(inside, density, 0.0)


def log_pdf_gradient(x: Array, theta: Array) -> tuple[Array, Array]:
    """Evaluate the density and the derivatives of its logarithm.

    Parameters
    ----------
    x : NDArray[np.float64]
        (..., n) values, ADU.
    theta : NDArray[np.float64]
        (..., 3) parameters (a, log b, s).

    Returns
    -------
    tuple of NDArray[np.float64]
        (..., n) densities, ADU⁻¹, and (3, ..., n) derivatives of their logarithms,
        zero outside the support.
    """
    z, y, w, inside = _score(x, theta)
    b = _scale(theta)
    s = _parameters(theta)[2][..., None]
    density = _INV_SQRT_2PI * np.exp(-0.5 * z * z) / ((1.0 + w) * b)
    gradient = np.empty((3, *z.shape))
    gradient[0] = (z + s) / (b * (1.0 + w))
    gradient[1] = (z * y - 1.0) / (1.0 + w)
    gradient[2] = -z * y * y * _shape_slope(w) - y / (1.0 + w)
    return np.where(inside, density, 0.0), np.where(inside, gradient, 0.0)


def mean(theta: Array) -> Array:
    """Return the mean a + (b / s)(exp(s²/2) - 1), ADU, shape (...)."""
    a, b, s = _parameters(theta)
    return np.asarray(a + b * np.expm1(0.5 * s * s) / s)


def variance(theta: Array) -> Array:
    """Return the variance (b / s)²(exp(s²) - 1) exp(s²), ADU², shape (...)."""
    _, b, s = _parameters(theta)
    s2 = s * s
    return np.asarray(b * b * (np.expm1(s2) / s2) * np.exp(s2))


def standard_quantile(z: Array, shape: float) -> Array:
    """Return the quantile at normal score z for a = 0, b = 1 and the given s."""
    return np.asarray(np.expm1(shape * z) / shape)


def theta_from_working(working: Array) -> Array:
    """Return theta; the optimiser works in theta itself."""
    return working


def working_gradient(gradient: Array, working: Array) -> Array:
    """Return the derivatives with respect to the optimiser's parameters."""
    return gradient


def _parameters(theta: Array) -> tuple[Array, Array, Array]:
    s = column(theta, 2)
    s = np.where(np.abs(s) < _SMALLEST_SHAPE, _SMALLEST_SHAPE, s)
    return column(theta, 0), np.exp(column(theta, 1)), s


def _scale(theta: Array) -> Array:
    return np.asarray(np.exp(column(theta, 1))[..., None])


def _score(x: Array, theta: Array) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Return normal score z, standardised y, w = s y and whether x is supported.

    Outside the support w is set to 0 so that callers can divide by 1 + w.
    """
    a, b, s = (parameter[..., None] for parameter in _parameters(theta))
    y = (x - a) / b
    w = s * y
    inside = w > -1.0
    w = np.where(inside, w, 0.0)
    # log1p keeps z exact down to the smallest shape, where z = y.
    z = np.where(inside, np.log1p(w) / s, np.copysign(40.0, -s))
    return z, y, w, inside


def _shape_slope(w: Array) -> Array:
    """Return (w / (1 + w) - log(1 + w)) / w², whose quotient cancels near zero."""
    small = np.abs(w) < _SERIES_BELOW
    safe = np.where(small, 1.0, w)
    direct = (safe / (1.0 + safe) - np.log1p(safe)) / (safe * safe)
    if not small.any():
        return np.asarray(direct)
    v = np.where(small, w, 0.0)
    series = np.zeros_like(v)
    for n in range(_SERIES_TERMS, -1, -1):
        series = series * -v - (n + 1) / (n + 2)
    return np.where(small, series, direct)
