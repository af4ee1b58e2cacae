"""How precise rings can be: the Cramér-Rao bound of the images of rings.py, and errors.

The bound is that of a smooth model that knows everything but the geometry and, in windows
about the rings, what the program has to fit too: a height of each ring and a polynomial
of the background in 24 sectors. Pixels count by mean and variance of the truncated
camera. Errors are those of the program on the same images: root mean squares.
"""

from __future__ import annotations

import argparse

import numpy as np
import rings
from scipy.stats import norm

from dials.util import tabulate

from dials_truncfix.calibrate.ellipse import strain_matrix
from dials_truncfix.calibrate.rings.ring_result import tan_two_theta
from dials_truncfix.calibrate.rings.standards import named_standard
from dials_truncfix.simulate.background import Background, beam_stop_transmission
from dials_truncfix.simulate.powder import PowderGeometry, undistorted_radius
from powder_images import CAMERA, CENTRE, DISTANCE, ELLIPSE, SIZE, WAVELENGTH

RING_WIDTH, SECTORS = 1.6, 24
TRUE = np.array([*CENTRE, np.log(DISTANCE), *ELLIPSE.strain])
#: Of x and y (px), logarithm of the camera length, p and q, for derivatives.
STEPS = np.array([1e-3, 1e-3, 1e-6, 1e-6, 1e-6])
STANDARD = named_standard("aluminium", 0.6)
TANGENT = tan_two_theta(STANDARD.d, WAVELENGTH)


def radius(at: np.ndarray) -> np.ndarray:
    """Radius of all pixels before the distortion, mm."""
    return undistorted_radius(
        PowderGeometry(
            (SIZE, SIZE),
            CAMERA.pixel_size,
            WAVELENGTH,
            float(np.exp(at[2])),
            (at[0], at[1]),
            strain_matrix(at[3], at[4]),
        )
    )


def profiles(at: np.ndarray) -> np.ndarray:
    """Rings of height 1, shape (n_rings, slow, fast)."""
    place = np.exp(at[2]) * TANGENT[:, None, None]
    z = (radius(at) - place) / (RING_WIDTH * CAMERA.pixel_size)
    return np.exp(-0.5 * z**2)


def truncated_moments(electrons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of a pixel in electrons, by a normal law cut off at zero."""
    noise = CAMERA.read_noise / CAMERA.gain
    sd = np.sqrt((1 + CAMERA.pulse_variance) * electrons + noise**2)
    z = electrons / sd
    mean = electrons * norm.cdf(z) + sd * norm.pdf(z)
    square = (electrons**2 + sd**2) * norm.cdf(z) + electrons * sd * norm.pdf(z)
    return mean, square - mean**2


def bound(level: float) -> np.ndarray:
    """Covariance of x and y (px), logarithm of the camera length, p and q."""
    slow, fast = np.indices((SIZE, SIZE)) + 0.5
    azimuth = np.arctan2(slow - CENTRE[1], fast - CENTRE[0]) % (2 * np.pi)
    texture = 1 + 0.3 * np.cos(2 * (azimuth - 0.2))
    light = beam_stop_transmission((SIZE, SIZE), CENTRE, 18.0, 8.0)
    heights = level * STANDARD.strength**0.5
    far, shape = radius(TRUE), profiles(TRUE)
    two_theta = np.arctan2(far, DISTANCE)
    background = Background(inner=7 * level, outer=level, ring=0.0).expected(
        2 * np.sin(two_theta / 2) / WAVELENGTH
    )
    expected = light * (background + texture * np.tensordot(heights, shape, 1))
    mean, variance = truncated_moments(expected)
    slope = (truncated_moments(expected + 1e-4)[0] - mean) / 1e-4
    weight = slope**2 / variance
    derivatives = []
    for k, step in enumerate(STEPS):
        shift = step * np.eye(5)[k]
        difference = (profiles(TRUE + shift) - profiles(TRUE - shift)) / (2 * step)
        derivatives.append(light * texture * np.tensordot(heights, difference, 1))
    open_area = light > 0.5
    sector = (azimuth * SECTORS / (2 * np.pi)).astype(int)
    information = np.zeros((5, 5))
    for low, high, members in windows():
        inside = open_area & (far >= low) & (far < high)
        for k in range(SECTORS):
            use = inside & (sector == k)
            if np.count_nonzero(use) < 20:
                continue
            w = weight[use]
            g = np.stack([d[use] for d in derivatives], axis=1)
            power = np.arange(min(len(members), 4) + 1)
            free = np.column_stack(
                [
                    *(light[use] * shape[ring][use] for ring in members),
                    ((far[use] - low) / (high - low))[:, None] ** power,
                ]
            )
            across = (free * w[:, None]).T @ g
            inner = np.linalg.pinv((free * w[:, None]).T @ free, hermitian=True)
            information += (g * w[:, None]).T @ g - across.T @ inner @ across
    return np.linalg.inv(information)


def windows() -> list[tuple[float, float, list[int]]]:
    """First and last radius (mm) about rings, and which they are."""
    place, half = DISTANCE * TANGENT, 4.5 * RING_WIDTH * CAMERA.pixel_size
    groups = [[0]]
    for k in range(1, len(place)):
        if place[k] - half < place[groups[-1][-1]] + half:
            groups[-1].append(k)
        else:
            groups.append([k])
    return [(place[g[0]] - half, place[g[-1]] + half, g) for g in groups]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30, help="images of each height")
    n_seeds = parser.parse_args().seeds
    double = 2 * ELLIPSE.azimuth
    along = np.array([np.cos(double), np.sin(double)])
    rows = []
    for level in rings.LEVELS:
        covariance = bound(level)
        least = np.sqrt(np.diagonal(covariance))
        ratio = ELLIPSE.ratio * np.sqrt(along @ covariance[3:, 3:] @ along)
        error = np.array([rings.measure(1000 + k, level)[0] for k in range(n_seeds)])
        rms = np.sqrt(np.mean(error**2, axis=0)) if n_seeds else np.full(6, np.nan)
        for what, values in (
            ("bound", [*least, ratio]),
            (f"error of {n_seeds}", rms),
        ):
            x, y, length, p, q, ellipticity = values
            rows.append(
                [level, what, f"{x:.4f}", f"{y:.4f}", f"{100 * length:.4f}",
                 f"{p:.5f}", f"{q:.5f}", f"{ellipticity:.5f}"]
            )  # fmt: skip
    header = ["height\n(e⁻)", "", "x (px)", "y (px)", "camera\nlength (%)", "p", "q",
              "ellip-\nticity"]  # fmt: skip
    print(tabulate(rows, header))


if __name__ == "__main__":
    main()
