"""What all images of a simulation have in common."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dxtbx.model import Experiment

from dials_truncfix.camera.recording import Camera
from dials_truncfix.correction.regions.scattering import TwoThetaMap
from dials_truncfix.simulate.background import Background, beam_stop_transmission
from dials_truncfix.simulate.spots import add_gaussian_spots

FloatArray = npt.NDArray[np.float64]


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
class Scene:
    """Geometry, camera, and what lies between the spots of every image.

    Attributes
    ----------
    experiment : dxtbx.model.Experiment
        Models; one panel.
    camera : Camera
        Response of the camera.
    background : Background
        Electrons between the spots.
    spots : SpotShape
        Shape of all spots.
    beam_stop_radius, beam_stop_arm : float
        Radius of the beam stop and width of its arm, pixels.
    seed : int
        Seed of all draws.
    """

    experiment: Experiment
    camera: Camera
    background: Background
    spots: SpotShape
    beam_stop_radius: float
    beam_stop_arm: float
    seed: int

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what follows from the fields: other processes make it anew."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

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
    two_theta = TwoThetaMap(
        (ny, nx),
        panel.get_pixel_size(),
        panel.get_origin(),
        panel.get_fast_axis(),
        panel.get_slow_axis(),
        beam.get_s0(),
    )[:]
    return np.asarray(2 * np.sin(two_theta / 2) / beam.get_wavelength())
