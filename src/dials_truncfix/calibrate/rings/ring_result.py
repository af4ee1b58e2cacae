"""What the rings of a standard tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dials_truncfix.calibrate.ellipse import (
    Ellipse,
    ellipse_errors,
    ellipse_of_strain,
)
from dials_truncfix.calibrate.rings.cake import Cake, Pixels, make_cake
from dials_truncfix.calibrate.rings.ring_fit import RingFit
from dials_truncfix.calibrate.rings.ring_model import N_SECTORS, RingGeometry
from dials_truncfix.calibrate.rings.ring_search import FirstGuess
from dials_truncfix.calibrate.rings.standards import Standard

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RingCalibration:
    """What rings tell.

    Attributes
    ----------
    start : RingGeometry
        From the experiments.
    guess : FirstGuess
        Of the search.
    fit : RingFit
        The refinement; rings are counted in `standard`.
    standard : Standard
        Rings that may lie on the image.
    pixel_size : float
        mm.
    wavelength : float
        Å.
    saturated : float
        Largest part of saturated pixels about any ring.
    """

    start: RingGeometry
    guess: FirstGuess
    fit: RingFit
    standard: Standard
    pixel_size: float
    wavelength: float
    saturated: float

    @property
    def distance(self) -> float:
        """Camera length, mm."""
        return self.fit.geometry.distance

    @property
    def distance_error(self) -> float:
        """Its standard uncertainty, mm."""
        return self.distance * math.sqrt(self.fit.covariance[2, 2])

    @property
    def centre(self) -> tuple[float, float]:
        """Beam centre (fast, slow), pixels."""
        x, y = self.fit.geometry.centre
        return x / self.pixel_size, y / self.pixel_size

    @property
    def centre_error(self) -> tuple[float, float]:
        """Standard uncertainties of the beam centre, pixels."""
        x, y = np.sqrt(np.diagonal(self.fit.covariance)[:2]) / self.pixel_size
        return float(x), float(y)

    @property
    def ellipse(self) -> Ellipse:
        """What a circle becomes."""
        return ellipse_of_strain(*self.fit.geometry.strain)

    @property
    def ellipse_error(self) -> tuple[float, float]:
        """Standard uncertainties of the ratio of its axes and of its azimuth (rad)."""
        return ellipse_errors(self.fit.geometry.strain, self.fit.covariance[3:, 3:])

    @property
    def d(self) -> Array:
        """Spacings of the rings that were seen, Å."""
        return self.standard.d[self.fit.rings]

    @property
    def radius(self) -> Array:
        """Their radii without distortion, mm."""
        return self.distance * tan_two_theta(self.d, self.wavelength)


def tan_two_theta(d: Array, wavelength: float) -> Array:
    """Radius of rings over the camera length.

    Parameters
    ----------
    d : ndarray
        Spacings, Å.
    wavelength : float
        Å.

    Returns
    -------
    ndarray
    """
    return np.asarray(np.tan(2 * np.arcsin(wavelength / (2 * d))))


def smallest_spacing(
    pixels: Pixels, centre: tuple[float, float], distance: float, wavelength: float
) -> float:
    """Spacing of the ring through the pixel that is furthest from the beam, Å."""
    reach = float(np.hypot(pixels.x - centre[0], pixels.y - centre[1]).max())
    return wavelength / (2 * math.sin(0.5 * math.atan2(reach, distance)))


def final_cake(result: RingCalibration, pixels: Pixels, undo: bool = True) -> Cake:
    """Cells about the centre that was found, out to the last ring and a little more.

    Parameters
    ----------
    result : RingCalibration
        The calibration.
    pixels : Pixels
        The image.
    undo : bool
        Whether to take the ellipse out.
    """
    reach = float(result.radius.max() + 8 * result.fit.width.max())
    return make_cake(
        pixels,
        result.fit.geometry.centre,
        result.fit.geometry.undo if undo else np.eye(2),
        radius_range=(4 * pixels.size, reach),
        step=pixels.size,
        n_sectors=N_SECTORS,
    )


def radial_contrast(cake: Cake) -> tuple[Array, Array, Array]:
    """Mean over all azimuths, minus its smooth part.

    Parameters
    ----------
    cake : Cake
        In which rings are straight.

    Returns
    -------
    radius : ndarray, shape (n,)
        mm.
    contrast : ndarray, shape (n,)
        ADU.
    noise : ndarray, shape (n,)
        Its standard deviation, ADU.
    """
    weight = np.where(np.isfinite(cake.error), cake.error, np.inf) ** -2.0
    total = weight.sum(axis=0)
    keep = total > 0
    total = total[keep]
    radius = (weight * cake.radius).sum(axis=0)[keep] / total
    mean = (weight * cake.mean).sum(axis=0)[keep] / total
    smooth = ndimage.percentile_filter(mean, 30, size=41, mode="nearest")
    smooth = ndimage.gaussian_filter1d(smooth, 10, mode="nearest")
    return radius, mean - smooth, total**-0.5
