"""Crystals recorded at two camera lengths, brought to one scale by their reflections.

Each camera length has an ellipse of its own and differs from what the header says. DIALS
finds, indexes and refines the spots of one sweep of each; dials.truncfix_calibrate with
phil/calibrate_camera_lengths.phil measures both, and dials.refine refines the positions
without distortion again. Printed: camera lengths and ellipses against the truth, the RMSD
without and with ellipses, and the error of the cell of each sweep before and after.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from ellipse_sweeps import REFINE, cell_of, make_sweep, process, run

from dials.util import tabulate

from dials_truncfix.calibrate.ellipse import Ellipse
from dials_truncfix.simulate.models import DEFAULT_UNIT_CELL

PHIL = Path(__file__).parents[1] / "phil" / "calibrate_camera_lengths.phil"
#: Camera length of the header (mm), the true one over it, and the ellipse.
SETS = {
    "near": (1100.0, 1.006, Ellipse(1.012, 0.6)),
    "far": (1500.0, 0.991, Ellipse(1.008, 2.0)),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        before, after = [], []
        for number, (label, (distance, scale, ellipse)) in enumerate(SETS.items()):
            folder = top / label
            folder.mkdir()
            make_sweep(folder, 21 + number, ellipse, distance, scale)
            process(folder)
            before.append(cell_of(folder / "refined.expt"))
        tables = [f"{label}/refined.refl" for label in SETS]
        cell = ",".join(map(str, DEFAULT_UNIT_CELL))
        run(top, "dials.truncfix_calibrate", str(PHIL), *tables,
            f"spots.unit_cell={cell}")  # fmt: skip
        record = json.loads((top / "dials.truncfix_calibrate.json").read_text())
        run(top, "dials.refine", "calibrated.expt", "undistorted.refl", *REFINE)
        after = [cell_of(top / "refined.expt", k) for k in range(len(SETS))]
    report(record, before, after)


def report(record: dict, before: list[np.ndarray], after: list[np.ndarray]) -> None:
    rows = []
    true = np.array(DEFAULT_UNIT_CELL[:3])
    for label, group, crystal, cells in zip(
        SETS, record["groups"], record["crystals"], zip(before, after)
    ):
        distance, scale, ellipse = SETS[label]
        errors = [100 * (cell / true - 1) for cell in cells]
        p, q = np.subtract(group["strain"], ellipse.strain)
        rows.append(
            [
                label,
                f"{distance:g}",
                f"{distance * scale:g}",
                f"{crystal['distance_mm']:.2f}",
                f"{100 * (group['scale'] / scale - 1):+.4f}",
                f"{p:+.5f}, {q:+.5f}",
                f"{crystal['rmsd_px_circles']:.3f}",
                f"{crystal['rmsd_px_ellipses']:.3f}",
                *(f"{e[0]:+.3f}, {e[2]:+.3f}" for e in errors),
            ]
        )
    header = [
        "",
        "header\n(mm)",
        "true",
        "found",
        "error (%)",
        "errors of\np and q",
        "RMSD (px)\ncircles",
        "\nellipses",
        "errors of a, c (%)\nbefore",
        "\nafter",
    ]
    print(tabulate(rows, header))


if __name__ == "__main__":
    main()
