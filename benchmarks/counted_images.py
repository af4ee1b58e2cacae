"""Real spots through the camera: a counted sweep, truncated, corrected, and neither.

The images of a counting detector pass through the simulated camera. What DIALS
integrates from the counted images themselves is the reference.

Usage: python benchmarks/counted_images.py IMAGE ... [--space-group P212121]
       [--cell 5.4,8.1,12.0,90,90,90] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import re
import shlex
import tempfile
from pathlib import Path

import numpy as np
from stock_dials import Processed, process, run

from dials.array_family import flex
from dials.util import tabulate
from dxtbx import flumpy
from dxtbx.model.experiment_list import ExperimentList

# The camera's; the counted images are in electrons already.
ADU_PER_ELECTRON = 6.0
INTENSITY_LIMITS = (50.0, 200.0, 1000.0)


def prepare(folder: Path, images: list[str], options: list[str]) -> dict[str, Path]:
    """Pass the images through the camera; experiments of each way to process them."""
    run(["dials.import", *images, "output.experiments=counted.expt"], folder)
    text, _ = run(
        [
            "dials.truncfix_simulate",
            "source=images",
            "counted.expt",
            "output.directory=simulated",
            "output.unclipped=True",
            *options,
        ],
        folder,
    )
    advice = [
        shlex.split(found.replace("\\\n", " "))
        for found in re.findall(r"dials\.import ((?:.*\\\n)*.*)", text)
    ]
    truncated, untruncated = (
        [word for part in a for word in _expand(folder, part)] for a in advice
    )
    run(["dials.import", *untruncated, "output.experiments=untruncated.expt"], folder)
    known = ExperimentList.from_file(str(folder / "untruncated.expt"), False)
    gain = f"geometry.detector.panel.gain={known[0].detector[0].get_gain()}"
    run(["dials.import", *truncated, gain, "output.experiments=truncated.expt"], folder)
    run(["dials.import", *truncated, "output.experiments=imported.expt"], folder)
    run(["dials.truncfix", "imported.expt", "output.directory=corrected"], folder)
    names = ("counted", "truncated", "truncfix", "untruncated")
    return {name: folder / f"{name}.expt" for name in names}


def _expand(folder: Path, word: str) -> list[str]:
    """Expand a pattern of file names, as a shell would."""
    found = sorted(str(path) for path in folder.glob(word)) if "*" in word else []
    return found or [word]


def intensities(done: Processed, to_electrons: float) -> dict[tuple[int, ...], tuple]:
    """Read summed intensities and standard deviations by Miller index, e⁻."""
    table = flex.reflection_table.from_file(str(done.reflections))
    table = table.select(table.get_flags(table.flags.integrated_sum))
    gain = ExperimentList.from_file(str(done.experiments), False)[0].detector[0]
    scale = gain.get_gain() * to_electrons
    value = flumpy.to_numpy(table["intensity.sum.value"]) * scale
    sigma = np.sqrt(flumpy.to_numpy(table["intensity.sum.variance"])) * scale
    whole = flumpy.to_numpy(table["partiality"]) > 0.99
    return {
        tuple(h): (v, s)
        for h, v, s, w in zip(table["miller_index"], value, sigma, whole)
        if w
    }


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="+")
    parser.add_argument("--space-group", default="P212121")
    parser.add_argument("--cell", default="5.4,8.1,12.0,90,90,90")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--simulate", default="", help="options of the simulation")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        images = [str(Path(image).absolute()) for image in options.images]
        paths = prepare(folder, images, options.simulate.split())
        done = {
            name: process(
                path,
                folder / name,
                options.space_group,
                options.cell,
                # a wedge of one degree holds too few spots for the defaults
                (
                    "profile.gaussian_rs.min_spots.overall=15",
                    "profile.gaussian_rs.min_spots.per_degree=10",
                ),
            )
            for name, path in paths.items()
        }
        reference = intensities(done["counted"], 1.0)
        rows = [
            ["strong spots", *(d.n_strong for d in done.values())],
            ["of these indexed", *(d.n_indexed for d in done.values())],
            ["background failures", *(d.n_failed_background for d in done.values())],
        ]
        measured = {
            name: intensities(d, 1.0 if name == "counted" else 1 / ADU_PER_ELECTRON)
            for name, d in done.items()
        }
        rows.append(["integrated, whole", *(len(m) for m in measured.values())])
        for low, high in zip(INTENSITY_LIMITS, INTENSITY_LIMITS[1:]):
            bias, z_sd = [], []
            for found in measured.values():
                both = [
                    (*found[h], reference[h][0])
                    for h in found
                    if h in reference and low <= reference[h][0] < high
                ]
                value, sigma, true = np.array(both).T
                difference = value - true
                error = difference.std(ddof=1) / np.sqrt(len(both))
                bias.append(f"{difference.mean():+.2f} ± {error:.2f} ({len(both)})")
                z_sd.append(f"{(difference / sigma).std(ddof=1):.2f}")
            rows.append([f"bias {low:.0f}-{high:.0f} e⁻", *bias])
            rows.append([f"z-sd {low:.0f}-{high:.0f} e⁻", *z_sd])
        print(tabulate(rows, ["", *done]))


if __name__ == "__main__":
    main()
