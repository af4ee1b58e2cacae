"""What is asked of calibrations, and the largest errors of simulated images and sweeps.

Rings and gratings at three signal levels; five sweeps through DIALS for the ellipse. The
tables of rings.py, pixel_size.py, ellipse_sweeps.py and camera_lengths.py tell more.
"""

from __future__ import annotations

import argparse

import ellipse_sweeps
import numpy as np
import pixel_size
import rings

from dials.util import tabulate

from dials_truncfix.simulate.models import DEFAULT_UNIT_CELL


def ring_rows(n_seeds: int) -> list[list[str]]:
    error = np.abs(
        [
            rings.measure(1000 + seed, level)[0]
            for level in rings.LEVELS
            for seed in range(n_seeds)
        ]
    ).max(axis=0)
    return [
        ["rings: camera length (%)", "0.05", f"{100 * error[2]:.4f}"],
        ["rings: centre (px)", "0.1", f"{error[:2].max():.3f}"],
        ["rings: ellipticity", "0.001", f"{error[5]:.5f}"],
    ]


def grating_rows(n_seeds: int) -> list[list[str]]:
    rows = []
    for _, electrons, specimen, pitch, how in pixel_size.CASES[:3]:
        for level in pixel_size.LEVELS:
            error = [
                np.mean(
                    pixel_size.measure(
                        electrons,
                        specimen,
                        pitch,
                        level,
                        pixel_size.FIRST_SEED + seed,
                        **how,
                    )[0]
                )
                for seed in range(n_seeds)
            ]
            name = f"grating, {pitch:g} px, {level:g} e⁻/px (%)"
            rows.append([name, "0.05", f"{100 * np.abs(error).max():.4f}"])
    passed = 0
    for pitch in pixel_size.TOO_FINE:
        for seed in range(n_seeds):
            try:
                pixel_size.measure(
                    pixel_size.grating_electrons, pixel_size.GRATING, pitch, 5.0, seed
                )
            except ValueError:
                continue
            passed += 1
    return [*rows, ["gratings below 10 px that were not refused", "0", f"{passed}"]]


def ellipse_rows(n_sweeps: int) -> list[list[str]]:
    record, before, after = ellipse_sweeps.measure(n_sweeps)
    (group,) = record["groups"]
    strain = np.abs(np.subtract(group["strain"], ellipse_sweeps.ELLIPSE.strain)).max()
    true = np.array(DEFAULT_UNIT_CELL[:3])
    worst = [
        100 * np.abs(np.array(cells) / true - 1).max() for cells in (before, after)
    ]
    return [
        ["spots: p and q of an ellipse of 1.2 %", "0.0001", f"{strain:.5f}"],
        ["spots: cell before (%)", "", f"{worst[0]:.3f}"],
        ["spots: cell after (%)", "less", f"{worst[1]:.3f}"],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="images of each kind")
    parser.add_argument("--sweeps", type=int, default=5)
    options = parser.parse_args()
    rows = [
        *ring_rows(options.seeds),
        *grating_rows(options.seeds),
        *ellipse_rows(options.sweeps),
    ]
    print(tabulate(rows, ["largest error of", "asked", "measured"]))


if __name__ == "__main__":
    main()
