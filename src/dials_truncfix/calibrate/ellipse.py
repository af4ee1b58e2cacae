"""Elliptical distortion: a symmetric magnification matrix without change of area.

A position on the image relative to the centre is M u, where u is the position without
distortion, with axes (fast, slow) and M = exp(½ [[p, q], [q, -p]]). The strain (p, q) is
(η cos 2φ, η sin 2φ): a circle becomes an ellipse with ratio of axes exp(η), the long one
at φ from fast towards slow. Unlike ratio and azimuth, p and q are smooth and unbiased
where there is no distortion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ellipse:
    """What a circle becomes.

    Attributes
    ----------
    ratio : float
        Long over short axis, at least 1.
    azimuth : float
        Direction of the long axis from fast towards slow, rad, in [0, π).
    """

    ratio: float
    azimuth: float

    @property
    def ellipticity(self) -> float:
        """Ratio of the axes minus 1."""
        return self.ratio - 1.0

    @property
    def strain(self) -> tuple[float, float]:
        """(p, q)."""
        eta = math.log(self.ratio)
        return eta * math.cos(2 * self.azimuth), eta * math.sin(2 * self.azimuth)


def ellipse_of_strain(p: float, q: float) -> Ellipse:
    """Ratio and azimuth of a strain."""
    azimuth = 0.5 * math.atan2(q, p) % math.pi
    return Ellipse(math.exp(math.hypot(p, q)), azimuth)


def strain_matrix(p: float, q: float) -> Array:
    """M of a strain, shape (2, 2); its inverse is that of (-p, -q)."""
    half = 0.5 * math.hypot(p, q)
    # sinh(x)/x is even and smooth
    factor = math.sinh(half) / half if half > 1e-8 else 1.0
    traceless = 0.5 * factor * np.array([[p, q], [q, -p]])
    return math.cosh(half) * np.eye(2) + traceless


def ellipse_errors(
    strain: tuple[float, float], covariance: Array
) -> tuple[float, float]:
    """Compute standard uncertainties of ratio and azimuth.

    Parameters
    ----------
    strain : tuple of float
        (p, q).
    covariance : ndarray, shape (2, 2)
        Of the strain.

    Returns
    -------
    ratio_error : float
    azimuth_error : float
        rad; not more than that of a direction at random, π/√12.
    """
    p, q = strain
    eta = math.hypot(p, q)
    at_random = math.pi / math.sqrt(12)
    if eta == 0:
        return float(np.sqrt(np.trace(covariance) / 2)), at_random
    along = np.array([p, q]) / eta
    across = np.array([-q, p]) / eta
    ratio_error = math.exp(eta) * math.sqrt(along @ covariance @ along)
    azimuth_error = 0.5 * math.sqrt(across @ covariance @ across) / eta
    return ratio_error, min(azimuth_error, at_random)


def decompose(matrix: Array) -> tuple[float, tuple[float, float], float]:
    """Split a magnification matrix into scale, strain and rotation.

    Parameters
    ----------
    matrix : ndarray, shape (2, 2)
        Of positive determinant.

    Returns
    -------
    scale : float
        Square root of the determinant.
    strain : tuple of float
        (p, q) of the distortion, which follows the rotation: matrix = scale · M · R.
    rotation : float
        rad, from fast towards slow.

    Raises
    ------
    ValueError
        If the matrix mirrors.
    """
    determinant = float(np.linalg.det(matrix))
    if not determinant > 0:
        raise ValueError(f"magnification matrix {matrix.tolist()} mirrors the image")
    scale = math.sqrt(determinant)
    left, singular, right = np.linalg.svd(matrix)
    rotation = left @ right
    angle = math.atan2(rotation[1, 0], rotation[0, 0])
    eta = math.log(singular[0] / singular[1])
    azimuth = math.atan2(left[1, 0], left[0, 0])
    return scale, (eta * math.cos(2 * azimuth), eta * math.sin(2 * azimuth)), angle
