"""Magnification matrices, cell and orientations of many crystals in one least squares.

One crystal alone can hide a distortion of the image in a wrong cell and orientation. The
lattice turns with the crystal and the distortion does not: rotations, symmetry and
several crystals of one cell in different orientations tell them apart. Magnification and
size of the cell stay one product, but for the curvature of the Ewald sphere, which is
small for electrons.

References
----------
Zivanov, J., Nakane, T. & Scheres, S. H. W. (2020). IUCrJ 7, 253-267, section 2.4 (the
same for single particles), doi:10.1107/S2052252520000081.
White, H. (1980). Econometrica 48, 817-838 (covariance from residuals),
doi:10.2307/1912934.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.spots.cell_model import CellModel
from dials_truncfix.calibrate.spots.spot_model import (
    Magnification,
    Pose,
    SpotSet,
    group_count,
    residuals,
)
from dials_truncfix.calibrate.spots.spot_weights import position_weights

Array = npt.NDArray[np.float64]

_CYCLES = 12
#: Steps for differences: rotation (rad), shift (mm), scale and strain, relative metric.
_STEP_ROTATION, _STEP_SHIFT, _STEP_STRAIN, _STEP_METRIC = 1e-6, 1e-5, 1e-6, 1e-6
#: A change that ends the cycles, of positions, pixels.
_CONVERGED = 1e-4
#: Directions of parameters with a smaller relative curvature are not determined.
_SINGULAR = 1e-13


@dataclass(frozen=True)
class SpotFit:
    """Outcome of a fit.

    Attributes
    ----------
    magnifications : list of Magnification
        Of each group.
    covariance : list of ndarray, shape (3, 3)
        Of each: logarithm of the scale, p and q; zero where something was fixed.
    cell : tuple of float
        Å and degrees.
    cell_error : tuple of float
        Standard uncertainties.
    b_matrix : ndarray, shape (3, 3)
        B, Å⁻¹.
    poses : list of Pose
        Of each crystal.
    rmsd : float
        Root mean square distance of observed from expected positions that were not
        rejected, pixels.
    rmsd_angle : float
        The same for angles, rad.
    rmsd_each : list of float
        Positions, crystal by crystal, pixels.
    n_used : int
        Reflections that were not rejected.
    position_residuals : list of ndarray, shape (n, 2)
        Observed minus expected, pixels.
    """

    magnifications: list[Magnification]
    covariance: list[Array]
    cell: tuple[float, ...]
    cell_error: tuple[float, ...]
    b_matrix: Array
    poses: list[Pose]
    rmsd: float
    rmsd_angle: float
    rmsd_each: list[float]
    n_used: int
    position_residuals: list[Array]


class _Layout:
    """Which parameter stands where."""

    def __init__(
        self,
        n_sets: int,
        n_groups: int,
        n_cell: int,
        strain: bool,
        free_scale: Sequence[bool],
    ) -> None:
        self.pose = [slice(5 * k, 5 * k + 5) for k in range(n_sets)]
        place = 5 * n_sets
        self.cell = slice(place, place + n_cell)
        place += n_cell
        self.group = [slice(place + 3 * k, place + 3 * k + 3) for k in range(n_groups)]
        self.size = place + 3 * n_groups
        self.free = np.ones(self.size, dtype=bool)
        for part, scale in zip(self.group, free_scale):
            self.free[part] = [scale, strain, strain]


def fit_spots(
    sets: Sequence[SpotSet],
    cell: CellModel,
    *,
    strain: bool = True,
    cell_known: bool = False,
    scale_free: bool = False,
) -> SpotFit:
    """Refine everything together.

    Parameters
    ----------
    sets : sequence of SpotSet
        Reflections of each crystal.
    cell : CellModel
        Of all crystals.
    strain : bool
        Whether to refine the ellipses, or to leave circles.
    cell_known : bool
        Keep the cell and refine the scale of every group.
    scale_free : bool
        Refine the scale of the first group beside the cell, to see how well both are
        told apart. Otherwise it is the measure of the others.

    Returns
    -------
    SpotFit

    Raises
    ------
    ValueError
        If there are fewer observations than parameters.
    """
    n_groups = group_count(sets)
    scales = [cell_known or scale_free or k > 0 for k in range(n_groups)]
    layout = _Layout(len(sets), n_groups, cell.n, strain, scales)
    if cell_known:
        layout.free[layout.cell] = False
    n_spots = sum(map(len, sets))
    if 2 * n_spots < 3 * layout.free.sum():
        raise ValueError(
            f"{n_spots} reflections are too few for {layout.free.sum()} parameters"
        )
    values = np.zeros(layout.size)
    for _ in range(_CYCLES):
        observed = [
            _residual_vector(s, k, values, layout, cell) for k, s in enumerate(sets)
        ]
        weights, inflation = position_weights(observed)
        normal, gradient, meat = _normal_equations(
            sets, values, layout, cell, observed, weights
        )
        free = layout.free
        inverse = _inverse(normal[np.ix_(free, free)])
        step = np.zeros(layout.size)
        step[free] = inverse @ gradient[free]
        values = values + step
        if _moves(sets, step, layout) < _CONVERGED:
            break
    covariance = np.zeros((layout.size, layout.size))
    covariance[np.ix_(free, free)] = (
        inflation**2 * inverse @ meat[np.ix_(free, free)] @ inverse
    )
    observed = [
        _residual_vector(s, k, values, layout, cell) for k, s in enumerate(sets)
    ]
    return _outcome(sets, values, covariance, layout, cell, observed)


def _magnification(values: Array) -> Magnification:
    return Magnification(float(values[0]), (float(values[1]), float(values[2])))


def _residual_vector(
    spots: SpotSet, number: int, values: Array, layout: _Layout, cell: CellModel
) -> Array:
    """Residuals of position (pixels) and angle (rad), shape (n, 3)."""
    pose = values[layout.pose[number]]
    position, angle = residuals(
        spots,
        Pose(pose[:3], pose[3:]),
        cell.b_matrix(values[layout.cell]),
        _magnification(values[layout.group[spots.group]]),
    )
    return np.column_stack([position / spots.pixel_size, angle])


def _normal_equations(
    sets: Sequence[SpotSet],
    values: Array,
    layout: _Layout,
    cell: CellModel,
    observed: Sequence[Array],
    weights: Sequence[Array],
) -> tuple[Array, Array, Array]:
    """Curvature, gradient and sum of the squares of each reflection's gradient."""
    normal = np.zeros((layout.size, layout.size))
    gradient = np.zeros(layout.size)
    meat = np.zeros_like(normal)
    for number, spots in enumerate(sets):
        parts = [layout.pose[number], layout.cell, layout.group[spots.group]]
        which = np.concatenate([np.arange(p.start, p.stop) for p in parts])
        steps = np.concatenate(
            [
                np.full(3, _STEP_ROTATION),
                np.full(2, _STEP_SHIFT),
                np.full(cell.n, _STEP_METRIC),
                np.full(3, _STEP_STRAIN),
            ]
        )
        columns = []
        for place, step in zip(which, steps):
            moved = values.copy()
            moved[place] += step
            forward = _residual_vector(spots, number, moved, layout, cell)
            columns.append((observed[number] - forward) / step)
        jacobian = np.stack(columns, axis=-1)
        weight = weights[number]
        here = np.ix_(which, which)
        normal[here] += np.einsum("nci,nc,ncj->ij", jacobian, weight, jacobian)
        score = np.einsum("nci,nc,nc->ni", jacobian, weight, observed[number])
        gradient[which] += score.sum(axis=0)
        meat[here] += score.T @ score
    return normal, gradient, meat


