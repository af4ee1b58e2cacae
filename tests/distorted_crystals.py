"""Indexed reflections of simulated crystals on a camera with a known distortion."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import numpy as np

from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import Experiment, ExperimentList

from dials_truncfix.calibrate.ellipse import Ellipse, strain_matrix
from dials_truncfix.camera.f416 import F416
from dials_truncfix.compare.files import Integrated
from dials_truncfix.simulate.build import Sample, sample_intensities
from dials_truncfix.simulate.models import (
    DEFAULT_SPACE_GROUP,
    DEFAULT_UNIT_CELL,
    Geometry,
    Rotation,
    make_crystal,
    make_experiment,
    random_orientation,
)
from dials_truncfix.simulate.prediction import SweepReflections, predict

CELL, SPACE_GROUP = DEFAULT_UNIT_CELL, DEFAULT_SPACE_GROUP
ELLIPSE = Ellipse(1.012, 0.6)
#: Å; binning and limit with which far spots are nearer to neighbours, for this ellipse.
D_MIN, CLOSE_BINNING, CLOSE_D_MIN = 2.5, 8, 1.15


def distorted_files(
    n, *, noise, scales=(1.0,), ellipse=ELLIPSE, seed=0, model_error=True, close=False
) -> list[Integrated]:
    """Make one file of each crystal; `scales` are their magnifications in turn."""
    return [
        _crystal(k, noise, scales[k % len(scales)], ellipse, seed, model_error, close)
        for k in range(n)
    ]


def index_without_ellipse(data: Integrated) -> None:
    """Index anew as dials.index does, which takes far spots for others or for none."""
    table, experiments = data.table, data.experiments
    table["imageset_id"] = flex.int(len(table), 0)
    table["xyzobs.px.variance"] = flex.vec3_double(len(table), (0.02, 0.02, 0.02))
    table.centroid_px_to_mm(experiments)
    table.map_centroids_to_reciprocal_space(experiments)
    a_matrix = np.reshape(experiments[0].crystal.get_A(), (3, 3))
    fractional = flumpy.to_numpy(table["rlp"]) @ np.linalg.inv(a_matrix).T
    index = np.round(fractional)
    near = np.abs(fractional - index).max(axis=1) < 0.3
    index[~near] = 0
    table["miller_index"] = flex.miller_index(
        [tuple(h) for h in index.astype(int).tolist()]
    )
    table["id"] = flex.int(np.where(near, 0, -1).tolist())
    table.unset_flags(flex.bool((~near).tolist()), table.flags.indexed)


@cache
def _predicted(number, close) -> tuple[Experiment, SweepReflections]:
    """Predict all reflections of a crystal, which are the same for every noise."""
    experiment = make_experiment(
        Geometry(distance=1200.0),
        Rotation(start=-25.0, width=0.5, n_images=100),
        F416(binning=CLOSE_BINNING if close else 1),
    )
    d_min = CLOSE_D_MIN if close else D_MIN
    orientation = random_orientation(100 + number)
    experiment.crystal = make_crystal(CELL, SPACE_GROUP, orientation)
    intensities, _ = sample_intensities(Sample(), d_min, seed=1)
    return experiment, predict(
        experiment, intensities, d_min=d_min, mosaicity=0.05, mean_intensity=100.0
    )


def _crystal(number, noise, scale, ellipse, seed, model_error, close) -> Integrated:
    experiment, spots = _predicted(number, close)
    experiment = copy.copy(experiment)
    orientation = np.reshape(experiment.crystal.get_U(), (3, 3))
    inside = (spots.z >= 0) & (spots.z < 100) & (np.abs(spots.zeta) > 0.1)
    rng = np.random.default_rng([seed, number])
    # as many as spot finding may leave
    rows = np.flatnonzero(inside)
    rows = np.sort(rng.choice(rows, min(len(rows), 1500), replace=False))
    centre = np.array(
        experiment.detector[0].get_beam_centre_px(experiment.beam.get_s0())
    )
    position = np.column_stack([spots.x, spots.y])[rows] - centre
    position = centre + scale * position @ strain_matrix(*ellipse.strain).T
    position += noise * rng.standard_normal(position.shape)
    z = spots.z[rows] + noise * rng.standard_normal(len(rows))
    table = flex.reflection_table()
    index = spots.miller_index[rows].astype(np.int32)
    table["miller_index"] = flex.miller_index([tuple(map(int, h)) for h in index])
    table["xyzobs.px.value"] = flumpy.vec_from_numpy(np.column_stack([position, z]))
    table["id"] = flex.int(len(rows), 0)
    table["panel"] = flex.size_t(len(rows), 0)
    table["flags"] = flex.size_t(len(rows), 0)
    table.set_flags(flex.bool(len(rows), True), table.flags.indexed)
    if model_error:
        wrong = make_crystal(
            [1.004 * CELL[0], 1.004 * CELL[1], 0.995 * CELL[2], 90, 90, 90],
            SPACE_GROUP,
            _small_turn(rng) @ orientation,
        )
        experiment.crystal = wrong
    experiment.identifier = f"crystal-{number}"
    table.experiment_identifiers()[0] = experiment.identifier
    name = Path(f"crystal_{number}")
    return Integrated(
        name.with_suffix(".refl"),
        name.with_suffix(".expt"),
        table,
        ExperimentList([experiment]),
    )


def _small_turn(rng) -> np.ndarray:
    from scipy.spatial.transform import Rotation as Turn

    return Turn.from_rotvec(np.radians(0.2) * rng.standard_normal(3)).as_matrix()
