"""Covariance of refined parameters, and which of them the observations carry."""

from __future__ import annotations

import numpy as np

from dials_truncfix.postrefine.lattice import options as choices
from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray, Lattices
from dials_truncfix.postrefine.lattice.minimise import (
    GaussianPriors,
    free_part,
    weighted_sums,
)
from dials_truncfix.postrefine.lattice.options import RefinementOptions
from dials_truncfix.postrefine.lattice.residuals import (
    mean_square_limited,
    root_weights,
)
from dials_truncfix.postrefine.lattice.target import LOG_G, N_PARAMETERS, Calculated

#: Part of the residuals that counts as inside the limit at least: with fewer, nothing is known.
_LEAST_INSIDE = 0.1
_SINGULAR = 1e-12


def covariances(
    lattices: Lattices,
    calculated: Calculated,
    spread: FloatArray,
    free: BoolArray,
    precision: FloatArray,
    options: RefinementOptions,
) -> FloatArray:
    """Covariances of the parameters of each lattice, from the normal matrix.

    With a matrix M = JᵀWJ, second derivatives H = m₁M + P and a gradient of variance
    m₂M + P it is H⁻¹(m₂M + P)H⁻¹, where P holds the priors, m₁ is the part of the residuals
    within the limit of the loss, and m₂ the mean square of limited residuals.

    Parameters
    ----------
    lattices : Lattices
        Observations.
    calculated : Calculated
        At the minimum.
    spread : ndarray, shape (n_lattices,)
        Of the weighted residuals.
    free : ndarray, shape (n_lattices, n_parameters), bool
        Parameters that were refined.
    precision : ndarray, shape (n_parameters,)
        Inverse variances of the priors.
    options : RefinementOptions
        For weights and limit.

    Returns
    -------
    ndarray, shape (n_lattices, n_parameters, n_parameters)
        Rows and columns of parameters that were not refined are 0.

    References
    ----------
    Huber, P. J. & Ronchetti, E. M. (2009). Robust Statistics, 2nd ed., section 7.6. Wiley.
    https://doi.org/10.1002/9780470434697
    """
    weight = root_weights(lattices, calculated, options.weights) / spread[lattices.row]
    z = np.abs((calculated.intensity - lattices.intensity) * weight)
    beyond = lattices.sums((z > options.huber).astype(float))
    inside = 1.0 - beyond / np.maximum(lattices.n_used, 1)
    inside = np.maximum(inside, _LEAST_INSIDE)[:, None, None]
    matrix = weighted_sums(lattices, calculated.jacobian, np.square(weight))
    prior = np.diag(precision)
    bend = free_part(inside * matrix + prior, free)
    diagonal = np.sqrt(np.einsum("ljj->lj", bend))
    scales = diagonal[:, :, None] * diagonal[:, None, :]
    both = free[:, :, None] & free[:, None, :]
    noise = mean_square_limited(options.huber) * matrix + prior
    # lattices that lost all their signal have no finite uncertainties
    with np.errstate(over="ignore", invalid="ignore"):
        inverse = (
            np.linalg.inv(bend / scales + _SINGULAR * np.eye(len(precision))) / scales
        )
        inverse = np.where(both, inverse, 0.0)
        return np.asarray(inverse @ noise @ inverse)


def carried(
    lattices: Lattices,
    calculated: Calculated,
    spread: FloatArray,
    free: BoolArray,
    priors: GaussianPriors,
    options: RefinementOptions,
) -> BoolArray:
    """Which of the refined parameters the observations say something about.

    Parameters
    ----------
    lattices, calculated, spread, free, options
        As for `covariances`.
    priors : GaussianPriors
        Where a parameter has none, the usual one measures what the observations say.

    Returns
    -------
    ndarray, shape (n_lattices, n_parameters), bool
        False where the observations lower the variance by less than the part
        `least_information` (of strains, `least_cell_information`) of that of the prior. G
        always counts as carried.
    """
    usual = choices.Priors().precisions(lattices.n_strains)
    precision = np.where(priors.precision > 0, priors.precision, usual)
    covariance = covariances(lattices, calculated, spread, free, precision, options)
    variance = np.einsum("ljj->lj", covariance)
    least = np.full(len(precision), options.least_information)
    least[N_PARAMETERS:] = options.least_cell_information
    enough = variance * precision <= 1.0 - least
    enough[:, LOG_G] = True
    return np.asarray(enough | ~free)
