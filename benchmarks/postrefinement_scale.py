"""dials.truncfix_postrefine on many lattices: memory, time and equality of results.

Usage: python benchmarks/postrefinement_scale.py [--lattices N] [--batch N] [--one-pair]
           [--cycles N] [--repeats N] [--folder FOLDER] [--json FILE]

Simulated stills of about 200 reflections are written in batches, as dials.ssx_integrate
does, and refined against each other by the command with one process and with two, and a
tenth of them with one. Printed are the largest resident memory of any process and of all together,
wall time, CPU time of all processes, the ratios of both, the time for a lattice at the two
sizes, and whether the results are the same to the last digit. Other programs on the machine
disturb the wall times: the ratio of the CPU times over the processes says what an idle
machine would give at best.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

# threads of a linear algebra library would count as CPU time, and win nothing
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from watched import Cost, run

from dials.util import tabulate

#: About 200 reflections to a still.
STILLS = ("d_min=3.1", "stills.rs=0.0007", "stills.orientation_error=0.1")
RECORD = "dials.truncfix_postrefine.json"


def simulate(folder: Path, n_lattices: int, batch: int | None) -> Cost:
    arguments = [f"stills.n_lattices={n_lattices}", f"output.directory={folder}"]
    if batch is not None:
        arguments.append(f"stills.batch={batch}")
    command = ["dials.truncfix_simulate", "source=stills", *STILLS, *arguments]
    return run([*command, "output.log=None"], folder.parent)


def refine(
    files: list[Path], folder: Path, nproc: int, n_cycles: int
) -> tuple[Cost, str]:
    """Refine, and return what it took and a digest of all results."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    arguments = [f"nproc={nproc}", f"cycles.maximum={n_cycles}", "model=gaussian"]
    # so that runs of different size do the same work
    arguments.append("cycles.tolerance=1e-8")
    cost = run(["dials.truncfix_postrefine", *map(str, files), *arguments], folder)
    if left := list(folder.glob(".truncfix-*")):
        raise SystemExit(f"{left[0]} was left behind")
    return cost, digest(folder)


def digest(folder: Path) -> str:
    result = hashlib.sha256()
    record = json.loads((folder / RECORD).read_text())
    result.update(json.dumps(record, sort_keys=True).encode())
    for path in sorted(folder.glob("postrefined*")):
        result.update(path.name.encode())
        result.update(path.read_bytes())
    return result.hexdigest()


def summary(folder: Path) -> str:
    record = json.loads((folder / RECORD).read_text())
    accepted = sum(lattice["accepted"] for lattice in record["lattices"])
    overall = record["shells"][-1]
    return (
        f"{accepted} of {len(record['lattices'])} lattices accepted, "
        f"{record['n_merged']} observations merged, CC½ {overall['cc_half']:.5f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lattices", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--one-pair", action="store_true", help="a single large pair")
    parser.add_argument("--cycles", type=int, default=2, help="after that of scaling")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="else a temporary one")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        measure(args, folder)


def measure(args: argparse.Namespace, folder: Path) -> None:
    n = args.lattices
    inputs = folder / f"stills_{n}"
    simulated = None
    if not inputs.exists():
        cost = simulate(inputs, n, None if args.one_pair else args.batch)
        simulated = asdict(cost)
        print(
            f"{n} stills simulated: {cost.wall:.0f} s, {cost.largest:.0f} MB",
            flush=True,
        )
    files = sorted(inputs.glob("integrated*"))
    # a tenth of the batches, an .expt and a .refl each
    few = files[: 2 * max(1, len(files) // 20)]
    runs = [(files, n, 1), (files, n, 2)]
    if len(few) < len(files):
        runs.insert(0, (few, args.batch * len(few) // 2, 1))
    rows, costs, digests = [], {}, set()
    for given, size, nproc in runs:
        for _ in range(args.repeats):
            cost, result = refine(
                given, folder / f"out_{size}_{nproc}", nproc, args.cycles
            )
            best = costs.get((size, nproc))
            if best is None or cost.wall < best.wall:
                costs[size, nproc] = cost
            if size == n:
                digests.add(result)
            rows.append(
                [
                    str(size),
                    str(nproc),
                    f"{cost.largest:.0f}",
                    f"{cost.together:.0f}",
                    f"{cost.wall:.1f}",
                    f"{cost.cpu:.1f}",
                    f"{1e3 * cost.cpu / size:.2f}",
                ]
            )
            print(*rows[-1], flush=True)
    header = [
        "Lattices",
        "Processes",
        "Largest (MB)",
        "All (MB)",
        "Wall (s)",
        "CPU (s)",
    ]
    print(tabulate(rows, [*header, "CPU/lattice (ms)"], disable_numparse=True))
    one, two = costs[n, 1], costs[n, 2]
    print(f"Wall time of 1 process over that of 2: {one.wall / two.wall:.2f}")
    print(f"CPU time of 1 process over half of that of 2: {2 * one.cpu / two.cpu:.2f}")
    print(f"Results of 1 and 2 processes are equal: {len(digests) == 1}")
    print(summary(folder / f"out_{n}_2"))
    if args.json:
        figures = {
            "simulated": simulated,
            "costs": [
                {"lattices": size, "processes": nproc, **asdict(cost)}
                for (size, nproc), cost in costs.items()
            ],
            "equal": len(digests) == 1,
        }
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
