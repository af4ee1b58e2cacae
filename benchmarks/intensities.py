"""Integrated intensities of a truncated, corrected and untruncated sweep against truth.

Usage: python benchmarks/intensities.py [--folder FOLDER] [--truncfix "OPTION ..."]
       [--simulate "OPTION ..."]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from arms import ArmResult, import_arms, process_arms, simulate
from dials.util import tabulate

PROTEINASE_K = ("P43212", "67.3,67.3,101,90,90,90")


def table(results: list[ArmResult]) -> str:
    """Tabulate the figures, one column for each arm."""

    def row(name: str, values: list[str]) -> list[str]:
        return [name, *values]

    rows = [
        row("strong spots", [f"{r.n_strong}" for r in results]),
        row("  of these false", [f"{r.n_false}" for r in results]),
        row("  recall 100-500 e-", [f"{r.recall:.2f}" for r in results]),
        row("indexed", [f"{r.n_indexed}" for r in results]),
        row("cell a (Å)", [f"{r.cell[0]:.3f}" for r in results]),
        row("cell c (Å)", [f"{r.cell[2]:.3f}" for r in results]),
        row("integrated", [f"{r.n_integrated}" for r in results]),
        row("background failures", [f"{r.n_failed_background}" for r in results]),
        row("slope ratio 20-4 / 1.65-1.5 Å", [f"{r.slope_ratio:.3f}" for r in results]),
        row("CC(I, truth) d > 4 Å", [f"{r.correlation_to_4:.3f}" for r in results]),
    ]
    for i, bin_ in enumerate(results[0].by_intensity):
        label = f"{bin_.low:.0f}-{bin_.high:.0f} e-"
        rows.append(
            row(
                f"bias {label} (e-)",
                [
                    f"{r.by_intensity[i].bias:+.2f} ± {r.by_intensity[i].bias_error:.2f}"
                    for r in results
                ],
            )
        )
        rows.append(
            row(f"z-sd {label}", [f"{r.by_intensity[i].z_sd:.3f}" for r in results])
        )
        rows.append(
            row(f"CC {label}", [f"{r.by_intensity[i].correlation:.3f}" for r in results])
        )
    for i, shell in enumerate(results[0].by_resolution):
        rows.append(
            row(
                f"slope {shell.low:.2f}-{shell.high:.2f} Å",
                [f"{r.by_resolution[i].slope:.3f}" for r in results],
            )
        )
    return tabulate(rows, ["", *(r.name for r in results)])


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--simulate", default="", help="options of the simulation")
    parser.add_argument("--truncfix", default="", help="options of dials.truncfix")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        _, advice = simulate(folder, options.simulate.split())
        experiments = import_arms(folder, advice, options.truncfix.split())
        print(table(process_arms(folder, experiments, *PROTEINASE_K)))


if __name__ == "__main__":
    main()
