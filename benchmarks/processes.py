"""Simulation, spot finding and correction of a sweep: one process against two.

Usage: python benchmarks/processes.py [--images N] [--binning N] [--repeats N]
       [--json FILE]

Wall time, CPU time and resident memory of all processes of each command on the same sweep,
and how many times as fast two processes are as one. Other programs on the machine disturb
the wall times: of the repeats the fastest counts, and the CPU time of one process over half
of that of two is what an idle machine would give at best.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from arms import import_advice
from watched import Cost, run

from dials.util import tabulate

SIMULATION = "dials.truncfix_simulate"


def commands(nproc: int) -> Iterator[tuple[str, list[str]]]:
    """List what is timed, in an order in which each finds its input."""
    yield (
        "dials.truncfix",
        [
            "imported.expt",
            f"nproc={nproc}",
            "output.directory=corrected",
            "output.html=None",
        ],
    )
    yield "dials.find_spots", ["truncfix.expt", f"nproc={nproc}"]


def simulated(folder: Path, n_images: int, binning: int) -> Cost:
    """Simulate and import a sweep; returns what the simulation took."""
    options = [f"camera.binning={binning}", f"scan.n_images={n_images}"]
    options += ["output.unclipped=False", "output.directory=simulated"]
    cost = run([SIMULATION, *options], folder)
    advice = import_advice((folder / "printed.log").read_text())
    run(["dials.import", *advice], folder)
    return cost


def measure(
    folder: Path, n_images: int, binning: int, repeats: int
) -> dict[tuple[str, int], Cost]:
    """Time everything; of the repeats the fastest counts."""
    costs = {(SIMULATION, 1): simulated(folder, n_images, binning)}
    for _ in range(repeats):
        for nproc in (1, 2):
            for name, arguments in commands(nproc):
                cost = run([name, *arguments], folder)
                best = costs.get((name, nproc))
                if best is None or cost.wall < best.wall:
                    costs[name, nproc] = cost
    return costs


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=36)
    parser.add_argument("--binning", type=int, default=2, help="2 makes 2048 × 2048")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        costs = measure(folder, args.images, args.binning, args.repeats)
    rows = []
    for (name, nproc), cost in sorted(costs.items()):
        one = costs[name, 1]
        rows.append(
            [
                name,
                str(nproc),
                f"{cost.wall:.1f}",
                f"{cost.cpu:.1f}",
                f"{cost.largest:.0f}",
                f"{cost.together:.0f}",
                f"{one.wall / cost.wall:.2f}",
                f"{nproc * one.cpu / cost.cpu:.2f}",
            ]
        )
    head = ["", "Processes", "Wall (s)", "CPU (s)", "Largest (MB)", "All (MB)"]
    print(f"{args.images} images")
    print(tabulate(rows, [*head, "Faster", "By CPU"], disable_numparse=True))
    if args.json:
        figures = {
            "images": args.images,
            "binning": args.binning,
            "costs": [
                {"command": name, "processes": nproc, **asdict(cost)}
                for (name, nproc), cost in costs.items()
            ],
        }
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
