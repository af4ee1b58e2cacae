"""All reflections of a crystal within a resolution limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cctbx import crystal, miller, uctbx

from dials_truncfix.postrefine.lattice.cell import CellFreedom, cell_freedom
from dials_truncfix.simulate.structure_factors import look_up

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sphere:
    """All reflections of a crystal up to a resolution.

    Attributes
    ----------
    unit_cell : uctbx.unit_cell
        The true one.
    freedom : CellFreedom
        How the space group lets cells differ from it.
    miller_index : ndarray, shape (n, 3), int32
        h, k, l, systematic absences left out.
    full : ndarray, shape (n,)
        Intensities, counts.
    scale : float
        Counts to the unit of the intensities given.
    """

    unit_cell: uctbx.unit_cell
    freedom: CellFreedom
    miller_index: npt.NDArray[np.int32]
    full: FloatArray
    scale: float


def all_reflections(
    intensities: miller.array, d_min: float, mean_intensity: float
) -> Sphere:
    """Expand intensities to all reflections.

    Parameters
    ----------
    intensities : cctbx.miller.array
        F² of unique reflections, on any scale.
    d_min : float
        Resolution limit, Å.
    mean_intensity : float
        The mean that they shall have, counts.

    Returns
    -------
    Sphere

    Raises
    ------
    ValueError
        If there are none.
    """
    symmetry = crystal.symmetry(
        unit_cell=intensities.unit_cell(), space_group_symbol="P1"
    )
    complete = symmetry.build_miller_set(anomalous_flag=True, d_min=d_min)
    given = miller.set(intensities, complete.indices(), anomalous_flag=True)
    indices = complete.indices().select(~given.sys_absent_flags().data())
    full = look_up(intensities, indices)
    if len(full) == 0 or not full.mean() > 0:
        raise ValueError(f"no reflection with an intensity up to {d_min:g} Å")
    hkl = np.rint(indices.as_vec3_double().as_double().as_numpy_array())
    return Sphere(
        unit_cell=intensities.unit_cell(),
        freedom=cell_freedom(intensities),
        miller_index=hkl.reshape(-1, 3).astype(np.int32),
        full=full * (mean_intensity / full.mean()),
        scale=mean_intensity / float(full.mean()),
    )
