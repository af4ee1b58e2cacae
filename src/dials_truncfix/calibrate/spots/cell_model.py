"""The cell that all crystals have in common, by what its symmetry leaves free."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cctbx import sgtbx, uctbx

Array = npt.NDArray[np.float64]


class CellModel:
    """B from the independent elements of the reciprocal metric.

    Parameters
    ----------
    cell : tuple of float
        To start from, Å and degrees.
    space_group : cctbx.sgtbx.space_group
        Which elements are independent.
    """

    def __init__(self, cell: Sequence[float], space_group: sgtbx.space_group) -> None:
        self._constraints = sgtbx.tensor_rank_2_constraints(
            space_group=space_group, reciprocal_space=True
        )
        average = space_group.average_unit_cell(uctbx.unit_cell(tuple(cell)))
        metric = average.reciprocal().metrical_matrix()
        self._start = np.array(self._constraints.independent_params(all_params=metric))

    @property
    def n(self) -> int:
        """Number of independent elements."""
        return len(self._start)

    def unit_cell(self, change: Array) -> uctbx.unit_cell:
        """Cell for a change, relative to the largest element."""
        values = self._start + change * np.abs(self._start).max()
        metric = self._constraints.all_params(independent_params=tuple(values))
        return uctbx.unit_cell(metrical_matrix=metric).reciprocal()

    def b_matrix(self, change: Array) -> Array:
        """B, Å⁻¹, shape (3, 3)."""
        return np.reshape(self.unit_cell(change).fractionalization_matrix(), (3, 3)).T
