"""Where the reflections of many crystals fall on a camera that distorts.

A reflection h of a crystal with U and B, turned by R at the angle observed, has the
scattering vector r = R U B h. It meets the camera at u, relative to the beam and without
distortion, and is seen at c + k M u, with M the ellipse of `ellipse` and k the
magnification. That it diffracts at this angle tells the third coordinate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dials_truncfix.calibrate.ellipse import strain_matrix

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SpotSet:
    """Reflections of one crystal, or such as may be.

    Attributes
    ----------
    name : str
        For messages.
    group : int
        Exposure group: crystals of one group share a distortion.
    rows : ndarray, shape (n,)
        Where they stand in their table.
    integrated : bool
        Whether they were predicted and integrated.
    miller_index : ndarray, shape (n, 3)
        h, k, l; 0, 0, 0 without an index.
    position : ndarray, shape (n, 2)
        Observed on the panel (fast, slow) from its corner, mm.
    turn : ndarray, shape (n, 3, 3)
        Rotation from the crystal at angle zero to the laboratory.
    slowness : ndarray, shape (n,)
        Change of the distance from the Ewald sphere with the angle, over the length of
        the scattering vector; 0 for stills.
    orientation : ndarray, shape (3, 3)
        U.
    fast, slow, normal : ndarray, shape (3,)
        Axes of the panel.
    s0 : ndarray, shape (3,)
        Incident beam, Å⁻¹.
    centre : ndarray, shape (2,)
        Where the beam meets the panel, mm.
    distance : float
        Camera length along the normal, mm.
    pixel_size : float
        mm.
    """

    name: str
    group: int
    rows: npt.NDArray[np.int64]
    integrated: bool
    miller_index: Array
    position: Array
    turn: Array
    slowness: Array
    orientation: Array
    fast: Array
    slow: Array
    normal: Array
    s0: Array
    centre: Array
    distance: float
    pixel_size: float

    def __len__(self) -> int:
        """Return the number of reflections."""
        return len(self.miller_index)

    def with_index(self, miller_index: Array) -> SpotSet:
        """Return the same reflections with other indices."""
        return replace(self, miller_index=miller_index)

    def indexed(self) -> SpotSet:
        """Return those that have an index."""
        has = np.any(self.miller_index != 0, axis=1)
        return replace(
            self,
            rows=self.rows[has],
            miller_index=self.miller_index[has],
            position=self.position[has],
            turn=self.turn[has],
            slowness=self.slowness[has],
        )


@dataclass(frozen=True)
class Magnification:
    """Distortion of a group.

    Attributes
    ----------
    log_scale : float
        Logarithm of k.
    strain : tuple of float
        (p, q) of the ellipse.
    """

    log_scale: float
    strain: tuple[float, float]

    @property
    def matrix(self) -> Array:
        """Position on the image from the one without distortion, shape (2, 2)."""
        return np.asarray(np.exp(self.log_scale) * strain_matrix(*self.strain))


@dataclass(frozen=True)
class Pose:
    """What belongs to one crystal.

    Attributes
    ----------
    rotation : ndarray, shape (3,)
        Rotation vector that follows U of the experiments, rad.
    shift : ndarray, shape (2,)
        Shift of the beam centre, mm.
    """

    rotation: Array
    shift: Array

    def orientation(self, spots: SpotSet) -> Array:
        """U with the rotation."""
        return np.asarray(
            Rotation.from_rotvec(self.rotation).as_matrix() @ spots.orientation
        )


def residuals(
    spots: SpotSet, pose: Pose, b_matrix: Array, magnification: Magnification
) -> tuple[Array, Array]:
    """Compare observation and model.

    Parameters
    ----------
    spots : SpotSet
        The reflections.
    pose : Pose
        Of the crystal.
    b_matrix : ndarray, shape (3, 3)
        B, Å⁻¹.
    magnification : Magnification
        Of the group.

    Returns
    -------
    position : ndarray, shape (n, 2)
        Observed minus expected, mm.
    angle : ndarray, shape (n,)
        Angle to the Ewald sphere at the angle observed, rad; 0 where the sphere is
        passed too slowly to tell.
    """
    reciprocal = pose.orientation(spots) @ b_matrix
    r = np.einsum("nij,jk,nk->ni", spots.turn, reciprocal, spots.miller_index)
    s1 = spots.s0 + r
    axes = np.stack([spots.fast, spots.slow])
    u = s1 @ axes.T / (s1 @ spots.normal)[:, None]
    u -= axes @ spots.s0 / (spots.normal @ spots.s0)
    expected = spots.centre + pose.shift
    expected = expected + spots.distance * u @ magnification.matrix.T
    length = np.linalg.norm(spots.s0)
    excess = (np.sum(s1 * s1, axis=1) - length**2) / (2 * length)
    speed = spots.slowness * np.linalg.norm(r, axis=1)
    angle = np.where(speed > 0, excess / np.where(speed > 0, speed, 1.0), 0.0)
    return spots.position - expected, angle


def scattering_vectors(spots: SpotSet, centre: Array, matrix: Array) -> Array:
    """Scattering vectors of the positions observed, in the laboratory.

    Parameters
    ----------
    spots : SpotSet
        The reflections; their indices do not matter.
    centre : ndarray, shape (2,)
        Where the beam meets the panel, mm.
    matrix : ndarray, shape (2, 2)
        Position on the image from the one without distortion.

    Returns
    -------
    ndarray, shape (n, 3)
        Å⁻¹.
    """
    u = (spots.position - centre) @ np.linalg.inv(matrix).T
    beam = spots.distance * spots.s0 / (spots.s0 @ spots.normal)
    towards = beam + u @ np.stack([spots.fast, spots.slow])
    length = np.linalg.norm(towards, axis=1, keepdims=True)
    return np.asarray(np.linalg.norm(spots.s0) * towards / length - spots.s0)


def slowness(r: Array, axis: Array, s0: Array) -> Array:
    """Change of the distance from the Ewald sphere with the rotation angle.

    Parameters
    ----------
    r : ndarray, shape (n, 3)
        Scattering vectors in the laboratory, Å⁻¹.
    axis : ndarray, shape (3,)
        Rotation axis in the laboratory.
    s0 : ndarray, shape (3,)
        Å⁻¹.

    Returns
    -------
    ndarray, shape (n,)
        Over the length of r; 0 below a tenth, near the axis.
    """
    speed = np.abs(np.cross(axis, r) @ s0) / np.linalg.norm(s0)
    relative = speed / np.maximum(np.linalg.norm(r, axis=1), 1e-12)
    return np.where(relative > _SLOWEST, relative, 0.0)


#: Reflections that pass the Ewald sphere more slowly do not tell their angle.
_SLOWEST = 0.1


def group_count(sets: Sequence[SpotSet]) -> int:
    """Count the exposure groups."""
    return max(spots.group for spots in sets) + 1
