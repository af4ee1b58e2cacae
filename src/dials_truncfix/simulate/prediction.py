"""Where and when reflections appear in a sweep, and how strong they are."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from cctbx import miller
from dials.algorithms.spot_prediction import ScanStaticReflectionPredictor
from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import Experiment

from dials_truncfix import compat
from dials_truncfix.simulate.structure_factors import look_up

FloatArray = npt.NDArray[np.float64]

#: Nearer to the rotation axis a reflection passes the Ewald sphere so slowly that
#: its width and Lorentz factor would grow without bounds.
ZETA_MIN = 0.05
#: Half width of a rocking curve in standard deviations; 3·10⁻⁷ lies beyond.
ROCKING_REACH = 5.0
_PREDICTION_BLOCK = 15.0


@dataclass(frozen=True)
class SweepReflections:
    """Reflections of a sweep, one entry for each passage through the Ewald sphere.

    Attributes
    ----------
    miller_index : ndarray, shape (n, 3), int32
        h, k, l.
    intensity : ndarray, shape (n,)
        Electrons in the whole spot over the whole passage, e⁻, those before and
        after the sweep and beyond the spot's integration box included.
    x, y : ndarray, shape (n,)
        Position, pixels (fast, slow); the first pixel reaches from 0 to 1.
    z : ndarray, shape (n,)
        Centre of the passage, images; the first image reaches from 0 to 1.
    sigma_z : ndarray, shape (n,)
        Standard deviation of the rocking curve, images.
    zeta : ndarray, shape (n,)
        Kabsch's ζ = m₂·(s₁ × s₀)/|s₁ × s₀|.
    d : ndarray, shape (n,)
        Resolution, Å.

    References
    ----------
    Kabsch, W. (2010). Acta Cryst. D66, 133-144, section 2.2.
    https://doi.org/10.1107/S0907444909047374
    """

    miller_index: npt.NDArray[np.int32]
    intensity: FloatArray
    x: FloatArray
    y: FloatArray
    z: FloatArray
    sigma_z: FloatArray
    zeta: FloatArray
    d: FloatArray

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.z)

    def fraction(self, image: npt.ArrayLike, width: float = 1.0) -> FloatArray:
        """Part of each reflection that falls on an image, or a part of one.

        The parts of consecutive images add up to 1 exactly, because each is the
        difference of the rocking curve's integral at its ends.

        Parameters
        ----------
        image : int or array_like
            Position of the image in the sweep, from 0; it is broadcast against the
            reflections. A frame of a fractionated image begins in between.
        width : float
            Part of an image that is exposed.

        Returns
        -------
        ndarray, shape (n,) or broadcast
        """
        start = np.asarray(image, float) - self.z
        end = np.asarray(image, float) + width - self.z
        return np.asarray(ndtr(end / self.sigma_z) - ndtr(start / self.sigma_z))


def predict(
    experiment: Experiment,
    intensities: miller.array,
    *,
    d_min: float,
    mosaicity: float,
    mean_intensity: float,
) -> SweepReflections:
    """Predict a sweep kinematically.

    The intensity of a passage is proportional to F²/(|ζ| sin 2θ), the Lorentz factor
    of a rotation at constant speed.

    Parameters
    ----------
    experiment : dxtbx.model.Experiment
        All models.
    intensities : cctbx.miller.array
        F² on any scale.
    d_min : float
        Resolution limit, Å.
    mosaicity : float
        Standard deviation of the rocking curve at ζ = 1, degrees.
    mean_intensity : float
        Mean intensity of all reflections predicted within the sweep, e⁻; sets the
        scale.

    Returns
    -------
    SweepReflections
        Also those centred outside the sweep whose rocking curve reaches into it.

    Raises
    ------
    ValueError
        If nothing is predicted, or all of it is absent.
    """
    if not mosaicity > 0:
        raise ValueError(f"mosaicity {mosaicity} is not positive")
    start, width = experiment.scan.get_oscillation()
    n_images = experiment.scan.get_num_images()
    padding = ROCKING_REACH * mosaicity / ZETA_MIN
    table = _predict_positions(
        experiment, d_min, start - padding, n_images * width + 2 * padding
    )
    if len(table) == 0:
        raise ValueError(f"no reflection up to {d_min} Å meets the camera")

    s0 = np.array(experiment.beam.get_s0())
    s1 = flumpy.to_numpy(table["s1"])
    cross = np.cross(s1, s0)
    length = np.linalg.norm(cross, axis=1)
    sin_two_theta = length / (s0 @ s0)
    axis = np.array(experiment.goniometer.get_rotation_axis())
    zeta = cross @ axis / length
    slowness = 1.0 / np.maximum(np.abs(zeta), ZETA_MIN)

    x, y, _ = flumpy.to_numpy(table["xyzcal.px"]).T
    angle = np.degrees(flumpy.to_numpy(table["xyzcal.mm"])[:, 2])
    z = (angle - start) / width
    sigma_z = mosaicity / width * slowness
    relative = look_up(intensities, table["miller_index"]) * slowness / sin_two_theta
    d = 1.0 / np.linalg.norm(s1 - s0, axis=1)
    # the predictor's index generator goes a little beyond its limit
    inside = (z >= 0) & (z < n_images) & (d >= d_min)
    if not inside.any() or not relative[inside].mean() > 0:
        raise ValueError(
            f"no reflection up to {d_min} Å with an intensity passes the Ewald sphere "
            f"in {n_images} images of {width}°"
        )
    scale = mean_intensity / relative[inside].mean()
    reaches = (z > -ROCKING_REACH * sigma_z) & (z < n_images + ROCKING_REACH * sigma_z)
    reaches &= d >= d_min
    return SweepReflections(
        miller_index=flumpy.to_numpy(table["miller_index"].as_vec3_double()).astype(
            np.int32
        )[reaches],
        intensity=(scale * relative)[reaches],
        x=x[reaches],
        y=y[reaches],
        z=z[reaches],
        sigma_z=sigma_z[reaches],
        zeta=zeta[reaches],
        d=d[reaches],
    )


def _predict_positions(
    experiment: Experiment, d_min: float, start: float, width: float
) -> flex.reflection_table:
    """Predict all passages within a range of rotation angles, degrees."""
    # The predictor generates indices for every image: few wide ones take a tenth of
    # the time of many narrow ones, and predict the same.
    n_blocks = math.ceil(width / _PREDICTION_BLOCK)
    blocks = compat.make_scan(
        (1, n_blocks), (start, width / n_blocks), [1.0] * n_blocks, [0.0] * n_blocks
    )
    wide = copy.copy(experiment)
    wide.scan = blocks
    return ScanStaticReflectionPredictor(wide, dmin=d_min).for_ub(
        experiment.crystal.get_A()
    )
