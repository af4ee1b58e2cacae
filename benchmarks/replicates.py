"""Pooled intensities of replicates against the truth, beside those of single draws.

Simulates a truncated sweep, draws it several times with dials.truncfix replicates=N,
processes every draw by the stock commands and pools them with
dials.truncfix_combine by both of its rules. The untruncated images are processed too.

Usage: python benchmarks/replicates.py [--replicates N] [--folder FOLDER]
       [--simulate "OPTION ..."] [--truncfix "OPTION ..."]

Bias, rms error: of the integrated minus the captured part of the true intensity, e⁻;
the part that integration captures of the untruncated images.
z-sd: standard deviation of that difference over σ, which is 1 where σ is right. CC:
with the truth. A column "draws" averages these over the single draws.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from arms import simulate
from intensities import PROTEINASE_K
from stock_dials import process, run

from dials.array_family import flex
from dials.util import tabulate
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.combine.pooling import RULES
from dials_truncfix.compare.agreement import Agreement, capture, intensity_bins
from dials_truncfix.compare.matching import Matched, match
from dials_truncfix.simulate.truth import Truth, load_truth

#: Limits of the bins of true intensity, e⁻.
LIMITS = (0.0, 10.0, 25.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0)


def make_replicates(
    folder: Path, n_replicates: int, simulation: list[str], options: list[str]
) -> tuple[list[Path], Path]:
    """Simulate a sweep, draw it several times, and process the draws.

    Returns
    -------
    list of pathlib.Path
        Folder of each processed draw.
    pathlib.Path
        Folder of the processed untruncated images.
    """
    _, advice = simulate(folder, simulation)
    run(["dials.import", *advice], folder)
    run(
        [
            "dials.truncfix",
            "imported.expt",
            "output.directory=corrected",
            f"replicates={n_replicates}",
            *options,
        ],
        folder,
    )
    unclipped = sorted(str(p) for p in (folder / "simulated").glob("*_unclipped_*.cbf"))
    run(["dials.import", *unclipped, "output.experiments=untruncated.expt"], folder)
    draws = []
    for experiments in sorted(folder.glob("truncfix_*.expt")):
        draws.append(process(experiments, folder / experiments.stem, *PROTEINASE_K))
        print(f"Processed {experiments.stem}", flush=True)
    whole = process(folder / "untruncated.expt", folder / "untruncated", *PROTEINASE_K)
    return [draw.folder for draw in draws], whole.folder


def combine(folder: Path, draws: Sequence[Path], rule: str) -> Path:
    """Pool the draws by one rule; returns the folder of the result."""
    result = folder / rule
    result.mkdir(exist_ok=True)
    tables = [str(draw / "integrated.refl") for draw in draws]
    text, _ = run(["dials.truncfix_combine", *tables, f"variance={rule}"], result)
    print(text, flush=True)
    return result


def matched(folder: Path, stem: str, truth: Truth, column: str) -> Matched:
    """Match the reflections in a folder with the truth."""
    experiments = ExperimentList.from_file(
        str(folder / f"{stem}.expt"), check_format=False
    )
    table = flex.reflection_table.from_file(str(folder / f"{stem}.refl"))
    return match(truth, experiments[0], table, column=column)


def figures(found: Matched, captured: float) -> list[tuple[Agreement, float, float]]:
    """Agreement, bias and rms error in bins of the true intensity."""
    result = []
    for agreement in intensity_bins(found, LIMITS, captured):
        mine = (found.expected >= agreement.low) & (found.expected < agreement.high)
        error = found.observed[mine] - captured * found.expected[mine]
        rms = float(np.sqrt(np.mean(error**2))) if mine.any() else float("nan")
        bias = float(error.mean()) if mine.any() else float("nan")
        result.append((agreement, bias, rms))
    return result


def rows(arms: dict[str, list[Matched]]) -> tuple[list[str], list[list[str]]]:
    """Tabulate all arms, averaging over the tables of each."""
    captured = capture(arms["untruncated"][0])
    bins = {
        name: [figures(found, captured) for found in tables]
        for name, tables in arms.items()
    }
    header = ["I (e⁻)", "n"]
    for figure in ("bias", "rms error", "z-sd", "CC"):
        header += [f"{figure}\n{name}" for name in arms]
    table = []
    for k, limits in enumerate(zip(LIMITS, LIMITS[1:])):
        first = next(iter(bins.values()))[0][k][0]
        row = ["{:.0f}-{:.0f}".format(*limits), str(first.n)]
        for pick, digits in (
            (lambda f: f[1], 2),
            (lambda f: f[2], 2),
            (lambda f: f[0].z_sd, 3),
            (lambda f: f[0].correlation, 4),
        ):
            row += [
                f"{np.mean([pick(table[k]) for table in tables]):.{digits}f}"
                for tables in bins.values()
            ]
        table.append(row)
    return header, table


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--replicates", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--simulate", default="", help="options of the simulation")
    parser.add_argument("--truncfix", default="", help="options of dials.truncfix")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        draws, whole = make_replicates(
            folder,
            options.replicates,
            options.simulate.split(),
            options.truncfix.split(),
        )
        pooled = {rule: combine(folder, draws, rule) for rule in RULES}
        truth = load_truth(folder / "simulated" / "truth.npz")
        for column in ("sum", "profile"):
            arms = {"draws": [matched(f, "integrated", truth, column) for f in draws]}
            for rule, result in pooled.items():
                arms[rule] = [matched(result, "combined", truth, column)]
            arms["untruncated"] = [matched(whole, "integrated", truth, column)]
            print(f"Intensities by {column}")
            header, table = rows(arms)
            print(tabulate(table, header, disable_numparse=True), flush=True)


if __name__ == "__main__":
    main()
