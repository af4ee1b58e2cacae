"""Lattices brought into the indexing of a reference."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cctbx import miller
from dxtbx import flumpy

from dials_truncfix.compare.files import Integrated
from dials_truncfix.compare.observations import flex_indices
from dials_truncfix.postrefine.ambiguity import Reindexing
from dials_truncfix.postrefine.lattices import BoolArray, FloatArray, IntArray
from dials_truncfix.postrefine.normalised import ShellMeans, deviations, means_of
from dials_truncfix.postrefine.observations import ObservationBlock
from dials_truncfix.postrefine.residuals import correlation
from dials_truncfix.simulate.structure_factors import known_intensities

#: A lattice prefers another indexing if its correlation is higher by so many standard
#: deviations of a difference of coefficients without correlation.
_CLEAR = 3.0
#: Reference intensities over their mean are cut here, as deviations of observations are.
_LARGEST_RATIO = 4.0


@dataclass(frozen=True)
class Preference:
    """How lattices agree with a reference under each way to index them.

    Attributes
    ----------
    correlation : ndarray, shape (n_operators, n_lattices)
        Of observed and reference intensities, both over their mean at the resolution; NaN
        for lattices that share too little with the reference.
    n_known : ndarray, shape (n_lattices,), int64
        Observations with a reference.
    """

    correlation: FloatArray
    n_known: IntArray

    @property
    def best(self) -> IntArray:
        """Operator of the best correlation; 0, the identity, where nothing is known."""
        return np.argmax(np.nan_to_num(self.correlation, nan=-math.inf), axis=0)

    @property
    def clearly_other(self) -> BoolArray:
        """Whether another operator is so much better that it is not by chance."""
        gain = np.max(self.correlation, axis=0) - self.correlation[0]
        noise = np.sqrt(2.0 / np.maximum(self.n_known, 1))
        with np.errstate(invalid="ignore"):
            return np.asarray(gain > _CLEAR * noise)


def preferences(
    block: ObservationBlock,
    d: FloatArray,
    intensities: miller.array,
    operators: Sequence[Reindexing],
) -> Preference:
    """Correlate lattices with a reference under each operator.

    Parameters
    ----------
    block : ObservationBlock
        Lattices.
    d : ndarray, shape (n,)
        Resolution of the observations, Å.
    intensities : cctbx.miller.array
        F² of unique reflections.
    operators : sequence of Reindexing
        From `ambiguity.reindexings`.
    """
    values = intensities.data().as_numpy_array()
    means = means_of(
        intensities.d_spacings().data().as_numpy_array(), values, np.ones(len(values))
    )
    observed = deviations(block, d, means)
    unknown = np.zeros(len(block))
    nothing = np.zeros(len(block), dtype=bool)
    lattices = block.lattices(unknown, unknown, nothing)
    coefficients, numbers = [], []
    for operator in operators:
        expected = _ratios(block, d, intensities, means, operator)
        known = np.isfinite(expected)
        expected = np.where(known, expected, 0.0)
        coefficients.append(correlation(lattices, known, observed, expected))
        numbers.append(lattices.sums(known.astype(float)))
    return Preference(np.array(coefficients), np.min(numbers, axis=0).astype(np.int64))


def _ratios(
    block: ObservationBlock,
    d: FloatArray,
    intensities: miller.array,
    means: ShellMeans,
    operator: Reindexing,
) -> FloatArray:
    """Reference intensities over their mean, NaN for unknown ones."""
    indices = flex_indices(operator.apply(block.miller_index))
    ratio = known_intensities(intensities, indices) / means.at(d)
    return np.minimum(ratio, _LARGEST_RATIO)


def reindexed_files(
    loaded: Sequence[Integrated],
    operators: Sequence[Reindexing],
    choice: IntArray,
) -> list[Integrated]:
    """Give lattices other indices, and the crystal models that belong to them.

    Parameters
    ----------
    loaded : sequence of Integrated
        Files as they were read; their tables and experiments are changed.
    operators : sequence of Reindexing
        What to choose from.
    choice : ndarray, shape (n_experiments,), int
        Operator of each experiment of all files, in their order.

    Returns
    -------
    list of Integrated
        A h is the same as before for every reflection.
    """
    matrices = np.array([operator.matrix for operator in operators])
    first = 0
    for given in loaded:
        mine = choice[first : first + len(given.experiments)]
        first += len(given.experiments)
        for number in np.flatnonzero(mine).tolist():
            experiment = given.experiments[number]
            crystal = copy.deepcopy(experiment.crystal)
            a = np.reshape(crystal.get_A(), (3, 3))
            crystal.set_A(tuple((a @ np.linalg.inv(matrices[mine[number]])).ravel()))
            experiment.crystal = crystal
        place = given.positions()
        hkl = flumpy.to_numpy(given.table["miller_index"].as_vec3_double())
        # without an experiment there is no operator
        each = np.where(place >= 0, mine[place], 0)
        changed = np.rint(np.einsum("nij,nj->ni", matrices[each], hkl))
        given.table["miller_index"] = flex_indices(changed.astype(np.int64))
    return list(loaded)
