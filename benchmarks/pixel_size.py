"""Pixel sizes by gratings, catalase and grid bars against known truth.

Images of 520 × 560 or 2048 × 2048 pixels with Poisson noise, in directions at random,
whose axes differ by 0.2 % and 0.2° from a square: largest errors of the pixel size along
an axis, and errors over uncertainties (root mean square, 1 where uncertainties are right),
of length and of the angle between the axes. Then gratings that are too fine, which must
be refused.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from dials.util import tabulate

from dials_truncfix.calibrate.pixel_size.pixel_size import (
    CATALASE,
    SMALLEST_PITCH,
    Specimen,
    cross_grating,
    grid_bars,
    measure_pixel_size,
)
from dials_truncfix.simulate.grating import (
    crystal_electrons,
    grating_electrons,
    grid_electrons,
)

SHAPE = (520, 560)
#: Of most cameras, binned.
LARGE = (2048, 2048)
LEVELS = (1.0, 5.0, 40.0)
GRATING = cross_grating(2160)
RATIO, SKEW = 1.002, 0.2
TOO_FINE = (4.0, 5.1, 6.3, 7.0, 7.7, 8.4, 9.1, 9.8)

Electrons = Callable[..., np.ndarray]


def axes_of(pitch: float, ratio: float, direction: float) -> np.ndarray:
    angle = np.radians([direction, direction + 90 + SKEW])
    lengths = np.array([pitch, ratio * RATIO * pitch])
    return lengths[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])


def measure(
    electrons: Electrons,
    specimen: Specimen,
    pitch: float,
    level: float,
    seed: int,
    shape: tuple[int, int] = SHAPE,
    **how,
) -> tuple[list[float], list[float], float]:
    """Relative errors of both pixel sizes, those over uncertainties, and of the angle."""
    rng = np.random.default_rng(seed)
    ratio = specimen.repeats[1] / specimen.repeats[0]
    true = axes_of(pitch, ratio, rng.uniform(0, 90))
    expected = electrons(shape, true, level, seed=seed, **how)
    result = measure_pixel_size(rng.poisson(expected).astype(float), specimen)
    found = result.lattice.axes
    likeness = np.abs(found @ true.T)
    order = [0, 1] if ratio > 1.5 else np.argmax(likeness, axis=1)
    length = np.linalg.norm(true, axis=1)[order]
    error = result.lattice.lengths / length - 1
    z = error * length / result.lattice.length_errors
    angle = abs(np.degrees(result.angle) - 90) - SKEW
    return list(error), list(z), angle / np.degrees(result.angle_error)


CASES = [
    ("cross grating", grating_electrons, GRATING, 12.4, {}),
    ("cross grating", grating_electrons, GRATING, 24.7, {}),
    ("cross grating", grating_electrons, GRATING, 99.0, {}),
    ("the same, large image", grating_electrons, GRATING, 99.0, {"shape": LARGE}),
    ("lines wander by 1 %", grating_electrons, GRATING, 24.7, {"wander": 0.01}),
    ("catalase", crystal_electrons, Specimen("catalase", CATALASE), 13.7, {}),
    ("grid bars, mesh 400", grid_electrons, grid_bars(400), 124.0, {}),
]

#: Images of seeds from 1000 to 1005 are those at which limits of the fit were set.
FIRST_SEED = 2000


def truth_table(n_seeds: int, cases: list) -> str:
    rows = []
    for name, electrons, specimen, pitch, how in cases:
        for level in LEVELS:
            results, failed = [], 0
            for seed in range(n_seeds):
                try:
                    results.append(
                        measure(
                            electrons, specimen, pitch, level, FIRST_SEED + seed, **how
                        )
                    )
                except ValueError:
                    failed += 1
            if not results:
                rows.append([name, pitch, level, failed, *[""] * 5])
                continue
            error, z, angle = (np.array(part) for part in zip(*results))
            rows.append(
                [
                    name,
                    pitch,
                    level,
                    failed,
                    f"{100 * np.abs(error).max():.4f}",
                    f"{100 * np.sqrt(np.mean(error**2)):.4f}",
                    f"{100 * np.abs(error.mean(axis=1)).max():.4f}",
                    f"{np.sqrt(np.mean(z**2)):.2f}",
                    f"{np.sqrt(np.mean(angle**2)):.2f}",
                ]
            )
    return str(
        tabulate(
            rows,
            [
                "specimen",
                "pitch (px)",
                "e⁻/px",
                "refused",
                "largest (%)",
                "rms (%)",
                "largest of\nmean size (%)",
                "error / σ",
                "angle / σ",
            ],
        )
    )


def refusal_table(n_seeds: int) -> str:
    rows = []
    for pitch in TOO_FINE:
        for level in LEVELS:
            errors = []
            for seed in range(n_seeds):
                try:
                    error, _, _ = measure(
                        grating_electrons, GRATING, pitch, level, seed
                    )
                except ValueError:
                    continue
                errors.append(max(abs(e) for e in error))
            worst = f"{100 * max(errors):.1f}" if errors else "–"
            rows.append([pitch, level, n_seeds - len(errors), len(errors), worst])
    return str(
        tabulate(rows, ["pitch (px)", "e⁻/px", "refused", "measured", "largest (%)"])
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30, help="images of each kind")
    seeds = parser.parse_args().seeds
    print(f"Errors of the pixel size along an axis, {seeds} images of each kind")
    for case in CASES:
        print(truth_table(seeds, [case]), flush=True)
    print(f"\nCross gratings with a pitch below {SMALLEST_PITCH:g} pixels")
    print(refusal_table(max(1, seeds // 3)))


if __name__ == "__main__":
    main()
