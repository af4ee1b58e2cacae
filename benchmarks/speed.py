"""CPU time of dials.truncfix per image, beside the stock commands, in one run.

Usage: python benchmarks/speed.py [--quick] [--all] [--images FEW MANY] [--repeats N]
       [--binning N] [--no-memory] [--json FILE]

CPU time is user and system time of a command and all its processes. The time per
image is the slope between a short and a long sweep, so that start-up and what is done
once a sweep, the verdict and the gain on ten images, cancel out; the last columns
hold them. A second table says where the time of an image goes: reading and writing
are the first and the last two of its steps. A third has the memory of the largest
process. --all takes SMV, NeXus with gzip and dials.convert_to_cbf besides; --quick
tries everything once on short sweeps, which says little about times.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from arms import simulate
from step_costs import step_table, step_times
from stock_dials import BIN, run

from dials.util import tabulate
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.io import cbf
from dials_truncfix.io.nexus_data import COMPRESSIONS, check_compression
from dials_truncfix.sweep.source import SweepSource

REFERENCE = "dials.find_spots, corrected CBF"
READ, READ_SIDECAR = "read", "read sidecar"
#: What --all adds.
SELDOM = ("smv", "nexus_gzip")


@dataclass(frozen=True)
class Cost:
    """CPU time of one command.

    Attributes
    ----------
    name : str
        What was done.
    per_image : float
        Slope of the CPU time on the number of images, s.
    whole : float
        The command on the long sweep, start-up included, s.
    n_images : int
        Length of the long sweep.
    """

    name: str
    per_image: float
    whole: float
    n_images: int


@dataclass(frozen=True)
class Memory:
    """Largest resident memory of dials.truncfix.

    Attributes
    ----------
    size : int
        Edge of the images, pixels.
    n_images, nproc : int
        Length of the sweep, and processes asked for.
    peak : float
        Of the process that was started, MB.
    worker : float or None
        Of the largest of those that it started, MB.
    """

    size: int
    n_images: int
    nproc: int
    peak: float
    worker: float | None


def make_sweep(folder: Path, n_images: int, binning: int) -> Path:
    """Simulate and import a truncated sweep; returns the experiments."""
    folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"camera.binning={binning}",
        f"scan.n_images={n_images}",
        "output.unclipped=False",
    ]
    _, advice = simulate(folder, options)
    run(["dials.import", *advice], folder)
    return folder / "imported.expt"


def first_images(experiments: Path, n_images: int) -> Path:
    """Cut off the first images of a sweep."""
    part = experiments.with_name(f"first_{n_images}.expt")
    run(
        [
            "dials.slice_sequence",
            experiments.name,
            f"image_range=1,{n_images}",
            f"output.experiments_filename={part.name}",
        ],
        experiments.parent,
    )
    return part


def outputs(everything: bool) -> dict[str, tuple[str, list[str]]]:
    """Kinds of output: for the label of each its name and options."""
    kinds = {
        "smv": ("SMV", ["output.format=smv"]),
        "cbf": ("CBF", ["output.format=cbf"]),
        "sidecar": ("sidecar", ["output.format=sidecar"]),
    }
    for compression in COMPRESSIONS:
        try:
            check_compression(compression)
        except ValueError:
            # the filter is not installed
            continue
        options = ["output.format=nexus", f"output.compression={compression}"]
        kinds[f"nexus_{compression}"] = (f"NeXus, {compression}", options)
    return {k: v for k, v in kinds.items() if everything or k not in SELDOM}


def commands(
    experiments: Path, label: str, everything: bool
) -> Iterator[tuple[str, list[str]]]:
    """List what is timed on one sweep, in an order in which each finds its input."""
    script = [sys.executable, str(Path(__file__).resolve())]
    kinds = outputs(everything)
    for kind, (name, options) in kinds.items():
        yield (
            f"dials.truncfix, {name}",
            [
                "dials.truncfix",
                experiments.name,
                "nproc=1",
                *options,
                f"output.directory={label}_{kind}",
                f"output.experiments={label}_{kind}.expt",
            ],
        )
    yield REFERENCE, ["dials.find_spots", f"{label}_cbf.expt", "nproc=1"]
    if everything:
        yield (
            "dials.convert_to_cbf, camera's images",
            [
                "dials.convert_to_cbf",
                experiments.name,
                f"output.template={label}_converted_%05d.cbf",
            ],
        )
    yield READ, [*script, "--task", "read", experiments.name]
    for kind, (name, _) in kinds.items():
        yield f"read {name}", [*script, "--task", "read", f"{label}_{kind}.expt"]
    yield "read and write CBF", [*script, "--task", "copy", experiments.name]


def copy_images(experiments: Path, write: bool) -> None:
    """Read every image as dials.truncfix does, and perhaps write it as it is."""
    imageset = ExperimentList.from_file(str(experiments))[0].imageset
    source = SweepSource(imageset)
    for index in range(len(source)):
        frame = source.read(index)
        if write:
            path = experiments.with_name(f"copy_{index:05d}.cbf")
            cbf.write(path, frame.pixels, ["Copy"])


def costs(
    experiments: Path, few: int, many: int, repeats: int, everything: bool
) -> list[Cost]:
    """Time every command on two lengths of one sweep.

    The lengths take turns, so that other work on the machine disturbs both; of the
    repeats the least counts, as disturbance only adds.
    """
    times: dict[str, dict[int, float]] = {}
    parts = {n_images: first_images(experiments, n_images) for n_images in (few, many)}
    for _ in range(repeats):
        for n_images, part in parts.items():
            for name, command in commands(part, f"corrected_{n_images}", everything):
                cpu = run(command, part.parent)[1].cpu
                least = times.setdefault(name, {})
                least[n_images] = min(cpu, least.get(n_images, cpu))
    return [
        Cost(name, (least[many] - least[few]) / (many - few), least[many], many)
        for name, least in times.items()
    ]


def peak_memory(experiments: Path, nproc: int) -> Memory:
    """Run dials.truncfix, and watch how large its processes grow."""
    command = [str(BIN / "dials.truncfix"), experiments.name, f"nproc={nproc}"]
    command += ["output.directory=memory", "output.experiments=memory.expt"]
    command += ["force=True"]  # few images may not be enough for a verdict
    process = subprocess.Popen(
        command,
        cwd=experiments.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    peaks: dict[int, float] = {}
    while process.poll() is None:
        for pid in (process.pid, *children(process.pid)):
            # the last one: before it begins, a process has the memory of its parent
            peaks[pid] = peak_of(pid) or peaks.get(pid, 0.0)
        time.sleep(0.02)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    known = ExperimentList.from_file(str(experiments), check_format=False)[0]
    return Memory(
        known.detector[0].get_image_size()[0],
        len(known.imageset),
        nproc,
        peaks.pop(process.pid),
        max(peaks.values(), default=None) if nproc > 1 else None,
    )


def children(pid: int) -> list[int]:
    """List the processes that a process has started and that still run."""
    try:
        return [
            int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


def peak_of(pid: int) -> float:
    """Largest resident memory that a process has had so far, MB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    _, _, rest = status.partition("VmHWM:")
    return int(rest.split()[0]) / 1024 if rest else 0.0


