"""The beam in simulated images: errors against known truth, and uncertainties.

The beam is whole, cut by a corner, or cut by half, uneven by a slope of 11 %, at three
numbers of electrons per pixel, through a camera with a fixed pattern; signed as it would
be without truncation, and truncated. Standard deviations of errors over the uncertainties
stated are in the last columns.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import numpy as np

from dials.util import tabulate

from dials_truncfix.calibrate.disc.disc import measure_disc
from dials_truncfix.simulate.beam_disc import disc_electrons
from specimen_images import LEVELS, through_camera

BEAMS = {
    "whole": ((260.3, 247.6), 180.2),
    "corner": ((120.4, 60.7), 200.3),
    "half": ((-20.0, 256.0), 230.0),
}


def measure(
    name: str, level: float, seed: int, truncated: bool
) -> tuple[np.ndarray, ...]:
    """Errors of centre and radius, px, and the uncertainties stated."""
    centre, radius = BEAMS[name]
    electrons = disc_electrons(
        (512, 512), centre, radius, level, gradient=(0.1, 0.05), dark=0.02
    )
    disc = measure_disc(through_camera(electrons, seed, 1, truncated), name)
    error = np.append(disc.circle.centre - centre, disc.circle.radius - radius)
    return error, np.sqrt(disc.circle.covariance.diagonal())


def table(n_seeds: int) -> str:
    rows = []
    for truncated in (False, True):
        for name in BEAMS:
            for level in LEVELS:
                pairs = [measure(name, level, k, truncated) for k in range(n_seeds)]
                error, sd = (np.array(part) for part in zip(*pairs))
                z = np.sqrt(np.mean((error / sd) ** 2, axis=0))
                rows.append(
                    [
                        "truncated" if truncated else "signed",
                        name,
                        level,
                        f"{np.sqrt(np.mean(error[:, :2] ** 2)):.3f}",
                        f"{np.abs(error[:, :2]).max():.3f}",
                        f"{np.sqrt(np.mean(error[:, 2] ** 2)):.3f}",
                        f"{error[:, 2].mean():+.3f}",
                        *(f"{x:.2f}" for x in z),
                    ]
                )
    header = ["", "beam", "e⁻/px", "centre (px):\nrms error", "largest",
              "radius (px):\nrms error", "mean error", "z-sd fast", "slow",
              "radius"]  # fmt: skip
    return str(tabulate(rows, header))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30, help="images of each kind")
    seeds = parser.parse_args().seeds
    print(f"Centre and radius of the beam, {seeds} images each")
    print(table(seeds))


if __name__ == "__main__":
    main()
