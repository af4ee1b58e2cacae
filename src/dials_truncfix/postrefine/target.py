"""Calculated partial intensities, and their derivatives.

    I_calc = G exp(-B d*²/2) p(r_h, rs) I_ref

with B the conventional Wilson factor of intensities, exp(-2B sin²θ/λ²): equation 12 of the
note has a quarter of it. The parameters of a lattice are log G, B, θx, θy and log rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dials_truncfix.postrefine.geometry import (
    FloatArray,
    counter_rotated_beams,
    excitation_error,
)
from dials_truncfix.postrefine.lattices import Lattices
from dials_truncfix.postrefine.partiality import Model, with_derivatives

LOG_G: Final = 0
B: Final = 1
THETA_X: Final = 2
THETA_Y: Final = 3
LOG_RS: Final = 4
N_PARAMETERS: Final = 5
#: In the order of the parameters, for messages and records.
PARAMETER_NAMES = ("G", "B", "theta_x", "theta_y", "rs")


@dataclass(frozen=True)
class Calculated:
    """What the parameters of lattices say about their observations.

    Attributes
    ----------
    intensity : ndarray, shape (n,)
        I_calc, on the scale of the observations.
    jacobian : ndarray, shape (5, n)
        Its derivatives with respect to the parameters of the lattice (equations 15-19, 27).
    scale : ndarray, shape (n,)
        I_calc/I_ref: what a full reflection is multiplied with.
    partiality : ndarray, shape (n,)
        p.
    r_h : ndarray, shape (n,)
        Excitation errors, Å⁻¹.
    """

    intensity: FloatArray
    jacobian: FloatArray
    scale: FloatArray
    partiality: FloatArray
    r_h: FloatArray


def calculate(lattices: Lattices, parameters: FloatArray, model: Model) -> Calculated:
    """Calculate the observations of lattices.

    Parameters
    ----------
    lattices : Lattices
        Observations.
    parameters : ndarray, shape (n_lattices, 5)
        log G, B (Å²), θx, θy (rad), log of rs (Å⁻¹).
    model : Model
        Partiality.

    Returns
    -------
    Calculated
    """
    row = lattices.row
    # contiguous: numpy's exp and sin of strided arrays may differ in the last digit from one
    # call to the next
    log_g, b, theta_x, theta_y, log_rs = np.ascontiguousarray(parameters.T)
    beams = counter_rotated_beams(theta_x, theta_y, lattices.wavelength)
    r_h, slopes = excitation_error(
        lattices.q,
        lattices.q_squared,
        np.take(np.ascontiguousarray(beams.transpose(1, 2, 0)), row, axis=-1),
        lattices.inverse_wavelength,
    )
    p, by_r_h, by_log_rs = with_derivatives(model, r_h, np.exp(log_rs)[row])
    half = -0.5 * lattices.q_squared
    unscaled = np.exp(log_g[row] + b[row] * half)
    full = unscaled * lattices.reference
    intensity = full * p
    by_angle = full * by_r_h
    jacobian = np.empty((N_PARAMETERS, len(row)))
    jacobian[LOG_G] = intensity
    jacobian[B] = intensity * half
    jacobian[THETA_X] = by_angle * slopes[0]
    jacobian[THETA_Y] = by_angle * slopes[1]
    jacobian[LOG_RS] = full * by_log_rs
    return Calculated(intensity, jacobian, unscaled * p, p, r_h)
