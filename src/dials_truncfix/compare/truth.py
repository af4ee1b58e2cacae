"""True intensities beside observations: of a simulation, or from a reference file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cctbx import crystal, miller, sgtbx
from cctbx.array_family import flex
from mmtbx.scaling.twin_analyses import twin_laws

from dials_truncfix.compare.agreement import capture
from dials_truncfix.compare.matching import Matched, match_truth
from dials_truncfix.compare.merging import correlation
from dials_truncfix.compare.observations import (
    FloatArray,
    IntArray,
    Observations,
    flex_indices,
)
from dials_truncfix.simulate.structure_factors import look_up
from dials_truncfix.simulate.truth import Truth

#: Cells that differ by more are not of one crystal: relative, and degrees.
_CELL_TOLERANCE = (0.03, 3.0)


@dataclass(frozen=True)
class KnownTruth:
    """Observations with their true intensities.

    Attributes
    ----------
    matched : Matched
        Those whose truth is known, as recorded.
    comparable : ndarray, shape (n,)
        True intensity of each observation, equal for symmetry equivalents; NaN where
        it is unknown.
    """

    matched: Matched
    comparable: FloatArray

    def of(self, rows: IntArray) -> Matched:
        """Observations of these rows whose truth is known."""
        return self.matched.select(np.isin(self.matched.found, rows))


def simulated_truth(
    truth: Truth, observations: Observations, setting_matrix: npt.ArrayLike
) -> KnownTruth:
    """Look up the intensities of a simulated sweep.

    Parameters
    ----------
    truth : Truth
        Of the simulation.
    observations : Observations
        Of one crystal. Scaled ones are brought to the scale of the truth.
    setting_matrix : array_like, shape (3, 3)
        A of the crystal, Å⁻¹.

    Returns
    -------
    KnownTruth
        In electrons.

    Raises
    ------
    ValueError
        If the crystal is not the one simulated, or nothing is found in the truth.
    """
    matched = match_truth(truth, observations.as_recorded(), setting_matrix)
    if not len(matched):
        raise ValueError(
            "no reflection is in the truth: its images are not those that were "
            "integrated"
        )
    if observations.is_scaled:
        matched = _times(matched, 1.0 / capture(matched))
    comparable = np.full(len(observations), np.nan)
    comparable[matched.found] = matched.expected * observations.lorentz[matched.found]
    return KnownTruth(matched, comparable)


def _times(matched: Matched, factor: float) -> Matched:
    return replace(
        matched, observed=matched.observed * factor, sigma=matched.sigma * factor
    )


def reference_truth(
    reference: miller.array, observations: Observations, d: FloatArray
) -> KnownTruth:
    """Look up the intensities of a reference, and bring them to the observed scale.

    Parameters
    ----------
    reference : cctbx.miller.array
        Unique intensities on any scale, indexed like the observations.
    observations : Observations
        The reflections.
    d : ndarray, shape (n,)
        Their resolution, Å.

    Returns
    -------
    KnownTruth
        On the scale of the observations, the Lorentz factor taken out. The factor is
        the slope of the observations with weights 1/σ².

    Raises
    ------
    ValueError
        If nothing is found in the reference.
    """
    indices = flex_indices(observations.miller_index)
    known = look_up(
        reference.customized_copy(data=flex.double(reference.size(), 1)), indices
    )
    found = np.flatnonzero(known)
    if not len(found):
        raise ValueError("no reflection is in the truth")
    comparable = observations.comparable().select(found)
    matched = Matched(
        observed=comparable.value,
        sigma=comparable.sigma,
        expected=look_up(reference, indices)[found],
        d=d[found],
        row=found,
        found=found,
        reindexing=np.eye(3, dtype=np.int64),
        n_given=len(observations),
    )
    factor = capture(matched)
    if not factor > 0:
        raise ValueError(
            "the intensities do not follow the truth: they are not of the same "
            "structure, or indexed another way"
        )
    matched = replace(matched, expected=matched.expected * factor)
    expected = np.full(len(observations), np.nan)
    expected[found] = matched.expected
    return KnownTruth(matched, expected)


def indexed_alike(
    reference: miller.array, observations: Observations, symmetry: crystal.symmetry
) -> miller.array:
    """Index a reference like the observations, where several ways are possible.

    Parameters
    ----------
    reference : cctbx.miller.array
        Unique intensities.
    observations : Observations
        The reflections.
    symmetry : cctbx.crystal.symmetry
        Cell and space group of the observations.

    Returns
    -------
    cctbx.miller.array
        The reference in the setting that agrees best.

    Raises
    ------
    ValueError
        If the cells differ.
    """
    cell, expected = symmetry.unit_cell(), reference.unit_cell()
    if not cell.is_similar_to(expected, *_CELL_TOLERANCE):
        raise ValueError(
            f"the truth has a cell of {_format_cell(expected)}, and the crystal "
            f"{_format_cell(cell)}"
        )
    indices = flex_indices(observations.miller_index)
    value = observations.comparable().value
    best, highest = reference, -np.inf
    for operator in ("x,y,z", *_other_settings(reference)):
        candidate = reference.change_basis(sgtbx.change_of_basis_op(operator))
        expected_value = look_up(candidate, indices)
        known = expected_value > 0
        agreement = correlation(value[known], expected_value[known])
        if agreement > highest:
            best, highest = candidate, agreement
    return best


def _other_settings(reference: miller.array) -> list[str]:
    """Operators of the lattice that are not of the symmetry."""
    return [law.operator.as_xyz() for law in twin_laws(reference).operators]


def _format_cell(cell: object) -> str:
    return ", ".join(f"{x:g}" for x in cell.parameters())  # type: ignore[attr-defined]
