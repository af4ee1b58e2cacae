"""dials.truncfix_postrefine against the truth and beside cctbx.xfel and PRIME, in one run.

Usage: python benchmarks/postrefinement.py [--parts NAME ...] [--lattices N] [--peers N]
           [--data FOLDER] [--json FILE]

Simulated stills of a crystal of the cell of lysozyme: what comes back of the known errors of
their orientations, scales and radii, at which CPU time, and how well stills merged on
themselves agree with the truth. With a folder of real data (stills/lcls_lysozyme_300 and
stills/cunir_ssx) also how well real lattices are predicted. CPU times of all programs are
taken in this process, one after the other; without cctbx.xfel or PRIME their rows are absent.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

# threads of a linear algebra library would count as CPU time, and win nothing
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from postrefinement_cells import ambiguity, cells
from postrefinement_checks import agreement, derivatives, invariance, uncertainties
from postrefinement_recovery import recovery, rotations
from postrefinement_stills import (
    SYMMETRY,
    XRAYS,
    Scenario,
    observed,
    show,
    simulate,
)

from dials_truncfix.compare.equivalents import group_equivalents
from dials_truncfix.compare.files import load_integrated
from dials_truncfix.postrefine.cycles.cycle_options import CycleOptions
from dials_truncfix.postrefine.cycles.cycles import postrefine
from dials_truncfix.postrefine.cycles.outcome import Outcome
from dials_truncfix.postrefine.input.gather import load_data_set
from dials_truncfix.postrefine.input.tables import InputOptions
from dials_truncfix.postrefine.lattice.options import RefinementOptions
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.target import LOG_G, THETA_X, THETA_Y, B
from dials_truncfix.postrefine.merge.merging import Merged, merge
from dials_truncfix.postrefine.merge.reference import (
    ReferenceFile,
    as_reference,
    read_reference,
)
from dials_truncfix.postrefine.merge.rejection import RejectionLimits, Verdict


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
    rows.append(["asked", "", "99", "0.998", "0.055", ""])
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
        rows.append(["asked", "", "0.76", "0.46", "210"])
        show(
            "Lysozyme at LCLS, strong spots, against a known structure (asked too: R free"
            " of all never above that of scale)",
            ["Protocol", "Model", "R free", "CC free", "Kept"],
            rows,
        )
    path = stills / "cunir_ssx" / "integrated.refl"
    if path.is_file():
        data = load_data_set(load_integrated([path], []), InputOptions())
        outcome = postrefine(data.observations, None, CycleOptions(), map)
        angles = np.degrees(np.abs(outcome.fits.parameters[:, [THETA_X, THETA_Y]]))
        rows = [
            [verdict.value, f"{angle:.2f}"]
            for verdict, angle in zip(outcome.verdicts, angles.max(axis=1))
        ]
        rows.append(["asked: all under-determined, none accepted above", "0.5"])
        show("Five lattices of CuNiR on themselves", ["", "Largest |θ| (°)"], rows)


def _kept(outcome: Outcome, candidates: int) -> str:
    return f"{outcome.accepted.sum()}/{candidates}"


PARTS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "derivatives": lambda args: derivatives(),
    "agreement": lambda args: agreement(args.peers),
    "recovery": lambda args: recovery(args.lattices, args.peers),
    "rotations": lambda args: rotations(args.lattices),
    "uncertainties": lambda args: uncertainties(args.lattices),
    "invariance": lambda args: invariance(),
    "cells": lambda args: cells(args.lattices),
    "ambiguity": lambda args: ambiguity(args.lattices),
    "end_to_end": lambda args: end_to_end(2 * args.lattices),
    "real": lambda args: None if args.data is None else real(args.data),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--lattices", type=int, default=200)
    parser.add_argument("--peers", type=int, default=40, help="lattices for the others")
    named = os.environ.get("DIALS_TRUNCFIX_TEST_DATA")
    parser.add_argument(
        "--data",
        type=Path,
        default=None if named is None else Path(named),
        help="folder with real data; else that of the tests",
    )
    parser.add_argument(
        "--json", type=Path, help="write the CPU times of recovery to this file"
    )
    args = parser.parse_args()
    done = {name: PARTS[name](args) for name in args.parts}
    if args.json:
        figures = {"peers": args.peers, "seconds": done.get("recovery")}
        args.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
