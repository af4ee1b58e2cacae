"""Expected electrons and recorded images of a simulated sweep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from dials_truncfix.camera.recording import Recording
from dials_truncfix.simulate.prediction import SweepReflections
from dials_truncfix.simulate.scene import Scene, add_spots
from dials_truncfix.simulate.spots import SPOT_REACH

FloatArray = npt.NDArray[np.float64]

#: Less than this of a reflection, in electrons, is not painted.
_FAINTEST = 1e-6
#: Above this transmission nothing is in the way.
_CLEAR = 0.99


@dataclass(frozen=True)
class SimulatedSweep(Scene):
    """A sweep of which any image can be made alone, in any order.

    Attributes
    ----------
    reflections : SweepReflections
        From `predict`.
    """

    reflections: SweepReflections

    @property
    def n_images(self) -> int:
        """Number of images."""
        return int(self.experiment.scan.get_num_images())

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
