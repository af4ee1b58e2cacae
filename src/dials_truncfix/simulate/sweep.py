"""Expected electrons and recorded images of a simulated sweep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from dxtbx.model import Experiment

from dials_truncfix.camera.recording import Camera, Recording
from dials_truncfix.correction.regions.scattering import two_theta_map
from dials_truncfix.simulate.background import Background, beam_stop_transmission
from dials_truncfix.simulate.prediction import SweepReflections
from dials_truncfix.simulate.spots import SPOT_REACH, add_gaussian_spots

FloatArray = npt.NDArray[np.float64]

#: Less than this of a reflection, in electrons, is not painted.
_FAINTEST = 1e-6
#: Above this transmission nothing is in the way.
_CLEAR = 0.99


@dataclass(frozen=True)
class SpotShape:
    """Two concentric round Gaussians: the spot proper and its tails.

    Attributes
    ----------
    core_sigma, tail_sigma : float
        Standard deviations, pixels.
    tail_fraction : float
        Part of the intensity in the tails.
    """

    core_sigma: float = 0.6
    tail_sigma: float = 1.0
    tail_fraction: float = 0.2

    def __post_init__(self) -> None:
        """Refuse impossible shapes."""
        if not (self.core_sigma > 0 and self.tail_sigma > 0):
            raise ValueError(f"spots of widths {self.core_sigma}, {self.tail_sigma}")
        if not 0 <= self.tail_fraction <= 1:
            raise ValueError(f"tail_fraction {self.tail_fraction} is not in 0 to 1")


@dataclass(frozen=True)
class SimulatedSweep:
    """A sweep of which any image can be made alone, in any order.

    Attributes
    ----------
    experiment : dxtbx.model.Experiment
        Models; one panel.
    reflections : SweepReflections
        From `predict`.
    camera : Camera
        Response of the camera.
    background : Background
        Electrons between the spots.
    spots : SpotShape
        Shape of all spots.
    beam_stop_radius, beam_stop_arm : float
        Radius of the beam stop and width of its arm, pixels.
    seed : int
        Seed of all draws of electrons and camera.
    """

    experiment: Experiment
    reflections: SweepReflections
    camera: Camera
    background: Background
    spots: SpotShape
    beam_stop_radius: float
    beam_stop_arm: float
    seed: int

    @property
    def n_images(self) -> int:
        """Number of images."""
        return int(self.experiment.scan.get_num_images())

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast)."""
        nx, ny = self.experiment.detector[0].get_image_size()
        return (ny, nx)

    @cached_property
    def pattern(self) -> Any:
        """What all frames have in common, such as flat field and dark reference."""
        return self.camera.fixed_pattern(self.shape, self.seed)

    @cached_property
    def transmission(self) -> FloatArray:
        """Part of the electrons that pass the beam stop, shape (ny, nx)."""
        panel = self.experiment.detector[0]
        centre = panel.get_beam_centre_px(self.experiment.beam.get_s0())
        return beam_stop_transmission(
            self.shape, centre, self.beam_stop_radius, self.beam_stop_arm
        )

    @cached_property
    def background_electrons(self) -> FloatArray:
        """Expected background, e⁻ per pixel and image, shape (ny, nx)."""
        return self.background.expected(d_star_map(self.experiment))

    def shadowed(self) -> npt.NDArray[np.bool_]:
        """Reflections of which the beam stop hides a part, shape (n,)."""
        clear = self.transmission > _CLEAR
        if clear.all():
            return np.zeros(len(self.reflections), dtype=bool)
        distance = distance_transform_edt(clear)
        x, y = self.reflections.x.astype(int), self.reflections.y.astype(int)
        ny, nx = self.shape
        near = distance[np.clip(y, 0, ny - 1), np.clip(x, 0, nx - 1)]
        widest = max(self.spots.core_sigma, self.spots.tail_sigma)
        return np.asarray(near < SPOT_REACH * widest)

    def expected(self, image: int, frame: int = 0, n_frames: int = 1) -> FloatArray:
        """Sum up the electrons expected in one image, or in one of its frames.

        Parameters
        ----------
        image : int
            Position in the sweep, from 0.
        frame, n_frames : int
            Which of how many equal parts of the image, from 0.

        Returns
        -------
        ndarray, shape (ny, nx)
            e⁻.

        Raises
        ------
        ValueError
            If there is no such image.
        """
        if not 0 <= image < self.n_images:
            raise ValueError(f"image {image} of a sweep of {self.n_images}")
        fraction = self.reflections.fraction(image + frame / n_frames, 1 / n_frames)
        electrons = self.reflections.intensity * fraction
        seen = electrons > _FAINTEST
        x, y = self.reflections.x[seen], self.reflections.y[seen]
        electrons = electrons[seen]
        result = self.background_electrons * (1 / n_frames)
        add_spots(result, x, y, electrons, self.spots)
        return result * self.transmission

    def frames(self, image: int) -> Iterator[Recording]:
        """Record one image in the frames that its camera makes of it."""
        for frame in range(self.camera.frames_per_image):
            yield self.record(image, frame)

    def record(self, image: int, frame: int = 0) -> Recording:
        """Record one image, or one of the frames that its camera makes of it.

        Parameters
        ----------
        image : int
            Position in the sweep, from 0.
        frame : int
            Frame of the image, from 0.

        Returns
        -------
        Recording
        """
        n_frames = self.camera.frames_per_image
        return self.camera.expose(
            self.expected(image, frame, n_frames),
            self.pattern,
            self.seed,
            image * n_frames + frame + 1,
        )


def add_spots(
    image: FloatArray,
    x: FloatArray,
    y: FloatArray,
    electrons: FloatArray,
    shape: SpotShape,
) -> None:
    """Add spots of one shape to an image, in place.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float64
        The image, e⁻.
    x, y : ndarray, shape (n,)
        Centres, pixels (fast, slow).
    electrons : ndarray, shape (n,)
        Sum of each spot, e⁻.
    shape : SpotShape
        Their shape.
    """
    tail = shape.tail_fraction
    add_gaussian_spots(image, x, y, (1 - tail) * electrons, shape.core_sigma)
    if tail > 0:
        add_gaussian_spots(image, x, y, tail * electrons, shape.tail_sigma)


def d_star_map(experiment: Experiment) -> FloatArray:
    """1/d of every pixel, Å⁻¹, shape (ny, nx)."""
    panel, beam = experiment.detector[0], experiment.beam
    nx, ny = panel.get_image_size()
    two_theta = two_theta_map(
        (ny, nx),
        panel.get_pixel_size(),
        panel.get_origin(),
        panel.get_fast_axis(),
        panel.get_slow_axis(),
        beam.get_s0(),
    )
    return np.asarray(2 * np.sin(two_theta / 2) / beam.get_wavelength())
