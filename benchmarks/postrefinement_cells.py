"""Errors of the cell, and ways to index, in postrefinement of simulated stills."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from postrefinement_stills import (
    ANGLES,
    SCENARIOS,
    SYMMETRY,
    Scenario,
    Simulated,
    observed,
    show,
    simulate,
)

from cctbx import crystal

from dials_truncfix.postrefine.indexing.ambiguity import agreements, reindexings
from dials_truncfix.postrefine.indexing.reindexing import all_preferences
from dials_truncfix.postrefine.input.free_cells import FreeCells
from dials_truncfix.postrefine.input.observations import Observations
from dials_truncfix.postrefine.lattice.cell import cell_freedom
from dials_truncfix.postrefine.lattice.lattices import Lattices
from dials_truncfix.postrefine.lattice.options import RefinementOptions
from dials_truncfix.postrefine.lattice.refine import refine_lattices
from dials_truncfix.postrefine.lattice.target import N_PARAMETERS
from dials_truncfix.simulate.sphere import all_reflections
from dials_truncfix.simulate.stills import StillsModel, simulate_stills
from dials_truncfix.simulate.structure_factors import wilson_intensities

#: What is asked of the share of lattices that are indexed right, %.
_ASKED_RIGHT = 99
_FORMS = (
    ("P41", (79.1, 79.1, 38.1, 90, 90, 90)),
    ("P213", (70, 70, 70, 90, 90, 90)),
    ("P31", (60, 60, 80, 90, 90, 120)),
)


def with_free_cells(data: Simulated, scenario: Scenario) -> Lattices:
    """Give the same lattices cells that may change."""
    observations = observed(data.stills, scenario.stills_model(len(data.stills)))
    free = FreeCells(observations, cell_freedom(SYMMETRY))
    block = free.block(slice(0, len(data.stills)))
    everything = np.ones(len(block), dtype=bool)
    # in another order than the observations of `data`
    strains = replace(
        block,
        miller_index=np.concatenate([still.miller_index for still in data.stills]),
    ).lattices(data.lattices.reference, 0 * data.lattices.reference, everything)
    return replace(data.lattices, strains=strains.strains)


def cells(n_lattices: int) -> None:
    """Print errors of angles with and without errors and refinement of the cell."""
    rows = []
    for scenario in SCENARIOS:
        for axis_error in (0.0, 1e-3):
            data = simulate(scenario, n_lattices, axis_error=axis_error)
            free = with_free_cells(data, scenario)
            for name, lattices in (("held", data.lattices), ("refined", free)):
                begin = time.process_time()
                fits = refine_lattices(lattices, scenario.model, RefinementOptions())
                seconds = time.process_time() - begin
                x = fits.parameters[:, :N_PARAMETERS]
                error = np.degrees(np.linalg.norm((x - data.truth)[:, ANGLES], axis=1))
                sd, carried = "-", "-"
                if name == "refined":
                    z = (fits.parameters - _truth(data, free)) / fits.uncertainties()
                    kept = fits.free[:, N_PARAMETERS:]
                    carried = f"{100 * kept.mean():.0f}"
                    if kept.any():
                        sd = f"{np.nanstd(z[:, N_PARAMETERS:]):.2f}"
                rows.append(
                    [
                        scenario.name,
                        f"{100 * axis_error:g}",
                        name,
                        f"{np.median(error):.4f}",
                        f"{np.percentile(error, 90):.4f}",
                        f"{np.median(fits.spread):.2f}",
                        carried,
                        sd,
                        f"{1e3 * seconds / n_lattices:.2f}",
                    ]
                )
    header = ["", "Error of axes (%)", "Cell", "Median θ (°)", "90 % (°)", "Spread"]
    header += ["Strains refined (%)", "sd z(strain)", "CPU (ms)"]
    show(f"Cells of {n_lattices} lattices (asked: below 0.018°)", header, rows)


def _truth(data: Simulated, free: Lattices) -> np.ndarray:
    return np.concatenate([data.truth, free.strains.expected], axis=1)


def ambiguity(n_lattices: int) -> None:
    """Print how many lattices indexed at random a reference puts right."""
    rows = []
    for group, cell in _FORMS:
        symmetry = crystal.symmetry(cell, group)
        operators = reindexings(symmetry, 2.0)
        own = [
            np.reshape(operator.r().as_double(), (3, 3)).T
            for operator in symmetry.space_group().build_derived_laue_group().all_ops()
        ]
        for mean_intensity in (1000.0, 30.0):
            model = replace(
                SCENARIOS[1].stills_model(n_lattices),
                mean_intensity=mean_intensity,
                d_min=3.5,
            )
            intensities = wilson_intensities(symmetry, model.d_min, 15.0, 1)
            way = np.random.default_rng(0).integers(0, len(operators), n_lattices)
            mixed = _mixed(symmetry, intensities, model, operators, way)
            found = all_preferences(mixed, intensities, operators)
            right = [
                any(
                    np.allclose(o, operators[chosen].matrix @ operators[given].matrix)
                    for o in own
                )
                for chosen, given in zip(found.best, way)
            ]
            alike = _mixed(symmetry, intensities, model, operators, 0 * way)
            rows.append(
                [
                    group,
                    f"{mean_intensity:g}",
                    str(len(operators)),
                    f"{100 * np.mean(right):.1f}",
                    _verdict(mixed, symmetry, operators),
                    _verdict(alike, symmetry, operators),
                ]
            )
    show(
        f"{n_lattices} lattices indexed at random (asked: {_ASKED_RIGHT} % right)",
        ["", "Mean I", "Ways", "Right by a reference (%)", "Mixed are", "Alike are"],
        rows,
    )


def _mixed(symmetry, intensities, model: StillsModel, operators, way) -> Observations:
    sphere = all_reflections(intensities, model.d_min, model.mean_intensity)
    stills = [
        replace(
            still,
            miller_index=operators[i].apply(still.miller_index),
            setting=still.setting @ np.linalg.inv(operators[i].matrix),
        )
        for i, still in zip(way, simulate_stills(sphere, model, 1))
    ]
    return observed(stills, model, symmetry)


def _verdict(observations: Observations, symmetry, operators) -> str:
    block = observations.block(slice(0, observations.n_lattices))
    found = agreements(block, symmetry, operators, np.ones(N_PARAMETERS, dtype=bool))
    if all(agreement.resolved for agreement in found):
        return "taken"
    told = any(a.telling and not a.resolved for a in found)
    return "refused: mixed" if told else "refused: cannot tell"
