"""Run the benchmarks one after the other.

Usage: python benchmarks/benchmark.py [fit_accuracy] [truncation_table] [speed]
       [frame_reading] [counting_cameras] [frame_sweeps] [intensities] [rings]
       [postrefinement] [rotations] [stills_images]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

TITLES = {
    "fit_accuracy": "Fits of the low counts against known truth",
    "truncation_table": "Background of corrected images against known truth",
    "speed": "CPU time and memory",
    "frame_reading": "Reading a frame of a K3",
    "counting_cameras": "Losses of counting cameras and antialiased reduction",
    "frame_sweeps": "Sweeps of K2, K3 and a CCD against known truth",
    "intensities": "Intensities integrated by DIALS against known truth",
    "rings": "Camera length and ellipse by rings against known truth",
    "postrefinement": "Postrefinement against known truth, and beside its peers",
    "rotations": "Postrefinement of narrow rotations against known truth",
    "stills_images": "Images of stills through DIALS and postrefinement",
}


def main() -> int:
    """Run those that were named, or all; returns 1 if one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"any of {', '.join(TITLES)}"
    )
    names = parser.parse_args().names or list(TITLES)
    if unknown := [name for name in names if name not in TITLES]:
        parser.error(f"no benchmark {unknown[0]}: choose from {', '.join(TITLES)}")
    failed = []
    for name in names:
        print(f"\n{TITLES[name]}\n{'=' * len(TITLES[name])}", flush=True)
        script = Path(__file__).with_name(f"{name}.py")
        # each in a process of its own: they measure CPU time and memory
        if subprocess.run([sys.executable, str(script)]).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
