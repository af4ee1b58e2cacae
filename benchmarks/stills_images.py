"""Images of stationary crystals, integrated by DIALS and postrefined, against the truth.

Usage: python benchmarks/stills_images.py [--images N] [--d-min D] [--nproc N]

Every image holds one crystal of proteinase K in a beam of 200 kV electrons, at an
orientation that is reported wrong by 0.05°. dials.stills_process refines and integrates from
the orientations reported, and dials.truncfix_postrefine puts the lattices on one scale: on
themselves, and against the true intensities for comparison. The camera has a pedestal, so
that nothing is truncated.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from stock_dials import run

from dials.util import tabulate
from iotbx.reflection_file_reader import any_reflection_file

from dials_truncfix.command_line import truncfix_postrefine, truncfix_simulate

REACH = "stills.orientation_error=0.05"


def simulate(n_images: int, d_min: float) -> tuple[float, list[str]]:
    """Make the images; returns CPU seconds of one, and how to integrate them."""
    messages: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger, handler = logging.getLogger("dials.truncfix.simulate"), Keep()
    spent = []
    for folder, number in (("few", 2), ("simulated", n_images)):
        logger.addHandler(handler)
        begin = time.process_time()
        truncfix_simulate.run(
            [
                "source=stills",
                "stills.output=images",
                f"stills.n_lattices={number}",
                f"d_min={d_min}",
                "camera.pedestal=100",
                f"output.directory={folder}",
                "output.log=None",
                REACH,
            ]
        )
        spent.append(time.process_time() - begin)
        logger.removeHandler(handler)
    command = re.search(r"dials\.stills_process.*", messages[-1], re.S)
    assert command is not None
    words = command[0].replace("\\\n", " ").split()
    return (spent[1] - spent[0]) / (n_images - 2), words


def compare(path: Path) -> tuple[float, float, float]:
    """Correlation and R of merged to true intensities, and completeness."""
    merged, true = (
        any_reflection_file(str(name)).as_miller_arrays()[0]
        for name in (path, "simulated/truth.mtz")
    )
    ours, theirs = (a.data().as_numpy_array() for a in merged.common_sets(true))
    theirs = theirs * (np.sum(ours * theirs) / np.sum(theirs**2))
    return (
        float(np.corrcoef(ours, theirs)[0, 1]),
        float(np.abs(ours - theirs).sum() / np.abs(theirs).sum()),
        merged.size() / true.size(),
    )


def main() -> int:
    """Simulate, integrate, postrefine, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--d-min", type=float, default=4.0)
    parser.add_argument("--nproc", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="truncfix-stills-") as folder:
        os.chdir(folder)
        per_image, words = simulate(options.images, options.d_min)
        _, cost = run([*words, f"mp.nproc={options.nproc}"], Path())
        integrated = cost.cpu / options.images
        rows = []
        files = [str(p) for p in sorted(Path().glob("idx-*_integrated.*"))]
        for name, reference in (
            ("on themselves", []),
            ("against the truth", ["reference.file=simulated/truth.mtz"]),
        ):
            truncfix_postrefine.run(
                [
                    *files,
                    *reference,
                    f"nproc={options.nproc}",
                    "output.experiments=None",
                    "output.reflections=None",
                    "output.json=None",
                    "output.log=None",
                ]
            )
            cc, r, complete = compare(Path("merged.mtz"))
            rows.append([name, f"{cc:.4f}", f"{r:.4f}", f"{100 * complete:.0f}"])
        print(f"\n{options.images} images of 1024 × 1024 pixels, to {options.d_min} Å")
        print(f"simulated in {per_image:.2f} s CPU each")
        print(f"integrated by dials.stills_process in {integrated:.2f} s CPU each")
        print(tabulate(rows, ["Postrefined", "CC true", "R true", "Complete (%)"]))
        os.chdir("/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
