"""Which integrated reflection is which of the truth, and which spot is real."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import Experiment

from dials_truncfix.simulate.truth import Truth

FloatArray = npt.NDArray[np.float64]

#: A matrix between two settings of one lattice is integral to this much.
_SETTING_TOLERANCE = 0.1


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


@dataclass(frozen=True)
class SpotFinding:
    """Strong spots against the truth.

    Attributes
    ----------
    n_true, n_false : int
        Spots with and without a reflection near them.
    recall : float
        Part of the reflections within `recall_limits` that was found.
    """

    n_true: int
    n_false: int
    recall: float


def setting_change(truth: Truth, experiment: Experiment) -> npt.NDArray[np.int64]:
    """Find the matrix that takes indices of an experiment to those of the truth.

    Indexing chooses one of several equivalent settings of the crystal.

    Parameters
    ----------
    truth : Truth
        The truth.
    experiment : dxtbx.model.Experiment
        With the crystal that was found.

    Returns
    -------
    ndarray of int, shape (3, 3)
        R in h_truth = R h.

    Raises
    ------
    ValueError
        If the lattices are not the same.
    """
    found = np.array(experiment.crystal.get_A()).reshape(3, 3)
    change = np.linalg.solve(truth.setting_matrix, found)
    whole = np.rint(change)
    off = np.abs(change - whole).max()
    if off > _SETTING_TOLERANCE or round(abs(np.linalg.det(whole))) != 1:
        raise ValueError(
            "the crystal that was found is not the one simulated: its axes in terms of "
            f"the true ones are {np.round(change, 2).tolist()}"
        )
    return whole.astype(np.int64)


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

    reindexing = setting_change(truth, experiment)
    found = flumpy.to_numpy(table["miller_index"].as_vec3_double())
    indices = np.rint(found @ reindexing.T).astype(np.int64)
    z = flumpy.to_numpy(table["xyzcal.px"])[:, 2]
    row, distance = _nearest_passage(truth, indices, z)
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
        expected=truth.reflections.intensity[row],
        d=truth.reflections.d[row],
        row=row,
        reindexing=reindexing,
        n_given=len(table),
    )


def _nearest_passage(
    truth: Truth, indices: npt.NDArray[np.int64], z: FloatArray
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Row of the truth with the same index and the nearest z; -1 if there is none."""
    true_indices = truth.reflections.miller_index.astype(np.int64)
    true_z = truth.reflections.z
    span = int(max(np.abs(true_indices).max(), np.abs(indices).max())) + 1

    def key(h: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return (
            ((h[:, 0] + span) * 2 * span + h[:, 1] + span) * 2 * span + h[:, 2] + span
        )

    order = np.lexsort((true_z, key(true_indices)))
    sorted_keys = key(true_indices)[order]
    wanted = key(indices)
    first = np.searchsorted(sorted_keys, wanted, side="left")
    last = np.searchsorted(sorted_keys, wanted, side="right")
    best_row = np.full(len(z), -1)
    best_distance = np.full(len(z), np.inf)
    # a reflection crosses the Ewald sphere twice in a turn
    for passage in range(int((last - first).max(initial=0))):
        exists = first + passage < last
        candidate = order[np.minimum(first + passage, len(order) - 1)]
        distance = np.where(exists, np.abs(true_z[candidate] - z), np.inf)
        nearer = distance < best_distance
        best_row[nearer] = candidate[nearer]
        best_distance[nearer] = distance[nearer]
    return best_row, best_distance


def spot_finding(
    truth: Truth,
    table: flex.reflection_table,
    *,
    max_pixels: float = 2.0,
    min_intensity: float = 20.0,
    recall_limits: tuple[float, float] = (100.0, 500.0),
) -> SpotFinding:
    """Count strong spots that belong to a reflection, and those that do not.

    Parameters
    ----------
    truth : Truth
        The truth.
    table : dials.array_family.flex.reflection_table
        From ``strong.refl``.
    max_pixels : float
        Largest distance on the camera, pixels. Along the rotation a spot may lie
        anywhere in the reflection's rocking curve, and one image beyond.
    min_intensity : float
        Reflections weaker than this explain no spot, e⁻.
    recall_limits : tuple of float
        True intensities over which `SpotFinding.recall` is taken, e⁻.

    Returns
    -------
    SpotFinding
    """
    spots = flumpy.to_numpy(table["xyzobs.px.value"])
    r = truth.reflections
    strong_enough = np.flatnonzero(r.intensity >= min_intensity)
    tree = cKDTree(np.column_stack([r.x, r.y])[strong_enough])
    pairs = tree.query_ball_point(spots[:, :2], max_pixels)
    spot = np.repeat(np.arange(len(spots)), [len(p) for p in pairs])
    reflection = strong_enough[np.concatenate([*pairs, []]).astype(np.int64)]
    near = np.abs(r.z[reflection] - spots[spot, 2]) <= 1.0 + 3.0 * r.sigma_z[reflection]
    n_true = len(np.unique(spot[near]))
    low, high = recall_limits
    whole = (r.z > 0) & (r.z < truth.n_images)
    wanted = whole & ~truth.shadowed & (r.intensity >= low) & (r.intensity < high)
    found = np.zeros(len(r), dtype=bool)
    found[reflection[near]] = True
    recall = float(found[wanted].mean()) if wanted.any() else float("nan")
    return SpotFinding(n_true, len(spots) - n_true, recall)
