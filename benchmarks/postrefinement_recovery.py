"""What postrefinement brings back of known errors, beside cctbx.xfel and PRIME."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np
from postrefinement_peers import (
    Answer,
    as_lattice,
    prime_program,
    run_peer,
    xfel_program,
)
from postrefinement_stills import (
    ANGLES,
    SCENARIOS,
    SYMMETRY,
    Simulated,
    show,
    simulate,
)

from cctbx import miller

from dials_truncfix.postrefine.lattice.options import RefinementOptions
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.refine import refine_lattices
from dials_truncfix.postrefine.merge.rejection import RejectionLimits, Verdict, judge

_ASKED_RATIOS = {"rs_hybrid": "150", "rs_hybrid, vectorised": "25", "PRIME": "60"}


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
    yield (
        "rs_hybrid, vectorised",
        xfel_program("rs_hybrid", shape, "variance", reference, vectorised=True),
    )
    yield "PRIME", prime_program(1)
    yield "PRIME, 3 passes", prime_program(3)


def of_peer(answers: list[Answer], data: Simulated) -> tuple[list[str], float]:
    theta = np.array([answer.theta for answer in answers])
    truth = np.degrees(data.truth[: len(answers), ANGLES])
    error = np.linalg.norm(theta - truth, axis=1)
    accepted = np.array([answer.accepted for answer in answers])
    seconds = sum(answer.seconds for answer in answers)
    return figures(accepted, error, seconds, len(answers)), seconds / len(answers)


def recovery(n_lattices: int, n_peers: int) -> dict[str, dict[str, float]]:
    """Print what comes back of known orientations.

    Returns
    -------
    dict of str to dict of str to float
        For each scenario the CPU time of each program, s a lattice.
    """
    ratios: dict[str, list[float]] = {}
    times: dict[str, dict[str, float]] = {}
    for scenario in SCENARIOS:
        data = simulate(scenario, n_lattices)
        rows, own = [], 0.0
        spent = times.setdefault(scenario.name, {})
        for protocol in ("all", "rs_hybrid"):
            row, seconds = ours(data, scenario.model, protocol)
            own = own or seconds
            spent[f"ours, {protocol}"] = seconds
            rows.append([f"ours, {protocol}", *row])
        lattices = [
            as_lattice(still, SYMMETRY, scenario.wavelength)
            for still in data.stills[:n_peers]
        ]
        for name, program in peers(scenario.model.value, data.reference):
            if program is not None and lattices:
                row, seconds = of_peer(run_peer(program, lattices), data)
                ratios.setdefault(name, []).append(seconds / own)
                spent[name] = seconds
                rows.append([name, *row])
        rows.append(["asked", "99", "", *scenario.asked, "2"])
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
            ["", "Least", "Median", "Most", "Asked"],
            [
                [
                    name,
                    *(f"{f(values):.0f}" for f in (min, np.median, max)),
                    _ASKED_RATIOS.get(name, ""),
                ]
                for name, values in ratios.items()
            ],
        )
    return times


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
