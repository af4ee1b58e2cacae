"""Corrections against the truth, camera by camera, in one table.

The program's own simulator, and cameras that share no code with it, record the same
crystal. For each correction: worst and rms error of the mean background of ten annuli,
and of its standard deviation; with --full also what dials.integrate finds, on the
models of the untruncated images, so that only the pixels differ: bias of intensities
of 50-200 and 200-1000 e⁻, beside it what of that bias the untruncated images do not
have, the ratio of the slopes on truth at 20-4 and 1.65-1.5 Å, and the standard
deviation of (integrated - true)/σ at 50-200 e⁻.

Usage: python benchmarks/truncation_table.py [--full] [--cameras NAME ...]
       [--corrections "fit.model=emg assign=random" ...] [--images N]
       [--simulate OPTIONS] [--folder FOLDER] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from camera_sweeps import CAMERAS, N_RINGS, CameraSweep, record_sweep
from fixed_models import Integration, index_untruncated, integrate, intensity_figures
from stock_dials import CommandFailed, run

from dials.util import tabulate
from dxtbx import flumpy
from dxtbx.model.experiment_list import ExperimentList

NONE, UNTRUNCATED = "none", "untruncated"
CORRECTIONS = (
    "fit.model=paper assign=random",
    "fit.model=lognormal assign=random",
    "fit.model=emg assign=random",
    "fit.model=camera assign=random",
    "fit.model=auto assign=random",
    "fit.model=emg assign=expected",
    "fit.model=camera assign=expected",
    "fit.model=camera assign=local",
)


@dataclass(frozen=True)
class Background:
    """Errors of the background of ten annuli.

    Attributes
    ----------
    worst, rms : float
        Largest and root-mean-square error of the mean, ADU.
    worst_sd : float
        Largest relative error of the standard deviation.
    """

    worst: float
    rms: float
    worst_sd: float


@dataclass(frozen=True)
class Row:
    """One correction of one camera's images."""

    camera: str
    correction: str
    background: Background
    integration: Integration | None


class TrueBackground:
    """Sums over the background pixels of each annulus of the true images."""

    def __init__(self, recorded: CameraSweep) -> None:
        self.labels = recorded.rings()
        self.masks = [
            recorded.background(k) & (self.labels >= 0)
            for k in range(recorded.sweep.n_images)
        ]
        self.mean, self.sd = self.moments(recorded.untruncated)

    def moments(self, experiments: Path) -> tuple[npt.NDArray[np.float64], ...]:
        """Mean and standard deviation of each annulus, ADU."""
        imageset = ExperimentList.from_file(str(experiments))[0].imageset
        sums = np.zeros((3, N_RINGS))
        for index, mask in enumerate(self.masks):
            image = flumpy.to_numpy(imageset.get_raw_data(index)[0])
            values, ring = image[mask].astype(float), self.labels[mask]
            for total, weight in zip(sums, (None, values, values**2)):
                total += np.bincount(ring, weight, minlength=N_RINGS)
        n, first, second = sums
        mean = first / n
        return mean, np.sqrt(second / n - mean**2)

    def errors(self, experiments: Path) -> Background:
        """Compare the background of corrected images with the truth."""
        mean, sd = self.moments(experiments)
        error = mean - self.mean
        return Background(
            worst=float(np.abs(error).max()),
            rms=float(np.sqrt(np.mean(error**2))),
            worst_sd=float(np.abs(sd / self.sd - 1).max()),
        )


def corrected(recorded: CameraSweep, number: int, options: str) -> Path:
    """Correct the images of a camera; returns the experiments."""
    name = f"correction_{number}"
    run(
        [
            "dials.truncfix",
            recorded.truncated.name,
            f"output.directory={name}",
            f"output.experiments={name}.expt",
            f"output.json={name}.json",
            f"output.log={name}.log",
            *options.split(),
        ],
        recorded.folder,
    )
    return recorded.folder / f"{name}.expt"


def rows_of(
    camera: str, recorded: CameraSweep, corrections: Sequence[str], full: bool
) -> tuple[list[Row], list[str]]:
    """Measure all corrections of one camera; what failed is described in words."""
    true = TrueBackground(recorded)
    indexed = index_untruncated(recorded) if full else None
    rows, failures = [], []

    def measure(name: str, images: Path, models: Path | None = None) -> None:
        found = None
        if indexed is not None:
            matched = integrate(recorded, indexed, models or images, name)
            found = intensity_figures(matched, indexed.matched)
        rows.append(Row(camera, name, true.errors(images), found))
        print("  ".join(_cells(rows[-1])), flush=True)

    if full:
        measure(UNTRUNCATED, recorded.untruncated)
    measure(NONE, recorded.truncated, recorded.known_gain)
    for number, options in enumerate(corrections):
        try:
            images = corrected(recorded, number, options)
            measure(options, images)
        except CommandFailed as error:
            failures.append(f"{camera}, {options}: {str(error).splitlines()[-1]}")
            print(failures[-1], flush=True)
            continue
        shutil.rmtree(recorded.folder / f"correction_{number}")
    return rows, failures


def _cells(row: Row) -> list[str]:
    b, i = row.background, row.integration
    cells = [
        row.camera,
        row.correction.replace("fit.model=", "").replace("assign=", ""),
        f"{b.worst:.3f}",
        f"{b.rms:.3f}",
        f"{100 * b.worst_sd:.1f}",
    ]
    if i is not None:
        weak, middle = i.bins
        cells += [
            f"{weak.bias:+.2f} ± {weak.bias_error:.2f}",
            f"{weak.beyond:+.2f} ± {weak.beyond_error:.2f}",
            f"{middle.bias:+.2f} ± {middle.bias_error:.2f}",
            f"{middle.beyond:+.2f} ± {middle.beyond_error:.2f}",
            f"{i.slope_ratio:.3f}",
            f"{weak.z_sd:.2f}",
            f"{weak.correlation:.3f}",
        ]
    return cells


HEADER = ["camera", "correction", "worst\n(ADU)", "rms\n(ADU)", "worst sd\n(%)"]
FULL_HEADER = [
    "bias 50-200\n(e⁻)",
    "beyond\nuntruncated",
    "bias 200-1000\n(e⁻)",
    "beyond\nuntruncated",
    "slope\nratio",
    "z-sd",
    "CC",
]


def table(rows: Sequence[Row]) -> str:
    """Tabulate rows."""
    full = any(row.integration is not None for row in rows)
    return str(
        tabulate(
            [_cells(row) for row in rows],
            HEADER + (FULL_HEADER if full else []),
            disable_numparse=True,
        )
    )


def main() -> int:
    """Measure and print the table; returns 1 if a correction failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="integrate too (minutes)")
    parser.add_argument("--cameras", nargs="+", choices=CAMERAS, default=CAMERAS)
    parser.add_argument("--corrections", nargs="+", default=CORRECTIONS)
    parser.add_argument("--images", type=int, help="40, and 10 without --full")
    parser.add_argument("--simulate", default="", help="options of the simulation")
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    n_images = options.images or (40 if options.full else 10)
    rows: list[Row] = []
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        for camera in options.cameras:
            recorded = record_sweep(
                camera, folder / camera, n_images, options.simulate.split()
            )
            found, failed = rows_of(camera, recorded, options.corrections, options.full)
            rows += found
            failures += failed
            if options.json:
                options.json.write_text(json.dumps([asdict(r) for r in rows], indent=1))
    print(table(rows))
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
