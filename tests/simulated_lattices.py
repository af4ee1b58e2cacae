"""Lattices of simulated stills beside the truth."""

from __future__ import annotations

import functools
import math

import numpy as np

from cctbx import crystal

from dials_truncfix.compare.equivalents import group_equivalents
from dials_truncfix.postrefine.input.free_cells import FreeCells
from dials_truncfix.postrefine.input.observations import Observations
from dials_truncfix.postrefine.lattice.assemble import reciprocal_points
from dials_truncfix.postrefine.lattice.cell import cell_freedom
from dials_truncfix.postrefine.lattice.lattices import Lattices
from dials_truncfix.simulate.sphere import Sphere, all_reflections
from dials_truncfix.simulate.stills import StillsModel, simulate_stills
from dials_truncfix.simulate.structure_factors import wilson_intensities

XRAYS, ELECTRONS = 1.3, 0.0251
LYSOZYME = crystal.symmetry(
    unit_cell=(79.1, 79.1, 38.1, 90, 90, 90), space_group_symbol="P43212"
)


def stills_model(wavelength=XRAYS, error=0.05, direction=(0, 0, -1), **changes):
    """Forty lattices whose orientations are wrong by `error` degrees."""
    s0 = np.asarray(direction) / np.linalg.norm(direction) / wavelength
    values = {
        "n_lattices": 40,
        "s0": tuple(s0),
        "orientation_error": math.radians(error),
        "d_min": 3.0,
    }
    return StillsModel(**{**values, **changes})


@functools.lru_cache
def sphere(d_min=3.0, mean_intensity=1000.0) -> Sphere:
    intensities = wilson_intensities(LYSOZYME, d_min, 15.0, 1)
    return all_reflections(intensities, d_min, mean_intensity)


def with_free_cells(stills, model: StillsModel, symmetry=LYSOZYME) -> Lattices:
    """Lattices with their true reference, whose cells may change."""

    def joined(name):
        return np.concatenate([getattr(still, name) for still in stills])

    n = len(joined("intensity"))
    observations = Observations(
        miller_index=joined("miller_index"),
        group=np.zeros(n, dtype=np.int64),
        intensity=joined("intensity"),
        variance=joined("variance"),
        offsets=np.cumsum([0, *(len(still.intensity) for still in stills)]),
        setting=np.array([still.setting for still in stills]),
        s0=np.tile(model.s0, (len(stills), 1)),
        sweep=np.zeros((len(stills), 4)),
        unique=np.zeros((1, 3), dtype=np.int64),
        d=np.ones(1),
    )
    block = FreeCells(observations, cell_freedom(symmetry)).block(slice(0, len(stills)))
    return block.lattices(joined("full"), np.zeros(n), np.ones(n, dtype=bool))


def simulated(model: StillsModel, seed=1):
    """Lattices with their true reference, and their true parameters."""
    stills = list(
        simulate_stills(sphere(model.d_min, model.mean_intensity), model, seed)
    )

    def joined(name):
        return np.concatenate([getattr(still, name) for still in stills])

    offsets = np.cumsum([0, *(len(still.intensity) for still in stills)])
    s0 = np.tile(model.s0, (len(stills), 1))
    setting = np.array([still.setting for still in stills])
    full = joined("full")
    lattices = Lattices(
        q=reciprocal_points(joined("miller_index"), offsets, setting, s0),
        intensity=joined("intensity"),
        variance=joined("variance"),
        reference=full,
        reference_variance=np.zeros_like(full),
        used=np.ones(len(full), dtype=bool),
        offsets=offsets,
        wavelength=1.0 / np.linalg.norm(s0, axis=1),
    )
    return lattices, np.array([still.parameters for still in stills])


def observed(model, seed=2):
    """Observations, true unique intensities, and true parameters."""
    stills = list(
        simulate_stills(sphere(model.d_min, model.mean_intensity), model, seed)
    )

    def joined(name):
        return np.concatenate([getattr(still, name) for still in stills])

    offsets = np.cumsum([0, *(len(still.intensity) for still in stills)])
    hkl = joined("miller_index")
    groups = group_equivalents(hkl.astype(np.int64), LYSOZYME)
    order = np.lexsort(
        (groups.group, np.repeat(np.arange(len(stills)), np.diff(offsets)))
    )
    true = np.zeros(len(groups.d))
    true[groups.group] = joined("full")
    observations = Observations(
        miller_index=hkl[order],
        group=groups.group[order],
        intensity=joined("intensity")[order],
        variance=joined("variance")[order],
        offsets=offsets,
        setting=np.array([still.setting for still in stills]),
        s0=np.tile(model.s0, (len(stills), 1)),
        sweep=np.zeros((len(stills), 4)),
        unique=groups.miller_index,
        d=groups.d,
    )
    return observations, true, np.array([still.parameters for still in stills])
