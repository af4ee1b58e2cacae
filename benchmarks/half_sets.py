"""Correlation of half sets against the truth: truncated, corrected and untruncated images.

Usage: python benchmarks/half_sets.py [--images N] [--width DEGREES] [--shells N]

A crystal is turned far enough for reflections to be seen about twice. DIALS integrates its
images as recorded, corrected, and as they were before truncation; dials.truncfix_compare
merges them and compares with the truth.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from arms import ARMS, import_arms, simulate
from stock_dials import process, run

from dials.util import tabulate

PROTEINASE_K = ("P43212", "67.3,67.3,101,90,90,90")
#: How intensities are measured, and what a table of them is called.
KINDS = {"sum": "Summed intensities", "profile": "Profile-fitted intensities"}


def compared(folder: Path, arm: str, intensity: str, shells: int) -> dict[str, Any]:
    """Compare an arm with the untruncated one; returns the record."""
    name = f"{arm}_{intensity}.json"
    run(
        [
            "dials.truncfix_compare",
            "untruncated/integrated.refl",
            f"{arm}/integrated.refl",
            "simulated/truth.npz",
            f"intensity={intensity}",
            f"shells={shells}",
            f"output.json={name}",
            "output.html=None",
            "output.log=None",
        ],
        folder,
    )
    return dict(json.loads((folder / name).read_text()))


def rows(folder: Path, intensity: str, shells: int) -> list[list[str]]:
    """Arrange figures of the arms in shells, and of all of them in the last row."""
    # the untruncated images are what both others are compared with
    records = {a: compared(folder, a, intensity, shells) for a in ARMS[:2]}
    sides = [(records["truncated"], "after"), (records["corrected"], "after")]
    sides.append((records["corrected"], "before"))
    result = []
    for shell, merged in enumerate(records["corrected"]["merged_before"]):
        row = [f"{merged['d_max']:.2f}-{merged['d_min']:.2f}"]
        row.append(f"{merged['multiplicity']:.1f}")
        for name in ("cc_half", "cc_truth"):
            row += [f"{r[f'merged_{s}'][shell][name]:.3f}" for r, s in sides]
        for name, places in (("slope", 3), ("r_factor", 3), ("z_sd", 2)):
            values = [r[f"truth_{s}"]["shells"][shell][name] for r, s in sides]
            row += [f"{value:.{places}f}" for value in values]
        result.append(row)
    return result


def main() -> int:
    """Simulate, integrate three times, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--width", type=float, default=0.5, help="of an image, degrees")
    parser.add_argument("--shells", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="truncfix-half-sets-") as temporary:
        folder = Path(temporary)
        scan = [f"scan.n_images={options.images}", f"scan.width={options.width}"]
        _, advice = simulate(folder, scan)
        for name, path in import_arms(folder, advice, []).items():
            process(path, folder / name, *PROTEINASE_K)
        header = ["d (Å)", "Mult."]
        for name in ("CC½", "CC true", "slope", "R true", "sd of z"):
            header += [f"{name}\n{arm}" for arm in ("trunc.", "corr.", "untr.")]
        for intensity, title in KINDS.items():
            print(f"\n{title}")
            table = rows(folder, intensity, options.shells)
            print(tabulate(table, header, disable_numparse=True), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
