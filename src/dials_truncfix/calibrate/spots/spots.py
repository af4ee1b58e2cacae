"""Anisotropic magnification of exposure groups from indexed reflections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cctbx import sgtbx, uctbx

from dials_truncfix.calibrate.ellipse import (
    Ellipse,
    ellipse_errors,
    ellipse_of_strain,
)
from dials_truncfix.calibrate.spots.cell_model import CellModel
from dials_truncfix.calibrate.spots.spot_fit import SpotFit, fit_spots
from dials_truncfix.calibrate.spots.spot_index import index_spots
from dials_truncfix.calibrate.spots.spot_model import SpotSet, group_count

#: Cells of the same substance agree within this, relative and in degrees.
_CELL_TOLERANCE, _ANGLE_TOLERANCE = 0.08, 4.0
#: Camera length and cell are told apart when the uncertainty of their ratio is below.
SEPARATED = 5e-4
#: Rounds of indexing and fitting; they end when this part of the indices changes.
_ROUNDS, _SETTLED = 10, 5e-4


@dataclass(frozen=True)
class SpotCalibration:
    """What reflections tell of the magnification.

    Attributes
    ----------
    sets : list of SpotSet
        The reflections that have an index with the ellipses.
    n_indexed_anew : int
        How many have another index than was given, or have one or none now.
    circles : SpotFit
        Fit without ellipses.
    fit : SpotFit
        Fit with them.
    cell_known : bool
        Whether the cell was given, so that the camera lengths are measured.
    scale_error : float
        Standard uncertainty of a camera length of which the cell is not known,
        relative.
    space_group : str
        Symbol.
    """

    sets: list[SpotSet]
    n_indexed_anew: int
    circles: SpotFit
    fit: SpotFit
    cell_known: bool
    scale_error: float
    space_group: str

    @property
    def n_groups(self) -> int:
        """Number of exposure groups."""
        return group_count(self.sets)

    def ellipse(self, group: int) -> Ellipse:
        """Say what a circle becomes in a group."""
        return ellipse_of_strain(*self.fit.magnifications[group].strain)

    def ellipse_error(self, group: int) -> tuple[float, float]:
        """Compute standard uncertainties of ratio and azimuth (rad)."""
        strain = self.fit.magnifications[group].strain
        return ellipse_errors(strain, self.fit.covariance[group][1:, 1:])

    def scale(self, group: int) -> tuple[float, float]:
        """Magnification over that of the experiments, and its uncertainty.

        Unless the cell is known, the first group is the measure of the others.
        """
        scale = math.exp(self.fit.magnifications[group].log_scale)
        return scale, scale * math.sqrt(self.fit.covariance[group][0, 0])

    def distance(self, number: int) -> float:
        """Camera length for a crystal, mm."""
        spots = self.sets[number]
        return spots.distance * self.scale(spots.group)[0]


def calibrate_spots(
    sets: Sequence[SpotSet],
    cells: Sequence[uctbx.unit_cell],
    space_groups: Sequence[sgtbx.space_group],
    known_cell: uctbx.unit_cell | None = None,
) -> SpotCalibration:
    """Refine magnification, cell and orientations together.

    Parameters
    ----------
    sets : sequence of SpotSet
        Reflections of each crystal.
    cells, space_groups : sequences
        Of each crystal.
    known_cell : cctbx.uctbx.unit_cell, optional
        The true cell, if it is known.

    Returns
    -------
    SpotCalibration

    Raises
    ------
    ValueError
        If the crystals are not of one substance, or the reflections too few.
    """
    group = space_groups[0].build_derived_laue_group()
    for spots, cell, other in zip(sets, cells, space_groups):
        if other.build_derived_laue_group() != group:
            raise ValueError(
                f"{spots.name} has the space group {other.info()}, and "
                f"{sets[0].name} {space_groups[0].info()}: all crystals must have one "
                "cell and symmetry"
            )
        if not cell.is_similar_to(cells[0], _CELL_TOLERANCE, _ANGLE_TOLERANCE):
            raise ValueError(
                f"{spots.name} has the cell {_format(cell)}, and {sets[0].name} "
                f"{_format(cells[0])}: all crystals must have one cell"
            )
    if known_cell is not None:
        if not space_groups[0].is_compatible_unit_cell(known_cell):
            raise ValueError(
                f"spots.unit_cell={_format(known_cell)} does not fit the space group "
                f"{space_groups[0].info()}"
            )
        if not known_cell.is_similar_to(cells[0], _CELL_TOLERANCE, _ANGLE_TOLERANCE):
            raise ValueError(
                f"spots.unit_cell={_format(known_cell)} is not the cell of the crystals, "
                f"{_format(cells[0])}: index them in its setting"
            )
    model = CellModel((known_cell or cells[0]).parameters(), space_groups[0])
    known = known_cell is not None
    final, fit = _index_and_fit(sets, model, known)
    indexed = [spots.indexed() for spots in final]
    open_scale = fit_spots(indexed, model, scale_free=True)
    return SpotCalibration(
        sets=indexed,
        n_indexed_anew=sum(map(_differences, final, sets)),
        circles=fit_spots(indexed, model, strain=False, cell_known=known),
        fit=fit,
        cell_known=known,
        scale_error=math.sqrt(open_scale.covariance[0][0, 0]),
        space_group=str(space_groups[0].info()),
    )


def _index_and_fit(
    sets: Sequence[SpotSet], model: CellModel, known: bool
) -> tuple[list[SpotSet], SpotFit]:
    """Fit, and index anew with what was found, until the indices stay."""
    n_spots = sum(map(len, sets))
    now = list(sets)
    for _ in range(_ROUNDS):
        fit = fit_spots([spots.indexed() for spots in now], model, cell_known=known)
        new = [
            index_spots(spots, pose, fit.b_matrix, fit.magnifications[spots.group])
            for spots, pose in zip(now, fit.poses)
        ]
        if sum(map(_differences, new, now)) <= _SETTLED * n_spots:
            break
        now = new
    return now, fit


def _differences(new: SpotSet, old: SpotSet) -> int:
    """Count the reflections that have another index than before, or none."""
    return int(np.any(new.miller_index != old.miller_index, axis=1).sum())


def _format(cell: uctbx.unit_cell) -> str:
    return ", ".join(f"{x:.4g}" for x in cell.parameters())