def _inverse(normal: Array) -> Array:
    """Inverse after scaling, without directions that nothing determines."""
    scale = np.sqrt(np.maximum(np.diagonal(normal), 1e-300))
    scaled = normal / np.outer(scale, scale)
    return np.asarray(
        np.linalg.pinv(scaled, rcond=_SINGULAR, hermitian=True) / np.outer(scale, scale)
    )


def _moves(sets: Sequence[SpotSet], step: Array, layout: _Layout) -> float:
    """About how far a step moves positions, pixels."""
    reach = max(
        float(np.abs(spots.position - spots.centre).max() / spots.pixel_size)
        for spots in sets
    )
    size = min(spots.pixel_size for spots in sets)
    far = reach * np.abs(step)
    for part in layout.pose:
        far[part.start + 3 : part.stop] = (
            np.abs(step[part.start + 3 : part.stop]) / size
        )
    return float(far.max())


def _outcome(
    sets: Sequence[SpotSet],
    values: Array,
    covariance: Array,
    layout: _Layout,
    cell: CellModel,
    observed: Sequence[Array],
) -> SpotFit:
    weights, _ = position_weights(observed)
    used = [weight[:, 0] > 0 for weight in weights]
    kept = np.concatenate([part[keep] for part, keep in zip(observed, used)])
    angle = kept[:, 2][kept[:, 2] != 0]
    change = values[layout.cell]
    unit_cell = np.array(cell.unit_cell(change).parameters())
    slopes = []
    for k in range(cell.n):
        moved = change.copy()
        moved[k] += _STEP_METRIC
        slopes.append(np.array(cell.unit_cell(moved).parameters()) - unit_cell)
    slope = np.array(slopes).T / _STEP_METRIC
    cell_covariance = slope @ covariance[layout.cell, layout.cell] @ slope.T
    return SpotFit(
        magnifications=[_magnification(values[part]) for part in layout.group],
        covariance=[covariance[part, part] for part in layout.group],
        cell=tuple(unit_cell),
        cell_error=tuple(np.sqrt(np.maximum(np.diagonal(cell_covariance), 0.0))),
        b_matrix=cell.b_matrix(change),
        poses=[
            Pose(values[part][:3].copy(), values[part][3:].copy())
            for part in layout.pose
        ],
        rmsd=_root_mean_square(kept[:, :2]),
        rmsd_angle=float(np.sqrt(np.mean(angle**2))) if len(angle) else float("nan"),
        rmsd_each=[
            _root_mean_square(part[keep][:, :2]) for part, keep in zip(observed, used)
        ],
        n_used=len(kept),
        position_residuals=[part[:, :2] for part in observed],
    )


def _root_mean_square(distance: Array) -> float:
    if not len(distance):
        return float("nan")
    return float(np.sqrt(np.mean(np.sum(distance**2, axis=1))))
