"""What refinement says about lattices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray, IntArray
from dials_truncfix.postrefine.lattice.target import (
    LOG_G,
    LOG_RS,
    N_PARAMETERS,
    PARAMETER_NAMES,
    THETA_X,
    THETA_Y,
    B,
)


@dataclass(frozen=True)
class LatticeFit:
    """Refined parameters of one lattice with their standard uncertainties.

    Attributes
    ----------
    g, b, theta_x, theta_y, rs : float
        Scale, Wilson B (Å²), rotations (rad), radius of the reciprocal lattice points (Å⁻¹).
    g_sd, b_sd, theta_x_sd, theta_y_sd, rs_sd : float
        Standard uncertainties; NaN of parameters that were not refined.
    correlations : ndarray, shape (n_parameters, n_parameters)
        Of log G, B, θx, θy, log rs and strains; NaN for parameters that were not refined.
    dropped : tuple of str
        Parameters that the protocol asks for and the observations cannot carry.
    converged : bool
        Whether the minimum was reached.
    n_iterations : int
        Steps tried, over all rounds.
    n_obs : int
        Observations in the target.
    spread : float
        Standard deviation of the weighted residuals: 1 if the variances are right.
    cc_before, cc_after : float
        Correlation of the observed with the reference and with the calculated intensities,
        observations that deviate wildly left out.
    rs_start : float
        rs before refinement: root mean square of the excitation errors, Å⁻¹.
    """

    g: float
    b: float
    theta_x: float
    theta_y: float
    rs: float
    g_sd: float
    b_sd: float
    theta_x_sd: float
    theta_y_sd: float
    rs_sd: float
    correlations: FloatArray
    dropped: tuple[str, ...]
    converged: bool
    n_iterations: int
    n_obs: int
    spread: float
    cc_before: float
    cc_after: float
    rs_start: float


@dataclass(frozen=True)
class LatticeFits:
    """The same of many lattices; indexing gives a `LatticeFit`.

    Attributes
    ----------
    parameters : ndarray, shape (n, n_parameters)
        log G, B (Å²), θx, θy (rad), log rs (Å⁻¹), strains of refined cells.
    covariance : ndarray, shape (n, n_parameters, n_parameters)
        Of these; rows and columns of parameters that were not refined are 0.
    free, dropped : ndarray, shape (n, n_parameters), bool
        Parameters refined, and those asked for that the observations cannot carry.
    converged, n_iterations, n_obs, spread, cc_before, cc_after, rs_start : ndarray, (n,)
        As in `LatticeFit`.
    """

    parameters: FloatArray
    covariance: FloatArray
    free: BoolArray
    dropped: BoolArray
    converged: BoolArray
    n_iterations: IntArray
    n_obs: IntArray
    spread: FloatArray
    cc_before: FloatArray
    cc_after: FloatArray
    rs_start: FloatArray

    def __len__(self) -> int:
        """Return the number of lattices."""
        return len(self.parameters)

    def uncertainties(self) -> FloatArray:
        """Return standard uncertainties, NaN where not refined, shape (n, n_parameters)."""
        variance = np.einsum("ljj->lj", self.covariance)
        return np.where(self.free, np.sqrt(np.maximum(variance, 0.0)), math.nan)

    def part(self, lattices: slice) -> LatticeFits:
        """Take a range of lattices."""
        return LatticeFits(
            **{
                field.name: getattr(self, field.name)[lattices]
                for field in fields(self)
            }
        )

    def __getitem__(self, lattice: int) -> LatticeFit:
        """Describe one lattice."""
        x = self.parameters[lattice]
        sd = self._sd(lattice)
        g, rs = math.exp(x[LOG_G]), math.exp(x[LOG_RS])
        with np.errstate(invalid="ignore"):
            correlations = self.covariance[lattice] / np.outer(sd, sd)
        return LatticeFit(
            g=g,
            b=float(x[B]),
            theta_x=float(x[THETA_X]),
            theta_y=float(x[THETA_Y]),
            rs=rs,
            g_sd=g * float(sd[LOG_G]),
            b_sd=float(sd[B]),
            theta_x_sd=float(sd[THETA_X]),
            theta_y_sd=float(sd[THETA_Y]),
            rs_sd=rs * float(sd[LOG_RS]),
            correlations=correlations,
            dropped=tuple(dict.fromkeys(_names(self.dropped[lattice]))),
            converged=bool(self.converged[lattice]),
            n_iterations=int(self.n_iterations[lattice]),
            n_obs=int(self.n_obs[lattice]),
            spread=float(self.spread[lattice]),
            cc_before=float(self.cc_before[lattice]),
            cc_after=float(self.cc_after[lattice]),
            rs_start=float(self.rs_start[lattice]),
        )

    def _sd(self, lattice: int) -> FloatArray:
        variance = np.diagonal(self.covariance[lattice])
        free = self.free[lattice]
        return np.where(free, np.sqrt(np.maximum(variance, 0.0)), math.nan)


def _names(marked: BoolArray) -> list[str]:
    """Names of the parameters marked; every strain is called cell."""
    every = PARAMETER_NAMES + (len(marked) - N_PARAMETERS) * ("cell",)
    return [name for name, mark in zip(every, marked) if mark]


def join_fits(parts: Sequence[LatticeFits]) -> LatticeFits:
    """Put the fits of several blocks of lattices one after the other."""
    return LatticeFits(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(LatticeFits)
        }
    )
