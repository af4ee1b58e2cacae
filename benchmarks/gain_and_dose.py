"""Measure gain, noise and doses in simulated images of known truth, and in real ones.

For each camera, signal level and seed a series of images is simulated and calibrated as by
dials.truncfix_calibrate mode=gain or mode=dose. Printed are the mean error and the mean and
standard deviation of z = (result - truth)/uncertainty over the seeds: a mean of z near 0
and a standard deviation near 1 show that the uncertainties hold.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dials_truncfix.calibrate.dose.image_dose import Scale, highest_rate, image_dose
from dials_truncfix.calibrate.dose.mdoc_dose import mdoc_doses
from dials_truncfix.calibrate.gain.camera_numbers import by_camera, by_photon_transfer
from dials_truncfix.calibrate.gain.gain_calibration import (
    GainCalibration,
    calibrate_gain,
)
from dials_truncfix.calibrate.gain.known import GainOptions
from dials_truncfix.calibrate.recorded_images import RecordedImage
from dials_truncfix.camera.ccd import CCD
from dials_truncfix.camera.coincidence import SERIALEM_K3_200_KV, loss_curve
from dials_truncfix.camera.counting import CountingCamera
from dials_truncfix.camera.f416 import F416
from dials_truncfix.camera.gatan_modes import read_mode
from dials_truncfix.io.mdoc import read_mdoc

SHAPE = (512, 512)
BRIGHT = (20.0, 60.0, 200.0)
DARK = (0.3, 0.8, 1.5, 2.5)
DARKEST = (0.1, 0.2, 0.3, 0.4)
ELECTRONS_ERROR = 0.01


def recorded(pixels: np.ndarray, name: str, exposure: float = 0.0) -> RecordedImage:
    """Wrap an array as an image of a file."""
    whole = pixels.astype(np.int32)
    valid, none = np.ones(pixels.shape, bool), np.zeros(pixels.shape, bool)
    return RecordedImage(name, lambda: (whole, valid, none), exposure)


@dataclass(frozen=True)
class Case:
    """A camera and what it looks at."""

    name: str
    camera: Any
    levels: tuple[float, ...]
    signed: bool = False
    response: float = 0.0
    dark_images: int = 0
    sweep: bool = False


CASES = (
    Case("bright", F416(), BRIGHT),
    Case("bright, uneven response", F416(), BRIGHT, response=0.03),
    Case("dark, signed", F416(), DARK, signed=True),
    Case("dark, truncated", F416(), DARK),
    Case("darkest, truncated", F416(), DARKEST),
    Case("dark and bright, truncated", F416(), (0.3, 1.0, 5.0, 30.0, 100.0)),
    Case("CCD on an offset, dark images", CCD(pedestal=100), BRIGHT, dark_images=4),
    Case("bright, blurred", F416(psf_sigma=0.7), BRIGHT),
    Case("dark, truncated, blurred", F416(psf_sigma=0.7), DARK),
    Case("sweep, signed", F416(), (1.5,) * 10, signed=True, sweep=True),
    Case("sweep, truncated", F416(), (1.5,) * 10, sweep=True),
)


def expected_image(case: Case, level: float, rng: np.random.Generator) -> np.ndarray:
    """Electrons expected in an image: even, or a background with spots."""
    image = np.full(SHAPE, level)
    if case.sweep:
        y, x = np.indices(SHAPE)
        radius = np.hypot(y - SHAPE[0] / 2, x - SHAPE[1] / 2)
        image = level * (0.1 + 4.0 * np.exp(-radius / 90.0))
        for row, column in rng.integers(8, SHAPE[0] - 8, (60, 2)):
            image[row - 1 : row + 2, column - 1 : column + 2] += rng.exponential(20.0)
    return image


def series(case: Case, seed: int) -> tuple[list[RecordedImage], list[RecordedImage]]:
    """Images of all levels, two of each, and images without light."""
    rng = np.random.default_rng([7, seed])
    pattern = case.camera.fixed_pattern(SHAPE, seed)
    response = 1.0 + case.response * rng.standard_normal(SHAPE)
    levels = case.levels if case.sweep else np.repeat(case.levels, 2)
    levels = [*levels, *[0.0] * case.dark_images]
    images = []
    for number, level in enumerate(levels, start=1):
        expected = expected_image(case, level, rng) * response
        found = case.camera.expose(expected, pattern, seed, number)
        pixels = found.unclipped if case.signed else found.clipped
        images.append(recorded(pixels, f"image {number}"))
    lit = len(images) - case.dark_images
    return images[:lit], images[lit:]


def calibrated(case: Case, seed: int) -> GainCalibration:
    """Simulate and calibrate, with electrons that are known to one per cent."""
    images, dark = series(case, seed)
    electrons: tuple[float, ...] = ()
    if not case.sweep:
        wrong = np.random.default_rng([8, seed]).normal(1.0, ELECTRONS_ERROR)
        electrons = tuple(wrong * np.repeat(case.levels, 2))
    return calibrate_gain(
        images,
        dark,
        GainOptions(
            flat=not case.sweep, electrons=electrons, electrons_error=ELECTRONS_ERROR
        ),
    )


def truths(case: Case) -> dict[str, float]:
    """Tell what the numbers should be."""
    camera = case.camera
    gain = camera.variance_slope
    # the flat field of the simulated camera scales its read noise
    noise = camera.read_noise * math.sqrt(1.0 + camera.flat_sd**2)
    return {
        "gain": gain,
        "pedestal": camera.pedestal - (noise**2 + 1.0 / 12.0) / gain,
        "read_noise": noise,
        "adu_per_electron": camera.gain,
    }


def summary(values: Sequence[tuple[float, float]], truth: float) -> str:
    """Mean, relative error and z of results with their uncertainties."""
    table = np.array([v for v in values if all(map(math.isfinite, v))])
    if not len(table):
        return "-"
    z = (table[:, 0] - truth) / table[:, 1]
    error = table[:, 0].mean() / truth - 1.0
    return (
        f"{table[:, 0].mean():8.3f} ({100 * error:+6.2f} %) ± {table[:, 1].mean():.3f}  "
        f"z {z.mean():+5.2f} sd {z.std(ddof=1):4.2f}  n {len(z)}"
    )


def print_gains(n_seeds: int) -> None:
    """Both methods against the truth."""
    for case in CASES:
        results = []
        refused = ""
        for seed in range(n_seeds):
            try:
                results.append(calibrated(case, seed))
            except ValueError as error:
                refused = str(error)
        print(f"\n{case.name}: {len(results)} of {n_seeds} calibrated")
        if refused:
            print(f"  refused: {refused}")
        methods: tuple[tuple[str, Callable[..., Any]], ...] = (
            ("photon transfer", by_photon_transfer),
            ("camera model", by_camera),
        )
        for quantity, truth in truths(case).items():
            print(f"  {quantity}, truth {truth:.3f}")
            for name, method in methods:
                found = [method(result) for result in results]
                values = [
                    (getattr(m, quantity).value, getattr(m, quantity).sd)
                    for m in found
                    if m is not None
                ]
                print(f"    {name:16} {summary(values, truth)}")


def print_doses(n_seeds: int) -> None:
    """Rates of cameras that integrate and count, at three levels."""
    print(
        "\nDose rates, e⁻ per physical pixel and second; 1 % uncertainty of the scale"
    )
    camera = F416()
    for level in (0.3, 2.5, 60.0):
        rows = []
        for seed in range(n_seeds):
            pattern = camera.fixed_pattern(SHAPE, seed)
            pixels = camera.expose(np.full(SHAPE, level), pattern, seed, 1).clipped
            wrong = np.random.default_rng([9, seed]).normal(1.0, 0.01)
            scale = Scale(camera.gain * wrong, 0.01 * camera.gain, binning=4)
            found = image_dose(recorded(pixels, "image"), 0.5, scale)
            rows.append((found.rate, math.hypot(found.rate_sd, 0.01 * found.rate)))
        print(f"  F416, {level:g} e⁻ a pixel  {summary(rows, level / 0.5 / 16)}")
    for name, levels in (("K2", (2.0, 8.0, 15.0)), ("K3", (5.0, 20.0, 50.0))):
        for source in ("manual", "serialem"):
            loss = loss_curve(name, source, 200.0)
            print(f"  {name}, {source}: refused above {highest_rate(loss):.3g}")
            for rate in levels:
                rows = [counted(name, rate, loss, seed) for seed in range(n_seeds)]
                print(f"    {rate:4.0f} e⁻/px/s  {summary(rows, rate)}")


def counted(name: str, rate: float, loss: Any, seed: int) -> tuple[float, float]:
    """Rate found in a normalized frame of a camera that counts."""
    mode = read_mode(name, "counting")
    # seven electrons of 32 counts each fill a byte of a K3
    time = {"K2": 0.5, "K3": 0.02}[name]
    camera = CountingCamera(mode, frame_time=time, loss=loss)
    pattern = camera.fixed_pattern(SHAPE, seed)
    pixels = camera.expose(np.full(SHAPE, rate * time), pattern, seed, 1).clipped
    scale = Scale(camera.counts_per_electron, loss=loss)
    found = image_dose(recorded(pixels, "image"), time, scale)
    return found.rate, found.rate_sd


def print_real_files(folder: Path) -> None:
    """Print the gain of a counting detector, which is 1, and doses of SerialEM."""
    from dxtbx.model.experiment_list import ExperimentListFactory

    from dials_truncfix.calibrate.recorded_images import images_of_imageset

    sweep = sorted(map(str, (folder / "l_cysteine_sweep").glob("*.cbf")))
    if sweep:
        imageset = ExperimentListFactory.from_filenames(sweep).imagesets()[0]
        result = calibrate_gain(
            images_of_imageset(imageset), (), GainOptions(flat=False)
        )
        numbers = by_photon_transfer(result)
        if numbers is not None:
            print(
                f"\nPilatus, which counts (true gain 1): {numbers.gain.value:.4f} ± "
                f"{numbers.gain.sd:.4f}"
            )
    for name in ("montage_section_multiple.mdoc", "montage_section.mdoc"):
        path = folder / "serialem" / name
        if not path.is_file():
            continue
        doses = mdoc_doses(read_mdoc(path), SERIALEM_K3_200_KV)
        both = [d for d in doses if d.rate > 2.0 and d.stated_rate > 0]
        ratio = np.array([d.rate / d.stated_rate for d in both])
        print(
            f"{name}: rate by counts over DoseRate of SerialEM, {len(ratio)} sections above "
            f"2 e⁻/px/s: median {np.median(ratio):.3f}, {ratio.min():.3f} to "
            f"{ratio.max():.3f}"
        )


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(__file__).resolve().parents[2] / "shared" / "data",
        help="folder with the real files",
    )
    arguments = parser.parse_args()
    print_gains(arguments.seeds)
    print_doses(arguments.seeds)
    if arguments.data.is_dir():
        print_real_files(arguments.data)
    else:
        print(f"\nReal files: not present: {arguments.data}")


if __name__ == "__main__":
    main()
