"""Images of many stationary crystals, through the camera."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cctbx import sgtbx
from dxtbx.imageset import ImageSetFactory
from dxtbx.model import Crystal, Experiment, ExperimentList

from dials_truncfix.camera.recording import Recording
from dials_truncfix.simulate.scene import Scene, add_spots
from dials_truncfix.simulate.sphere import Sphere
from dials_truncfix.simulate.stills import Pattern, Still, StillsModel, excite_still

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SimulatedStills(Scene):
    """Stills of which any can be made alone, in any order.

    Attributes
    ----------
    sphere : Sphere
        Reflections.
    model : StillsModel
        Crystals; its beam is that of the experiment.

    Raises
    ------
    ValueError
        If the beams differ.
    """

    sphere: Sphere
    model: StillsModel

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

    def record(self, image: int, pattern: Pattern, frame: int = 0) -> Recording:
        """Record the pattern of one image in one of the frames that its camera makes."""
        n_frames = self.camera.frames_per_image
        return self.camera.expose(
            self.expected(pattern) / n_frames,
            self.pattern,
            self.seed,
            image * n_frames + frame + 1,
        )


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
