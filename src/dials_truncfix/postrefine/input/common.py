"""What all pieces of a data set must have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cctbx import crystal, sgtbx, uctbx

from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray

#: The correction that tells rotations from stills.
LORENTZ = "Lorentz factor and polarisation"


@dataclass(frozen=True)
class PieceHead:
    """What must be alike in all pieces, and where each was read from.

    Attributes
    ----------
    path, experiments_path : pathlib.Path
        Reflections and experiments.
    miss : float
        Angle between the rays stated and those of the crystals, degrees.
    n_experiments : int
        Number of experiments.
    space_groups : dict
        Hall symbols, and the first experiment that has each.
    corrections : tuple of str
        What intensities were corrected for.
    """

    path: Path
    experiments_path: Path
    miss: float
    n_experiments: int
    space_groups: dict[str, int]
    corrections: tuple[str, ...]


def check_alike(heads: Sequence[PieceHead], head: PieceHead) -> None:
    """Raise a ValueError about the first file that does not go with the others."""
    first = (heads or [head])[0]
    if head.corrections != first.corrections:
        lacking = set(head.corrections) ^ set(first.corrections)
        if LORENTZ in lacking:
            raise ValueError(
                f"{head.path} and {first.path}: stills beside rotations: postrefine them "
                "one by one"
            )
        raise ValueError(
            f"{head.path}: its columns do not allow the same corrections as those of "
            f"{first.path} ({', '.join(sorted(lacking))}): integrate all alike, or turn the "
            "correction off"
        )
    (symbol,) = list(first.space_groups)[:1]
    for other, number in head.space_groups.items():
        if other != symbol:
            raise ValueError(
                f"{head.experiments_path}, experiment {number}: {_name(other)} beside "
                f"{_name(symbol)}: bring all lattices into one space group "
                "(dials.reindex, dials.cosym)"
            )


def _name(hall: str) -> str:
    return str(sgtbx.space_group_info(group=sgtbx.space_group(hall)))


def common_symmetry(
    heads: Sequence[PieceHead], cells: FloatArray, tolerance: float
) -> tuple[Any, BoolArray]:
    """Find the median cell and the space group, and which lattices have another cell.

    Parameters
    ----------
    heads : sequence of PieceHead
        All pieces.
    cells : ndarray, shape (n_experiments, 6)
        Å and degrees.
    tolerance : float
        Largest part by which a cell axis may differ, or an angle by a part of 90°.

    Returns
    -------
    symmetry : cctbx.crystal.symmetry
        Median cell and space group.
    deviant : ndarray, shape (n_experiments,), bool
        Lattices of another cell.

    Raises
    ------
    ValueError
        If these are half of all.
    """
    median = np.median(cells, axis=0)
    scale = np.concatenate([median[:3], [90.0, 90.0, 90.0]])
    deviant = np.max(np.abs(cells - median) / scale, axis=1) > tolerance
    if 2 * np.count_nonzero(deviant) >= len(cells):
        number = int(np.flatnonzero(deviant)[0])
        raise ValueError(
            f"{_file_of(heads, number)}: a cell of {_cell(cells[number])} beside "
            f"a median of {_cell(median)}, and {np.count_nonzero(deviant)} of "
            f"{len(cells)} lattices differ as much: give lattices of one crystal form, or "
            "raise cell_tolerance"
        )
    group = sgtbx.space_group(next(iter(heads[0].space_groups)))
    cell = group.average_unit_cell(uctbx.unit_cell(tuple(median)))
    return crystal.symmetry(unit_cell=cell, space_group=group), deviant


def _file_of(heads: Sequence[PieceHead], number: int) -> str:
    for head in heads:
        if number < head.n_experiments:
            return f"{head.experiments_path}, experiment {number}"
        number -= head.n_experiments
    raise IndexError(number)


def _cell(parameters: FloatArray) -> str:
    return ", ".join(f"{value:.5g}" for value in parameters)
