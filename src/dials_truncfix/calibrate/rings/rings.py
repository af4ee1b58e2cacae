"""Camera length, beam centre and ellipse from the rings of a standard."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dials_truncfix.calibrate.rings.cake import Pixels, spot_pixels
from dials_truncfix.calibrate.rings.ring_checks import check_rings, saturation
from dials_truncfix.calibrate.rings.ring_fit import fit_cells, fit_rings
from dials_truncfix.calibrate.rings.ring_model import RingGeometry, widths
from dials_truncfix.calibrate.rings.ring_result import RingCalibration, tan_two_theta
from dials_truncfix.calibrate.rings.ring_search import lay_rings, symmetry_centre
from dials_truncfix.calibrate.rings.standards import Standard

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Standard deviation of the rings to start from, pixels.
_START_WIDTH = 2.0
#: Strengths enter the search damped: calculated ones are not those of thick films.
_DAMPING = 0.25
#: Width of the tails of spots, pixels.
_HALO = 3


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
        cells = fit_cells(pixels, tangent, first, _START_WIDTH * pixels.size)
        pixels = _without_halos(pixels, valid, cells.geometry)
        width = float(np.mean(widths(cells.shape, cells.geometry.distance * tangent)))
        fit = fit_rings(pixels, tangent, cells.geometry, width)
    except ValueError as error:
        raise ValueError(
            f"no rings of {standard.name} were found ({error}): check the standard, and "
            f"that the camera length is within {100 * options.distance_range:.0f} % of "
            f"{start.distance:.0f} mm"
        ) from None
    overflow = saturation(saturated, pixels.size, fit, tangent)
    result = RingCalibration(
        start, guess, fit, standard, pixels.size, wavelength, overflow
    )
    check_rings(result, pixels)
    return result


def _within(standard: Standard, wavelength: float) -> Standard:
    """Leave out rings that the wavelength cannot make."""
    keep = standard.d > wavelength
    return replace(standard, d=standard.d[keep], strength=standard.strength[keep])


def _without_halos(pixels: Pixels, valid: BoolArray, geometry: RingGeometry) -> Pixels:
    """Leave out the tails of spots, which are not bright enough to be seen alone."""
    spots = np.zeros(valid.shape, dtype=bool)
    spots[valid] = spot_pixels(pixels, geometry.centre, geometry.undo, pixels.size)
    keep = ~ndimage.binary_dilation(spots, iterations=_HALO)[valid]
    return Pixels(pixels.x[keep], pixels.y[keep], pixels.value[keep], pixels.size)
