"""How well the ring fits give back what clipping took, in six tables.

Optimum: distance to the best optimum that many starts of a general optimiser find.
Lost values: error of the mean of the values recorded as zero, truth in the family.
Cameras: error of the corrected ring means and standard deviations, simulated cameras.
Parameters: those of the cameras, fitted to the sweeps, against the truth.
Real frames: the same on signed frames that were clipped here, where they are present.
Cost: CPU time of fits and tables for ten rings of a 2048 x 2048 image.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import minimize

from dials_truncfix.correction.draws.quantiles import conditional_tables
from dials_truncfix.correction.fit import RingFits, fit_histograms
from dials_truncfix.correction.histogram import ring_histograms
from dials_truncfix.correction.joint_camera.camera_fit import (
    LARGEST_MISFIT,
    CameraFit,
    fit_camera,
)
from dials_truncfix.correction.joint_camera.camera_model import CameraModel
from dials_truncfix.correction.joint_camera.camera_regions import brightness_regions
from dials_truncfix.correction.laws.distributions import distribution
from dials_truncfix.correction.laws.intervals import make_intervals
from dials_truncfix.correction.laws.likelihood import exact_model
from dials_truncfix.correction.laws.start import quantile_starts

SEED = 2016
N_BINS = 2048
N_RINGS = 10
FRAME = 1024
SPOT_FRACTION = 0.01
CAMERAS = ("poisson x gauss", "compound poisson", "low gain", "psf blurred")
FAMILIES = ("paper", "lognormal", "emg", "auto", "camera")
# Effective gain, pulse variance, read noise; a point spread changes the first two.
TRUE_CAMERAS = {
    "poisson x gauss": (6.0, 0.0, 6.0),
    "compound poisson": (9.0, 0.5, 6.0),
    "low gain": (1.5, 0.0, 7.0),
    "psf blurred": (np.nan, np.nan, 5.0),
}
# Where the background of the CCD frame is centred: zeros there rise with radius.
FRAME_CENTRES = {"ceta_dark_imaging": (255.5, 255.5), "kappaccd_offset192": (300, 340)}
FRAME_SHIFTS = {
    "ceta_dark_imaging": (2, 4, 6),
    "kappaccd_offset192": (-190, -192, -195),
}


@dataclass(frozen=True)
class Case:
    """One ring with known truth: its family, histogram and lost values."""

    family: str
    n_pixels: int
    histogram: NDArray[np.int64]
    mean_lost: float


def seeded_case(index: int) -> Case:
    """Draw a ring of 1e4 to 4e5 pixels with 5 to 65 % zeros from one family."""
    rng = np.random.default_rng([SEED, index])
    family = ("lognormal", "emg")[index % 2]
    n = int(np.exp(rng.uniform(np.log(1e4), np.log(4e5))))
    sd = np.exp(rng.uniform(np.log(2.0), np.log(12.0)))
    zeros = rng.uniform(0.05, 0.65)
    if family == "lognormal":
        s = rng.uniform(-0.05, 0.6)
        x = sd * np.expm1(s * rng.standard_normal(n)) / s
    else:
        kappa = rng.uniform(0.2, 0.9)
        x = rng.standard_normal(n) * np.sqrt(1.0 - kappa**2)
        x = sd * (x + kappa * rng.standard_exponential(n))
    values = np.rint(x - np.quantile(x, zeros) + 0.5).astype(np.int64)
    counts = np.bincount(np.clip(values, 0, N_BINS - 1), minlength=N_BINS)
    return Case(family, n, counts, float(values[values <= 0].mean()))


def best_known(family: str, histogram: NDArray[np.int64], seed: int) -> float:
    """Return the lowest negative log-likelihood that 14 starts of L-BFGS-B reach."""
    functions = distribution(family)
    intervals = make_intervals(histogram[None], 0.5)
    rng = np.random.default_rng(seed)
    starts = list(quantile_starts(functions, intervals)[:, 0])
    for _ in range(len(starts)):
        start = starts[rng.integers(len(starts))].copy()
        start[:2] += rng.normal(size=2) * (0.7 * np.exp(start[1]), 0.5)
        start[2] = rng.uniform(*functions.shape_bounds)
        starts.append(start)

    def objective(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        model = exact_model(functions, point[None], intervals)
        return float(model.nll[0]), model.gradient[:, 0]

    found = [
        minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(None, None), (-3.0, 8.0), functions.shape_bounds],
            options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-10},
        ).fun
        for start in starts
    ]
    return float(np.nanmin(found))


def optimum_excess(family: str, n_cases: int) -> NDArray[np.float64]:
    """Return how far the fits of the seeded cases stay above the best, nat a pixel."""
    cases = [seeded_case(i) for i in range(n_cases)]
    fits = fit_histograms(np.stack([c.histogram for c in cases])[:, None], family)
    best = [best_known(family, c.histogram, i) for i, c in enumerate(cases)]
    return np.asarray(fits.nll[:, 0] - np.array(best))


def lost_value_errors(
    family: str, n_cases: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return pixels and relative errors of the mean lost value, truth in family."""
    cases = [seeded_case(i) for i in range(n_cases)]
    cases = [c for c in cases if c.family == family]
    fits = fit_histograms(np.stack([c.histogram for c in cases])[:, None], family)
    truth = np.array([c.mean_lost for c in cases])
    pixels = np.array([c.n_pixels for c in cases])
    return pixels, np.abs(fits.mean_nonpositive[:, 0] / truth - 1.0)


