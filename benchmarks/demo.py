"""The main job from start to end on a simulated sweep, with a report.

Simulates a truncated TVIPS sweep of proteinase K whose truth is known, and processes
it with the stock DIALS commands three ways: as recorded, corrected by dials.truncfix,
and as it was before truncation. Ends with a table, and writes it with two figures and
the commands to report.html.

Usage: python benchmarks/demo.py --output FOLDER
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from arms import ArmResult, import_arms, process_arms, simulate
from comparison import comparison_rows
from stock_dials import CommandFailed

from dials.util import tabulate
from dxtbx import flumpy
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.report.page import Figure, Section, Table, render_page
from dials_truncfix.report.palette import BLACK, BLUE, VERMILLION
from dials_truncfix.report.resolution import resolution_axis

PROTEINASE_K = ("P43212", "67.3,67.3,101,90,90,90")
#: Colour, line and mark of each way of processing.
STYLES = {
    "truncated": (VERMILLION, "dash", "square"),
    "corrected": (BLUE, "solid", "circle"),
    "untruncated": (BLACK, "dot", "x"),
}


def slopes_figure(results: list[ArmResult]) -> Figure:
    """Draw the slope on truth against resolution."""
    data, ends = [], [1.0, 0.0]
    for result in results:
        colour, dash, symbol = STYLES[result.name]
        shells = result.by_resolution
        middle = [(1 / s.low**2 + 1 / s.high**2) / 2 for s in shells]
        ends = [min(ends[0], *middle), max(ends[1], *middle)]
        data.append(
            {
                "x": middle,
                "y": [s.slope for s in shells],
                "mode": "lines+markers",
                "line": {"color": colour, "dash": dash},
                "marker": {"color": colour, "symbol": symbol, "size": 8},
                "name": result.name,
            }
        )
    layout = {
        "xaxis": resolution_axis(*ends),
        "yaxis": {"title": {"text": "slope on true intensity"}},
    }
    return Figure(
        {"data": data, "layout": layout},
        description="Slope of integrated on true intensity against resolution: "
        + "; ".join(
            f"{r.name} from {r.by_resolution[0].slope:.2f} to "
            f"{r.by_resolution[-1].slope:.2f}"
            for r in results
        ),
        title="Weak intensities at high resolution",
        caption="Truncation lowers weak intensities, most at high resolution; the "
        "correction brings them back to what the untruncated images give.",
    )


def histogram_figure(folder: Path) -> Figure:
    """Draw the histogram of the corners of the images in all three forms."""
    bins = np.arange(-25.5, 41.5)
    data: list[dict[str, Any]] = []
    for name, expt in (
        ("truncated", "imported.expt"),
        ("corrected", "truncfix.expt"),
        ("untruncated", "untruncated.expt"),
    ):
        imageset = ExperimentList.from_file(str(folder / expt)).imagesets()[0]
        counts = np.zeros(len(bins) - 1)
        for index in range(0, len(imageset), 8):
            pixels = flumpy.to_numpy(imageset.get_raw_data(index)[0])
            slow, fast = np.indices(pixels.shape, sparse=True)
            centre = (np.array(pixels.shape) - 1) / 2
            outer = np.hypot(slow - centre[0], fast - centre[1]) > centre[0]
            counts += np.histogram(pixels[outer], bins)[0]
        colour, dash, _ = STYLES[name]
        data.append(
            {
                "x": bins[:-1] + 0.5,
                "y": np.where(counts > 0, counts, np.nan),
                "mode": "lines",
                "line": {"color": colour, "dash": dash, "shape": "hvh"},
                "name": name,
            }
        )
    layout = {
        "xaxis": {"title": {"text": "pixel value (ADU)"}},
        "yaxis": {"title": {"text": "pixels in the corners"}, "type": "log"},
    }
    return Figure(
        {"data": data, "layout": layout},
        description="Histograms of the pixels in the corners: truncated, with a peak at "
        "zero; corrected, which follows the untruncated one below zero too.",
        title="Pixels in the corners",
        caption="Every eighth image. Truncation piles all values below zero up at zero; "
        "the correction spreads them out again.",
    )


def commands(advice: list[str]) -> list[str]:
    """List what a user would type for the same."""
    return [
        "dials.truncfix_simulate output.directory=simulated output.unclipped=True",
        "dials.import " + " ".join(advice),
        "dials.truncfix imported.expt output.directory=corrected",
        "dials.find_spots truncfix.expt",
        "dials.index truncfix.expt strong.refl space_group=P43212 "
        "unit_cell=67.3,67.3,101,90,90,90 detector.fix=distance",
        "dials.integrate indexed.expt indexed.refl",
    ]


def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--simulate", default="", help="options of the simulation")
    options = parser.parse_args()
    start = time.monotonic()
    folder = options.output.absolute()
    if (folder / "report.html").exists():
        shutil.rmtree(folder)
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} holds files that are not of a demonstration: give another")
    folder.mkdir(parents=True, exist_ok=True)

    print("Simulating a truncated sweep", flush=True)
    _, advice = simulate(folder, options.simulate.split())
    print("Importing it, and correcting it with dials.truncfix", flush=True)
    experiments = import_arms(folder, advice, [])
    print((folder / "dials.truncfix.log").read_text(), flush=True)
    results: list[ArmResult] = []
    for name, path in experiments.items():
        print(f"Finding spots, indexing, integrating: {name}", flush=True)
        results += process_arms(folder, {name: path}, *PROTEINASE_K)
    header, rows = comparison_rows(results)
    print(tabulate(rows, header))

    text = render_page(
        "A truncated sweep, corrected, against the truth",
        [
            Section(
                "Integrated intensities",
                [
                    Table(header, rows),
                    "Slope: of integrated on true intensity. Bias: mean of integrated "
                    "minus true intensity, electrons. z-sd: standard deviation of "
                    "(integrated − true)/σ, 1 if σ is right.",
                    slopes_figure(results),
                    histogram_figure(folder),
                ],
            ),
            Section(
                "What was run", [Table(["Command"], [[c] for c in commands(advice)])]
            ),
        ],
        summary=(
            "A simulated sweep of proteinase K on a TVIPS TemCam-F416, which stores no "
            "negative values, was integrated by DIALS as recorded, corrected by "
            "dials.truncfix, and as it was before truncation. What the correction saw is "
            "in dials.truncfix.html beside this page."
        ),
    )
    (folder / "report.html").write_text(text)
    print(f"Saved {folder / 'report.html'}; all took {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except CommandFailed as error:
        sys.exit(f"The demonstration stopped: {error}")
