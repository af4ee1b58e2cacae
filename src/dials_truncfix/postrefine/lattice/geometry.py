"""Excitation errors of the reflections of rotated lattices.

Each lattice has a frame of its own in which the beam runs along -z. θx and θy turn the
lattice about the x and then the y axis of this frame, A = R_y(θy) R_x(θx) A_ref (equation 24
of the note), so both axes are at right angles to the beam wherever it comes from.

A rotation keeps the length of q. With S = q + s0 therefore

    |S|² = q² + 2 q·s0 + 1/λ²,    r_h = |S| - 1/λ,    ∂r_h/∂θ = s0·(∂R/∂θ q_ref)/|S|,

and turning s0 backwards, once a lattice, is the same as turning every q.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from scitbx import matrix

FloatArray = npt.NDArray[np.float64]

_ALONG_BEAM = np.array([0.0, 0.0, -1.0])


def beam_frames(s0: npt.ArrayLike) -> FloatArray:
    """Rotations that take -z to the directions of beams, by the smallest angles.

    Parameters
    ----------
    s0 : array_like, shape (n, 3)
        Beam vectors, of any length above 0.

    Returns
    -------
    ndarray, shape (n, 3, 3)
        The columns are the axes of the beams' frames in the laboratory frame.

    Raises
    ------
    ValueError
        If a beam has no direction.
    """
    beams = np.atleast_2d(np.asarray(s0, float))
    lengths = np.linalg.norm(beams, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths)) or not np.all(lengths > 0):
        raise ValueError(f"beam vector {beams[np.argmin(lengths)]} has no direction")
    direction = beams / lengths
    cosine = direction @ _ALONG_BEAM
    v = np.cross(_ALONG_BEAM, direction)
    k = np.zeros((len(beams), 3, 3))
    k[:, 0, 1], k[:, 0, 2], k[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    k -= k.transpose(0, 2, 1)
    backwards = cosine < -1 + 1e-12
    # Rodrigues' formula, with sin and 1 - cos expressed by the two directions
    factor = 1.0 / np.where(backwards, 1.0, 1.0 + cosine)
    frames = np.eye(3) + k + factor[:, None, None] * (k @ k)
    frames[backwards] = np.diag([1.0, -1.0, -1.0])
    return np.asarray(frames)


@cache
def _generator(axis: tuple[int, int, int]) -> tuple[FloatArray, FloatArray]:
    """K and K² of an axis: its rotation is 1 + sin θ K + (1 - cos θ) K²."""
    column = matrix.col(axis)
    k = np.reshape(column.axis_and_angle_as_r3_derivative_wrt_angle(0.0), (3, 3))
    return k, k @ k


def rotations(
    axis: tuple[int, int, int], angles: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Rotation matrices about an axis, and their derivatives.

    Parameters
    ----------
    axis : tuple of int
        Unit vector.
    angles : ndarray, shape (n,)
        Angles, rad.

    Returns
    -------
    rotation, derivative : ndarray, shape (n, 3, 3)
        The same as scitbx.matrix gives, for all angles at once.
    """
    k, k_squared = _generator(axis)
    # sines of strided arrays may differ in the last digit from call to call
    angles = np.ascontiguousarray(angles)
    sine, cosine = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    # 1 - cos loses digits at small angles
    versine = 2.0 * np.sin(0.5 * angles)[:, None, None] ** 2
    return np.eye(3) + sine * k + versine * k_squared, cosine * k + sine * k_squared


def total_rotations(theta_x: FloatArray, theta_y: FloatArray) -> FloatArray:
    """R_y(θy) R_x(θx) of each lattice.

    Parameters
    ----------
    theta_x, theta_y : ndarray, shape (n,)
        Angles, rad.

    Returns
    -------
    ndarray, shape (n, 3, 3)
        In the frames of the beams.
    """
    return np.asarray(
        rotations((0, 1, 0), theta_y)[0] @ rotations((1, 0, 0), theta_x)[0]
    )


def counter_rotated_beams(
    theta_x: FloatArray, theta_y: FloatArray, wavelength: FloatArray
) -> FloatArray:
    """Beam vectors as seen from the lattices, and their derivatives.

    Parameters
    ----------
    theta_x, theta_y : ndarray, shape (n,)
        Angles, rad.
    wavelength : ndarray, shape (n,)
        Å.

    Returns
    -------
    ndarray, shape (n, 3, 3)
        Rᵀ s0 and its derivatives with respect to θx and θy, as rows (Å⁻¹; equations 25
        and 26 turned round).
    """
    rx, rx_slope = rotations((1, 0, 0), theta_x)
    ry, ry_slope = rotations((0, 1, 0), theta_y)
    # rows of R times the component of s0, which is along -z alone
    rows = np.stack([(ry @ rx)[:, 2], (ry @ rx_slope)[:, 2], (ry_slope @ rx)[:, 2]], 1)
    return np.asarray(-rows / wavelength[:, None, None])


