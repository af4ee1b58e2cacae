"""Reference intensities from files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cctbx import miller

from dials_truncfix.compare.observations import flex_indices
from dials_truncfix.postrefine.input.gather import DataSet
from dials_truncfix.postrefine.input.observations import LatticeSource
from dials_truncfix.postrefine.merge.references import ExternalReference
from dials_truncfix.simulate.structure_factors import (
    known_intensities,
    read_intensities,
)

#: Cells of a reference that differ by more are of another crystal form.
_CELL_TOLERANCE = 0.05


@dataclass(frozen=True)
class ReferenceFile:
    """Where reference intensities come from.

    Attributes
    ----------
    path : pathlib.Path
        MTZ or mmCIF file with intensities or amplitudes, or coordinates (PDB, mmCIF).
    label : str or None
        Column of reflections; the first that will do if None.
    scattering : {'electron', 'xray'} or None
        Scattering factors of atoms; those of the beam if None.
    solvent : bool
        Whether coordinates are surrounded by a bulk solvent.
    """

    path: Path
    label: str | None = None
    scattering: str | None = None
    solvent: bool = False


def read_reference(file: ReferenceFile, data: DataSet) -> miller.array:
    """Read the reference intensities of a data set.

    Parameters
    ----------
    file : ReferenceFile
        Where.
    data : DataSet
        For its resolution, symmetry and radiation.

    Returns
    -------
    cctbx.miller.array
        F² of unique reflections, on any scale.

    Raises
    ------
    ValueError
        If the file cannot be read, or is of another crystal form.
    """
    path = file.path
    intensities = read_intensities(
        path,
        float(data.observations.d.min()) * (1 - 1e-6),
        file.label,
        scattering=file.scattering or ("electron" if data.electrons else "xray"),
        solvent=file.solvent,
    )
    ours = data.symmetry.space_group().build_derived_laue_group()
    if intensities.space_group().build_derived_laue_group() != ours:
        raise ValueError(
            f"{path}: its space group {intensities.space_group_info()} is not that of "
            f"the lattices, {data.symmetry.space_group_info()}: give a reference of the "
            "same crystal form"
        )
    theirs = np.array(intensities.unit_cell().parameters())
    cell = np.array(data.symmetry.unit_cell().parameters())
    scale = np.concatenate([cell[:3], [90.0, 90.0, 90.0]])
    if np.max(np.abs(theirs - cell) / scale) > _CELL_TOLERANCE:
        raise ValueError(
            f"{path}: its cell {_cell(theirs)} is not that of the lattices, "
            f"{_cell(cell)}: give a reference of the same crystal form"
        )
    return intensities


def as_reference(
    file: ReferenceFile, intensities: miller.array, observations: LatticeSource
) -> ExternalReference:
    """Find the reference of every unique reflection of the observations.

    Returns
    -------
    ExternalReference
        Without uncertainties.

    Raises
    ------
    ValueError
        If none of the reflections observed has one.
    """
    values = known_intensities(intensities, flex_indices(observations.unique))
    if not np.any(np.isfinite(values)):
        d = observations.d
        raise ValueError(
            f"{file.path}: it holds none of the reflections observed: give a reference that "
            f"reaches from {d.max():.1f} to {d.min():.1f} Å"
        )
    return ExternalReference(values, np.zeros(len(values)))


def _cell(parameters: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    return ", ".join(f"{value:.5g}" for value in parameters)
