"""Calculated partial intensities, and their derivatives.

    I_calc = G exp(-B d*²/2) p(r_h, rs) I_ref

with B the conventional Wilson factor of intensities, exp(-2B sin²θ/λ²): equation 12 of the
note has a quarter of it. The parameters of a lattice are log G, B, θx, θy and log rs, and, where
its cell is refined, the strains of `postrefine.cell` behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dials_truncfix.postrefine.lattice.geometry import (
    FloatArray,
    counter_rotated,
    counter_rotated_beams,
    dot_products,
    excitation_error,
)
from dials_truncfix.postrefine.lattice.lattices import Lattices
from dials_truncfix.postrefine.lattice.partiality import (
    Model,
    swept_with_derivatives,
    with_derivatives,
)

LOG_G: Final = 0
B: Final = 1
THETA_X: Final = 2
THETA_Y: Final = 3
LOG_RS: Final = 4
#: Parameters that every lattice has; its strains follow.
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
    jacobian : ndarray, shape (n_parameters, n)
        Its derivatives with respect to the parameters of the lattice (equations 15-19, 27).
    scale : ndarray, shape (n,)
        I_calc/I_ref: what a full reflection is multiplied with.
    partiality : ndarray, shape (n,)
        p.
    r_h : ndarray, shape (n,)
        Excitation errors, Å⁻¹; of rotations that of the end nearer to the sphere.
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
    parameters : ndarray, shape (n_lattices, n_parameters)
        log G, B (Å²), θx, θy (rad), log of rs (Å⁻¹), and strains, if the lattices have any.
    model : Model
        Partiality.

    Returns
    -------
    Calculated
    """
    row = lattices.row
    # contiguous: numpy's exp and sin of strided arrays may differ in the last digit from one
    # call to the next
    columns = np.ascontiguousarray(parameters.T)
    log_g, b, theta_x, theta_y, log_rs = columns[:N_PARAMETERS]
    q, q_squared = lattices.q, lattices.q_squared
    if lattices.strains is not None:
        q = q.copy()
        for amount, moved in zip(columns[N_PARAMETERS:], lattices.strains.slopes):
            q += amount[row] * moved
        q_squared = q[0] ** 2 + q[1] ** 2 + q[2] ** 2
    beams = [
        np.take(np.ascontiguousarray(beam.transpose(1, 2, 0)), row, axis=-1)
        for beam in _beams(lattices, theta_x, theta_y)
    ]
    ends = [
        excitation_error(q, q_squared, beam, lattices.inverse_wavelength)
        for beam in beams
    ]
    p, by_r_h, by_log_rs, r_h = _recorded(
        model, [end[0] for end in ends], _radii(lattices, np.exp(log_rs)[row])
    )
    half = -0.5 * q_squared
    unscaled = np.exp(log_g[row] + b[row] * half)
    full = unscaled * lattices.reference
    intensity = full * p
    by_angle = full * sum(by * end[1] for by, end in zip(by_r_h, ends))
    jacobian = np.empty((len(columns), len(row)))
    jacobian[LOG_G] = intensity
    jacobian[B] = intensity * half
    jacobian[[THETA_X, THETA_Y]] = by_angle
    jacobian[LOG_RS] = full * by_log_rs
    if lattices.strains is not None:
        moved = lattices.strains.slopes
        jacobian[N_PARAMETERS:] = -intensity * b[row] * dot_products(moved, q)
        for by, beam, end in zip(by_r_h, beams, ends):
            length = end[0] + lattices.inverse_wavelength
            slopes = dot_products(moved, q + beam[0]) / length
            jacobian[N_PARAMETERS:] += full * by * slopes
    return Calculated(intensity, jacobian, unscaled * p, p, r_h)


def _beams(
    lattices: Lattices, theta_x: FloatArray, theta_y: FloatArray
) -> list[FloatArray]:
    """Beams as seen from the lattices: one of stills, those at both ends of rotations."""
    if lattices.wedges is None:
        return [counter_rotated_beams(theta_x, theta_y, lattices.wavelength)]
    return [counter_rotated(theta_x, theta_y, end) for end in lattices.wedges.beams]


def _radii(lattices: Lattices, rs: FloatArray) -> FloatArray:
    """Radii of the points of observations.

    Rocking curves, which rotations see, are as wide as mosaic blocks are turned, so that
    points are wider the further from the origin they are; rs is that at a lever of 1.
    """
    return rs if lattices.wedges is None else rs * lattices.lever


def _recorded(
    model: Model, r_h: list[FloatArray], rs: FloatArray
) -> tuple[FloatArray, tuple[FloatArray, ...], FloatArray, FloatArray]:
    """Calculate partialities, derivatives, and excitation errors nearest to the sphere."""
    if len(r_h) == 1:
        p, by_r_h, by_log_rs = with_derivatives(model, r_h[0], rs)
        return p, (by_r_h,), by_log_rs, r_h[0]
    first, last = r_h
    p, by_ends, by_log_rs = swept_with_derivatives(model, first, last, rs)
    nearest = np.where(np.abs(first) < np.abs(last), first, last)
    return p, by_ends, by_log_rs, nearest
