"""Images of a counting detector as electrons on a camera that truncates."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dxtbx import flumpy
from dxtbx.model import DetectorFactory, Experiment, GoniometerFactory

from dials_truncfix import compat
from dials_truncfix.camera.ccd import CCD
from dials_truncfix.camera.f416 import F416
from dials_truncfix.camera.integrating import FixedPattern
from dials_truncfix.camera.recording import Recording
from dials_truncfix.camera.streams import ELECTRONS, random_stream
from dials_truncfix.simulate.background import Background
from dials_truncfix.simulate.scene import d_star_map


@dataclass(frozen=True)
class CountedSweep:
    """A real sweep whose counts pass through the camera.

    Counts are electrons that have been drawn already: they are multiplied, thinned
    and put on a background, but not drawn again.

    Attributes
    ----------
    imageset : dxtbx.imageset.ImageSequence
        Images of a counting detector of one panel.
    camera : F416 or CCD
        Response of the camera. Its pixel size is ignored: the images keep theirs.
    background : Background
        Electrons to add.
    multiply : int
        Factor of all counts, >= 1.
    keep : float
        Probability that an electron is kept, over 0 to 1; thinned counts are Poisson
        distributed like the counts they come from, multiplied ones are not.
    seed : int
        Seed of all draws.
    """

    imageset: Any
    camera: F416 | CCD
    background: Background
    multiply: int
    keep: float
    seed: int

    def __post_init__(self) -> None:
        """Refuse what cannot be passed through."""
        if len(self.imageset.get_detector()) != 1:
            raise ValueError(
                f"{self.imageset.get_path(0)}: a detector of "
                f"{len(self.imageset.get_detector())} panels; only one can be used"
            )
        if self.imageset.get_scan() is None:
            raise ValueError(f"{self.imageset.get_path(0)}: stills, not a rotation")
        if self.multiply < 1:
            raise ValueError(f"counts cannot be multiplied by {self.multiply}")
        if not 0 < self.keep <= 1:
            raise ValueError(f"keep {self.keep} is not within 0 to 1")

    def __getstate__(self) -> dict[str, Any]:
        """Keep the mask, for which all images have to be read, and no other arrays."""
        state = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**state, "valid": self.valid}

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.imageset)

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast)."""
        nx, ny = self.imageset.get_detector()[0].get_image_size()
        return (ny, nx)

    @cached_property
    def experiment(self) -> Experiment:
        """Models of the images as the camera records them, numbered from 1.

        The geometry is that of the images; panel type and trusted range are those of
        the camera, and the goniometer is reduced to its scan axis.
        """
        panel = self.imageset.get_detector()[0].to_dict()
        panel.update(
            type="SENSOR_CCD",
            gain=1.0,
            pedestal=0.0,
            trusted_range=list(
                compat.safe_trusted_range(0, self.camera.saturation - 1)
            ),
        )
        detector = self.imageset.get_detector().to_dict()
        detector["panels"] = [panel]
        goniometer = self.imageset.get_goniometer()
        scan = self.imageset.get_scan()
        n_images = self.n_images
        return Experiment(
            beam=self.imageset.get_beam(),
            detector=DetectorFactory.from_dict(detector),
            goniometer=GoniometerFactory.make_goniometer(
                goniometer.get_rotation_axis(), goniometer.get_fixed_rotation()
            ),
            scan=compat.make_scan(
                (1, n_images),
                scan.get_oscillation(),
                list(scan.get_exposure_times()),
                list(scan.get_epochs()),
            ),
        )

    @cached_property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Pixels that count in every image, shape (ny, nx).

        Gaps between modules and pixels that were bad in any image are left out. They
        stay zero in all output, and processing has to be given this as a mask.
        """
        valid = np.ones(self.shape, dtype=bool)
        for image in range(self.n_images):
            valid &= flumpy.to_numpy(self.imageset.get_mask(image)[0])
            valid &= flumpy.to_numpy(self.imageset.get_raw_data(image)[0]) >= 0
        return valid

    @cached_property
    def pattern(self) -> FixedPattern:
        """Flat field and dark reference."""
        return self.camera.fixed_pattern(self.shape, self.seed)

    @cached_property
    def background_electrons(self) -> npt.NDArray[np.float64]:
        """Expected electrons to add, e⁻ per pixel and image, shape (ny, nx)."""
        return self.background.expected(d_star_map(self.experiment))

    def electrons(self, image: int) -> npt.NDArray[np.int64]:
        """Electrons of one image, drawn background included.

        Parameters
        ----------
        image : int
            Position in the sweep, from 0.

        Returns
        -------
        ndarray, shape (ny, nx), int64
            e⁻; 0 outside `valid`.

        Raises
        ------
        ValueError
            If the image has another size than the detector model, or no counts.
        """
        path = self.imageset.get_path(image)
        raw = flumpy.to_numpy(self.imageset.get_raw_data(image)[0])
        if raw.shape != self.shape:
            raise ValueError(f"{path}: {raw.shape} pixels, not {self.shape}")
        if not np.array_equal(raw, np.rint(raw)):
            raise ValueError(f"{path}: pixels that are not whole numbers are no counts")
        rng = random_stream(self.seed, image + 1, ELECTRONS)
        counts = np.where(self.valid, raw, 0).astype(np.int64) * self.multiply
        if self.keep < 1:
            counts = rng.binomial(counts, self.keep)
        counts += rng.poisson(self.background_electrons)
        counts[~self.valid] = 0
        return counts

    def record(self, image: int, frame: int = 0) -> Recording:
        """Record one image.

        Parameters
        ----------
        image : int
            Position in the sweep, from 0.
        frame : int
            0: an image has one frame.

        Returns
        -------
        Recording
            Exactly 0 outside `valid`.
        """
        recording = self.camera.record(
            self.electrons(image), self.pattern, self.seed, image + 1
        )
        for pixels in (recording.clipped, recording.unclipped):
            if pixels is not None:
                pixels[~self.valid] = 0
        return recording
