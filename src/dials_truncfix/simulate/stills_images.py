"""Images of many stationary crystals, through the camera."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cctbx import sgtbx
from dxtbx.imageset import ImageSetFactory
from dxtbx.model import Crystal, Experiment, ExperimentList

from dials_truncfix.camera.recording import Camera, Recording
from dials_truncfix.simulate.background import Background, beam_stop_transmission
from dials_truncfix.simulate.stills import (
    Pattern,
    Sphere,
    Still,
    StillsModel,
    excite_still,
)
from dials_truncfix.simulate.sweep import SpotShape, add_spots, d_star_map

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SimulatedStills:
    """Stills of which any can be made alone, in any order.

    Attributes
    ----------
    experiment : dxtbx.model.Experiment
        Beam and detector of one panel.
    sphere : Sphere
        Reflections.
    model : StillsModel
        Crystals; its beam is that of the experiment.
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

    Raises
    ------
    ValueError
        If the beams differ.
    """

    experiment: Experiment
    sphere: Sphere
    model: StillsModel
    camera: Camera
    background: Background
    spots: SpotShape
    beam_stop_radius: float
    beam_stop_arm: float
    seed: int

    def __post_init__(self) -> None:
        """Refuse patterns of another beam."""
        if not np.allclose(self.experiment.beam.get_s0(), self.model.s0, rtol=1e-9):
            raise ValueError(
                f"beam {self.model.s0} of the crystals is not that of the detector, "
                f"{self.experiment.beam.get_s0()}"
            )

    @property
    def n_images(self) -> int:
        """Number of images."""
        return self.model.n_lattices

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

    def excite(self, image: int) -> Pattern:
        """Find what one crystal diffracts; images are counted from 0."""
        return excite_still(self.sphere, self.model, self.seed, image)

    def expected(self, pattern: Pattern) -> FloatArray:
        """Sum up the electrons expected in the image of a pattern.

        Returns
        -------
        ndarray, shape (ny, nx)
            e⁻.
        """
        x, y, ahead = spot_positions(self.experiment, pattern.rays)
        electrons = pattern.still.intensity
        result = self.background_electrons.copy()
        add_spots(result, x[ahead], y[ahead], electrons[ahead], self.spots)
        return result * self.transmission

    def frames(self, image: int, pattern: Pattern) -> Iterator[Recording]:
        """Record the pattern of one image, in the frames that its camera makes."""
        n_frames = self.camera.frames_per_image
        expected = self.expected(pattern) / n_frames
        for frame in range(n_frames):
            number = image * n_frames + frame + 1
            yield self.camera.expose(expected, self.pattern, self.seed, number)

    def record(self, image: int, pattern: Pattern) -> Recording:
        """Record the pattern of one image in its first frame."""
        return next(self.frames(image, pattern))


def spot_positions(
    experiment: Experiment, rays: FloatArray
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Find where rays meet the plane of a detector of one panel.

    Parameters
    ----------
    experiment : dxtbx.model.Experiment
        For its detector.
    rays : ndarray, shape (n, 3)
        Directions.

    Returns
    -------
    x, y : ndarray, shape (n,)
        Pixels (fast, slow).
    ahead : ndarray, shape (n,), bool
        Whether a ray goes towards the plane; the others have no position.
    """
    panel = experiment.detector[0]
    d = np.reshape(panel.get_D_matrix(), (3, 3))
    v = rays @ d.T
    ahead = v[:, 2] > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        mm = v[:, :2] / v[:, 2:]
    x, y = (mm / panel.get_pixel_size()).T
    return x, y, ahead


def known_experiments(
    experiment: Experiment,
    images: Sequence[tuple[Path, int]],
    stills: Iterable[Still],
    space_group: sgtbx.space_group,
) -> ExperimentList:
    """Experiments of the crystals reported, each with its image.

    Parameters
    ----------
    experiment : dxtbx.model.Experiment
        Beam and detector.
    images : sequence of (pathlib.Path, int)
        File of each image, and its position therein.
    stills : iterable of Still
        Crystals.
    space_group : cctbx.sgtbx.space_group
        Of the crystals.

    Returns
    -------
    dxtbx.model.ExperimentList
        For ``known_orientations`` of dials.stills_process.
    """
    result = ExperimentList()
    for number, ((path, position), still) in enumerate(zip(images, stills)):
        # rows of the inverse are the direct axes
        a, b, c = (tuple(axis) for axis in np.linalg.inv(still.setting))
        imageset = ImageSetFactory.make_imageset(
            [str(path)], check_format=False, single_file_indices=[position]
        )
        result.append(
            Experiment(
                beam=experiment.beam,
                detector=experiment.detector,
                crystal=Crystal(a, b, c, space_group=space_group),
                imageset=imageset,
                identifier=f"still-{number:06d}",
            )
        )
    return result
