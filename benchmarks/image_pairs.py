"""Images compared with each other: errors against known truth, and uncertainties.

A specimen of random particles is imaged by a truncated camera, its fixed pattern and all,
at three numbers of electrons per pixel. Magnification and rotation: the second image is
magnified 1.083 times, turned by 4.7°, shifted, and blurred as by defocus. Shift matrix:
nine images out and back, with drift; alone, and with deflectors that miss by 0.3 pixels.
Distortion: five overlapping images behind one field of all terms of second and third order.
The last columns are standard deviations of errors over the uncertainties stated.
Peer: phase_cross_correlation of scikit-image, where that is installed, on the same shifts.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import numpy as np

from dials.util import tabulate

from dials_truncfix.calibrate.distortion.distortion_terms import Terms
from dials_truncfix.calibrate.distortion.overlaps import calibrate_distortion
from dials_truncfix.calibrate.pairs.magnification_pair import measure_magnification
from dials_truncfix.calibrate.pairs.recorded_shifts import RecordedShifts
from dials_truncfix.calibrate.pairs.registration import register_shift
from dials_truncfix.calibrate.pairs.shift_series import calibrate_shifts
from dials_truncfix.simulate.specimen import specimen_electrons
from specimen_images import (
    DRIFT,
    LEVELS,
    SHIFT_MATRIX,
    SHIFTS,
    distorted_series,
    magnified_pair,
    shifted_series,
    specimen,
    through_camera,
)


def magnification_table(n_seeds: int) -> str:
    rows = []
    for level in LEVELS:
        errors, sds, refused, seconds = [], [], 0, 0.0
        for seed in range(n_seeds):
            images = magnified_pair(2000 + seed, level)
            start = time.process_time()
            try:
                found = measure_magnification(*images, ("first", "second"))
            except ValueError:
                refused += 1
                continue
            seconds += time.process_time() - start
            errors.append(
                [found.magnification / 1.083 - 1, np.degrees(found.rotation) - 4.7]
            )
            sds.append(
                [found.magnification_error / 1.083, np.degrees(found.rotation_error)]
            )
        rows.append([level, *_columns(np.array(errors), np.array(sds)), refused,
                     f"{seconds / max(len(errors), 1):.1f}"])  # fmt: skip
    return str(
        tabulate(
            rows,
            [
                "e⁻/px",
                "magnification:\nrms error",
                "rotation (°):\nrms error",
                "largest",
                "largest",
                "z-sd",
                "z-sd",
                "refused",
                "CPU s",
            ],
        )
    )


def _columns(error: np.ndarray, sd: np.ndarray) -> list[str]:
    z = error / sd
    rms, largest = np.sqrt(np.mean(error**2, axis=0)), np.abs(error).max(axis=0)
    return [
        f"{rms[0]:.1e}",
        f"{rms[1]:.4f}",
        f"{largest[0]:.1e}",
        f"{largest[1]:.4f}",
        *(f"{x:.2f}" for x in np.sqrt(np.mean(z**2, axis=0))),
    ]


def series_table(n_seeds: int) -> str:
    rows = []
    recorded = RecordedShifts(SHIFTS, np.arange(len(SHIFTS)), None, None, "")
    names = [f"image {k + 1}" for k in range(len(SHIFTS))]
    for play in (0.0, 0.3):
        for level in LEVELS:
            errors, zs, refused = [], [], 0
            for seed in range(n_seeds):
                images = shifted_series(3000 + seed, level, play=play)
                try:
                    found = calibrate_shifts(images, names, recorded, "image_shift")
                except ValueError:
                    refused += 1
                    continue
                fit = found.matrix
                drift = np.zeros(2) if fit.drift is None else fit.drift
                error = np.append((fit.matrix - SHIFT_MATRIX).ravel(), drift - DRIFT)
                errors.append(error)
                zs.append(error / np.sqrt(fit.covariance.diagonal()))
            error, z = np.array(errors), np.array(zs)
            rows.append(
                [
                    play,
                    level,
                    f"{np.sqrt(np.mean(error[:, :4] ** 2)):.4f}",
                    f"{np.abs(error[:, :4]).max():.4f}",
                    f"{np.sqrt(np.mean(error[:, 4:] ** 2)):.4f}",
                    f"{np.sqrt(np.mean(z[:, :4] ** 2)):.2f}",
                    f"{np.sqrt(np.mean(z[:, 4:] ** 2)):.2f}",
                    refused,
                ]
            )
    return str(
        tabulate(
            rows,
            [
                "play (px)",
                "e⁻/px",
                "matrix (px/µm):\nrms error",
                "largest",
                "drift (px/min):\nrms error",
                "z-sd matrix",
                "z-sd drift",
                "refused",
            ],
        )
    )


def distortion_table(n_seeds: int) -> str:
    rows = []
    terms = Terms("cubic", (512, 512))
    names = [f"image {k + 1}" for k in range(5)]
    for level in LEVELS:
        errors, sds, zs, refused = [], [], [], 0
        for seed in range(n_seeds):
            true = 1.5 * np.random.default_rng(seed).standard_normal(len(terms.names))
            images = distorted_series(terms, true, 5000 + seed, level)
            try:
                found = calibrate_distortion(images, names, "cubic").distortion
            except ValueError:
                refused += 1
                continue
            errors.append(found.at(found.grid) - terms.design(found.grid) @ true)
            sds.append(found.errors_at(found.grid))
            zs.append((found.parameters - true) / found.covariance.diagonal() ** 0.5)
        if not errors:
            rows.append([level, *[""] * 4, refused])
            continue
        error = np.array(errors)
        rows.append(
            [
                level,
                f"{np.sqrt(np.mean(error**2)):.3f}",
                f"{np.abs(error).max():.2f}",
                f"{np.sqrt(np.mean(np.square(sds))):.3f}",
                f"{np.sqrt(np.mean(np.square(zs))):.2f}",
                refused,
            ]
        )
    header = ["e⁻/px", "field (px):\nrms error", "largest", "stated", "z-sd", "refused"]
    return str(tabulate(rows, header))


def peer_table(n_seeds: int) -> str:
    try:
        from skimage.registration import phase_cross_correlation
    except ImportError:
        return "scikit-image is not installed"
    rows = []
    for level in LEVELS:
        ours, plain, phase, z = [], [], [], []
        for seed in range(n_seeds):
            true = np.random.default_rng(seed).uniform(-120, 120, 2)
            first, second = (
                through_camera(electrons, seed, k)
                for k, electrons in enumerate(_two(4000 + seed, level, true), 1)
            )
            fitted = register_shift(first, second, "both").fitted
            error = fitted.transformation.shift - true
            ours.append(error)
            z.append(error / np.sqrt(fitted.shift_covariance.diagonal()))
            for store, normalization in ((plain, None), (phase, "phase")):
                shift = phase_cross_correlation(
                    first - first.mean(),
                    second - second.mean(),
                    upsample_factor=100,
                    normalization=normalization,
                )[0]
                store.append(-shift[::-1] - true)
        rows.append(
            [
                level,
                *(
                    f"{np.sqrt(np.mean(np.square(e))):.3f} ({np.abs(e).max():.2f})"
                    for e in (ours, plain, phase)
                ),
                f"{np.sqrt(np.mean(np.square(z))):.2f}",
            ]
        )
    return str(
        tabulate(
            rows,
            [
                "e⁻/px",
                "shift (px): rms\nerror (largest)",
                "scikit-image,\nno normalisation",
                "scikit-image,\nphase",
                "z-sd",
            ],
        )
    )


def _two(seed: int, level: float, shift: np.ndarray) -> list[np.ndarray]:
    particles = specimen(seed)
    return [
        specimen_electrons(particles, (512, 512), level, shift=place)
        for place in (np.zeros(2), shift)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40, help="of each level")
    seeds = parser.parse_args().seeds
    print(f"Magnification and rotation, {seeds} pairs each")
    print(magnification_table(seeds))
    print(f"\nShift matrix, {seeds // 2} series each")
    print(series_table(max(1, seeds // 2)))
    print(f"\nDistortion, {seeds // 2} series each")
    print(distortion_table(max(1, seeds // 2)))
    print(f"\nShifts up to 120 pixels, {seeds} pairs each")
    print(peer_table(seeds))


if __name__ == "__main__":
    main()
