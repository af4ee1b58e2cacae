"""The main job from start to end on a simulated sweep, with a report.

Simulates a truncated TVIPS sweep of proteinase K whose truth is known, and processes
it with the stock DIALS commands three ways: as recorded, corrected by dials.truncfix,
and as it was before truncation. Ends with a table, and writes it with two figures and
the commands to report.html.

Usage: python benchmarks/demo.py --output FOLDER
"""

from __future__ import annotations

import argparse
import base64
import io
import shutil
import sys
import time
from pathlib import Path

import jinja2
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from arms import ArmResult, import_arms, process_arms, simulate
from comparison import comparison_rows
from stock_dials import CommandFailed

from dials.util import tabulate
from dxtbx import flumpy
from dxtbx.model.experiment_list import ExperimentList

PROTEINASE_K = ("P43212", "67.3,67.3,101,90,90,90")
# Okabe and Ito's palette: told apart with any colour vision
COLOURS = {"truncated": "#D55E00", "corrected": "#0072B2", "untruncated": "#000000"}
MARKS = {"truncated": "s--", "corrected": "o-", "untruncated": "x:"}

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>dials.truncfix demonstration</title>
<style>
body {font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem}
table {border-collapse: collapse; display: block; overflow-x: auto}
td, th {padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ccc}
td:first-child, th:first-child {text-align: left}
img {max-width: 100%}
pre {background: #f4f4f4; padding: .8rem; overflow-x: auto}
</style>
</head>
<body>
<h1>A truncated sweep, corrected, against the truth</h1>
<p>{{ summary }}</p>
<h2>Integrated intensities</h2>
<table>
<tr>{% for name in header %}<th scope="col">{{ name }}</th>{% endfor %}</tr>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
<p>Slope: of integrated on true intensity. Bias: mean of integrated minus true
intensity, electrons. z-sd: standard deviation of (integrated &minus; true)/&sigma;,
1 if &sigma; is right.</p>
{% for image, text in images %}<p><img src="data:image/png;base64,{{ image }}"
alt="{{ text }}"></p>
<p>{{ text }}</p>
{% endfor %}
<h2>What was run</h2>
<pre>{% for command in commands %}{{ command }}
{% endfor %}</pre>
</body>
</html>
"""


def slopes_figure(results: list[ArmResult]) -> tuple[str, str]:
    """Draw the slope on truth against resolution."""
    figure, axes = plt.subplots(figsize=(7, 4.2))
    for result in results:
        shells = result.by_resolution
        middle = [(1 / s.low**2 + 1 / s.high**2) / 2 for s in shells]
        axes.plot(
            middle,
            [s.slope for s in shells],
            MARKS[result.name],
            color=COLOURS[result.name],
            label=result.name,
        )
    ticks = [4.0, 3.0, 2.5, 2.0, 1.8, 1.6]
    axes.set_xticks([1 / d**2 for d in ticks], [f"{d:g}" for d in ticks])
    axes.set_xlabel("resolution (Å)")
    axes.set_ylabel("slope of integrated on true intensity")
    axes.legend()
    return _png(figure), (
        "Truncation lowers weak intensities, most at high resolution; the correction "
        "brings them back to what the untruncated images give."
    )


def histogram_figure(folder: Path) -> tuple[str, str]:
    """Draw the histogram of the outer half of the images in all three forms."""
    figure, axes = plt.subplots(figsize=(7, 4.2))
    bins = np.arange(-25.5, 41.5)
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
        axes.step(
            bins[:-1] + 0.5,
            counts,
            where="mid",
            color=COLOURS[name],
            linestyle=":" if name == "untruncated" else "-",
            label=name,
        )
    axes.set_yscale("log")
    axes.set_xlabel("pixel value (ADU)")
    axes.set_ylabel("pixels in the corners")
    axes.legend()
    return _png(figure), (
        "Histogram of the pixels in the corners of every eighth image. Truncation piles "
        "all values below zero up at zero; the correction spreads them out again."
    )


def _png(figure: plt.Figure) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, bbox_inches="tight")
    plt.close(figure)
    return base64.b64encode(stream.getvalue()).decode()


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

    page = jinja2.Environment(autoescape=True).from_string(PAGE)
    text = page.render(
        summary=(
            "A simulated sweep of proteinase K on a TVIPS TemCam-F416, which stores no "
            "negative values, was integrated by DIALS as recorded, corrected by "
            "dials.truncfix, and as it was before truncation."
        ),
        header=header,
        rows=rows,
        images=[slopes_figure(results), histogram_figure(folder)],
        commands=[
            "dials.truncfix_simulate output.directory=simulated output.unclipped=True",
            "dials.import " + " ".join(advice),
            "dials.truncfix imported.expt output.directory=corrected",
            "dials.find_spots truncfix.expt",
            "dials.index truncfix.expt strong.refl space_group=P43212 "
            "unit_cell=67.3,67.3,101,90,90,90 detector.fix=distance",
            "dials.integrate indexed.expt indexed.refl",
        ],
    )
    (folder / "report.html").write_text(text)
    print(f"Saved {folder / 'report.html'}; all took {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except CommandFailed as error:
        sys.exit(f"The demonstration stopped: {error}")
