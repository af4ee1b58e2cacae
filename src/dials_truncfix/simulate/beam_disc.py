"""Images of the beam without a specimen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

FloatArray = npt.NDArray[np.float64]


def disc_electrons(
    shape: tuple[int, int],
    centre: tuple[float, float],
    radius: float,
    level: float,
    *,
    edge_width: float = 1.5,
    gradient: tuple[float, float] = (0.0, 0.0),
    ellipticity: float = 0.0,
    dark: float = 0.0,
) -> FloatArray:
    """Sum up the electrons expected in an image of the beam.

    Parameters
    ----------
    shape : tuple of int
        Pixels (slow, fast).
    centre : tuple of float
        (fast, slow), pixels; the first pixel reaches from 0 to 1.
    radius : float
        Where the beam has fallen to half, pixels.
    level : float
        Electrons per pixel in the middle.
    edge_width : float
        Standard deviation of the edge's blur, pixels.
    gradient : tuple of float
        Change of the level over a radius, along fast and slow, as a part of it.
    ellipticity : float
        Long over short axis minus 1; the long one along fast, the area kept.
    dark : float
        Electrons per pixel outside.

    Returns
    -------
    ndarray, shape (slow, fast)
        e⁻ per pixel.
    """
    slow, fast = np.indices(shape, dtype=float)
    x, y = fast + 0.5 - centre[0], slow + 0.5 - centre[1]
    stretch = np.sqrt(1 + ellipticity)
    distance = np.hypot(x / stretch, y * stretch)
    slope = 1 + (gradient[0] * x + gradient[1] * y) / radius
    inside = ndtr((radius - distance) / edge_width)
    return np.asarray(dark + level * np.maximum(slope, 0) * inside)
