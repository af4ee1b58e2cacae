"""Camera length, beam centre and ellipse from the rings of a standard."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal

from dials_truncfix.calibrate.cake import Cake, Pixels, make_cake, spot_pixels
from dials_truncfix.calibrate.ellipse import (
    Ellipse,
    ellipse_errors,
    ellipse_of_strain,
)
from dials_truncfix.calibrate.ring_fit import (
    N_SECTORS,
    RingFit,
    RingGeometry,
    fit_rings,
)
from dials_truncfix.calibrate.ring_search import (
    FirstGuess,
    lay_rings,
    symmetry_centre,
)
from dials_truncfix.calibrate.standards import Standard

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Standard deviation of the rings to start from, pixels.
_START_WIDTH = 2.0
#: Strengths enter the search damped: calculated ones are not those of thick films.
_DAMPING = 0.25
#: Width of the tails of spots, pixels.
_HALO = 3
#: Rings that deviate by more, relative and in standard deviations, are not the standard's.
_WRONG, _WRONG_SIGMA = 0.004, 6.0
#: Part of the standard's rings, by the root of their strengths, and likeness in standard
#: deviations of all camera lengths and ellipses, that are needed.
_LEAST_FOUND, _LEAST_SCORE = 0.6, 4.0
#: A ring that the standard does not have, of so much of the strongest one's contrast.
_FOREIGN = 0.5
_FOREIGN_SIGMA = 15.0
#: More of the pixels about a ring than that saturated: its top is missing.
_SATURATED = 0.1
#: The next best camera length is nearly as good.
_RIVAL = 0.85


@dataclass(frozen=True)
class RingOptions:
    """How to look for the rings.

    Attributes
    ----------
    distance_range : float
        How far the camera length may be wrong, relative.
    largest_ellipticity : float
        Bound of the ellipticity in the search.
    search_centre : bool
        Whether the beam centre is looked for, or taken to be within a few pixels.
    """

    distance_range: float = 0.2
    largest_ellipticity: float = 0.06
    search_centre: bool = True


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


def calibrate_rings(
    pixels: Pixels,
    image: Array,
    valid: BoolArray,
    saturated: BoolArray,
    standard: Standard,
    start: RingGeometry,
    wavelength: float,
    options: RingOptions,
) -> RingCalibration:
    """Measure an image of rings.

    Parameters
    ----------
    pixels : Pixels
        The valid pixels.
    image, valid, saturated : ndarray, shape (slow, fast)
        The same as an image (ADU), with the pixels that measure, and those that
        overflowed.
    standard : Standard
        What was recorded.
    start : RingGeometry
        From the experiments.
    wavelength : float
        Å.
    options : RingOptions
        How to look.

    Returns
    -------
    RingCalibration

    Raises
    ------
    ValueError
        If there are no rings, or not those of the standard, or they are saturated.
    """
    standard = _within(standard, wavelength)
    tangent = tan_two_theta(standard.d, wavelength)
    bound = math.log1p(options.largest_ellipticity)
    candidates = [start.centre]
    if options.search_centre:
        x, y = symmetry_centre(image, valid)
        candidates.append((x * pixels.size, y * pixels.size))
    guesses = [
        (
            lay_rings(
                pixels,
                centre,
                tangent,
                standard.strength**_DAMPING,
                distance=start.distance,
                distance_range=options.distance_range,
                largest_strain=bound,
            ),
            centre,
        )
        for centre in candidates
    ]
    guess, centre = max(guesses, key=lambda pair: pair[0].score)
    first = RingGeometry(centre, guess.distance, guess.strain)
    try:
        fit = fit_rings(pixels, tangent, first, _START_WIDTH * pixels.size)
        pixels = _without_halos(pixels, valid, fit.geometry)
        fit = fit_rings(pixels, tangent, fit.geometry, float(fit.width.mean()))
    except ValueError as error:
        raise ValueError(
            f"no rings of {standard.name} were found ({error}): check the standard, and "
            f"that the camera length is within {100 * options.distance_range:.0f} % of "
            f"{start.distance:.0f} mm"
        ) from None
    overflow = _saturation(saturated, pixels.size, fit, tangent)
    result = RingCalibration(
        start, guess, fit, standard, pixels.size, wavelength, overflow
    )
    _refuse_saturated(result)
    _refuse_missing_rings(result)
    _refuse_wrong_rings(result)
    _refuse_foreign_rings(result, pixels)
    return result


def _within(standard: Standard, wavelength: float) -> Standard:
    """Leave out rings that the wavelength cannot make."""
    keep = standard.d > wavelength
    return replace(standard, d=standard.d[keep], strength=standard.strength[keep])


def _without_halos(
    pixels: Pixels, valid: BoolArray, geometry: RingGeometry
) -> Pixels:
    """Leave out the tails of spots, which are not bright enough to be seen alone."""
    spots = np.zeros(valid.shape, dtype=bool)
    spots[valid] = spot_pixels(pixels, geometry.centre, geometry.undo, pixels.size)
    keep = ~ndimage.binary_dilation(spots, iterations=_HALO)[valid]
    return Pixels(pixels.x[keep], pixels.y[keep], pixels.value[keep], pixels.size)


def _saturation(
    saturated: BoolArray, size: float, fit: RingFit, tangent: Array
) -> float:
    """Largest part of the pixels within a width of a ring that overflowed."""
    slow, fast = np.nonzero(saturated)
    if not len(slow):
        return 0.0
    x, y = (fast + 0.5) * size, (slow + 0.5) * size
    u, v = fit.geometry.undo @ np.stack(
        [x - fit.geometry.centre[0], y - fit.geometry.centre[1]]
    )
    radius = np.hypot(u, v)
    parts = []
    for ring, width in zip(fit.rings, fit.width):
        middle = fit.geometry.distance * tangent[ring]
        whole = 2 * np.pi * middle * 2 * width / size**2
        parts.append(np.count_nonzero(np.abs(radius - middle) < width) / whole)
    return float(max(parts))


def _refuse_saturated(result: RingCalibration) -> None:
    if result.saturated > _SATURATED:
        raise ValueError(
            f"{100 * result.saturated:.0f} % of the pixels of a ring are saturated: "
            "record with a shorter exposure or a weaker beam"
        )


def _refuse_missing_rings(result: RingCalibration) -> None:
    """Refuse when most of what the standard should show is not there."""
    strength, seen = result.standard.strength, result.fit.rings
    # further out, rings may be too weak
    expected = np.arange(seen.max() + 1)
    found = np.sum(strength[seen] ** 0.5) / np.sum(strength[expected] ** 0.5)
    if found < _LEAST_FOUND or result.guess.score < _LEAST_SCORE:
        raise ValueError(
            f"no rings of {result.standard.name} were found ({len(seen)} of "
            f"{len(expected)} places of its rings are bright): check the standard, and "
            "the camera length of the experiments"
        )


def _refuse_wrong_rings(result: RingCalibration) -> None:
    """Refuse rings that no camera length brings to those of the standard."""
    fit, radius = result.fit, result.radius
    relative = np.abs(fit.deviation) / radius
    wrong = (relative > _WRONG) & (
        np.abs(fit.deviation) > _WRONG_SIGMA * fit.deviation_error
    )
    if wrong.any():
        worst = int(np.argmax(np.where(wrong, relative, 0)))
        raise ValueError(
            f"the rings are not those of {result.standard.name}: in no camera length do "
            f"they all fit, the one of {result.d[worst]:.3f} Å is "
            f"{100 * relative[worst]:.1f} % off; check the standard, or give the "
            "spacings that are sure as rings.d_spacings"
        )


def _refuse_foreign_rings(result: RingCalibration, pixels: Pixels) -> None:
    """Refuse an image whose rings are mostly not the standard's."""
    cake = final_cake(result, pixels)
    radius, contrast, noise = radial_contrast(cake)
    peaks, _ = signal.find_peaks(contrast, height=_FOREIGN_SIGMA * noise)
    width = float(result.fit.width.max())
    expected = result.distance * tan_two_theta(result.standard.d, result.wavelength)
    near = np.abs(radius[peaks][:, None] - expected).min(axis=1, initial=np.inf) < max(
        3 * width, 4 * pixels.size
    )
    seen = radius[peaks] > 0.5 * result.radius.min()
    own, foreign = contrast[peaks][near & seen], contrast[peaks][~near & seen]
    if len(foreign) and foreign.max() > _FOREIGN * own.max(initial=0.0):
        place = radius[peaks][~near & seen][int(np.argmax(foreign))]
        d = result.wavelength / (2 * np.sin(0.5 * np.arctan2(place, result.distance)))
        raise ValueError(
            f"the image has a strong ring at {d:.3f} Å, where {result.standard.name} "
            "has none: check the standard, or give all spacings as rings.d_spacings"
        )


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
