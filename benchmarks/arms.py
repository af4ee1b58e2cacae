"""One simulated sweep processed three ways: truncated, corrected, before truncation."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from stock_dials import Processed, process, run

from dials.array_family import flex
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.compare.agreement import (
    Agreement,
    capture,
    intensity_bins,
    resolution_bins,
    slope_ratio,
)
from dials_truncfix.compare.matching import match
from dials_truncfix.compare.spots import spot_finding
from dials_truncfix.simulate.truth import Truth, load_truth

ARMS = ("truncated", "corrected", "untruncated")


@dataclass(frozen=True)
class ArmResult:
    """One way of processing, against the truth."""

    name: str
    n_strong: int
    n_true: int
    n_false: int
    recall: float
    n_indexed: int
    n_integrated: int
    n_failed_background: int
    cell: tuple[float, ...]
    slope_ratio: float
    by_intensity: list[Agreement]
    by_resolution: list[Agreement]
    correlation_to_4: float


def simulate(folder: Path, arguments: list[str]) -> tuple[Path, list[str]]:
    """Simulate a sweep with its frames before truncation.

    Returns
    -------
    pathlib.Path
        Folder with the images and the truth.
    list of str
        Arguments of the dials.import command that the program advises.
    """
    text, _ = run(
        [
            "dials.truncfix_simulate",
            "output.directory=simulated",
            "output.unclipped=True",
            *arguments,
        ],
        folder,
    )
    return folder / "simulated", import_advice(text)


def import_advice(text: str) -> list[str]:
    """Arguments for dials.import in what dials.truncfix_simulate printed."""
    advice = re.search(r"dials\.import ((?:.*\\\n)*.*)", text)
    if advice is None:
        raise RuntimeError("dials.truncfix_simulate did not say how to import")
    return shlex.split(advice[1].replace("\\\n", " "))


def import_arms(folder: Path, advice: list[str], options: list[str]) -> dict[str, Path]:
    """Import the truncated and untruncated images, and correct the former.

    Parameters
    ----------
    folder : pathlib.Path
        Where the simulation was made.
    advice : list of str
        Arguments for dials.import.
    options : list of str
        Further arguments of dials.truncfix.

    Returns
    -------
    dict of str to pathlib.Path
        Experiments of each arm.
    """
    unclipped = sorted(str(p) for p in (folder / "simulated").glob("*_unclipped_*.cbf"))
    run(["dials.import", *unclipped, "output.experiments=untruncated.expt"], folder)
    known = ExperimentList.from_file(
        str(folder / "untruncated.expt"), check_format=False
    )
    # with gain 1 spot finding takes the noise of truncated images for spots and stops
    gain = f"geometry.detector.panel.gain={known[0].detector[0].get_gain()}"
    run(["dials.import", *advice, gain, "output.experiments=truncated.expt"], folder)
    run(["dials.import", *advice, "output.experiments=imported.expt"], folder)
    run(
        ["dials.truncfix", "imported.expt", "output.directory=corrected", *options],
        folder,
    )
    return {
        "truncated": folder / "truncated.expt",
        "corrected": folder / "truncfix.expt",
        "untruncated": folder / "untruncated.expt",
    }


def measure(name: str, done: Processed, truth: Truth) -> ArmResult:
    """Compare one processed sweep with the truth."""
    experiment = ExperimentList.from_file(str(done.experiments), check_format=False)[0]
    table = flex.reflection_table.from_file(str(done.reflections))
    strong = flex.reflection_table.from_file(str(done.folder / "strong.refl"))
    matched = match(truth, experiment, table)
    low = matched.between(1000.0, 4.0)
    spots = spot_finding(truth, strong)
    return ArmResult(
        name=name,
        n_strong=done.n_strong,
        n_true=spots.n_true,
        n_false=spots.n_false,
        recall=spots.recall,
        n_indexed=done.n_indexed,
        n_integrated=len(matched),
        n_failed_background=done.n_failed_background,
        cell=experiment.crystal.get_unit_cell().parameters(),
        slope_ratio=slope_ratio(matched),
        by_intensity=intensity_bins(matched, captured=capture(matched)),
        by_resolution=resolution_bins(matched),
        correlation_to_4=resolution_bins(low, (1000.0, 4.0))[0].correlation,
    )


def process_arms(
    folder: Path, experiments: dict[str, Path], space_group: str, cell: str
) -> list[ArmResult]:
    """Process every arm with the stock commands."""
    truth = load_truth(folder / "simulated" / "truth.npz")
    return [
        measure(name, process(path, folder / name, space_group, cell), truth)
        for name, path in experiments.items()
    ]
