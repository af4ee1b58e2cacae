"""Integrated reflections as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import Experiment

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Names of the kinds of intensity, as the user knows them, and their columns.
COLUMNS = {"sum": "sum", "profile": "prf", "scale": "scale"}
#: Reflections of which less was recorded are left out.
MIN_PARTIALITY = 0.99


@dataclass(frozen=True)
class Observations:
    """Integrated reflections, one row for each.

    Attributes
    ----------
    miller_index : ndarray of int64, shape (n, 3)
        h, k, l.
    lattice : ndarray of int64, shape (n,)
        Position of its experiment.
    z : ndarray, shape (n,)
        Centre on the rotation, images.
    phi : ndarray, shape (n,)
        The same, degrees; 0 for stills.
    value, sigma : ndarray, shape (n,)
        Intensity and its standard deviation: as recorded, ADU, whatever the gain of
        the panel; or scaled, with the Lorentz factor taken out.
    lorentz : ndarray, shape (n,)
        Factor that takes the Lorentz factor out of an intensity as recorded.
    is_scaled : bool
        Whether the intensities are scaled.
    """

    miller_index: IntArray
    lattice: IntArray
    z: FloatArray
    phi: FloatArray
    value: FloatArray
    sigma: FloatArray
    lorentz: FloatArray
    is_scaled: bool = False

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.value)

    def select(self, chosen: npt.NDArray[np.bool_] | IntArray) -> Observations:
        """Rows that are chosen, by a mask or by their positions."""
        columns = {
            f.name: getattr(self, f.name)[chosen]
            for f in fields(self)
            if f.name != "is_scaled"
        }
        return replace(self, **columns)

    def times(self, factor: float | FloatArray) -> Observations:
        """Intensities times a factor."""
        return replace(self, value=self.value * factor, sigma=self.sigma * factor)

    def comparable(self) -> Observations:
        """Intensities of which symmetry equivalents are equal."""
        return self if self.is_scaled else self.times(self.lorentz)

    def as_recorded(self) -> Observations:
        """Intensities in proportion to the electrons of the spots."""
        return self.times(1.0 / self.lorentz) if self.is_scaled else self

    def reindexed(self, changes: Sequence[IntArray]) -> Observations:
        """Change the setting of each lattice by a matrix of its own."""
        indices = self.miller_index.copy()
        for number, change in enumerate(changes):
            mine = self.lattice == number
            indices[mine] = self.miller_index[mine] @ change.T
        return replace(self, miller_index=indices)


def read_observations(
    table: flex.reflection_table,
    experiments: Sequence[Experiment],
    intensity: str = "sum",
    min_partiality: float = MIN_PARTIALITY,
) -> Observations:
    """Take the good reflections out of a table.

    Parameters
    ----------
    table : dials.array_family.flex.reflection_table
        From ``integrated.refl`` or ``scaled.refl``.
    experiments : sequence of dxtbx.model.Experiment
        Those to which the column ``id`` refers, in order.
    intensity : {'sum', 'profile', 'scale'}
        Kind of intensity.
    min_partiality : float
        Reflections of which less was recorded are left out.

    Returns
    -------
    Observations

    Raises
    ------
    ValueError
        If the table has no such intensities, or none of them is good.
    """
    if intensity not in COLUMNS:
        raise ValueError(f"intensity={intensity} is none of {', '.join(COLUMNS)}")
    name = f"intensity.{COLUMNS[intensity]}"
    needed = [f"{name}.value", f"{name}.variance", "miller_index", "xyzcal.px", "id"]
    if intensity == "scale":
        needed.append("inverse_scale_factor")
    if missing := [column for column in needed if column not in table]:
        raise ValueError(
            f"the table has no {missing[0]}, which intensity={intensity} needs: "
            f"{_MADE_BY[intensity]} writes it"
        )
    table = table.select(_good(table, name, intensity, min_partiality))
    if len(table) == 0:
        raise ValueError(f"no reflection of the table has a good {name}.value")

    value = flumpy.to_numpy(table[f"{name}.value"]).astype(np.float64)
    sigma = np.sqrt(flumpy.to_numpy(table[f"{name}.variance"]))
    lattice = flumpy.to_numpy(table["id"]).astype(np.int64)
    lorentz = np.ones(len(table))
    if "lp" in table:
        lorentz = flumpy.to_numpy(table["lp"]).astype(np.float64)
    if intensity == "scale":
        unit = 1.0 / flumpy.to_numpy(table["inverse_scale_factor"])
    else:
        # DIALS divides pixels by the gain of their panel
        gain = np.array([e.detector[0].get_gain() for e in experiments])
        unit = gain[lattice]
    z = flumpy.to_numpy(table["xyzcal.px"])[:, 2]
    indices = flumpy.to_numpy(table["miller_index"].as_vec3_double())
    return Observations(
        miller_index=np.rint(indices).astype(np.int64),
        lattice=lattice,
        z=z,
        phi=_rotation_angle(z, lattice, experiments),
        value=value * unit,
        sigma=sigma * unit,
        lorentz=lorentz,
        is_scaled=intensity == "scale",
    )


def flex_indices(indices: IntArray) -> flex.miller_index:
    """Hand Miller indices, shape (n, 3), to cctbx."""
    columns = np.ascontiguousarray(indices.T, dtype=np.int32)
    return flex.miller_index(*(flumpy.from_numpy(column) for column in columns))


_MADE_BY = {
    "sum": "dials.integrate",
    "profile": "dials.integrate",
    "scale": "dials.scale",
}


def _good(
    table: flex.reflection_table, name: str, intensity: str, min_partiality: float
) -> flex.bool:
    flags = table.flags
    if intensity == "scale":
        good = table.get_flags(flags.scaled) & ~table.get_flags(
            flags.bad_for_scaling, all=False
        )
        good &= table["inverse_scale_factor"] > 0
    else:
        good = table.get_flags(
            flags.integrated_sum if intensity == "sum" else flags.integrated_prf
        )
    good &= table[f"{name}.variance"] > 0
    good &= table["id"] >= 0
    if "partiality" in table:
        good &= table["partiality"] >= min_partiality
    return good


def _rotation_angle(
    z: FloatArray, lattice: IntArray, experiments: Sequence[Experiment]
) -> FloatArray:
    """Convert positions in images to degrees, shape (n,)."""
    angle = np.zeros(len(z))
    for number, experiment in enumerate(experiments):
        if experiment.scan is not None and experiment.scan.get_oscillation()[1] != 0:
            start, width = experiment.scan.get_oscillation()
            first = experiment.scan.get_array_range()[0]
            mine = lattice == number
            angle[mine] = start + (z[mine] - first) * width
    return angle
