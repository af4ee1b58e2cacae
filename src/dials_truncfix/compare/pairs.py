"""Reflections of one table beside the same ones of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.compare.observations import FloatArray, IntArray, Observations
from dials_truncfix.compare.passages import nearest_passage, setting_change

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """Two tables in one setting, and which row is which.

    Attributes
    ----------
    before, after : Observations
        All reflections of each, those of `before` in the setting of `after`.
    d_before, d_after : ndarray, shape (n,)
        Their resolution, by the crystals of `after`, Å.
    row_before, row_after : ndarray of int, shape (n_common,)
        Rows of the reflections that both hold.
    """

    before: Observations
    after: Observations
    d_before: FloatArray
    d_after: FloatArray
    row_before: IntArray
    row_after: IntArray

    @property
    def only_before(self) -> BoolArray:
        """Reflections that `after` lacks, shape of `before`."""
        return _others(len(self.before), self.row_before)

    @property
    def only_after(self) -> BoolArray:
        """Reflections that `before` lacks, shape of `after`."""
        return _others(len(self.after), self.row_after)


def _others(n: int, rows: IntArray) -> BoolArray:
    others = np.ones(n, dtype=bool)
    others[rows] = False
    return others


def pair(
    before: Observations,
    after: Observations,
    axes_before: Sequence[npt.ArrayLike],
    axes_after: Sequence[npt.ArrayLike],
    max_rotation: Sequence[float],
) -> Pairs:
    """Match reflections by lattice, index and position on the rotation, one to one.

    Parameters
    ----------
    before, after : Observations
        The reflections.
    axes_before, axes_after : sequence of array_like, shape (3, 3)
        A of each crystal: reciprocal axes as columns, Å⁻¹.
    max_rotation : sequence of float
        Largest distance along the rotation for each crystal, degrees.

    Returns
    -------
    Pairs

    Raises
    ------
    ValueError
        If the crystals differ, or no reflection is in both.
    """
    if len(axes_before) != len(axes_after):
        raise ValueError(
            f"{len(axes_before)} crystals before and {len(axes_after)} after: compare "
            "tables of the same crystals"
        )
    changes = []
    for number, (old, new) in enumerate(zip(axes_before, axes_after)):
        try:
            changes.append(setting_change(old, new))
        except ValueError as error:
            which = f" {number}" if len(axes_after) > 1 else ""
            raise ValueError(
                f"crystal{which} before is not the one after: {error}"
            ) from None
    before = before.reindexed(changes)
    row_before, row_after = _same(before, after, max_rotation)
    if not len(row_before):
        raise ValueError(
            "before and after have no reflection in common: their indices or rotation "
            "angles differ; were they made from the same images?"
        )
    return Pairs(
        before,
        after,
        resolution(before, axes_after),
        resolution(after, axes_after),
        row_before,
        row_after,
    )


def _same(
    before: Observations, after: Observations, max_rotation: Sequence[float]
) -> tuple[IntArray, IntArray]:
    rows_before, rows_after = [], []
    for number, limit in enumerate(max_rotation):
        old = np.flatnonzero(before.lattice == number)
        new = np.flatnonzero(after.lattice == number)
        found, distance = nearest_passage(
            after.miller_index[new],
            after.phi[new],
            before.miller_index[old],
            before.phi[old],
        )
        near = np.flatnonzero((found >= 0) & (distance <= limit))
        # where two claim the same row, the nearer has it
        near = near[np.argsort(distance[near], kind="stable")]
        _, first = np.unique(found[near], return_index=True)
        near = near[first]
        rows_before.append(old[found[near]])
        rows_after.append(new[near])
    return np.concatenate(rows_before), np.concatenate(rows_after)


def resolution(observations: Observations, axes: Sequence[npt.ArrayLike]) -> FloatArray:
    """Calculate the resolution of reflections.

    Parameters
    ----------
    observations : Observations
        The reflections.
    axes : sequence of array_like, shape (3, 3)
        A of each crystal, Å⁻¹.

    Returns
    -------
    ndarray, shape (n,)
        Å.
    """
    d = np.full(len(observations), np.nan)
    for number, matrix in enumerate(axes):
        mine = observations.lattice == number
        vectors = observations.miller_index[mine] @ np.reshape(matrix, (3, 3)).T
        d[mine] = 1.0 / np.linalg.norm(vectors, axis=1)
    return d
