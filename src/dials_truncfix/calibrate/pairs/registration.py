"""Two images laid on each other: a start, then the displacements of tiles until they rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage, stats

from dials_truncfix.calibrate.pairs.correlation import (
    Peak,
    averaged,
    band_passed,
    find_shift,
    refuse_chance,
    search_step,
)
from dials_truncfix.calibrate.pairs.image_checks import without_defects
from dials_truncfix.calibrate.pairs.tiles import TileShifts, tile_shifts
from dials_truncfix.calibrate.pairs.transformation import (
    FittedTransformation,
    Transformation,
    fit_transformation,
    similarity,
)

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Standard deviation of the Gaussian that takes away what splines cannot carry.
_FINE = 0.5
_SMALLEST_TILE, _LARGEST_TILE = 32, 128
_TILES_ALONG = 8
_FEWEST_TILES = 5
#: Images of longer sides are averaged to about this: splines of all their pixels would
#: take minutes and gigabytes.
_LARGEST_SIDE = 2048
_ROUNDS = 8
#: Rounds end when no corner of the image moves by more, pixels.
_STILL = 0.002
#: Tiles agree when they are within so many pixels of what was fitted to all.
_NEAR = 3.0
#: Agreement of tiles that is more likely to be chance is refused.
_CHANCE = 1e-4


@dataclass(frozen=True)
class Registration:
    """How the second image lies on the first.

    Attributes
    ----------
    fitted : FittedTransformation
        Places in the first image to places in the second.
    first, second : ndarray, shape (n, 2)
        Where the tiles are in both (fast, slow), pixels.
    coefficients, weights : ndarray, shape (n,)
        Correlation coefficients and relative inverse variances of the tiles.
    peak : Peak
        Of the start.
    side : int
        Of a tile, pixels.
    """

    fitted: FittedTransformation
    first: Array
    second: Array
    coefficients: Array
    weights: Array
    peak: Peak
    side: int

    @property
    def coefficient(self) -> float:
        """Median correlation coefficient of the tiles that agree."""
        return float(np.median(self.coefficients[self.fitted.kept]))

    def refitted(self, model: str) -> FittedTransformation:
        """Fit another model to the same tiles."""
        centre = self.fitted.transformation.centre
        return fit_transformation(self.first, self.second, self.weights, centre, model)


def register_shift(
    first: Array,
    second: Array,
    names: str,
    *,
    largest_shift: float = 1.0,
    model: str = "translation",
) -> Registration:
    """Lay two images of one magnification on each other.

    Parameters
    ----------
    first, second : ndarray, shape (slow, fast)
        Any unit.
    names : str
        The images, for messages.
    largest_shift : float
        As a part of the image's sides.
    model : str
        What else than a shift may differ, one of `MODELS`.

    Returns
    -------
    Registration

    Raises
    ------
    ValueError
        If they show nothing in common.
    """
    first, second = without_defects(first), without_defects(second)
    peak = find_shift(first, second, largest_shift)
    refuse_chance(peak, names)
    start = similarity(1.0, 0.0, peak.shift, (first.shape[0], first.shape[1]))
    return register(first, second, start, model, peak, names)


def register(
    first: Array,
    second: Array,
    start: Transformation,
    model: str,
    peak: Peak,
    names: str,
) -> Registration:
    """Refine a transformation that is right within some pixels.

    Parameters
    ----------
    first, second : ndarray, shape (slow, fast)
        Without defects.
    start : Transformation
        From the first to the second.
    model : str
        What is refined, one of `MODELS`.
    peak : Peak
        Of the start.
    names : str
        The images, for messages.

    Returns
    -------
    Registration

    Raises
    ------
    ValueError
        If too few tiles agree.
    """
    step = search_step((first.shape[0], first.shape[1]), _LARGEST_SIDE)
    if step > 1:
        small = averaged(first, step)
        found = register(
            small,
            averaged(second, step),
            start.averaged(step, (small.shape[0], small.shape[1])),
            model,
            peak,
            names,
        )
        return _scaled(found, step, start.centre, model)
    side = _tile_side(min(first.shape))
    while True:
        try:
            return _refine(first, second, start, model, peak, names, side)
        except ValueError:
            # noise: larger tiles hold more of the specimen
            if 2 * side > min(2 * _LARGEST_TILE, min(first.shape) // 3):
                raise
            side *= 2


def _scaled(found: Registration, step: int, centre: Array, model: str) -> Registration:
    """Carry over to images that were averaged."""
    places = step * found.first, step * found.second
    fitted = fit_transformation(*places, found.weights, centre, model)
    return replace(
        found, fitted=fitted, first=places[0], second=places[1], side=step * found.side
    )


def _tile_side(shortest: int) -> int:
    side = 16 * round(shortest / _TILES_ALONG / 16)
    return min(max(side, _SMALLEST_TILE), _LARGEST_TILE)


def _refine(
    first: Array,
    second: Array,
    start: Transformation,
    model: str,
    peak: Peak,
    names: str,
    side: int,
) -> Registration:
    first, second = (band_passed(image, _FINE, side / 4) for image in (first, second))
    coefficients = ndimage.spline_filter(second, order=3)
    unit = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float64)
    corners: Array = unit * np.array(first.shape[::-1], np.float64)
    reach = side / 8
    now, spectral_weights = start, None
    for _ in range(_ROUNDS):
        warped, valid = warp(coefficients, now)
        tiles = tile_shifts(first, warped, valid, side, reach, spectral_weights)
        spectral_weights = tiles.spectral_weights
        if len(tiles.places) < _FEWEST_TILES:
            raise ValueError(
                f"{names} have {len(tiles.places)} tiles of {side} × {side} pixels in "
                f"common, and {_FEWEST_TILES} are needed: give images that overlap more"
            )
        places = now(tiles.places + tiles.shifts)
        fitted = fit_transformation(
            tiles.places, places, tiles.weights, now.centre, model
        )
        change = np.abs(fitted.transformation(corners) - now(corners)).max()
        now = fitted.transformation
        if change < _STILL:
            break
    _refuse_disagreement(fitted, tiles, reach, names)
    return Registration(
        fitted, tiles.places, places, tiles.coefficients, tiles.weights, peak, side
    )


def warp(
    coefficients: Array, transformation: Transformation
) -> tuple[Array, BoolArray]:
    """Bring the second image onto the first.

    Parameters
    ----------
    coefficients : ndarray, shape (slow, fast)
        Cubic spline of the second image.
    transformation : Transformation
        From the first to the second.

    Returns
    -------
    image : ndarray, shape (slow, fast)
    valid : ndarray, shape (slow, fast), bool
        Pixels that the second image covers.
    """
    slow, fast = coefficients.shape
    # from (slow, fast) of the first image to that of the second, middles of pixels
    matrix = transformation.matrix[::-1, ::-1]
    origin = transformation(np.array([0.5, 0.5]))[::-1] - 0.5
    image = ndimage.affine_transform(
        coefficients, matrix, origin, order=3, prefilter=False, mode="mirror"
    )
    rows, columns = np.ogrid[:slow, :fast]
    y, x = (matrix[k, 0] * rows + matrix[k, 1] * columns + origin[k] for k in range(2))
    valid = (x >= 0) & (y >= 0) & (x <= fast - 1) & (y <= slow - 1)
    return image, valid


def _refuse_disagreement(
    fitted: FittedTransformation, tiles: TileShifts, reach: float, names: str
) -> None:
    n = len(tiles.places)
    agree = int(np.sum(np.linalg.norm(fitted.residuals, axis=1) < _NEAR))
    chance = min(np.pi * _NEAR**2 / (2 * np.ceil(reach) + 1) ** 2, 1.0)
    if agree < n / 2 or stats.binom.sf(agree - 1, n, chance) > _CHANCE:
        raise ValueError(
            f"{names} cannot be laid on each other: {agree} of {n} tiles agree on how; "
            "give images that overlap more, with more electrons or more details"
        )