def cost_table(measured: Sequence[Cost]) -> str:
    """Tabulate the CPU times, with ratios to spot finding."""
    reference = next(cost for cost in measured if cost.name == REFERENCE)
    rows = [
        [
            cost.name,
            f"{1e3 * cost.per_image:.0f}",
            f"{cost.per_image / reference.per_image:.2f}",
            f"{cost.whole:.1f}",
            f"{cost.whole / reference.whole:.2f}",
        ]
        for cost in measured
    ]
    n_images = measured[0].n_images
    head = ["", "ms/image", "ratio", f"{n_images} images (s)", "ratio"]
    return tabulate(rows, head, disable_numparse=True)


def memory_table(measured: Sequence[Memory]) -> str:
    """Tabulate the memory."""
    rows = [
        [
            f"{m.size} × {m.size}",
            m.n_images,
            m.nproc,
            f"{m.peak:.0f}",
            "" if m.worker is None else f"{m.worker:.0f}",
        ]
        for m in measured
    ]
    head = ["pixels", "images", "nproc", "first process (MB)", "largest other (MB)"]
    return tabulate(rows, head)


def sidecar_overhead(measured: Sequence[Cost]) -> float:
    """CPU time by which an image from a sidecar takes longer than its source, s."""
    per_image = {cost.name: cost.per_image for cost in measured}
    return per_image[READ_SIDECAR] - per_image[READ]


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short sweeps, once")
    parser.add_argument("--all", action="store_true", help="seldom used formats too")
    parser.add_argument("--images", type=int, nargs=2, metavar=("FEW", "MANY"))
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--binning", type=int, default=2, help="2 makes 2048 × 2048")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--task", choices=("read", "copy"), help=argparse.SUPPRESS)
    parser.add_argument("experiments", nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        copy_images(Path(options.experiments), write=options.task == "copy")
        return
    few, many = sorted(options.images or ((10, 14) if options.quick else (10, 34)))
    repeats = options.repeats or (1 if options.quick else 2)
    with tempfile.TemporaryDirectory() as temporary:
        experiments = make_sweep(Path(temporary) / "sweep", many, options.binning)
        measured = costs(experiments, few, many, repeats, options.all)
        print(cost_table(measured))
        overhead = sidecar_overhead(measured)
        print(
            f"Reading an image from a sidecar takes {1e3 * overhead:.0f} ms more than "
            "reading its source."
        )
        steps = step_times(first_images(experiments, many))
        print(step_table(steps))
        memory: list[Memory] = []
        if not options.no_memory:
            sweeps = [first_images(experiments, n) for n in (few, many)]
            if not options.quick:
                sweeps.append(make_sweep(Path(temporary) / "large", 4, 1))
            memory = [peak_memory(sweep, nproc) for sweep in sweeps for nproc in (1, 2)]
            print(memory_table(memory))
    if options.json:
        figures = {
            "costs": [asdict(cost) for cost in measured],
            "sidecar_read_overhead": overhead,
            "steps": steps,
            "memory": [asdict(m) for m in memory if m.nproc == 1],
            "memory_of_two": [asdict(m) for m in memory if m.nproc > 1],
        }
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
