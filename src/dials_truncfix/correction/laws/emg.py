"""Exponentially modified Gaussian: x = N(m, s²) + Exp(mean t).

theta = (m, log s, log t). The optimiser works in (mean, log standard deviation,
half the skewness) instead, because there the Gaussian limit t -> 0 is an ordinary
bound: half the skewness is κ³ with κ = t / sqrt(s² + t²).

References
----------
Grushka (1972). Anal. Chem. 44, 1733-1738. doi:10.1021/ac60319a011
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, ndtr, ndtri

from dials_truncfix.correction.laws.parameters import column

Array = NDArray[np.float64]

NAME = "emg"
# κ from 0.03, where the distribution is a Gaussian to 1e-5, to 0.998, where the
# Gaussian is a twentieth of the exponential.
SHAPE_BOUNDS = (0.03**3, 0.998**3)
START_SHAPES = (0.3**3, 0.5**3, 0.65**3, 0.75**3, 0.85**3, 0.93**3, 0.98**3)

_INV_SQRT_2PI = 0.3989422804014327
_SQRT_HALF = 0.7071067811865476
_ERFCX_FROM = -20.0
_TABLE_END = 5.0
_TABLE_STEP = 0.05


def cdf(x: Array, theta: Array) -> Array:
    """Evaluate the cumulative distribution.

    Parameters
    ----------
    x : NDArray[np.float64]
        (..., n) values, ADU.
    theta : NDArray[np.float64]
        (..., 3) parameters (m, log s, log t).

    Returns
    -------
    NDArray[np.float64]
        (..., n) probabilities, right to 1e-14 absolutely; `log_cdf` keeps the
        relative precision of the left tail.
    """
    u, r = _standardise(x, theta)
    return np.asarray(np.maximum(ndtr(u) - _excess(u, r), 0.0))


def log_cdf(x: Array, theta: Array) -> Array:
    """Evaluate the logarithm of the cumulative distribution, exact far in the tail."""
    u, r = _standardise(x, theta)
    left = np.minimum(u, 0.0)
    with_tail = -0.5 * left * left + np.log(_left_factor(left, r))
    right = np.maximum(u, 0.0)
    return np.where(u < 0.0, with_tail, np.log(ndtr(right) - _excess(right, r)))


def cdf_and_gradient(x: Array, theta: Array) -> tuple[Array, Array]:
    """Evaluate the cumulative distribution and its derivatives.

    Parameters
    ----------
    x : NDArray[np.float64]
        (..., n) values, ADU.
    theta : NDArray[np.float64]
        (..., 3) parameters (m, log s, log t).

    Returns
    -------
    tuple of NDArray[np.float64]
        (..., n) probabilities and (3, ..., n) derivatives with respect to theta.
    """
    u, r = _standardise(x, theta)
    excess = _excess(u, r)
    normal_density = _INV_SQRT_2PI * np.exp(-0.5 * u * u)
    gradient = np.empty((3, *u.shape))
    gradient[0] = -excess / np.exp(column(theta, 2))[..., None]
    gradient[1] = r * (normal_density - r * excess)
    gradient[2] = r * ((r - u) * excess - normal_density)
    return ndtr(u) - excess, gradient


def pdf(x: Array, theta: Array) -> Array:
    """Evaluate the density, ADU⁻¹."""
    u, r = _standardise(x, theta)
    return np.asarray(_excess(u, r) / np.exp(column(theta, 2))[..., None])


def mean(theta: Array) -> Array:
    """Return the mean m + t, ADU, shape (...)."""
    return np.asarray(column(theta, 0) + np.exp(column(theta, 2)))


def variance(theta: Array) -> Array:
    """Return the variance s² + t², ADU², shape (...)."""
    return np.asarray(np.exp(2.0 * column(theta, 1)) + np.exp(2.0 * column(theta, 2)))


def standard_quantile(z: Array, shape: float) -> Array:
    """Return the quantile at normal score z for mean 0, deviation 1 and this shape."""
    scores, quantiles = _quantile_table(shape)
    return np.interp(z, scores, quantiles)


def theta_from_working(working: Array) -> Array:
    """Return (m, log s, log t) from (mean, log standard deviation, κ³)."""
    log_sd = column(working, 1)
    kappa = np.cbrt(column(working, 2))
    theta = np.empty_like(working)
    theta[..., 0] = column(working, 0) - np.exp(log_sd) * kappa
    theta[..., 1] = log_sd + 0.5 * np.log1p(-kappa * kappa)
    theta[..., 2] = log_sd + np.log(kappa)
    return theta


def working_gradient(gradient: Array, working: Array) -> Array:
    """Return the derivatives with respect to the optimiser's parameters.

    Parameters
    ----------
    gradient : NDArray[np.float64]
        (3, ..., n) derivatives with respect to theta.
    working : NDArray[np.float64]
        (..., 3) parameters (mean, log standard deviation, κ³).

    Returns
    -------
    NDArray[np.float64]
        (3, ..., n) derivatives with respect to `working`.
    """
    kappa = np.cbrt(column(working, 2))[..., None]
    sd = np.exp(column(working, 1))[..., None]
    kappa_slope = 1.0 / (3.0 * kappa * kappa)
    converted = np.empty_like(gradient)
    converted[0] = gradient[0]
    converted[1] = gradient[1] + gradient[2] - (sd * kappa) * gradient[0]
    converted[2] = (
        gradient[2] / kappa
        - sd * gradient[0]
        - kappa / (1.0 - kappa * kappa) * gradient[1]
    ) * kappa_slope
    return converted


def _standardise(x: Array, theta: Array) -> tuple[Array, Array]:
    s = np.exp(column(theta, 1))[..., None]
    u = (x - column(theta, 0)[..., None]) / s
    return u, np.exp(column(theta, 1) - column(theta, 2))[..., None]


def _excess(u: Array, r: Array) -> Array:
    """Return t times the density: ½ exp(r²/2 - r u) erfc((r - u)/√2), r = s/t.

    erfcx carries the growing factor where its argument is moderate; far to the
    right erfc is 2 and erfcx would overflow.
    """
    argument = (r - u) * _SQRT_HALF
    near = argument > _ERFCX_FROM
    scaled = erfcx(np.where(near, argument, 0.0))
    exponent = np.where(near, -0.5 * u * u, r * (0.5 * r - u))
    return np.asarray(np.exp(exponent) * np.where(near, 0.5 * scaled, 1.0))


def _left_factor(u: Array, r: Array) -> Array:
    """Return F exp(u²/2) for u <= 0, free of cancellation against the normal part."""
    return np.asarray(
        0.5 * (erfcx(-u * _SQRT_HALF) - erfcx((r - u) * _SQRT_HALF)),
    )


@lru_cache(maxsize=32)
def _quantile_table(shape: float) -> tuple[Array, Array]:
    """Return normal scores and standard quantiles of one shape, for starts only."""
    working = np.array([0.0, 0.0, shape])
    x = np.arange(-_TABLE_END, 3.0 * _TABLE_END, _TABLE_STEP)
    p = cdf(x, theta_from_working(working))
    from_inside = (p > 1e-12) & (p < 1.0 - 1e-12)
    return np.asarray(ndtri(p[from_inside])), x[from_inside]
