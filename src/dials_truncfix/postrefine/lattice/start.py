"""Where refinement starts."""

from __future__ import annotations

import math

import numpy as np

from dials_truncfix.postrefine.lattice.geometry import FloatArray
from dials_truncfix.postrefine.lattice.lattices import Lattices
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.target import (
    LOG_G,
    LOG_RS,
    N_PARAMETERS,
    calculate,
)

#: A point as large as this, Å⁻¹, spans 10⁵ unit cells of 1000 Å: smaller ones are noise.
_SMALLEST_RS = 1e-8
#: Radius of a Gaussian point over its standard deviation (equation 32 of the note).
_RADIUS_OF_SD = 2.0 * math.sqrt(math.log(2.0))


def start_parameters(lattices: Lattices, model: Model) -> FloatArray:
    """Start values of the parameters of lattices.

    rs is the root mean square of the excitation errors of all observations, or, of rotations,
    what their rocking curves make of it; B, angles and strains are 0. G is the slope of the
    regression of the observed on the reference
    intensities with an intercept, divided by the mean partiality, because a slope does not
    know that the reflections are partial.

    Parameters
    ----------
    lattices : Lattices
        Observations.
    model : Model
        Partiality.

    Returns
    -------
    ndarray, shape (n_lattices, n_parameters)
        log G, B, θx, θy, log rs, strains. Where neither regression nor means give a positive
        G, it is that of the absolute intensities: rejection judges such lattices afterwards.
    """
    result = np.zeros((len(lattices), N_PARAMETERS + lattices.n_strains))
    everything = np.diff(lattices.offsets)
    r_h = calculate(lattices, result, model).r_h
    rms = np.sqrt(lattices.sums(r_h * r_h) / everything)
    if lattices.wedges is not None:
        # points that pass the sphere do not tell how large they are
        lever = np.sqrt(
            lattices.sums(lattices.q[0] ** 2 + lattices.q[1] ** 2) / everything
        )
        rms = _RADIUS_OF_SD * lattices.wedges.rocking_width * lever
    result[:, LOG_RS] = np.log(np.maximum(rms, _SMALLEST_RS))
    p = calculate(lattices, result, model).partiality

    used = lattices.used.astype(float)
    n = np.maximum(lattices.sums(used), 1.0)
    observed = np.where(lattices.used, lattices.intensity, 0.0)
    reference = np.where(lattices.used, lattices.reference, 0.0)
    mean_p = lattices.sums(used * p) / n
    mean_observed = lattices.sums(observed) / n
    mean_reference = lattices.sums(reference) / n
    covariance = (
        lattices.sums(observed * reference) / n - mean_observed * mean_reference
    )
    spread = lattices.sums(reference * reference) / n - mean_reference**2
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = covariance / spread
        ratio = mean_observed / mean_reference
        size = lattices.sums(np.abs(observed)) / lattices.sums(np.abs(reference))
    scale = np.where((slope > 0) & np.isfinite(slope), slope, ratio)
    scale = np.where((scale > 0) & np.isfinite(scale), scale, size)
    scale = np.where((scale > 0) & np.isfinite(scale), scale, 1.0)
    result[:, LOG_G] = np.log(scale / np.maximum(mean_p, 1e-3))
    return result
