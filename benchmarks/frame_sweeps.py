"""Sweeps of a K2, a K3 and a CCD through DIALS, against their truth, and dials.truncfix.

Each worked parameter file is simulated, imported, and processed by the stock commands;
counting sweeps have to be refused by dials.truncfix, and linear mode whose negative pixels
were cut off to be corrected.

Usage: python benchmarks/frame_sweeps.py [--folder FOLDER] [--n-images N] [name ...]
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import tempfile
from pathlib import Path

from arms import measure
from stock_dials import CommandFailed, process, run

from dials.util import tabulate

from dials_truncfix.simulate.truth import load_truth

PHIL = Path(__file__).parent.parent / "phil"
PROTEINASE_K = ("P43212", "67.3,67.3,101,90,90,90")
#: Sweeps by their parameter files, and what dials.truncfix has to make of them.
SWEEPS = {
    "k2_counting": "counting",
    "k2_superres": "counting",
    "k3": "counting",
    "k3_binned": "counting",
    "k2_linear": "corrected",
    "ccd": "offset",
}
HEADER = [
    "sweep",
    "truncfix",
    "asked",
    "CPU s/image",
    "strong",
    "indexed %",
    "cell a, c (Å)",
    "CC, d > 4 Å",
]


def raw_recipe(folder: Path) -> Path:
    """Write a recipe for images of raw counts, without reference and defects."""
    recipe = folder / "simulated" / "simulated.frames"
    fields = json.loads(recipe.read_text())
    fields |= {"gain_reference": False, "defects": False, "counts_per_electron": 1.0}
    raw = recipe.with_name("raw.frames")
    raw.write_text(json.dumps(fields))
    return raw


def verdict(folder: Path) -> str:
    """Run dials.truncfix, and tell whether it corrected, or why not.

    Normalized by their reference, raw counts are no integers any more: it gets them as
    they were counted.
    """
    experiments = "imported.expt"
    if (folder / "simulated" / "simulated_gain.mrc").exists():
        experiments = "raw.expt"
        run(
            [
                "dials.import",
                str(raw_recipe(folder)),
                f"output.experiments={experiments}",
            ],
            folder,
        )
    try:
        run(["dials.truncfix", experiments, "output.directory=corrected"], folder)
    except CommandFailed as failure:
        found = re.search(r"Verdict: ([\w ]+)", str(failure))
        return found[1] if found else "refused"
    return "corrected"


def sweep_row(name: str, folder: Path, n_images: int) -> list[str]:
    """Simulate and process one sweep."""
    folder.mkdir(parents=True)
    parameters = str((PHIL / f"simulate_{name}.phil").absolute())
    text, timing = run(
        ["dials.truncfix_simulate", parameters, f"scan.n_images={n_images}"], folder
    )
    advice = re.search(r"dials\.import ((?:.*\\\n)*.*)", text)
    if advice is None:
        raise RuntimeError("dials.truncfix_simulate did not say how to import")
    run(["dials.import", *shlex.split(advice[1].replace("\\\n", " "))], folder)
    found = verdict(folder)
    corrected = folder / "truncfix.expt"
    experiments = corrected if found == "corrected" else folder / "imported.expt"
    done = process(experiments, folder / "processed", *PROTEINASE_K)
    result = measure(name, done, load_truth(folder / "simulated" / "truth.npz"))
    return [
        name,
        found,
        SWEEPS[name],
        f"{timing.cpu / n_images:.2f}",
        f"{result.n_strong}",
        f"{100 * result.n_indexed / result.n_strong:.1f}",
        f"{result.cell[0]:.3f}, {result.cell[2]:.3f}",
        f"{result.correlation_to_4:.4f}",
    ]


def main() -> None:
    """Run the chain for those that were named, or for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(SWEEPS))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--n-images", type=int, default=40, metavar="N")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in SWEEPS]:
        parser.error(f"no sweep {unknown[0]}: choose from {', '.join(SWEEPS)}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        rows = [
            sweep_row(name, folder / name, options.n_images)
            for name in options.names or SWEEPS
        ]
    print(tabulate(rows, HEADER))


if __name__ == "__main__":
    main()
