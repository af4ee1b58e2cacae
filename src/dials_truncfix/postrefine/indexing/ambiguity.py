"""Ways to index a lattice that its cell does not tell apart, and which of them are in use.

A lattice whose symmetry is higher than that of the crystal can be indexed in several ways,
q = A h = (A C⁻¹)(C h). All give the same excitation errors and partialities: only the
intensities tell them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cctbx import crystal, sgtbx

from dials_truncfix.compare.equivalents import group_equivalents
from dials_truncfix.postrefine.indexing.normalised import deviations, shell_means
from dials_truncfix.postrefine.input.observations import LatticeSource, ObservationBlock
from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray, IntArray
from dials_truncfix.postrefine.merge.rejection import lacks_freedom

#: Lattices tell operators apart if half of them do by so many standard deviations; signs
#: fitted to noise reach about 1.5.
_TELLING = 3.0
#: Part of the lattices that may be indexed unlike the others: rejection deals with them.
TOLERATED = 0.05
_MOST_ITERATIONS = 50
#: Lattices that are compared: runs of so many, and so many runs at most.
_RUN, _MOST_RUNS = 20, 40


@dataclass(frozen=True)
class Reindexing:
    """One way to index a lattice.

    Attributes
    ----------
    name : str
        New indices in terms of the old, as in ``k,h,-l``.
    matrix : ndarray, shape (3, 3)
        C, which gives new indices C h.
    """

    name: str
    matrix: FloatArray

    def apply(self, miller_index: npt.NDArray[Any]) -> IntArray:
        """Give reflections their new indices, shape (n, 3)."""
        changed: IntArray = np.rint(miller_index @ self.matrix.T).astype(np.int64)
        return changed


def reindexings(symmetry: crystal.symmetry, tolerance: float) -> list[Reindexing]:
    """Find the ways to index a lattice that are not equivalent by the space group.

    Parameters
    ----------
    symmetry : cctbx.crystal.symmetry
        Median cell and space group.
    tolerance : float
        How far two-fold axes of the lattice may be from exact, degrees (δ of Le Page).

    Returns
    -------
    list of Reindexing
        One from each coset of the symmetry of the crystal in that of the lattice, ``h,k,l``
        first; alone, if there is no ambiguity.

    References
    ----------
    Le Page, Y. (1982). J. Appl. Cryst. 15, 255-259.
    https://doi.org/10.1107/S0021889882011959
    """
    to_minimum = symmetry.change_of_basis_op_to_minimum_cell()
    minimum = symmetry.change_basis(to_minimum)
    lattice = sgtbx.lattice_symmetry_group(minimum.unit_cell(), max_delta=tolerance)
    back = to_minimum.inverse()
    candidates = [
        _on_indices(back.apply(operator).r()) for operator in lattice.all_ops()
    ]
    own = [
        _on_indices(operator.r())
        for operator in symmetry.space_group().build_derived_laue_group().all_ops()
    ]
    # the simplest of each coset stands for it
    candidates.sort(
        key=lambda c: (not np.allclose(c, np.eye(3)), np.sum(c < 0), -np.trace(c))
    )
    result: list[FloatArray] = []
    for candidate in candidates:
        known = any(
            np.allclose(operator @ other, candidate)
            for other in result
            for operator in own
        )
        if not known:
            result.append(candidate)
    return [Reindexing(_name(matrix), matrix) for matrix in result]


def _on_indices(rotation: sgtbx.rot_mx) -> FloatArray:
    """Matrix that acts on columns of Miller indices."""
    return np.reshape(rotation.as_double(), (3, 3)).T


def _name(matrix: FloatArray) -> str:
    # halves and thirds occur in centred cells
    numerators = np.rint(12 * matrix.T).astype(int).ravel().tolist()
    return str(sgtbx.rot_mx(numerators, 12).as_hkl())


def sample(observations: LatticeSource) -> ObservationBlock:
    """Take some hundred lattices, in runs that are spread evenly over all."""
    n = observations.n_lattices
    starts = np.unique(np.linspace(0, max(n - _RUN, 0), _MOST_RUNS).astype(int))
    starts = starts if n > _RUN * _MOST_RUNS else np.arange(0, n, _RUN)
    blocks = [
        observations.block(slice(first, min(first + _RUN, n)))
        for first in starts.tolist()
    ]
    sizes = np.concatenate([np.diff(block.offsets) for block in blocks])

    def joined(name: str) -> npt.NDArray[np.generic]:
        return np.concatenate([getattr(block, name) for block in blocks])

    names = {field.name for field in fields(ObservationBlock)} - {"offsets"}
    arrays: dict[str, Any] = {name: joined(name) for name in names}
    return ObservationBlock(**arrays, offsets=np.concatenate([[0], np.cumsum(sizes)]))


@dataclass(frozen=True)
class Agreement:
    """Whether lattices are indexed alike.

    Attributes
    ----------
    operator : Reindexing
        What they are compared under.
    n_lattices : int
        Lattices compared.
    n_unlike : int
        Of these, the ones that agree with most others only after reindexing.
    telling : bool
        Whether the intensities can tell at all.
    """

    operator: Reindexing
    n_lattices: int
    n_unlike: int
    telling: bool

    @property
    def resolved(self) -> bool:
        """Whether lattices can be merged as they are."""
        return self.telling and self.n_unlike <= TOLERATED * self.n_lattices


def agreements(
    block: ObservationBlock,
    symmetry: crystal.symmetry,
    operators: Sequence[Reindexing],
    wanted: BoolArray,
) -> list[Agreement]:
    """Compare lattices with each other, as they are and reindexed.

    For every pair, the products of normalised intensities in common are summed with the
    indices given and with those of one lattice changed. The signs that make most of the sum
    of differences part the lattices into those that are indexed alike.

    Parameters
    ----------
    block : ObservationBlock
        Up to some thousand lattices.
    symmetry : cctbx.crystal.symmetry
        Median cell and space group.
    operators : sequence of Reindexing
        From `reindexings`.
    wanted : ndarray, shape (n_parameters,), bool
        Parameters that shall be refined: lattices with too few reflections in common for
        these are not asked.

    Returns
    -------
    list of Agreement
        One for each operator but the first; empty if no lattice can be asked.

    References
    ----------
    Brehm, W. & Diederichs, K. (2014). Acta Cryst. D70, 101-109.
    https://doi.org/10.1107/S1399004713025431
    """
    hkl = block.miller_index.astype(np.int64)
    every = np.concatenate([operator.apply(hkl) for operator in operators])
    groups = group_equivalents(every, symmetry)
    group = groups.group.reshape(len(operators), len(hkl))
    number = np.bincount(group[0], minlength=len(groups.d))[group[0]]
    freedom = np.add.reduceat(1.0 - 1.0 / number, block.offsets[:-1])
    asked = ~lacks_freedom(freedom, wanted)
    if np.count_nonzero(asked) < 2:
        return []
    d = groups.d[group[0]]
    value = deviations(block, d, shell_means(block, d))
    value[~asked[block.row]] = 0.0
    shape = (block.n_lattices, len(groups.d))
    signals = [
        sparse.csr_matrix((value, (block.row, columns)), shape=shape)[asked]
        for columns in group
    ]
    return [
        _agreement(operator, signals[0], signal)
        for operator, signal in zip(operators[1:], signals[1:])
    ]


def _agreement(
    operator: Reindexing, given: sparse.csr_matrix, changed: sparse.csr_matrix
) -> Agreement:
    def products(a: sparse.csr_matrix, b: sparse.csr_matrix) -> FloatArray:
        pairs = (a @ b.T).toarray()
        np.fill_diagonal(pairs, 0.0)
        return np.asarray(0.5 * (pairs + pairs.T))

    difference = products(given, given) - products(changed, given)
    squares, changed_squares = given.multiply(given), changed.multiply(changed)
    variance = products(squares, squares) + products(changed_squares, squares)
    sign = np.where(np.linalg.eigh(difference)[1][:, -1] < 0, -1.0, 1.0)
    for _ in range(_MOST_ITERATIONS):
        better = np.where(difference @ sign < 0, -1.0, 1.0)
        if np.array_equal(better, sign):
            break
        sign = better
    noise = np.sqrt(variance.sum(axis=1))
    margin = sign * (difference @ sign) / np.where(noise > 0, noise, np.inf)
    n_unlike = int(min(np.count_nonzero(sign < 0), np.count_nonzero(sign > 0)))
    return Agreement(operator, len(sign), n_unlike, bool(np.median(margin) > _TELLING))
