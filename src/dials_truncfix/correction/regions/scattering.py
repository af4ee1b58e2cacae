"""Scattering angle of every pixel of a flat detector, and what follows from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_ROWS = 64


def two_theta_map(
    shape: tuple[int, int],
    pixel_size: tuple[float, float],
    origin: npt.ArrayLike,
    fast_axis: npt.ArrayLike,
    slow_axis: npt.ArrayLike,
    s0: npt.ArrayLike,
    dtype: npt.DTypeLike = np.float64,
) -> npt.NDArray[np.floating[Any]]:
    """Angle between the beam and the line from the sample to each pixel's centre.

    Parameters
    ----------
    shape : tuple of int
        Number of pixels (slow, fast).
    pixel_size : tuple of float
        Size of a pixel (fast, slow), mm.
    origin : array_like, shape (3,)
        Corner of the first pixel, laboratory frame, mm.
    fast_axis, slow_axis : array_like, shape (3,)
        Unit vectors of the detector's axes.
    s0 : array_like, shape (3,)
        Direction of the beam; its length does not matter.
    dtype : numpy.dtype
        Type of the result.

    Returns
    -------
    ndarray, shape (slow, fast), floating
        2θ, rad.
    """
    unit_s0 = np.asarray(s0, float) / np.linalg.norm(np.asarray(s0, float))
    origin, fast, slow = (np.asarray(v, float) for v in (origin, fast_axis, slow_axis))
    x = (np.arange(shape[1]) + 0.5) * pixel_size[0]
    y = (np.arange(shape[0]) + 0.5) * pixel_size[1]
    two_theta = np.empty(shape, dtype=dtype)
    # a few rows at a time: several arrays of a whole image would be the largest thing
    # in memory
    for start in range(0, shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        z = y[rows, np.newaxis]
        # |s|² and s·s0 of s = origin + x fast + y slow
        along = origin @ unit_s0 + x * (fast @ unit_s0) + z * (slow @ unit_s0)
        square = (
            origin @ origin
            + (x * x + 2 * x * (origin @ fast))
            + (z * z + 2 * z * (origin @ slow))
            + 2 * (fast @ slow) * z * x
        )
        # the arctangent keeps its precision at the small angles of electron diffraction
        across = np.sqrt(np.maximum(square - along * along, 0.0))
        two_theta[rows] = np.arctan2(across, along)
    return two_theta


def d_spacing(two_theta: npt.ArrayLike, wavelength: float) -> FloatArray:
    """Resolution of a scattering angle by Bragg's law, Å; infinite at 2θ = 0.

    Parameters
    ----------
    two_theta : array_like
        Scattering angle, rad.
    wavelength : float
        Wavelength, Å.
    """
    sine = np.sin(np.asarray(two_theta, float) / 2)
    with np.errstate(divide="ignore"):
        return np.asarray(wavelength / (2 * sine))
