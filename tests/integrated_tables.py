"""Reflection tables as integration would write them, made from a simulated sweep."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np

from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import Crystal, Experiment, ExperimentList

from dials_truncfix.simulate.sweep import SimulatedSweep
from dials_truncfix.simulate.truth import Truth

GAIN = 9.0
ADU_PER_ELECTRON = 6.0


def truth_of(sweep: SimulatedSweep) -> Truth:
    """Truth of a sweep."""
    return Truth(
        reflections=sweep.reflections,
        shadowed=sweep.shadowed(),
        setting_matrix=np.reshape(sweep.experiment.crystal.get_A(), (3, 3)),
        n_images=sweep.n_images,
        adu_per_electron=ADU_PER_ELECTRON,
        gain=GAIN,
        read_noise=6.0,
        parameters={"seed": 7},
    )


def indexed(
    sweep: SimulatedSweep, operator: np.ndarray, identifier: str = "", gain=GAIN
) -> Experiment:
    """Experiment of the same lattice in another setting."""
    experiment = copy.deepcopy(sweep.experiment)
    axes = operator @ np.array(experiment.crystal.get_real_space_vectors())
    experiment.crystal = Crystal(
        *map(tuple, axes), space_group=experiment.crystal.get_space_group()
    )
    experiment.detector[0].set_gain(gain)
    experiment.identifier = identifier
    return experiment


def integrated(
    sweep: SimulatedSweep,
    operator: np.ndarray,
    electrons: np.ndarray,
    sigma: float = 2.0,
    gain: float = GAIN,
    identifier: str = "",
) -> flex.reflection_table:
    """Table of the whole reflections of a sweep with given intensities, e⁻.

    The setting is that of `indexed` with the same operator, its own inverse.
    """
    r = sweep.reflections
    whole = whole_reflections(sweep)
    table = flex.reflection_table()
    indices = (r.miller_index[whole] @ operator).tolist()
    table["miller_index"] = flex.miller_index([tuple(h) for h in indices])
    xyz = np.ascontiguousarray(np.column_stack([r.x, r.y, r.z])[whole])
    n = len(xyz)
    table["xyzcal.px"] = flumpy.vec_from_numpy(xyz)
    table["partiality"] = flex.double(n, 1.0)
    table["id"] = flex.int(n, 0)
    table["lp"] = flumpy.from_numpy(np.abs(r.zeta[whole]).copy())
    to_counts = ADU_PER_ELECTRON / gain
    for column in ("sum", "prf"):
        table[f"intensity.{column}.value"] = flumpy.from_numpy(electrons * to_counts)
        table[f"intensity.{column}.variance"] = flex.double(n, (sigma * to_counts) ** 2)
    table["flags"] = flex.size_t(
        n, table.flags.integrated_sum | table.flags.integrated_prf
    )
    if identifier:
        table.experiment_identifiers()[0] = identifier
    return table


def whole_reflections(sweep: SimulatedSweep) -> np.ndarray:
    """Reflections whose centre is within the sweep, shape (n,), bool."""
    r = sweep.reflections
    return (r.z > 0) & (r.z < sweep.n_images)


def save(
    folder: Path, name: str, table: flex.reflection_table, experiment: Experiment
) -> Path:
    """Write a table and its experiment beside each other; returns the table's path."""
    folder.mkdir(parents=True, exist_ok=True)
    table.as_file(str(folder / f"{name}.refl"))
    ExperimentList([experiment]).as_file(str(folder / f"{name}.expt"))
    return folder / f"{name}.refl"
