"""Integrated reflections of a simulated sweep beside their truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials.array_family import flex
from dxtbx.model import Experiment

from dials_truncfix.compare.observations import (
    MIN_PARTIALITY,
    Observations,
    read_observations,
)
from dials_truncfix.compare.passages import nearest_passage, setting_change
from dials_truncfix.simulate.truth import Truth

FloatArray = npt.NDArray[np.float64]

#: Farther apart along the rotation, images, two passages are not the same.
MAX_Z_DIFFERENCE = 3.0


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
    found : ndarray of int, shape (n,)
        Position among the reflections that were integrated.
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
    found: npt.NDArray[np.int64]
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
            self.found[chosen],
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
    min_partiality: float = MIN_PARTIALITY,
    max_z_difference: float = MAX_Z_DIFFERENCE,
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
    column : {'sum', 'profile'}
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
    found = read_observations(table, [experiment], column, min_partiality)
    return match_truth(
        truth,
        found.select(found.lattice == 0),
        experiment.crystal.get_A(),
        adu_per_electron=adu_per_electron,
        max_z_difference=max_z_difference,
    )


def match_truth(
    truth: Truth,
    found: Observations,
    setting_matrix: npt.ArrayLike,
    *,
    adu_per_electron: float | None = None,
    max_z_difference: float = MAX_Z_DIFFERENCE,
) -> Matched:
    """Find the truth of reflections of one crystal, by index and rotation angle.

    Parameters
    ----------
    truth : Truth
        The truth.
    found : Observations
        Reflections; scaled ones are brought to the scale of the truth by one factor.
    setting_matrix : array_like, shape (3, 3)
        A of the crystal that was found, Å⁻¹.
    adu_per_electron, max_z_difference
        As for `match`.

    Returns
    -------
    Matched

    Raises
    ------
    ValueError
        If the lattices are not the same.
    """
    try:
        reindexing = setting_change(setting_matrix, truth.setting_matrix)
    except ValueError as error:
        raise ValueError(
            f"the crystal that was found is not the one simulated: {error}"
        ) from None
    reflections = truth.reflections
    row, distance = nearest_passage(
        found.miller_index @ reindexing.T,
        found.z,
        reflections.miller_index.astype(np.int64),
        reflections.z,
    )
    matched = (row >= 0) & (distance <= max_z_difference) & ~truth.shadowed[row]
    per_electron = adu_per_electron or truth.adu_per_electron
    row = row[matched]
    return Matched(
        observed=found.value[matched] / per_electron,
        sigma=found.sigma[matched] / per_electron,
        expected=reflections.intensity[row],
        d=reflections.d[row],
        row=row,
        found=np.flatnonzero(matched),
        reindexing=reindexing,
        n_given=len(found),
    )
