"""Which rows of several tables are the same reflection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.compare.passages import nearest_passage

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Rows of one reflection of which this much more or less was recorded are of other
#: parts of it.
MAX_PARTIALITY_DIFFERENCE = 0.1


@dataclass(frozen=True)
class Rows:
    """What identifies the rows of a table.

    Attributes
    ----------
    miller_index : ndarray of int, shape (n, 3)
        h, k, l, in the setting that all tables share.
    lattice : ndarray of int, shape (n,)
        Position of the experiment.
    entering : ndarray of bool, shape (n,)
        Whether the reflection enters the Ewald sphere.
    z : ndarray, shape (n,)
        Middle of the images it was integrated on. Of reflections that DIALS cut in
        two, where its blocks of images meet, the parts differ in this.
    partiality : ndarray, shape (n,)
        How much of the reflection is on these images.
    """

    miller_index: IntArray
    lattice: IntArray
    entering: npt.NDArray[np.bool_]
    z: FloatArray
    partiality: FloatArray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.z)


def same_reflections(tables: Sequence[Rows], max_distance: float) -> IntArray:
    """Find the rows of each reflection.

    Parameters
    ----------
    tables : sequence of Rows
        One for each replicate.
    max_distance : float
        Largest distance along the rotation from the first row found, images.

    Returns
    -------
    ndarray of int, shape (n_reflections, n_tables)
        Row in each table; -1 where a table does not hold the reflection. The
        reflections of the first table come first, in its order.
    """
    n_tables = len(tables)
    groups = np.full((len(tables[0]), n_tables), -1)
    groups[:, 0] = np.arange(len(tables[0]))
    known = tables[0]
    for position, table in enumerate(tables[1:], start=1):
        group = _nearest(known, table, max_distance)
        found = np.flatnonzero(group >= 0)
        groups[group[found], position] = found
        new = np.flatnonzero(group < 0)
        rows = np.full((len(new), n_tables), -1)
        rows[:, position] = new
        groups = np.concatenate([groups, rows])
        known = Rows(
            np.concatenate([known.miller_index, table.miller_index[new]]),
            np.concatenate([known.lattice, table.lattice[new]]),
            np.concatenate([known.entering, table.entering[new]]),
            np.concatenate([known.z, table.z[new]]),
            np.concatenate([known.partiality, table.partiality[new]]),
        )
    return groups


def _nearest(known: Rows, table: Rows, max_distance: float) -> IntArray:
    """Row among the known for each row of a table, one to one; -1 for none."""
    result = np.full(len(table), -1)
    for lattice in np.unique(table.lattice):
        for entering in (False, True):
            old = np.flatnonzero(
                (known.lattice == lattice) & (known.entering == entering)
            )
            new = np.flatnonzero(
                (table.lattice == lattice) & (table.entering == entering)
            )
            found, distance = nearest_passage(
                table.miller_index[new],
                table.z[new],
                known.miller_index[old],
                known.z[old],
            )
            near = np.flatnonzero((found >= 0) & (distance <= max_distance))
            apart = table.partiality[new[near]] - known.partiality[old[found[near]]]
            near = near[np.abs(apart) <= MAX_PARTIALITY_DIFFERENCE]
            # where two claim the same row, the nearer has it
            near = near[np.argsort(distance[near], kind="stable")]
            _, first = np.unique(found[near], return_index=True)
            near = near[first]
            result[new[near]] = old[found[near]]
    return result