def rings_of(
    shape: tuple[int, int], centre: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return radii, pixels, and labels of ten annuli of equal area."""
    rows, columns = np.indices(shape)
    radius = np.hypot(rows - centre[0], columns - centre[1])
    labels = np.empty(radius.size, dtype=np.intp)
    order = np.argsort(radius, axis=None, kind="stable")
    labels[order] = np.arange(radius.size) * N_RINGS // radius.size
    return radius, labels.reshape(shape)


def camera_frame(
    camera: str, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.intp], NDArray[np.bool_]]:
    """Simulate a signed frame on a decaying background; its annuli, its background.

    Six ADU an electron (1.5 at low gain), 3 % flat-field error, and spots in one
    pixel of a hundred with exponential heights of 60 ADU, which the background mask
    leaves out.
    """
    rng = np.random.default_rng([SEED, seed, CAMERAS.index(camera)])
    radius, labels = rings_of((FRAME, FRAME), (FRAME / 2 - 0.3, FRAME / 2 + 1.7))
    r = radius / (FRAME / 2)
    mean = 60.0 * np.exp(-r / 0.12) + 25.0 * np.exp(-r / 0.35) + 0.8
    spots = rng.random(mean.shape) < SPOT_FRACTION
    mean += rng.exponential(60.0, mean.shape) * spots
    if camera == "poisson x gauss":
        signal, read_noise = 6.0 * rng.poisson(mean / 6.0), 6.0
    elif camera == "low gain":
        signal, read_noise = 1.5 * rng.poisson(mean / 1.5), 7.0
    else:
        pulses = rng.poisson(mean / 6.0)
        signal, read_noise = rng.gamma(2.0 * pulses + 1e-300, 3.0), 6.0
        if camera == "psf blurred":
            signal, read_noise = ndimage.gaussian_filter(signal, 0.7), 5.0
    frame = signal + rng.normal(0.0, read_noise, mean.shape)
    frame *= 1.0 + 0.03 * rng.standard_normal(mean.shape)
    return np.rint(frame).astype(np.int64), labels, ~spots


def histograms_of(
    frame: NDArray[np.int64], labels: NDArray[np.intp]
) -> NDArray[np.int64]:
    """Return the ring histograms of the clipped frame."""
    index = labels * N_BINS + np.clip(frame, 0, N_BINS - 1)
    counts = np.bincount(index.ravel(), minlength=N_RINGS * N_BINS)
    return counts.reshape(N_RINGS, N_BINS)


def repaired(
    frame: NDArray[np.int64], labels: NDArray[np.intp], fits: RingFits, seed: int
) -> NDArray[np.int64]:
    """Clip the frame and give its zeros draws from their ring's table."""
    rng = np.random.default_rng([SEED, seed])
    tables = conditional_tables(fits, np.arange(N_RINGS, dtype=np.float64))
    n = tables.coarse.shape[1]
    corrected = np.maximum(frame, 0)
    zero = corrected == 0
    ring = labels[zero]
    cell, finer = rng.integers(0, n, (2, ring.size))
    x = np.where(cell == 0, tables.tail[ring, finer], tables.coarse[ring, cell])
    corrected[zero] = np.rint(x).astype(np.int64)
    return corrected


def ring_moments(
    frame: NDArray[np.int64],
    labels: NDArray[np.intp],
    background: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rings' means and standard deviations, ADU."""
    values, ring = frame[background], labels[background]
    counts = np.bincount(ring)
    mean = np.bincount(ring, values) / counts
    deviation = (values - mean[ring]) ** 2
    return mean, np.sqrt(np.bincount(ring, deviation) / counts)


def fitted_camera(frames: Sequence[NDArray[np.int64]]) -> CameraFit:
    """Fit one camera to clipped frames."""
    histograms, numbers = [], []
    for number, frame in enumerate(frames):
        clipped = np.maximum(frame, 0).astype(np.uint16)
        regions = brightness_regions(clipped, np.ones(clipped.shape, dtype=bool))
        n_regions = int(regions.max()) + 1
        histograms.append(ring_histograms(clipped, regions, n_regions, N_BINS))
        numbers.append(np.full(n_regions, number))
    return fit_camera(np.concatenate(histograms), np.concatenate(numbers))


@lru_cache(maxsize=4)
def sweep_camera(camera: str, n_frames: int) -> CameraFit:
    """Fit one camera to a simulated sweep."""
    return fitted_camera([camera_frame(camera, seed)[0] for seed in range(n_frames)])


def camera_errors(
    camera: str, family: str, n_frames: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return errors of the ring means (ADU) and deviations (relative) of a sweep."""
    mean_errors, sd_errors = [], []
    model = sweep_camera(camera, n_frames).model if family == "camera" else None
    for seed in range(n_frames):
        frame, labels, background = camera_frame(camera, seed)
        if family == "none":
            corrected = np.maximum(frame, 0)
        else:
            histograms = histograms_of(frame, labels)
            fits = fit_histograms(histograms, family, camera=model)
            corrected = repaired(frame, labels, fits, seed)
        true_mean, true_sd = ring_moments(frame, labels, background)
        mean, sd = ring_moments(corrected, labels, background)
        mean_errors.append(mean - true_mean)
        sd_errors.append(sd / true_sd - 1.0)
    return np.mean(mean_errors, axis=0), np.mean(sd_errors, axis=0)


@dataclass(frozen=True)
class RealFrame:
    """A signed frame after a shift: zero fractions and mean lost values of rings.

    Without a camera, if the frame determines none.
    """

    name: str
    zeros: NDArray[np.float64]
    true_mean: NDArray[np.float64]
    fitted_mean: dict[str, NDArray[np.float64]]
    no_camera: str


def real_frames(folder: Path) -> Iterator[RealFrame]:
    """Fit the shifted and clipped frames of a folder with known truth."""
    for name, shifts in FRAME_SHIFTS.items():
        signed = np.load(folder / f"{name}.npy").astype(np.int64)
        labels = rings_of(signed.shape, FRAME_CENTRES[name])[1]
        for shift in shifts:
            frame = signed + shift
            histograms = histograms_of(frame, labels)
            lost = np.bincount(labels.ravel(), np.minimum(frame, 0).ravel())
            camera = fitted_camera([frame])
            problem = camera.reason
            if not problem and camera.misfit > LARGEST_MISFIT:
                problem = f"it misses {camera.misfit:.1e} nat per pixel"
            fitted = {
                family: fit_histograms(
                    histograms, family, camera=camera.model
                ).mean_nonpositive
                for family in FAMILIES
                if family != "camera" or not problem
            }
            yield RealFrame(
                f"{name} {shift:+d}",
                histograms[:, 0] / histograms.sum(axis=1),
                lost / histograms[:, 0],
                fitted,
                problem,
            )


def cpu_milliseconds(action: Callable[[], object], repeats: int = 30) -> float:
    """Return the shortest CPU time of an action."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        action()
        times.append(time.process_time() - begin)
    return 1e3 * min(times)


def print_optimum(n_cases: int) -> None:
    print(f"\nOptimum: {n_cases} cases, excess over the best of 14 starts, nat a pixel")
    print(f"{'family':<12}{'within 1e-5':>12}{'largest':>12}")
    for family in ("lognormal", "emg"):
        excess = optimum_excess(family, n_cases)
        print(f"{family:<12}{np.mean(excess < 1e-5):>12.1%}{excess.max():>12.1e}")


def print_lost_values(n_cases: int) -> None:
    print(
        f"\nLost values: {n_cases} cases, median error of their mean, truth in family"
    )
    print(f"{'family':<12}{'1-5e4 pixels':>14}{'above':>10}")
    both: list[NDArray[np.float64]] = []
    pixels_of_both: list[NDArray[np.int64]] = []
    for family in ("lognormal", "emg"):
        pixels, error = lost_value_errors(family, n_cases)
        print_medians(family, pixels, error)
        both.append(error)
        pixels_of_both.append(pixels)
    print_medians("both", np.concatenate(pixels_of_both), np.concatenate(both))


def print_medians(
    name: str, pixels: NDArray[np.int64], error: NDArray[np.float64]
) -> None:
    few = pixels < 50_000
    print(f"{name:<12}{np.median(error[few]):>14.2%}{np.median(error[~few]):>10.2%}")


def print_cameras(n_frames: int) -> None:
    print(
        f"\nCameras: {n_frames} frames of {FRAME} x {FRAME}, spots in 1 % of pixels;"
        "\nworst of ten rings of the sweep: error of mean, ADU (error of sd)"
    )
    families = ("none", *FAMILIES)
    print(f"{'camera':<18}" + "".join(f"{f:>18}" for f in families))
    for camera in CAMERAS:
        cells = []
        for family in families:
            mean, sd = camera_errors(camera, family, n_frames)
            cells.append(f"{np.abs(mean).max():.3f} ({np.abs(sd).max():.1%})")
        print(f"{camera:<18}" + "".join(f"{cell:>18}" for cell in cells))


def print_parameters(n_frames: int) -> None:
    print(
        f"\nParameters: one camera from {n_frames} frames, with standard uncertainties;"
        "\ntrue values in brackets, without the flat-field error"
    )
    names = ("effective gain", "pulse variance", "read noise", "dark level", "pedestal")
    print(f"{'camera':<18}" + "".join(f"{name:>24}" for name in names) + f"{'s':>6}")
    for camera in CAMERAS:
        begin = time.process_time()
        fit = sweep_camera.__wrapped__(camera, n_frames)
        seconds = time.process_time() - begin
        gain, variance, noise = TRUE_CAMERAS[camera]
        pedestal = -(noise**2 + 1.0 / 12.0) / gain
        cells = (
            (fit.effective_gain, fit.effective_gain_sd, gain),
            (fit.model.pulse_variance, fit.pulse_variance_sd, variance),
            (fit.model.read_noise, fit.read_noise_sd, noise),
            (fit.model.dark, fit.dark_sd, 0.0),
            (fit.pedestal, fit.pedestal_sd, pedestal),
        )
        row = "".join(f"{_with_truth(*cell):>24}" for cell in cells)
        print(f"{camera:<18}{row}{seconds:>6.1f}")


def _with_truth(value: float, sd: float, truth: float) -> str:
    """Write a number with its uncertainty, if it was fitted, and the truth, if known."""
    text = f"{value:.2f}" if np.isnan(sd) else f"{value:.2f} ± {sd:.2f}"
    return text if np.isnan(truth) else f"{text} ({truth:.2f})"


def print_real_frames(folder: Path) -> None:
    print("\nReal frames: mean value at or below zero, ADU, of clipped zeros per ring")
    for frame in real_frames(folder):
        print(f"{frame.name}")
        rows = {"zeros, %": 100.0 * frame.zeros, "true": frame.true_mean}
        for name, row in {**rows, **frame.fitted_mean}.items():
            print(f"  {name:<10}" + "".join(f"{value:>8.2f}" for value in row))
        if frame.no_camera:
            print(f"  no camera: {frame.no_camera}")


def print_cost() -> None:
    histograms = sum(
        histograms_of(*camera_frame("compound poisson", seed)[:2]) for seed in range(4)
    )
    print("\nCost: ten rings of 2048 x 2048 pixels, CPU ms, shortest of 30")
    camera = CameraModel(gain=6.0, pulse_variance=0.5, read_noise=6.0)
    for family in FAMILIES:
        cost = cpu_milliseconds(
            lambda name=family: fit_histograms(histograms, name, camera=camera)
        )
        print(f"  fit {family:<12}{cost:>6.2f}")
    fits = fit_histograms(histograms, "auto")
    radius = np.arange(N_RINGS, dtype=np.float64)
    cost = cpu_milliseconds(lambda: conditional_tables(fits, radius))
    print(f"  tables          {cost:>6.2f}")
    fits = fit_histograms(histograms, "camera", camera=camera)
    cost = cpu_milliseconds(lambda: conditional_tables(fits, radius))
    print(f"  tables, camera  {cost:>6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(__file__).resolve().parents[2] / "shared" / "data" / "frames",
        help="folder with the real frames",
    )
    arguments = parser.parse_args()
    print_optimum(arguments.cases)
    print_lost_values(arguments.cases)
    print_cameras(arguments.frames)
    print_parameters(arguments.frames)
    if arguments.data.is_dir():
        print_real_frames(arguments.data)
    else:
        print(f"\nReal frames: not present: {arguments.data}", file=sys.stderr)
    print_cost()


if __name__ == "__main__":
    main()
