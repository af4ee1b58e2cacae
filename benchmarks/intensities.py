"""Background and intensities of a truncated, corrected and untruncated sweep.

Usage: python benchmarks/intensities.py [--folder FOLDER] [--truncfix "OPTION ..."]
       [--simulate "OPTION ..."]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from arms import import_arms, process_arms, simulate
from background import HEADER, background_rows
from comparison import comparison_rows

from dials.util import tabulate

PROTEINASE_K = ("P43212", "67.3,67.3,101,90,90,90")


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
        forms = (folder / f"{n}.expt" for n in ("imported", "truncfix", "untruncated"))
        print(tabulate(background_rows(*forms), HEADER), flush=True)
        header, rows = comparison_rows(process_arms(folder, experiments, *PROTEINASE_K))
        print(tabulate(rows, header))


if __name__ == "__main__":
    main()
