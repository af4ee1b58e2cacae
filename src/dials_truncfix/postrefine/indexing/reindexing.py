"""Lattices brought into the indexing of a reference."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cctbx import miller
from dxtbx import flumpy
from dxtbx.model import Experiment, ExperimentList

from dials_truncfix.compare.files import Integrated
from dials_truncfix.compare.observations import flex_indices
from dials_truncfix.postrefine.indexing.ambiguity import Reindexing
from dials_truncfix.postrefine.indexing.normalised import (
    ShellMeans,
    deviations,
    means_of,
)
from dials_truncfix.postrefine.input.gather import DataSet, Piece
from dials_truncfix.postrefine.input.observations import (
    LatticeSource,
    ObservationBlock,
    cut,
)
from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray, IntArray
from dials_truncfix.postrefine.lattice.residuals import correlation
from dials_truncfix.simulate.structure_factors import known_intensities

#: A lattice prefers another indexing if its correlation is higher by so many standard
#: deviations of a difference of coefficients without correlation.
_CLEAR = 3.0
#: Reference intensities over their mean are cut here, as deviations of observations are.
_LARGEST_RATIO = 4.0
#: Observations that are looked up at a time.
_BLOCK = 100_000


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
        known = np.nan_to_num(self.correlation, nan=-math.inf)
        return np.asarray(np.argmax(known, axis=0))

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


def all_preferences(
    observations: LatticeSource,
    intensities: miller.array,
    operators: Sequence[Reindexing],
) -> Preference:
    """Do the same for all lattices of a run, block by block."""
    parts = []
    for lattices in cut(observations.offsets, _BLOCK):
        block = observations.block(lattices)
        d = observations.d[block.group]
        parts.append(preferences(block, d, intensities, operators))
    return Preference(
        np.concatenate([part.correlation for part in parts], axis=1),
        np.concatenate([part.n_known for part in parts]),
    )


def _ratios(
    block: ObservationBlock,
    d: FloatArray,
    intensities: miller.array,
    means: ShellMeans,
    operator: Reindexing,
) -> FloatArray:
    """Divide reference intensities by their mean; NaN for unknown ones."""
    indices = flex_indices(operator.apply(block.miller_index))
    ratio: FloatArray = known_intensities(intensities, indices) / means.at(d)
    return np.minimum(ratio, _LARGEST_RATIO)


@dataclass(frozen=True)
class ReindexedPiece:
    """Reflections with their experiments, some of them with other indices.

    Attributes
    ----------
    piece : Piece
        As it was given.
    operators : sequence of Reindexing
        What to choose from.
    choice : ndarray, shape (n_experiments,), int
        Operator of each experiment of the piece.
    """

    piece: Piece
    operators: Sequence[Reindexing]
    choice: IntArray

    def load(self) -> Integrated:
        """Read it and change its indices.

        Returns
        -------
        Integrated
            A h of every reflection is what it was.
        """
        given = self.piece.load()
        matrices = np.array([operator.matrix for operator in self.operators])
        place = given.positions()
        # without an experiment there is no operator
        each = np.where(place >= 0, self.choice[place], 0)
        hkl = flumpy.to_numpy(given.table["miller_index"].as_vec3_double())
        changed = np.rint(np.einsum("nij,nj->ni", matrices[each], hkl))
        table = given.table.copy()
        table["miller_index"] = flex_indices(changed.astype(np.int64))
        experiments = ExperimentList(
            [
                _reindexed(experiment, matrices[number])
                for experiment, number in zip(given.experiments, self.choice.tolist())
            ]
        )
        return replace(given, table=table, experiments=experiments)


def _reindexed(experiment: Experiment, matrix: FloatArray) -> Experiment:
    # crystals may be shared, and what is in memory may be read again
    crystal = copy.deepcopy(experiment.crystal)
    a = np.reshape(crystal.get_A(), (3, 3)) @ np.linalg.inv(matrix)
    crystal.set_A(tuple(a.ravel()))
    return Experiment(
        beam=experiment.beam,
        detector=experiment.detector,
        goniometer=experiment.goniometer,
        scan=experiment.scan,
        crystal=crystal,
        profile=experiment.profile,
        imageset=experiment.imageset,
        identifier=experiment.identifier,
    )


def reindexed_pieces(
    data: DataSet, operators: Sequence[Reindexing], choice: IntArray
) -> list[Piece]:
    """Pieces of a data set with other indices.

    Parameters
    ----------
    data : DataSet
        What was read.
    operators : sequence of Reindexing
        What to choose from.
    choice : ndarray, shape (n_experiments,), int
        Operator of each experiment.
    """
    ends = data.piece_ends.tolist()
    return [
        ReindexedPiece(piece, operators, choice[first:last])
        for piece, first, last in zip(data.pieces, ends, ends[1:])
    ]
