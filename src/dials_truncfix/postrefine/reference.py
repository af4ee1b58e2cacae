"""Reference intensities from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cctbx.array_family import flex

from dials_truncfix.compare.observations import flex_indices
from dials_truncfix.postrefine.gather import DataSet
from dials_truncfix.postrefine.references import ExternalReference
from dials_truncfix.simulate.structure_factors import look_up, read_intensities

#: Cells of a reference that differ by more are of another crystal form.
_CELL_TOLERANCE = 0.05


def read_reference(path: Path, label: str | None, data: DataSet) -> ExternalReference:
    """Read the reference intensities of a data set.

    Parameters
    ----------
    path : pathlib.Path
        MTZ file with intensities or amplitudes, or coordinates (PDB, mmCIF).
    label : str or None
        Column of the MTZ file.
    data : DataSet
        For its reflections, symmetry and radiation.

    Returns
    -------
    ExternalReference
        Without uncertainties.

    Raises
    ------
    ValueError
        If the file cannot be read, or is of another crystal form.
    """
    observations = data.observations
    intensities = read_intensities(
        path,
        float(observations.d.min()) * (1 - 1e-6),
        label,
        scattering="electron" if data.electrons else "xray",
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
    indices = flex_indices(observations.unique)
    present = intensities.customized_copy(data=flex.double(intensities.size(), 1.0))
    known = look_up(present, indices) > 0
    if not np.any(known):
        d = observations.d
        raise ValueError(
            f"{path}: it holds none of the reflections observed: give a reference that "
            f"reaches from {d.max():.1f} to {d.min():.1f} Å"
        )
    values = np.where(known, look_up(intensities, indices), np.nan)
    return ExternalReference(values, np.zeros(len(values)))


def _cell(parameters: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    return ", ".join(f"{value:.5g}" for value in parameters)
