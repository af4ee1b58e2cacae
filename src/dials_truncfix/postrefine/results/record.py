"""The record of a run, and the same for people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dials_truncfix.postrefine.cycles.outcome import Outcome
from dials_truncfix.postrefine.input.free_cells import FreeCells
from dials_truncfix.postrefine.input.gather import DataSet
from dials_truncfix.postrefine.lattice.fits import LatticeFit
from dials_truncfix.postrefine.lattice.target import PARAMETER_NAMES
from dials_truncfix.postrefine.merge.rejection import Verdict
from dials_truncfix.postrefine.results.figures import Shell
from dials_truncfix.postrefine.results.profiles import Profiles
from dials_truncfix.sweep.record import as_json, on_one_line

PROGRAM = "dials.truncfix_postrefine"
#: Changes when the meaning of an entry does.
SCHEMA = "dials.truncfix_postrefine/1"
#: What B means wherever this package writes it.
B_CONVENTION = "I = I0 exp(-2 B sin²θ/λ²)"


def lattice_records(data: DataSet, outcome: Outcome) -> Iterator[dict[str, Any]]:
    """Describe every lattice, those without any usable observation too.

    Yields
    ------
    dict
        In the order of the experiments; angles in degrees, B the conventional Wilson factor
        of intensities (Å²), rs in Å⁻¹. Cells (Å and degrees) where they were refined, and
        new indices in terms of the old where an ambiguity was resolved.
    """
    position = {int(e): i for i, e in enumerate(data.lattice_experiment)}
    cells = None
    if isinstance(data.observations, FreeCells):
        cells = data.observations.refined_cells(outcome.fits)
    for number in range(data.n_experiments):
        lattice = position.get(number)
        record = _lattice(data, outcome, number, lattice)
        if cells is not None:
            for name, values in zip(("unit_cell", "unit_cell_sd"), cells):
                record[name] = None if lattice is None else values[lattice].tolist()
        if data.reindexed is not None:
            record["reindexed"] = data.reindexed[number]
        yield record


def _lattice(
    data: DataSet, outcome: Outcome, experiment: int, lattice: int | None
) -> dict[str, Any]:
    identifier = data.identifiers[experiment]
    if lattice is None:
        verdict = _unrefined(data, experiment)
        # the fields of all others, with nothing in them
        fields = {
            **dict.fromkeys(_fit(outcome.fits[0])),
            "n_obs": 0,
            "delta_cc_half": None,
        }
        return {
            "identifier": identifier,
            "accepted": False,
            "reason": verdict.value,
            **fields,
        }
    verdict, delta = outcome.verdicts[lattice], outcome.delta_cc_half[lattice]
    return {
        "identifier": identifier,
        "accepted": verdict is Verdict.ACCEPTED,
        "reason": None if verdict is Verdict.ACCEPTED else verdict.value,
        **_fit(outcome.fits[lattice]),
        "delta_cc_half": float(delta),
    }


def _unrefined(data: DataSet, experiment: int) -> Verdict:
    """Why a lattice has no observations."""
    return Verdict.OTHER_CELL if data.deviant[experiment] else Verdict.TOO_FEW


def _fit(fit: LatticeFit) -> dict[str, Any]:
    correlations = {
        f"{PARAMETER_NAMES[j]},{PARAMETER_NAMES[k]}": float(fit.correlations[j, k])
        for j in range(len(PARAMETER_NAMES))
        for k in range(j)
        if math.isfinite(fit.correlations[j, k])
    }
    return {
        "G": fit.g,
        "G_sd": fit.g_sd,
        "B": fit.b,
        "B_sd": fit.b_sd,
        "theta_x": math.degrees(fit.theta_x),
        "theta_x_sd": math.degrees(fit.theta_x_sd),
        "theta_y": math.degrees(fit.theta_y),
        "theta_y_sd": math.degrees(fit.theta_y_sd),
        "rs": fit.rs,
        "rs_sd": fit.rs_sd,
        "n_obs": fit.n_obs,
        "cc_before": fit.cc_before,
        "cc_after": fit.cc_after,
        "spread": fit.spread,
        "converged": fit.converged,
        "n_iterations": fit.n_iterations,
        "dropped": list(fit.dropped),
        "correlations": correlations,
    }


def run_record(
    data: DataSet,
    outcome: Outcome,
    shells: Sequence[Shell],
    binned: Profiles | None,
) -> dict[str, Any]:
    """Describe a run by plain values, all but its lattices.

    Parameters
    ----------
    data : DataSet
        What was given.
    outcome : Outcome
        What became of it.
    shells : sequence of Shell
        Merged data.
    binned : Profiles or None
        For the figures of the report.
    """
    final = outcome.final
    model = final.error_model
    return {
        "program": PROGRAM,
        "schema": SCHEMA,
        "b_convention": B_CONVENTION,
        "space_group": str(data.symmetry.space_group_info()),
        "unit_cell": list(data.symmetry.unit_cell().parameters()),
        "corrections": list(data.corrections),
        "left_out": data.left_out,
        "model": outcome.model.value,
        "held_out": [
            {**asdict(held_out), "model": held_out.model.value}
            for held_out in outcome.held_out
        ],
        "cycles": [asdict(cycle) for cycle in outcome.cycles],
        "n_merged": final.n_used,
        "n_outliers": final.n_outliers,
        "error_model": None if model is None else asdict(model),
        "error_check": [asdict(entry) for entry in final.error_check],
        "shells": [
            {
                **asdict(shell),
                "completeness": shell.completeness,
                "multiplicity": shell.multiplicity,
            }
            for shell in shells
        ],
        "profiles": None if binned is None else _lists(asdict(binned)),
    }


def write_record(
    path: Path, record: dict[str, Any], lattices: Iterable[dict[str, Any]]
) -> None:
    """Write a record as JSON, its lattices one to a line as the last entry.

    Parameters
    ----------
    path : pathlib.Path
        File to write.
    record : dict
        Everything else.
    lattices : iterable of dict
        Taken one after the other, as there may be very many.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    head = as_json(record).decode().rstrip().removesuffix("}").rstrip()
    with path.open("w", encoding="utf-8") as stream:
        stream.write(f'{head},\n "lattices": [')
        for number, lattice in enumerate(lattices):
            stream.write(",\n  " if number else "\n  ")
            stream.write(on_one_line(lattice))
        stream.write("\n ]\n}\n")


def _lists(value: Any) -> Any:
    """Turn arrays into lists, in mappings of mappings."""
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def verdict_counts(data: DataSet, outcome: Outcome) -> list[tuple[str, int]]:
    """Count the lattices by what became of them, the most frequent first."""
    reasons = [verdict.value for verdict in outcome.verdicts]
    without = np.ones(data.n_experiments, dtype=bool)
    without[data.lattice_experiment] = False
    reasons += [_unrefined(data, i).value for i in np.flatnonzero(without).tolist()]
    names, counts = np.unique(reasons, return_counts=True)
    return sorted(zip(names.tolist(), counts.tolist()), key=lambda item: -item[1])
