"""Gain, pedestal and noise of cameras that share no code with the program's own.

The tables of gain_and_dose.py come from the camera with which the method's uncertainties
were set. Here the images are those of independent_cameras.py, even or sweeps, signed and
truncated, and the seeds are others. Printed as there: mean, error, uncertainty and z.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import numpy as np
from gain_and_dose import (
    BRIGHT,
    DARK,
    SHAPE,
    Case,
    expected_image,
    recorded,
    summary,
)
from independent_cameras import INDEPENDENT, IndependentCamera

from dials_truncfix.calibrate.gain.camera_numbers import by_camera, by_photon_transfer
from dials_truncfix.calibrate.gain.gain_calibration import (
    GainCalibration,
    calibrate_gain,
)
from dials_truncfix.calibrate.gain.known import GainOptions

#: Seeds on which nothing was set.
FIRST_SEED = 600


@dataclass(frozen=True)
class View:
    """What a camera looks at; electrons are those of a camera of dose 1."""

    name: str
    levels: tuple[float, ...]
    signed: bool
    sweep: bool = False


VIEWS = (
    View("bright", BRIGHT, signed=False),
    View("dark, signed", DARK, signed=True),
    View("dark, truncated", DARK, signed=False),
    View("sweep, signed", (1.5,) * 10, signed=True, sweep=True),
    View("sweep, truncated", (1.5,) * 10, signed=False, sweep=True),
)


def calibrated(view: View, camera: IndependentCamera, seed: int) -> GainCalibration:
    """Simulate a series, and calibrate it."""
    rng = np.random.default_rng([17, seed])
    flat = camera.flat(SHAPE, seed)
    case = Case(view.name, camera, view.levels, sweep=view.sweep)
    levels = view.levels if view.sweep else np.repeat(view.levels, 2)
    images = []
    for number, level in enumerate(levels, start=1):
        expected = camera.dose * expected_image(case, level, rng)
        pixels = camera.signed(expected, flat, rng)
        images.append(
            recorded(
                pixels if view.signed else np.maximum(pixels, 0), f"image {number}"
            )
        )
    return calibrate_gain(images, (), GainOptions(flat=not view.sweep))


def truths(camera: IndependentCamera) -> dict[str, float]:
    """Tell what the numbers should be."""
    gain = camera.adu_per_electron * (1 + camera.pulse_variance)
    noise = camera.read_noise * math.sqrt(1 + camera.flat_sd**2)
    return {
        "gain": gain,
        "pedestal": -(noise**2 + 1 / 12) / gain,
        "read_noise": noise,
        "adu_per_electron": camera.adu_per_electron,
    }


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6)
    n_seeds = parser.parse_args().seeds
    for camera_name, camera in INDEPENDENT.items():
        for view in VIEWS:
            results, refused = [], ""
            for seed in range(FIRST_SEED, FIRST_SEED + n_seeds):
                try:
                    results.append(calibrated(view, camera, seed))
                except ValueError as error:
                    refused = str(error)
            print(f"\n{camera_name}, {view.name}: {len(results)} of {n_seeds}")
            if refused:
                print(f"  refused: {refused}")
            for quantity, truth in truths(camera).items():
                for name, method in (
                    ("photon transfer", by_photon_transfer),
                    ("camera model", by_camera),
                ):
                    numbers = [method(result) for result in results]
                    values = [
                        (getattr(m, quantity).value, getattr(m, quantity).sd)
                        for m in numbers
                        if m is not None
                    ]
                    print(
                        f"  {quantity:16} {truth:7.3f} {name:15} "
                        f"{summary(values, truth)}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