def wedge_beams(s0: FloatArray, sweep: FloatArray) -> FloatArray:
    """Beams at both ends of narrow rotations, as seen from the middle of them.

    A crystal that turns by R under the beam s0 is one that stands still under R⁻¹ s0.

    Parameters
    ----------
    s0 : ndarray, shape (n, 3)
        Beam vectors in the laboratory, Å⁻¹.
    sweep : ndarray, shape (n, 3)
        Axes of the rotations in the laboratory, of the length of their angles, rad.

    Returns
    -------
    ndarray, shape (2, n, 3)
        First and last beam in the frames of `s0`, Å⁻¹.
    """
    frames = beam_frames(s0)
    ends = [
        Rotation.from_rotvec(half).apply(s0) for half in (0.5 * sweep, -0.5 * sweep)
    ]
    beams = np.reshape(ends, (2, -1, 3))
    return np.asarray(np.einsum("lji,elj->eli", frames, beams))


def counter_rotated(
    theta_x: FloatArray, theta_y: FloatArray, beams: FloatArray
) -> FloatArray:
    """Do what `counter_rotated_beams` does, for beams in any direction.

    Parameters
    ----------
    theta_x, theta_y : ndarray, shape (n,)
        Angles, rad.
    beams : ndarray, shape (n, 3)
        Beam vectors, Å⁻¹.

    Returns
    -------
    ndarray, shape (n, 3, 3)
        Rᵀ s and its derivatives with respect to θx and θy, as rows, Å⁻¹.
    """
    rx, rx_slope = rotations((1, 0, 0), theta_x)
    ry, ry_slope = rotations((0, 1, 0), theta_y)
    turned = np.stack([ry @ rx, ry @ rx_slope, ry_slope @ rx], axis=1)
    # written out: the last digit of a matrix product depends on its size and on threads
    return np.asarray(
        turned[:, :, 0] * beams[:, None, 0:1]
        + turned[:, :, 1] * beams[:, None, 1:2]
        + turned[:, :, 2] * beams[:, None, 2:3]
    )


def excitation_error(
    q: FloatArray,
    q_squared: FloatArray,
    beams: FloatArray,
    inverse_wavelength: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Distance of reciprocal lattice points from the Ewald sphere, and its derivatives.

    Parameters
    ----------
    q : ndarray, shape (3, n)
        A_ref h in the frames of the beams, Å⁻¹.
    q_squared : ndarray, shape (n,)
        Their squared lengths, Å⁻².
    beams : ndarray, shape (3, 3, n)
        For each reflection the rows that `counter_rotated_beams` gives for its lattice.
    inverse_wavelength : ndarray, shape (n,)
        1/λ, Å⁻¹.

    Returns
    -------
    r_h : ndarray, shape (n,)
        Å⁻¹; positive outside the sphere (equation 21).
    slopes : ndarray, shape (2, n)
        Derivatives with respect to θx and θy, Å⁻¹ (equation 22).
    """
    along = q[0] * beams[:, 0]
    along += q[1] * beams[:, 1]
    along += q[2] * beams[:, 2]
    excess = q_squared + 2.0 * along[0]
    length = np.sqrt(excess + inverse_wavelength**2)
    # |S| - 1/λ without the loss of digits that 1/λ of electrons would bring
    return excess / (length + inverse_wavelength), along[1:] / length


def dot_products(moved: FloatArray, q: FloatArray) -> FloatArray:
    """Multiply what strains do to reciprocal lattice points with vectors.

    With ∂q/∂e = E q, the derivative of r_h is S·(E q)/|S|, and that of q²/2 is q·(E q).

    Parameters
    ----------
    moved : ndarray, shape (n_strains, 3, n)
        E_k q_ref, Å⁻¹.
    q : ndarray, shape (3, n)
        q or S = q + s0, of the strained lattices, Å⁻¹.

    Returns
    -------
    ndarray, shape (n_strains, n)
        Å⁻².
    """
    result = moved[:, 0] * q[0]
    result += moved[:, 1] * q[1]
    result += moved[:, 2] * q[2]
    return np.asarray(result)
