"""A known ellipse of 1.2 % in five simulated sweeps, through DIALS and out again.

Five crystals of proteinase K turn in front of a camera whose lenses stretch the image.
DIALS finds, indexes and refines their spots; dials.truncfix_calibrate mode=spots measures
the ellipse from the five refined tables, and dials.refine refines the positions without
distortion again. Printed: the ellipse against the truth, the RMSD, and the error of the
cell of each sweep before and after, with camera length and symmetry as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from dials.util import tabulate
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.calibrate.ellipse import Ellipse, strain_matrix
from dials_truncfix.camera.f416 import F416
from dials_truncfix.simulate import output
from dials_truncfix.simulate.background import Background
from dials_truncfix.simulate.build import Sample, build_sweep
from dials_truncfix.simulate.models import (
    DEFAULT_SPACE_GROUP,
    DEFAULT_UNIT_CELL,
    Geometry,
    Rotation,
)
from dials_truncfix.simulate.scene import SpotShape

ELLIPSE = Ellipse(1.012, 0.6)
DISTANCE, BINNING, N_IMAGES, WIDTH = 1200.0, 8, 80, 0.5
#: The cell is refined, and camera length and wavelength, which are its measure, kept.
REFINE = (
    "scan_varying=False",
    "detector.fix=distance",
    "detector.fix_list=Tau",
    "beam.fix=all",
    "goniometer.fix=all",
)


def run(folder: Path, command: str, *arguments: str) -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name(command), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise SystemExit(
            f"{command} failed in {folder}:\n{result.stdout[-800:]}{result.stderr[-800:]}"
        )


def make_sweep(
    folder: Path,
    seed: int,
    ellipse: Ellipse = ELLIPSE,
    distance: float = DISTANCE,
    magnification: float = 1.0,
) -> None:
    """Write a sweep whose header says the distance, and knows of no magnification."""
    camera = F416(binning=BINNING)
    sweep = build_sweep(
        Sample(mosaicity=0.1, mean_intensity=600.0),
        Geometry(distance=distance),
        Rotation(start=-20.0, width=WIDTH, n_images=N_IMAGES),
        camera,
        Background(),
        SpotShape(),
        seed=seed,
    )
    spots = sweep.reflections
    panel = sweep.experiment.detector[0]
    centre = np.array(panel.get_beam_centre_px(sweep.experiment.beam.get_s0()))
    place = np.column_stack([spots.x, spots.y]) - centre
    matrix = magnification * strain_matrix(*ellipse.strain)
    x, y = (centre + place @ matrix.T).T
    sweep = replace(sweep, reflections=replace(spots, x=x, y=y))
    output.write_images(
        folder,
        output.OutputNames("sweep"),
        (sweep.record(k) for k in range(N_IMAGES)),
        sweep.experiment,
        camera,
        image_format="smv",
        high_tension_kv=200,
        frames_per_part=None,
        # spot finding wants the noise as it is
        unclipped=True,
        seed=seed,
    )


def process(folder: Path) -> None:
    cell = ",".join(map(str, DEFAULT_UNIT_CELL))
    group = DEFAULT_SPACE_GROUP.replace(" ", "")
    run(folder, "dials.import", "template=sweep_unclipped_#####.cbf")
    run(folder, "dials.find_spots", "imported.expt", "nproc=1")
    run(folder, "dials.index", "imported.expt", "strong.refl", f"unit_cell={cell}",
        f"space_group={group}", "detector.fix=distance", "detector.fix_list=Tau", "beam.fix=all",
        "goniometer.fix=all")  # fmt: skip
    run(folder, "dials.refine", "indexed.expt", "indexed.refl", *REFINE)


def cell_of(path: Path, number: int = 0) -> np.ndarray:
    crystal = ExperimentList.from_file(path, check_format=False)[number].crystal
    return np.array(crystal.get_unit_cell().parameters()[:3])


def measure(n: int) -> tuple[dict, list[np.ndarray], list[np.ndarray]]:
    """Record of the calibration, and the cells of all sweeps before and after."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        folders = [top / f"{k + 1}" for k in range(n)]
        for number, folder in enumerate(folders):
            folder.mkdir()
            make_sweep(folder, 11 + number)
            process(folder)
            print(f"sweep {number + 1}: found, indexed, refined", flush=True)
        tables = [str(folder / "refined.refl") for folder in folders]
        run(top, "dials.truncfix_calibrate", "mode=spots", *tables)
        record = json.loads((top / "dials.truncfix_calibrate.json").read_text())
        run(top, "dials.refine", "calibrated.expt", "undistorted.refl", *REFINE)
        after = [cell_of(top / "refined.expt", k) for k in range(n)]
        before = [cell_of(folder / "refined.expt") for folder in folders]
    return record, before, after


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=5)
    report(*measure(parser.parse_args().sweeps))


def report(record: dict, before: list[np.ndarray], after: list[np.ndarray]) -> None:
    (group,) = record["groups"]
    p, q = np.subtract(group["strain"], ELLIPSE.strain)
    print(
        f"\nellipticity {group['ellipticity']:.5f} ± {group['ellipticity_error']:.5f}, "
        f"true {ELLIPSE.ellipticity:.5f}; errors of p and q {p:+.5f}, {q:+.5f}"
    )
    print(
        f"RMSD {record['circles']['rmsd_px']:.3f} px with circles, "
        f"{record['ellipses']['rmsd_px']:.3f} px with ellipses\n"
    )
    true = np.array(DEFAULT_UNIT_CELL[:3])
    rows = []
    for number, cells in enumerate(zip(before, after), 1):
        errors = [100 * (cell / true - 1) for cell in cells]
        rows.append(
            [number, *(f"{e:+.3f}" for e in errors[0][[0, 2]]),
             *(f"{e:+.3f}" for e in errors[1][[0, 2]])]
        )  # fmt: skip
    header = ["sweep", "a (%) before", "c (%)", "a (%) after", "c (%)"]
    print(tabulate(rows, header))


if __name__ == "__main__":
    main()
