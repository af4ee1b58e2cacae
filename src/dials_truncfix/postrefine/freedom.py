"""How much the observations of a lattice say that others do not say already."""

from __future__ import annotations

import numpy as np

from dials_truncfix.postrefine.lattices import BoolArray, FloatArray
from dials_truncfix.postrefine.merging import Scaled
from dials_truncfix.postrefine.observations import Observations


def degrees_of_freedom(
    observations: Observations, scaled: Scaled, counted: BoolArray
) -> FloatArray:
    """Degrees of freedom of each lattice, shape (n_lattices,).

    m observations of a reflection have m - 1: each has its share of the unknown mean. An
    observation that is not merged counts as if it were.
    """
    m = scaled.merged.n_observed[observations.group] + np.where(scaled.used, 0, 1)
    shares = np.where(counted, 1.0 - 1.0 / m, 0.0)
    return np.asarray(np.add.reduceat(shares, observations.offsets[:-1]))
