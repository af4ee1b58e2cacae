"""Error of the corrected local background, for backgrounds that are not uniform.

Images of a simulated camera are cut off at zero and corrected with annuli, with sectors,
with tiles and, where the sensor has quadrants, with their labels. Printed are the
worst and the root mean square error of the mean of boxes of 64 x 64 pixels against
the pixels before they were cut off, over many images with the same background, and
how much of the latter is scatter of the draws.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from dials.util import tabulate

from dials_truncfix.correction.draws.draw import draw_zeros
from dials_truncfix.correction.draws.region_law import law_of_zeros
from dials_truncfix.correction.fit import fit_histograms
from dials_truncfix.correction.histogram import ring_histograms
from dials_truncfix.correction.regions.annuli import equal_area_annuli
from dials_truncfix.correction.regions.areas import areas_of_labels, one_area
from dials_truncfix.correction.regions.cells import cells_of_areas
from dials_truncfix.correction.regions.lattice import (
    Lattice,
    sectors,
    tiles,
    whole_image,
)
from dials_truncfix.correction.regions.nodes import Nodes, cell_nodes
from dials_truncfix.correction.regions.partition import Partition
from dials_truncfix.correction.regions.radial_grid import radial_grid
from dials_truncfix.correction.regions.regions import Regions

SHAPE = (1024, 1024)
BOX = 64
CENTRE = (480.0, 530.0)
SLOW, FAST = np.indices(SHAPE) + 0.5
DOWN, ACROSS = SLOW - CENTRE[0], FAST - CENTRE[1]
RADIUS = np.hypot(DOWN, ACROSS).astype(np.float32)
AZIMUTH = np.arctan2(DOWN, ACROSS)
EVERYWHERE = np.ones(SHAPE, dtype=bool)
QUADRANT = (1 + 2 * (SLOW > 512) + (FAST > 512)).astype(np.int32)


@dataclass(frozen=True)
class Camera:
    """Gamma distributed pulses of electrons, and normal read noise, ADU."""

    name: str
    gain: float
    read_noise: float


CAMERAS = (Camera("6 ADU/e", 6.0, 6.0), Camera("2 ADU/e", 2.0, 5.0))


@dataclass(frozen=True)
class Scene:
    """Mean signal, ADU, and what the quadrants add to the camera's noise and dark."""

    name: str
    signal: NDArray[np.float64]
    noise_factor: NDArray[np.float64] | float = 1.0
    dark: NDArray[np.float64] | float = 0.0
    quadrants: bool = False


def background(radius: NDArray[np.floating]) -> NDArray[np.float64]:
    """Two exponentials and a ring, as vitreous ice has, ADU."""
    ring = 4.0 * np.exp(-0.5 * ((radius - 330.0) / 40.0) ** 2)
    return 2.5 + 100 * np.exp(-radius / 60) + 15 * np.exp(-radius / 200) + ring


def scenes() -> Iterator[Scene]:
    """Make the backgrounds."""
    uniform = background(RADIUS)
    yield Scene("uniform", uniform)
    for percent in (10, 20, 30):
        wave = 1 + percent / 100 * np.cos(AZIMUTH - 0.5)
        yield Scene(f"{percent} % wave around the beam", uniform * wave)
    two_fold = 1 + 0.2 * np.cos(2 * AZIMUTH - 0.5)
    yield Scene("20 % two-fold wave", uniform * two_fold)
    yield Scene("ellipse, axes ± 5 %", background(np.hypot(DOWN / 1.05, ACROSS * 1.05)))
    yield Scene("gradient ± 30 % along a row", uniform * (0.7 + 0.6 * FAST / SHAPE[1]))
    arm = np.abs(np.angle(np.exp(1j * (AZIMUTH - 2.2)))) < 0.15
    yield Scene("half-transparent arm", uniform * np.where(arm, 0.5, 1.0))
    yield Scene(
        "quadrants of 0.7 to 1.3 × the noise",
        uniform,
        noise_factor=0.5 + 0.2 * QUADRANT,
        quadrants=True,
    )
    yield Scene(
        "quadrants of dark level ± 1.5 ADU",
        uniform,
        dark=QUADRANT - 2.5,
        quadrants=True,
    )


