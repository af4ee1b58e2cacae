"""dials.truncfix_postrefine against the truth and beside cctbx.xfel and PRIME, in one run.

Usage: python benchmarks/postrefinement.py [--lattices N] [--peers N] [--data FOLDER]

Simulated stills of a crystal of the cell of lysozyme: what comes back of the known errors of
their orientations, scales and radii, at which CPU time, and how well stills merged on
themselves agree with the truth. With a folder of real data (stills/lcls_lysozyme_300 and
stills/cunir_ssx) also how well real lattices are predicted. CPU times of all programs are
taken in this process, one after the other; without cctbx.xfel or PRIME their rows are absent.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

# threads of a linear algebra library would count as CPU time, and win nothing
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from postrefinement_peers import (
    Answer,
    as_lattice,
    prime_program,
    run_peer,
    xfel_program,
)

from cctbx import crystal, miller
from dials.util import tabulate

from dials_truncfix.compare.files import load_integrated
from dials_truncfix.compare.merging import group_equivalents
from dials_truncfix.postrefine.assemble import reciprocal_points
from dials_truncfix.postrefine.cycle_options import CycleOptions
from dials_truncfix.postrefine.cycles import postrefine
from dials_truncfix.postrefine.gather import load_data_set
from dials_truncfix.postrefine.lattices import Lattices
from dials_truncfix.postrefine.merging import Merged, merge
from dials_truncfix.postrefine.observations import Observations
from dials_truncfix.postrefine.options import NO_PRIORS, RefinementOptions
from dials_truncfix.postrefine.outcome import Outcome
from dials_truncfix.postrefine.partiality import Model
from dials_truncfix.postrefine.reference import (
    ReferenceFile,
    as_reference,
    read_reference,
)
from dials_truncfix.postrefine.refine import refine_lattices
from dials_truncfix.postrefine.rejection import RejectionLimits, Verdict, judge
from dials_truncfix.postrefine.tables import InputOptions
from dials_truncfix.postrefine.target import (
    LOG_G,
    LOG_RS,
    PARAMETER_NAMES,
    THETA_X,
    THETA_Y,
    B,
    calculate,
)
from dials_truncfix.simulate.stills import (
    Still,
    StillsModel,
    all_reflections,
    simulate_stills,
)
from dials_truncfix.simulate.structure_factors import wilson_intensities

SYMMETRY = crystal.symmetry(
    unit_cell=(79.1, 79.1, 38.1, 90, 90, 90), space_group_symbol="P43212"
)
XRAYS, ELECTRONS = 1.3, 0.0251
ANGLES = [THETA_X, THETA_Y]


@dataclass(frozen=True)
class Scenario:
    """Simulated stills, and what they are to be called."""

    name: str
    wavelength: float
    model: Model
    error: float
    rs: float = 7e-4
    mean_intensity: float = 1000.0
    d_min: float = 2.6

    def stills_model(self, n_lattices: int) -> StillsModel:
        """Give the simulation its parameters."""
        return StillsModel(
            n_lattices=n_lattices,
            s0=(0.0, 0.0, -1.0 / self.wavelength),
            model=self.model,
            rs=self.rs,
            orientation_error=math.radians(self.error),
            mean_intensity=self.mean_intensity,
            d_min=self.d_min,
        )


SCENARIOS = (
    Scenario("X-rays, B, 0.05°", XRAYS, Model.LORENTZIAN, 0.05),
    Scenario("X-rays, G, 0.10°", XRAYS, Model.GAUSSIAN, 0.10),
    Scenario("X-rays, B, 0.20°", XRAYS, Model.LORENTZIAN, 0.20),
    Scenario("X-rays, weak, 0.10°", XRAYS, Model.GAUSSIAN, 0.10, mean_intensity=100.0),
    Scenario("electrons, G, 0.10°", ELECTRONS, Model.GAUSSIAN, 0.10),
    Scenario(
        "electrons, G, 0.20°, large rs",
        ELECTRONS,
        Model.GAUSSIAN,
        0.20,
        3e-3,
        d_min=4.0,
    ),
)


@dataclass(frozen=True)
class Simulated:
    """Stills with the true reference."""

    stills: list[Still]
    lattices: Lattices
    truth: np.ndarray
    reference: miller.array


def simulate(scenario: Scenario, n_lattices: int, seed: int = 1) -> Simulated:
    model = scenario.stills_model(n_lattices)
    intensities = wilson_intensities(SYMMETRY, model.d_min, 15.0, seed)
    sphere = all_reflections(intensities, model.d_min, model.mean_intensity)
    stills = list(simulate_stills(sphere, model, seed))
    observations = observed(stills, model)
    full = np.concatenate([still.full for still in stills])
    lattices = Lattices(
        q=reciprocal_points(
            np.concatenate([still.miller_index for still in stills]),
            observations.offsets,
            observations.setting,
            observations.s0,
        ),
        intensity=np.concatenate([still.intensity for still in stills]),
        variance=np.concatenate([still.variance for still in stills]),
        reference=full,
        reference_variance=np.zeros(len(full)),
        used=np.ones(len(full), dtype=bool),
        offsets=observations.offsets,
        wavelength=np.full(len(stills), scenario.wavelength),
    )
    reference = intensities.customized_copy(data=intensities.data() * sphere.scale)
    truth = np.array([still.parameters for still in stills])
    return Simulated(stills, lattices, truth, reference.map_to_asu())


def observed(stills: list[Still], model: StillsModel) -> Observations:
    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(still, name) for still in stills])

    sizes = [len(still.intensity) for still in stills]
    hkl = joined("miller_index")
    groups = group_equivalents(hkl.astype(np.int64), SYMMETRY)
    order = np.lexsort((groups.group, np.repeat(np.arange(len(stills)), sizes)))
    return Observations(
        miller_index=hkl[order],
        group=groups.group[order],
        intensity=joined("intensity")[order],
        variance=joined("variance")[order],
        offsets=np.cumsum([0, *sizes]),
        setting=np.array([still.setting for still in stills]),
        s0=np.tile(model.s0, (len(stills), 1)),
        sweep=np.zeros((len(stills), 4)),
        unique=groups.miller_index,
        d=groups.d,
    )


def show(title: str, header: list[str], rows: list[list[str]]) -> None:
    print(f"\n{title}")
    print(tabulate(rows, header, disable_numparse=True), flush=True)


def derivatives() -> None:
    """Largest difference of analytic and central differences, of the largest derivative."""
    rows = []
    for wavelength, name in ((XRAYS, "X-rays"), (ELECTRONS, "electrons")):
        scenario = Scenario("", wavelength, Model.GAUSSIAN, 0.05)
        data = simulate(scenario, 5)
        x = data.truth.copy()
        # everything inside the sphere, whose edge has no derivative
        x[:, LOG_RS] = math.log(5e-3)
        for model in Model:
            jacobian = calculate(data.lattices, x, model).jacobian
            row = [name, model.value]
            for parameter, step in enumerate((1e-5, 1e-4, 1e-6, 1e-6, 1e-5)):
                ends = []
                for sign in (1, -1):
                    moved = x.copy()
                    moved[:, parameter] += sign * step
                    ends.append(calculate(data.lattices, moved, model).intensity)
                numeric = (ends[0] - ends[1]) / (2 * step)
                error = np.abs(jacobian[parameter] - numeric).max()
                row.append(f"{error / np.abs(numeric).max():.0e}")
            rows.append(row)
    show(
        "Analytic against central differences",
        ["", "Model", *PARAMETER_NAMES],
        rows,
    )


def figures(
    accepted: np.ndarray, error: np.ndarray, seconds: float, n: int
) -> list[str]:
    good = error[accepted]
    if len(good) == 0:
        return ["0", "0", "-", "-", f"{1e3 * seconds / n:.2f}"]
    return [
        f"{100 * accepted.mean():.1f}",
        f"{100 * np.count_nonzero(good < 0.02) / n:.1f}",
        f"{np.median(good):.4f}",
        f"{np.percentile(good, 90):.4f}",
        f"{1e3 * seconds / n:.2f}",
    ]


def ours(data: Simulated, model: Model, protocol: str) -> tuple[list[str], float]:
    options = RefinementOptions(protocol=protocol)
    begin = time.process_time()
    fits = refine_lattices(data.lattices, model, options)
    seconds = time.process_time() - begin
    error = np.degrees(
        np.linalg.norm((fits.parameters - data.truth)[:, ANGLES], axis=1)
    )
    accepted = fits.converged & (np.abs(fits.parameters[:, ANGLES]).max(1) < 0.00873)
    return figures(accepted, error, seconds, len(data.lattices)), seconds / len(
        data.lattices
    )


def peers(shape: str, reference: miller.array) -> Iterator[tuple[str, object]]:
    for algorithm in ("rs", "rs2", "rs_hybrid"):
        yield algorithm, xfel_program(algorithm, shape, "variance", reference)
    yield "PRIME", prime_program()


def of_peer(answers: list[Answer], data: Simulated) -> tuple[list[str], float]:
    theta = np.array([answer.theta for answer in answers])
    truth = np.degrees(data.truth[: len(answers), ANGLES])
    error = np.linalg.norm(theta - truth, axis=1)
    accepted = np.array([answer.accepted for answer in answers])
    seconds = sum(answer.seconds for answer in answers)
    return figures(accepted, error, seconds, len(answers)), seconds / len(answers)


def recovery(n_lattices: int, n_peers: int) -> None:
    """Print what comes back of known orientations."""
    ratios: dict[str, list[float]] = {}
    for scenario in SCENARIOS:
        data = simulate(scenario, n_lattices)
        rows, own = [], 0.0
        for protocol in ("all", "rs_hybrid"):
            row, seconds = ours(data, scenario.model, protocol)
            own = own or seconds
            rows.append([f"ours, {protocol}", *row])
        lattices = [
            as_lattice(still, SYMMETRY, scenario.wavelength)
            for still in data.stills[:n_peers]
        ]
        for name, program in peers(scenario.model.value, data.reference):
            if program is not None and lattices:
                row, seconds = of_peer(run_peer(program, lattices), data)
                ratios.setdefault(name, []).append(seconds / own)
                rows.append([name, *row])
        size = len(data.lattices.row) / n_lattices
        show(
            f"{scenario.name}: {n_lattices} lattices of {size:.0f} reflections"
            f" ({len(lattices)} for the others)",
            ["", "Accepted (%)", "< 0.02° (%)", "Median (°)", "90 % (°)", "CPU (ms)"],
            rows,
        )
    if ratios:
        show(
            "CPU time over that of ours, all",
            ["", "Least", "Median", "Most"],
            [
                [name, *(f"{f(values):.0f}" for f in (min, np.median, max))]
                for name, values in ratios.items()
            ],
        )


def rotations(n_lattices: int) -> None:
    """Which lattices are accepted, when some are turned by more than the limit."""
    rows = []
    for scenario in SCENARIOS:
        data = simulate(scenario, n_lattices, seed=4)
        fits = refine_lattices(data.lattices, scenario.model, RefinementOptions())
        wanted = np.ones(fits.parameters.shape[1], dtype=bool)
        row = [scenario.name]
        for limits in (
            RejectionLimits(),
            RejectionLimits(max_theta=math.radians(1.0)),
        ):
            accepted = judge(fits, limits, wanted) == Verdict.ACCEPTED
            inside = np.abs(data.truth[:, ANGLES]).max(axis=1) <= limits.max_theta
            row += [
                f"{100 * accepted.mean():.1f}",
                f"{100 * accepted[inside].mean():.1f}",
                f"{np.count_nonzero(accepted & ~inside)} of {(~inside).sum()}",
            ]
        rows.append(row)
    show(
        f"Accepted of {n_lattices} lattices (%), of those turned by no more than the"
        " limit (%), and of those turned by more",
        [
            "",
            *(
                f"{what} {limit}°"
                for limit in (0.5, 1)
                for what in ("All,", "Within", "Beyond")
            ),
        ],
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
    show("Largest relative change of B, θ, rs", ["", "Change"], rows)


def rotation_about(axis: tuple[float, float, float], angle: float) -> np.ndarray:
    n = np.array(axis) / np.linalg.norm(axis)
    k = np.array([[0, -n[2], n[1]], [n[2], 0, -n[0]], [-n[1], n[0], 0]])
    return np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * (k @ k)


def r_and_cc(merged: Merged, true: np.ndarray) -> list[str]:
    present = merged.n_observed > 0
    found, expected = merged.intensity[present], true[present]
    return [
        f"{np.corrcoef(found, expected)[0, 1]:.4f}",
        f"{np.abs(found - expected).sum() / expected.sum():.4f}",
    ]


def end_to_end(n_lattices: int) -> None:
    """Stills merged on themselves, without any fit to the truth afterwards.

    The scale of the result is that on which log G and B of the lattices average to 0; the
    truth is put on it by the true parameters.
    """
    rows = []
    for error in (0.05, 0.10):
        scenario = Scenario("", XRAYS, Model.GAUSSIAN, error, 8e-4, 80.0, 3.0)
        data = simulate(scenario, n_lattices, seed=3)
        observations = observed(data.stills, scenario.stills_model(n_lattices))
        full = np.concatenate([still.full for still in data.stills])
        p = np.concatenate([still.partiality for still in data.stills])
        groups = group_equivalents(
            np.concatenate([s.miller_index for s in data.stills]).astype(np.int64),
            SYMMETRY,
        )
        order = np.lexsort((groups.group, observations.row))
        true = np.zeros(len(observations.d))
        true[groups.group] = full
        g, b = data.truth[:, [LOG_G, B]].mean(axis=0)
        true *= np.exp(g - 0.5 * b / observations.d**2)

        begin = time.process_time()
        outcome = postrefine(observations, None, CycleOptions(), map)
        seconds = time.process_time() - begin
        kept = f"{100 * outcome.accepted.mean():.1f}"
        cpu = f"{1e3 * seconds / n_lattices / len(outcome.cycles):.2f}"
        merged = outcome.merged
        name = f"{error}°"
        rows.append([name, "ours", kept, *r_and_cc(merged, true), cpu])
        everything = np.ones(len(observations), dtype=bool)
        raw = merge(
            observations.group,
            observations.intensity,
            observations.variance,
            everything,
            len(true),
        )
        factor = true.sum() / np.nansum(raw.intensity)
        raw = replace(raw, total=raw.total * factor)
        rows.append([name, "raw mean, one factor", "100", *r_and_cc(raw, true), "-"])
        scale = np.exp(
            data.truth[observations.row, LOG_G]
            - g
            - 0.5
            * (data.truth[observations.row, B] - b)
            / observations.d[observations.group] ** 2
        )
        scale *= p[order]
        used = p[order] >= 0.2
        safe = np.where(used, scale, 1.0)
        known = merge(
            observations.group,
            observations.intensity / safe,
            observations.variance / safe**2,
            used,
            len(true),
        )
        rows.append([name, "true parameters", "100", *r_and_cc(known, true), "-"])
    show(
        f"{n_lattices} Gaussian stills merged on themselves",
        ["Error", "", "Kept (%)", "CC true", "R true", "CPU (ms/lattice/cycle)"],
        rows,
    )


def real(folder: Path) -> None:
    """Real lattices: prediction of what was held out, and refusal."""
    stills = folder / "stills"
    path = stills / "lcls_lysozyme_300" / "indexed.refl"
    if path.is_file():
        data = load_data_set(load_integrated([path], []), InputOptions())
        file = ReferenceFile(path.with_name("reference_hewl.mtz"))
        reference = as_reference(file, read_reference(file, data), data.observations)
        rows = []
        for protocol in ("scale", "rs", "rs_hybrid", "all"):
            options = CycleOptions(
                model=Model.GAUSSIAN,
                refinement=RefinementOptions(protocol=protocol),
                limits=RejectionLimits(min_observations=20),
            )
            outcome = postrefine(data.observations, reference, options, map)
            candidates = int((outcome.verdicts != Verdict.TOO_FEW).sum())
            for held_out in outcome.held_out:
                rows.append(
                    [
                        protocol,
                        held_out.model.value,
                        f"{held_out.r_free:.3f}",
                        f"{held_out.cc_free:.3f}",
                        _kept(outcome, candidates)
                        if held_out.model is Model.GAUSSIAN
                        else "",
                    ]
                )
        show(
            "Lysozyme at LCLS, strong spots, against a known structure",
            ["Protocol", "Model", "R free", "CC free", "Kept"],
            rows,
        )
    path = stills / "cunir_ssx" / "integrated.refl"
    if path.is_file():
        data = load_data_set(load_integrated([path], []), InputOptions())
        outcome = postrefine(data.observations, None, CycleOptions(), map)
        print("\nFive lattices of CuNiR on themselves:")
        for verdict in outcome.verdicts:
            print(f"  {verdict.value}")


def _kept(outcome: Outcome, candidates: int) -> str:
    return f"{outcome.accepted.sum()}/{candidates}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lattices", type=int, default=200)
    parser.add_argument("--peers", type=int, default=40, help="lattices for the others")
    named = os.environ.get("DIALS_TRUNCFIX_TEST_DATA")
    parser.add_argument(
        "--data",
        type=Path,
        default=None if named is None else Path(named),
        help="folder with real data; else that of the tests",
    )
    args = parser.parse_args()
    derivatives()
    agreement(args.peers)
    recovery(args.lattices, args.peers)
    rotations(args.lattices)
    uncertainties(args.lattices)
    invariance()
    end_to_end(2 * args.lattices)
    if args.data is not None:
        real(args.data)


if __name__ == "__main__":
    main()
