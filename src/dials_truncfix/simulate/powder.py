"""Ring patterns of polycrystalline standards, of known geometry.

Like the sweeps, they are expected electrons, to be passed through a camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.simulate.background import Background, beam_stop_transmission

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PowderGeometry:
    """Where the rings lie on a camera across the beam.

    A ring of scattering angle 2θ is the circle of radius L tan 2θ, seen through the
    magnification matrix.

    Attributes
    ----------
    shape : tuple of int
        Pixels (slow, fast).
    pixel_size : float
        Edge of a pixel, mm.
    wavelength : float
        Å.
    distance : float
        L, mm.
    beam_centre : tuple of float
        Pixels (fast, slow).
    magnification : ndarray, shape (2, 2)
        Position on the image, relative to the centre, from the position without
        distortion; axes (fast, slow).
    """

    shape: tuple[int, int]
    pixel_size: float
    wavelength: float
    distance: float
    beam_centre: tuple[float, float]
    magnification: FloatArray


def undistorted_radius(geometry: PowderGeometry) -> FloatArray:
    """Radius of every pixel before the distortion, mm, shape (slow, fast)."""
    slow, fast = geometry.shape
    x = np.arange(fast)[None, :] + 0.5 - geometry.beam_centre[0]
    y = np.arange(slow)[:, None] + 0.5 - geometry.beam_centre[1]
    (a, b), (c, d) = np.linalg.inv(geometry.magnification)
    return np.asarray(geometry.pixel_size * np.hypot(a * x + b * y, c * x + d * y))


def powder_electrons(
    geometry: PowderGeometry,
    d_spacings: npt.ArrayLike,
    heights: npt.ArrayLike,
    *,
    ring_width: float,
    background: Background | None = None,
    texture: float = 0.0,
    texture_azimuth: float = 0.0,
    beam_stop_radius: float = 0.0,
    beam_stop_arm: float = 0.0,
) -> FloatArray:
    """Sum up the electrons expected in a ring pattern.

    Parameters
    ----------
    geometry : PowderGeometry
        Where the rings lie.
    d_spacings : array_like, shape (n,)
        Å.
    heights : array_like, shape (n,)
        Height of each ring, e⁻ per pixel.
    ring_width : float
        Standard deviation of the rings across, pixels.
    background : Background, optional
        Electrons between the rings; none if not given.
    texture : float
        Rings vary by 1 ± texture with twice the azimuth.
    texture_azimuth : float
        Direction of the largest intensity, rad from fast towards slow.
    beam_stop_radius, beam_stop_arm : float
        Radius of the beam stop and width of its arm, pixels; 0 for none.

    Returns
    -------
    ndarray, shape (slow, fast)
        e⁻ per pixel.

    Raises
    ------
    ValueError
        If a spacing is below half a wavelength, or the width is not positive.
    """
    if not ring_width > 0:
        raise ValueError(f"rings of width {ring_width}")
    radius = undistorted_radius(geometry)
    two_theta = np.arctan2(radius, geometry.distance)
    slow, fast = geometry.shape
    azimuth = np.arctan2(
        np.arange(slow)[:, None] + 0.5 - geometry.beam_centre[1],
        np.arange(fast)[None, :] + 0.5 - geometry.beam_centre[0],
    )
    varying = 1.0 + texture * np.cos(2 * (azimuth - texture_azimuth))
    expected = np.zeros(geometry.shape)
    if background is not None:
        expected += background.expected(2 * np.sin(two_theta / 2) / geometry.wavelength)
    sigma = ring_width * geometry.pixel_size
    for d, height in zip(np.atleast_1d(d_spacings), np.atleast_1d(heights)):
        if not d > geometry.wavelength / 2:
            raise ValueError(f"{d} Å is below half a wavelength")
        ring = geometry.distance * np.tan(2 * np.arcsin(geometry.wavelength / (2 * d)))
        expected += height * varying * np.exp(-0.5 * ((radius - ring) / sigma) ** 2)
    if beam_stop_radius > 0 or beam_stop_arm > 0:
        expected *= beam_stop_transmission(
            geometry.shape, geometry.beam_centre, beam_stop_radius, beam_stop_arm
        )
    return expected
