"""Images of a camera that cuts negative values off, beside what it cut off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from dials_truncfix.correction.draws.pixel_law import PixelLaw, regional_law
from dials_truncfix.correction.fit import RingFits, fit_histograms
from dials_truncfix.correction.histogram import ring_histograms
from dials_truncfix.correction.joint_camera.camera_model import CameraModel
from dials_truncfix.correction.regions.annuli import equal_area_annuli
from dials_truncfix.correction.regions.nodes import radial_nodes
from dials_truncfix.correction.regions.radial_grid import radial_grid
from dials_truncfix.correction.regions.regions import Regions, annular_regions

CAMERA = CameraModel(gain=6.0, pulse_variance=0.5, read_noise=6.0)
BOX = 13


def readings(rate, camera=CAMERA, psf=0.0, seed=1):
    """Integers that the camera would give if it stored negative ones, int32."""
    generator = np.random.default_rng(seed)
    electrons = generator.poisson(rate)
    shape = np.maximum(electrons, 1) / camera.pulse_variance
    signal = generator.gamma(shape) * camera.pulse_variance * camera.gain
    signal = np.where(electrons > 0, signal, 0.0)
    if psf:
        signal = gaussian_filter(signal, psf, mode="wrap")
    noise = generator.normal(camera.dark, camera.read_noise, rate.shape)
    return np.rint(signal + noise).astype(np.int32)


def radius_of(shape):
    """Distance from the middle, pixels."""
    y, x = np.indices(shape)
    middle = [(n - 1) / 2 for n in shape]
    return np.hypot(x - middle[1], y - middle[0]).astype(np.float32)


def background(size=512, level=1.0):
    """Rates that fall from the middle outwards, e⁻ per pixel."""
    radius = radius_of((size, size)) / size
    return level * (0.15 + 2.0 * np.exp(-radius / 0.25))


def add_spots(rate, n_spots, electrons, sigma=0.8, seed=2):
    """Add round spots; returns the rates and the spots' middles (row, column)."""
    generator = np.random.default_rng(seed)
    size = len(rate)
    place = generator.uniform(12, size - 12, (n_spots, 2))
    y, x = np.indices((21, 21)) - 10
    result = rate.copy()
    for row, column in place:
        i, j = round(row), round(column)
        away = (y + i - row) ** 2 + (x + j - column) ** 2
        spot = np.exp(-0.5 * away / sigma**2) / (2 * np.pi * sigma**2)
        result[i - 10 : i + 11, j - 10 : j + 11] += electrons * spot
    return result, np.rint(place).astype(int)


@dataclass(frozen=True)
class Fitted:
    """A clipped image with its regions, their fits and the laws of its zeros."""

    clipped: np.ndarray
    regions: Regions
    fits: RingFits
    law: PixelLaw


def fitted(true, mask=None, n_annuli=5, camera=None):
    """Clip an image and fit its annuli, with a camera if one is given."""
    clipped = np.maximum(true, 0)
    radius = radius_of(true.shape)
    mask = np.ones(true.shape, bool) if mask is None else mask
    annuli = equal_area_annuli(radius, mask, n_annuli)
    histograms = ring_histograms(clipped, annuli.labels, annuli.n_rings, 2048)
    grid = radial_grid(radius, float(annuli.edges[0]), float(annuli.edges[-1]))
    regions = annular_regions(annuli)
    family = "auto" if camera is None else "camera"
    fits = fit_histograms(histograms, family, camera=camera)
    law = regional_law(clipped, regions, radius, radial_nodes(grid), fits)
    return Fitted(clipped, regions, fits, law)


def box_sums(image, edge=BOX):
    """Sums over square boxes."""
    n_slow, n_fast = (n // edge for n in image.shape)
    whole = image[: n_slow * edge, : n_fast * edge].astype(float)
    return whole.reshape(n_slow, edge, n_fast, edge).sum(axis=(1, 3))
