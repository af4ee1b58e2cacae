"""Derivatives, agreement with rs_hybrid, uncertainties and invariance of postrefinement."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from postrefinement_cells import with_free_cells
from postrefinement_peers import as_lattice, run_peer, xfel_program
from postrefinement_stills import (
    ANGLES,
    ELECTRONS,
    SCENARIOS,
    SYMMETRY,
    XRAYS,
    Scenario,
    observed,
    show,
    simulate,
)

from dials_truncfix.postrefine.lattice.assemble import reciprocal_points
from dials_truncfix.postrefine.lattice.lattices import Lattices
from dials_truncfix.postrefine.lattice.options import NO_PRIORS, RefinementOptions
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.refine import refine_lattices
from dials_truncfix.postrefine.lattice.target import (
    LOG_G,
    LOG_RS,
    PARAMETER_NAMES,
    B,
    calculate,
)


def derivatives() -> None:
    """Largest difference of analytic and central differences, of the largest derivative."""
    rows = []
    for wavelength, name in ((XRAYS, "X-rays"), (ELECTRONS, "electrons")):
        scenario = Scenario("", wavelength, Model.GAUSSIAN, 0.05)
        data = simulate(scenario, 5)
        lattices = with_free_cells(data, scenario)
        x = np.concatenate([data.truth, np.full((5, lattices.n_strains), 1e-3)], axis=1)
        # everything inside the sphere, whose edge has no derivative
        x[:, LOG_RS] = math.log(5e-3)
        steps = [1e-5, 1e-4, 1e-6, 1e-6, 1e-5] + lattices.n_strains * [1e-6]
        for model in Model:
            jacobian = calculate(lattices, x, model).jacobian
            row = [name, model.value]
            for parameter, step in enumerate(steps):
                ends = []
                for sign in (1, -1):
                    moved = x.copy()
                    moved[:, parameter] += sign * step
                    ends.append(calculate(lattices, moved, model).intensity)
                numeric = (ends[0] - ends[1]) / (2 * step)
                error = np.abs(jacobian[parameter] - numeric).max()
                row.append(f"{error / np.abs(numeric).max():.0e}")
            rows.append(row)
    show(
        "Analytic against central differences, of the largest derivative (asked: 1e-6)",
        ["", "Model", *PARAMETER_NAMES, "strain of a", "of c"],
        rows,
    )


def agreement(n_peers: int) -> None:
    """Difference to rs_hybrid where it accepts: the same target and the same minimum."""
    rows = []
    for scenario in SCENARIOS[:2]:
        data = simulate(scenario, n_peers)
        program = xfel_program(
            "rs_hybrid", scenario.model.value, "variance", data.reference
        )
        if program is None:
            return
        answers = run_peer(
            program, [as_lattice(s, SYMMETRY, scenario.wavelength) for s in data.stills]
        )
        options = RefinementOptions("rs_hybrid", huber=math.inf, priors=NO_PRIORS)
        fits = refine_lattices(data.lattices, scenario.model, options)
        kept = [i for i, answer in enumerate(answers) if answer.accepted]
        theta = np.degrees(fits.parameters[kept][:, ANGLES])
        difference = np.abs(theta - [answers[i].theta for i in kept]).max(axis=1)
        g = np.exp(fits.parameters[kept, LOG_G]) / [answers[i].g for i in kept] - 1
        rs = np.exp(fits.parameters[kept, LOG_RS]) / [answers[i].rs for i in kept] - 1
        rows.append(
            [
                scenario.name,
                f"{len(kept)}/{n_peers}",
                *(f"{np.percentile(np.abs(v), 90):.1e}" for v in (difference, g, rs)),
            ]
        )
    if rows:
        rows.append(["asked", "", "1e-05", "1e-04", "1e-04"])
    show(
        "Against rs_hybrid, without priors and limits: 90 % of the lattices differ by less",
        ["", "Accepted", "θ (°)", "G", "rs"],
        rows,
    )


def uncertainties(n_lattices: int) -> None:
    """Spread of errors over their standard uncertainties, and errors of G and rs."""
    rows = []
    for scenario in SCENARIOS:
        data = simulate(scenario, n_lattices, seed=2)
        fits = refine_lattices(data.lattices, scenario.model, RefinementOptions())
        error = fits.parameters - data.truth
        scores = (error / fits.uncertainties()).std(axis=0)
        median = np.median(np.abs(np.expm1(error[:, [LOG_G, LOG_RS]])), axis=0)
        rows.append(
            [
                scenario.name,
                *(f"{score:.2f}" for score in scores),
                *(f"{100 * value:.2f}" for value in median),
            ]
        )
    rows.append(["asked", *(5 * ["0.8-1.2"]), "1", "1"])
    show(
        "Errors over their standard uncertainties, and median errors",
        ["", *(f"sd z({name})" for name in PARAMETER_NAMES), "G (%)", "rs (%)"],
        rows,
    )


def invariance() -> None:
    """Largest relative change of B, θ and rs, for other units and directions."""
    rows = []
    scenario = SCENARIOS[1]
    data = simulate(scenario, 50)
    fits = refine_lattices(data.lattices, scenario.model, RefinementOptions())

    def change(lattices: Lattices) -> str:
        x = refine_lattices(lattices, scenario.model, RefinementOptions()).parameters
        columns = [B, *ANGLES]
        relative = np.abs(x[:, columns] / fits.parameters[:, columns] - 1).max()
        rs = np.abs(np.expm1(x[:, LOG_RS] - fits.parameters[:, LOG_RS])).max()
        return f"{max(relative, rs):.1e}"

    for factor in (1e-4, 1e4):
        scaled = replace(data.lattices, reference=factor * data.lattices.reference)
        rows.append([f"reference × {factor:g}", change(scaled)])
    for angle in (0.3, 5.0):
        tilt = rotation_about((1.0, 0.5, 0.0), math.radians(angle))
        observations = observed(data.stills, scenario.stills_model(50))
        hkl = np.concatenate([still.miller_index for still in data.stills])
        q = reciprocal_points(
            hkl,
            data.lattices.offsets,
            tilt @ observations.setting,
            observations.s0 @ tilt.T,
        )
        rows.append(
            [
                f"beam and crystals tilted by {angle}°",
                change(replace(data.lattices, q=q)),
            ]
        )
    show("Largest relative change of B, θ, rs (asked: 1e-6)", ["", "Change"], rows)


def rotation_about(axis: tuple[float, float, float], angle: float) -> np.ndarray:
    n = np.array(axis) / np.linalg.norm(axis)
    k = np.array([[0, -n[2], n[1]], [n[2], 0, -n[0]], [-n[1], n[0], 0]])
    return np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * (k @ k)
