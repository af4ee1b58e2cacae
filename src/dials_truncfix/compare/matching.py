"""Integrated reflections of a simulated sweep beside their truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import Experiment

from dials_truncfix.compare.passages import nearest_passage, setting_change
from dials_truncfix.simulate.truth import Truth

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Matched:
    """Integrated reflections beside their truth, one row for each.

    Attributes
    ----------
    observed, sigma : ndarray, shape (n,)
        Integrated intensity and its standard deviation, e⁻.
    expected : ndarray, shape (n,)
        True intensity, e⁻.
    d : ndarray, shape (n,)
        Resolution, Å.
    row : ndarray of int, shape (n,)
        Position in the truth.
    reindexing : ndarray of int, shape (3, 3)
        Takes the indices of the integrated reflections to those of the truth.
    n_given : int
        Reflections that were integrated, matched or not.
    """

    observed: FloatArray
    sigma: FloatArray
    expected: FloatArray
    d: FloatArray
    row: npt.NDArray[np.int64]
    reindexing: npt.NDArray[np.int64]
    n_given: int

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.row)

    def select(self, chosen: npt.NDArray[np.bool_]) -> Matched:
        """Rows for which `chosen` is true."""
        return Matched(
            self.observed[chosen],
            self.sigma[chosen],
            self.expected[chosen],
            self.d[chosen],
            self.row[chosen],
            self.reindexing,
            self.n_given,
        )

    def between(self, d_max: float, d_min: float) -> Matched:
        """Rows within a range of resolution, Å."""
        return self.select((self.d < d_max) & (self.d >= d_min))


def match(
    truth: Truth,
    experiment: Experiment,
    table: flex.reflection_table,
    *,
    column: str = "sum",
    adu_per_electron: float | None = None,
    min_partiality: float = 0.99,
    max_z_difference: float = 3.0,
) -> Matched:
    """Find the truth of integrated reflections, by index and rotation angle.

    Reflections behind the beam stop are left out.

    Parameters
    ----------
    truth : Truth
        The truth.
    experiment : dxtbx.model.Experiment
        From ``integrated.expt``; crystal and panel gain are used.
    table : dials.array_family.flex.reflection_table
        From ``integrated.refl``.
    column : {'sum', 'prf'}
        Intensities by summation or profile fitting.
    adu_per_electron : float, optional
        Mean signal of an electron, ADU; that of the truth if not given. DIALS
        divides pixels by the panel's gain, which is undone here.
    min_partiality : float
        Reflections of which less was recorded are left out.
    max_z_difference : float
        Largest distance along the rotation, images.

    Returns
    -------
    Matched

    Raises
    ------
    ValueError
        If the lattices are not the same, or nothing was integrated.
    """
    if column not in ("sum", "prf"):
        raise ValueError(f"column {column} is neither sum nor prf")
    name = f"intensity.{column}"
    if f"{name}.value" not in table:
        raise ValueError(f"the table has no {name}.value")
    flag = table.flags.integrated_sum if column == "sum" else table.flags.integrated_prf
    good = table.get_flags(flag) & (table[f"{name}.variance"] > 0)
    if "partiality" in table:
        good &= table["partiality"] >= min_partiality
    table = table.select(good)
    if len(table) == 0:
        raise ValueError(f"no reflection was integrated ({name})")

    try:
        reindexing = setting_change(experiment.crystal.get_A(), truth.setting_matrix)
    except ValueError as error:
        raise ValueError(
            f"the crystal that was found is not the one simulated: {error}"
        ) from None
    found = flumpy.to_numpy(table["miller_index"].as_vec3_double())
    indices = np.rint(found @ reindexing.T).astype(np.int64)
    z = flumpy.to_numpy(table["xyzcal.px"])[:, 2]
    reflections = truth.reflections
    row, distance = nearest_passage(indices, z, reflections.miller_index, reflections.z)
    matched = (row >= 0) & (distance <= max_z_difference) & ~truth.shadowed[row]

    per_electron = (
        truth.adu_per_electron if adu_per_electron is None else adu_per_electron
    )
    to_electrons = experiment.detector[0].get_gain() / per_electron
    value = flumpy.to_numpy(table[f"{name}.value"]) * to_electrons
    sigma = np.sqrt(flumpy.to_numpy(table[f"{name}.variance"])) * to_electrons
    row = row[matched]
    return Matched(
        observed=value[matched],
        sigma=sigma[matched],
        expected=reflections.intensity[row],
        d=reflections.d[row],
        row=row,
        reindexing=reindexing,
        n_given=len(table),
    )
