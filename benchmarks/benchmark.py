"""Time the program against its peers, or run other benchmarks one after the other.

Usage: python benchmarks/benchmark.py [NAME ...] [--quick] [--json FILE] [--page]

Without names those that take times run: dials.truncfix beside dials.find_spots and
dials.convert_to_cbf, postrefinement beside cctbx.xfel and PRIME, one process against two, and
reading of frames. Others compare results with known truth. --quick takes the smallest
sizes that still show something. --json writes what was measured, with the machine, its load,
versions and how long it took; --page writes it to the documentation.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks_page import RECORD, write_page

from dials_truncfix.sweep.record import software_versions


@dataclass(frozen=True)
class Timed:
    """A benchmark that takes times, and options of its short run."""

    title: str
    options: tuple[str, ...]
    quick: tuple[str, ...]


TIMED = {
    "speed": Timed(
        "CPU time and memory of dials.truncfix",
        ("--all",),
        ("--all", "--quick"),
    ),
    "processes": Timed(
        "One process against two",
        (),
        ("--images", "12", "--repeats", "1", "--binning", "4"),
    ),
    "postrefinement": Timed(
        "CPU time of postrefinement beside cctbx.xfel and PRIME",
        ("--parts", "recovery", "--peers", "20"),
        ("--parts", "recovery", "--peers", "2", "--lattices", "20"),
    ),
    "postrefinement_scale": Timed(
        "Postrefinement of many lattices",
        ("--lattices", "2000", "--batch", "500"),
        ("--lattices", "200", "--batch", "50", "--cycles", "1"),
    ),
    "frame_reading": Timed("Reading a frame of a K3", (), ("--repeats", "1")),
}
WITH_TRUTH = {
    "fit_accuracy": "Fits of the low counts against known truth",
    "truncation_table": "Background of corrected images against known truth",
    "counting_cameras": "Losses of counting cameras and antialiased reduction",
    "frame_sweeps": "Sweeps of K2, K3 and a CCD against known truth",
    "half_sets": "Correlation of half sets against known truth",
    "intensities": "Intensities integrated by DIALS against known truth",
    "calibration": "Calibrations against known truth, beside what is asked of them",
    "rings": "Camera length and ellipse by rings against known truth",
    "pixel_size": "Pixel size by gratings, catalase and grid bars against known truth",
    "ellipse_sweeps": "Anisotropic magnification by spots of sweeps against known truth",
    "camera_lengths": "Sweeps of two camera lengths on one scale",
    "postrefinement_truth": "Postrefinement against known truth",
    "rotations": "Postrefinement of narrow rotations against known truth",
    "stills_images": "Images of stills through DIALS and postrefinement",
}
_FILES = {"postrefinement_truth": "postrefinement"}


def machine() -> dict[str, Any]:
    """Describe what the times are taken on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        models = [line.partition(":")[2] for line in lines if "model name" in line]
    except OSError:
        models = []
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": models[0].strip() if models else platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 2**30, 1),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
    }


def measure(name: str, options: list[str], record: Path | None) -> dict[str, Any]:
    """Run a benchmark in a process of its own, as they measure CPU time and memory."""
    script = Path(__file__).with_name(f"{_FILES.get(name, name)}.py")
    command = [sys.executable, str(script), *options]
    if record is not None:
        command += ["--json", str(record)]
    load, start = os.getloadavg()[0], time.monotonic()
    code = subprocess.run(command).returncode
    return {
        "options": options,
        "seconds": round(time.monotonic() - start, 1),
        "load_before": round(load, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "exit_code": code,
        "figures": json.loads(record.read_text())
        if record is not None and record.exists()
        else None,
    }


def main() -> int:
    """Run those that were named, or all that take times; returns 1 if one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    known = [*TIMED, *WITH_TRUTH]
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"any of {', '.join(known)}"
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--page", action="store_true", help="write the figures to the documentation"
    )
    args = parser.parse_args()
    names = args.names or list(TIMED)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no benchmark {unknown[0]}: choose from {', '.join(known)}")
    if args.page and (args.quick or missing(names)):
        parser.error("the page takes all that take times, and not the quick ones")
    measured: dict[str, Any] = {}
    for name in names:
        timed = TIMED.get(name)
        title = WITH_TRUTH[name] if timed is None else timed.title
        print(f"\n{title}\n{'=' * len(title)}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            if timed is None:
                measured[name] = measure(name, [], None)
            else:
                options = list(timed.quick if args.quick else timed.options)
                measured[name] = measure(name, options, Path(folder) / "figures.json")
        print(f"({measured[name]['seconds']:.0f} s)")
    record = {
        "date": date.today().isoformat(),
        "quick": args.quick,
        "machine": machine(),
        "versions": software_versions(),
        "benchmarks": measured,
    }
    failed = [name for name in names if measured[name]["exit_code"]]
    for path in [args.json, *([RECORD] if args.page and not failed else [])]:
        if path is not None:
            path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    if args.page and not failed:
        write_page()
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def missing(names: list[str]) -> list[str]:
    """Benchmarks that take times and were not asked for."""
    return [name for name in TIMED if name not in names]


if __name__ == "__main__":
    sys.exit(main())
