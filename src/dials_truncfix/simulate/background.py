"""Electrons between the spots: diffuse scattering, water, beam stop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

FloatArray = npt.NDArray[np.float64]

#: Standard deviation of the edge of the beam stop's shadow, pixels.
PENUMBRA = 1.0


@dataclass(frozen=True)
class Background:
    """Radial background, a sum of two exponentials, a water ring and a constant.

    Attributes
    ----------
    inner, outer : float
        Height of the exponentials at the centre, e⁻ per pixel and image.
    inner_decay, outer_decay : float
        Their decay in 1/d, Å⁻¹.
    ring : float
        Height of the water ring, e⁻ per pixel and image.
    ring_d : float
        Its resolution, Å.
    ring_width : float
        Its standard deviation in 1/d, Å⁻¹.
    uniform : float
        Constant, e⁻ per pixel and image.
    """

    inner: float = 20.0
    inner_decay: float = 0.03
    outer: float = 3.0
    outer_decay: float = 0.16
    ring: float = 0.5
    ring_d: float = 3.4
    ring_width: float = 0.035
    uniform: float = 0.0

    def __post_init__(self) -> None:
        """Refuse negative electrons and widths that are not positive."""
        for name in ("inner", "outer", "ring", "uniform"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"background {name} {getattr(self, name)} is negative")
        for name in ("inner_decay", "outer_decay", "ring_d", "ring_width"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} {getattr(self, name)} is not positive")

    def expected(self, d_star: npt.ArrayLike) -> FloatArray:
        """Sum up the electrons expected in each pixel.

        Parameters
        ----------
        d_star : array_like
            1/d, Å⁻¹.

        Returns
        -------
        ndarray
            e⁻ per pixel and image.
        """
        s = np.asarray(d_star, float)
        deviation = (s - 1.0 / self.ring_d) / self.ring_width
        return np.asarray(
            self.inner * np.exp(-s / self.inner_decay)
            + self.outer * np.exp(-s / self.outer_decay)
            + self.ring * np.exp(-0.5 * deviation**2)
            + self.uniform
        )


def beam_stop_transmission(
    shape: tuple[int, int],
    beam_centre: tuple[float, float],
    radius: float,
    arm_width: float,
) -> FloatArray:
    """Transmission of a disc that an arm holds from the left edge.

    The shadow has a penumbra of `PENUMBRA` pixels.

    Parameters
    ----------
    shape : tuple of int
        (ny, nx).
    beam_centre : tuple of float
        Pixels (fast, slow).
    radius : float
        Radius of the disc, pixels; 0 for none.
    arm_width : float
        Width of the arm, pixels; 0 for none.

    Returns
    -------
    ndarray, shape (ny, nx)
        0 in the shadow, 1 outside.
    """
    y = np.arange(shape[0])[:, None] + 0.5 - beam_centre[1]
    x = np.arange(shape[1])[None, :] + 0.5 - beam_centre[0]
    disc = x * x + y * y < radius * radius
    arm = (np.abs(y) < arm_width / 2) & (x < 0)
    open_area = (~(disc | arm)).astype(float)
    return np.asarray(gaussian_filter(open_area, PENUMBRA, mode="nearest"))