def record(
    scene: Scene, camera: Camera, generator: np.random.Generator
) -> NDArray[np.int32]:
    """Record an image that nothing is cut off from."""
    electrons = generator.poisson(scene.signal / camera.gain)
    pulses = generator.gamma(2.0 * np.maximum(electrons, 1), camera.gain / 2)
    noise = generator.normal(0.0, camera.read_noise, SHAPE) * scene.noise_factor
    return np.rint(pulses * (electrons > 0) + noise + scene.dark).astype(np.int32)


@dataclass(frozen=True)
class Division:
    """One way of dividing an image."""

    name: str
    regions: Regions
    nodes: Nodes

    def correct(self, image: NDArray[np.int32], number: int) -> NDArray[np.int32]:
        """Fit an image and replace its zeros."""
        labels = self.regions.labels
        fits = fit_histograms(
            ring_histograms(image, labels, self.regions.n_regions, 2048),
            ring=self.regions.table.ring,
        )
        tables, mixture = law_of_zeros(image, self.regions, RADIUS, self.nodes, fits)
        return draw_zeros(
            image, labels, self.nodes.node, tables, mixture, seed=0, image_number=number
        )


def divide(name: str, lattice: Lattice, labels: NDArray[np.int32] | None) -> Division:
    """Divide the image by a lattice and by labels."""
    annuli = equal_area_annuli(RADIUS, EVERYWHERE)
    areas = (
        one_area(EVERYWHERE)
        if labels is None
        else areas_of_labels(labels, EVERYWHERE, 10_000)
    )
    cells = cells_of_areas(lattice, areas.area)
    grid = radial_grid(RADIUS, float(annuli.edges[0]), float(annuli.edges[-1]))
    regions = Partition(annuli, cells, RADIUS).regions
    return Division(name, regions, cell_nodes(grid, cells))


def divisions(with_quadrants: bool) -> list[Division]:
    """Ways of dividing an image; the labels of quadrants where there are any."""
    found = [
        divide("annuli", whole_image(SHAPE), None),
        divide("8 sectors", sectors(SHAPE, CENTRE, 8), None),
        divide("4 × 4 tiles", tiles(SHAPE, 256), None),
    ]
    if with_quadrants:
        found.append(divide("labels", whole_image(SHAPE), QUADRANT))
    return found


def boxes(image: NDArray[np.int32]) -> NDArray[np.float64]:
    """Means of the boxes."""
    n = SHAPE[0] // BOX
    return image.reshape(n, BOX, n, BOX).mean(axis=(1, 3))


def rows(scene: Scene, camera: Camera, n_images: int) -> Iterator[list[str]]:
    """Measure the errors of one background."""
    ways = divisions(scene.quadrants)
    errors = np.zeros((len(ways) + 1, n_images, SHAPE[0] // BOX, SHAPE[1] // BOX))
    zeros = 0.0
    for i in range(n_images):
        true = record(scene, camera, np.random.default_rng([2016, i]))
        image = np.maximum(true, 0)
        zeros += np.mean(image == 0) / n_images
        errors[0, i] = boxes(image - true)
        for k, way in enumerate(ways):
            errors[k + 1, i] = boxes(way.correct(image, i + 1) - true)
    names = ["not corrected", *(way.name for way in ways)]
    for name, of_images in zip(names, errors):
        mean = of_images.mean(axis=0)
        scatter = np.sqrt(of_images.var(axis=0, ddof=1).mean() / n_images)
        yield [
            camera.name,
            scene.name if name == names[0] else "",
            f"{100 * zeros:.0f}" if name == names[0] else "",
            name,
            f"{np.abs(mean).max():.3f}",
            f"{np.sqrt(np.mean(mean**2)):.4f}",
            f"{scatter:.4f}",
            f"{mean.mean():+.4f}",
        ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40, help="images of each kind")
    arguments = parser.parse_args()
    table = [
        row
        for camera in CAMERAS
        for scene in scenes()
        for row in rows(scene, camera, arguments.images)
    ]
    header = [
        "camera",
        "background",
        "zeros (%)",
        "regions",
        "worst box\n(ADU)",
        "rms error\n(ADU)",
        "scatter\n(ADU)",
        "mean error\n(ADU)",
    ]
    print(tabulate(table, header))


if __name__ == "__main__":
    main()
