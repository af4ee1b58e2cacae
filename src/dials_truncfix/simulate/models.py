"""Crystal and geometry of a simulated sweep as dxtbx models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import transform

from cctbx import sgtbx, uctbx
from dxtbx.model import Crystal, DetectorFactory, Experiment, GoniometerFactory

from dials_truncfix import compat
from dials_truncfix.camera.recording import Camera

FloatArray = npt.NDArray[np.float64]

#: Proteinase K, the protein of the first recordings that were repaired.
DEFAULT_UNIT_CELL = (67.3, 67.3, 101.0, 90.0, 90.0, 90.0)
DEFAULT_SPACE_GROUP = "P 43 21 2"


@dataclass(frozen=True)
class Geometry:
    """Beam, camera and rotation axis.

    The beam travels along -z; seen against it, the fast axis of the camera is +x and
    its slow axis -y.

    Attributes
    ----------
    wavelength : float
        Å.
    distance : float
        Virtual distance between crystal and camera, mm.
    beam_centre : tuple of float or None
        Where the beam meets the image, pixels (fast, slow); None for the middle.
    rotation_axis : tuple of float
        Laboratory frame, of any length; the crystal turns right-handed about it.
    image_size : tuple of int or None
        Pixels (fast, slow); None for the whole camera.
    beam_stop_radius, beam_stop_arm : float
        Radius of the beam stop's shadow and width of its arm, mm; 0 for none.
    """

    wavelength: float = 0.02507934
    distance: float = 2200.0
    beam_centre: tuple[float, float] | None = None
    rotation_axis: tuple[float, float, float] = (1.0, 0.0, 0.0)
    image_size: tuple[int, int] | None = None
    beam_stop_radius: float = 1.4
    beam_stop_arm: float = 0.7

    def __post_init__(self) -> None:
        """Refuse lengths that are not positive."""
        if not (self.wavelength > 0 and self.distance > 0):
            raise ValueError(
                f"wavelength {self.wavelength} Å, distance {self.distance} mm"
            )
        if not np.linalg.norm(self.rotation_axis) > 0:
            raise ValueError(f"rotation axis {self.rotation_axis} has no direction")
        if self.image_size is not None and min(self.image_size) < 1:
            raise ValueError(f"image of {self.image_size} pixels")


@dataclass(frozen=True)
class Rotation:
    """The rotation of the crystal.

    Attributes
    ----------
    start : float
        Angle at the start of the first image, degrees.
    width : float
        Rotation in an image, degrees.
    n_images : int
        Number of images.
    exposure : float
        Time for an image, s.
    """

    start: float = 0.0
    width: float = 0.2
    n_images: int = 40
    exposure: float = 4.0

    def __post_init__(self) -> None:
        """Refuse what does not turn."""
        if not (self.width > 0 and self.n_images > 0 and self.exposure > 0):
            raise ValueError(
                f"{self.n_images} images of {self.width}° in {self.exposure} s"
            )


def random_orientation(seed: int) -> FloatArray:
    """Draw a rotation matrix, all orientations equally likely.

    Parameters
    ----------
    seed : int
        Seed of the draw.

    Returns
    -------
    ndarray, shape (3, 3)
        U of the crystal at rotation angle 0.
    """
    matrix: FloatArray = transform.Rotation.random(random_state=seed).as_matrix()
    return matrix


def make_crystal(
    unit_cell: Sequence[float], space_group: str, orientation: FloatArray
) -> Crystal:
    """Orient a crystal.

    Parameters
    ----------
    unit_cell : sequence of float
        a, b, c (Å), α, β, γ (degrees).
    space_group : str
        Symbol or number.
    orientation : ndarray, shape (3, 3)
        U, a rotation.

    Returns
    -------
    dxtbx.model.Crystal

    Raises
    ------
    ValueError
        If the orientation is no rotation, or cell and symmetry do not agree.
    """
    u = np.asarray(orientation, float)
    if u.shape != (3, 3) or not np.allclose(u @ u.T, np.eye(3), atol=1e-4):
        raise ValueError(f"orientation {u.tolist()} is not a rotation matrix")
    if np.linalg.det(u) < 0:
        raise ValueError(f"orientation {u.tolist()} is a left-handed rotation")
    try:
        group = sgtbx.space_group_info(str(space_group)).group()
    except RuntimeError:
        raise ValueError(f"{space_group} is not a space group") from None
    cell = uctbx.unit_cell(tuple(unit_cell))
    if not group.is_compatible_unit_cell(cell):
        raise ValueError(
            f"a cell of {tuple(unit_cell)} does not fit the space group {space_group}"
        )
    # columns of the orthogonalisation matrix are a, b, c
    axes = u @ np.array(cell.orthogonalization_matrix()).reshape(3, 3)
    a, b, c = (tuple(axes[:, k]) for k in range(3))
    return Crystal(a, b, c, space_group=group)


def make_experiment(
    geometry: Geometry, rotation: Rotation, camera: Camera
) -> Experiment:
    """Put beam, camera, rotation axis and scan together.

    Parameters
    ----------
    geometry : Geometry
        Beam, camera and rotation axis.
    rotation : Rotation
        The scan.
    camera : Camera
        For its size and that of its pixels.

    Returns
    -------
    dxtbx.model.Experiment
        Without a crystal.

    Raises
    ------
    ValueError
        If the beam does not meet the image.
    """
    nx, ny = geometry.image_size or camera.shape[::-1]
    x, y = geometry.beam_centre or (nx / 2, ny / 2)
    if not (0 <= x <= nx and 0 <= y <= ny):
        raise ValueError(f"beam centre ({x}, {y}) is off the image of {nx} × {ny}")
    pixel = camera.pixel_size
    detector = DetectorFactory.make_detector(
        "SENSOR_CCD",
        (1.0, 0.0, 0.0),
        (0.0, -1.0, 0.0),
        (-x * pixel, y * pixel, -geometry.distance),
        (pixel, pixel),
        (nx, ny),
        compat.safe_trusted_range(0, camera.saturation - 1),
        name=camera.name,
    )
    axis = np.asarray(geometry.rotation_axis, float)
    goniometer = GoniometerFactory.make_goniometer(
        tuple(axis / np.linalg.norm(axis)), (1, 0, 0, 0, 1, 0, 0, 0, 1)
    )
    scan = compat.make_scan(
        (1, rotation.n_images),
        (rotation.start, rotation.width),
        [rotation.exposure] * rotation.n_images,
        [rotation.exposure * k for k in range(rotation.n_images)],
    )
    return Experiment(
        beam=compat.make_electron_beam(geometry.wavelength),
        detector=detector,
        goniometer=goniometer,
        scan=scan,
    )
