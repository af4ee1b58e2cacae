"""The last step of the ring fit, on pixels: the geometry of least variance, and its σ.

Cells lose a part of what the image tells: pixels change cells as the centre moves, and a
height that is free in every stretch of a ring brings noise of its own into the position.
Here every pixel counts by its variance, which is a function of the brightness expected,
and the heights of a ring's stretches are drawn towards their mean as far as noise explains
their scatter. Centre, camera length and ellipse are refined by scoring. Width and shape of
the profiles are even about the ring, tell nothing about its place, and are kept.

References
----------
Wedderburn, R. W. M. (1974). Biometrika 61, 439-447 (quasi-likelihood: of the distribution
only variance and mean are used), doi:10.1093/biomet/61.3.439.
Laird, N. M. & Ware, J. H. (1982). Biometrics 38, 963-974 (heights as random effects),
doi:10.2307/2529876.
Liang, K.-Y. & Zeger, S. L. (1986). Biometrika 73, 13-22, equation 8 (covariance from the
scores of independent blocks), doi:10.1093/biomet/73.1.13.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.rings.cake import SPOT_DEVIATIONS, Pixels
from dials_truncfix.calibrate.rings.ring_model import RingGeometry, Window
from dials_truncfix.calibrate.rings.ring_stretches import (
    Stretch,
    StretchFit,
    cut_stretches,
    fit_stretch,
    pool_heights,
)

Array = npt.NDArray[np.float64]

_STEPS = 10
#: In the first steps weights and expected heights are found too.
_WEIGHING_STEPS = 3
#: Shift that ends the steps, pixels.
_CONVERGED = 0.002
#: A longer step does not come from rings that the cells have placed, pixels.
_LARGEST_SHIFT = 3.0
#: Of the curvature with a diagonal of 1: what is below is not measured.
_LEAST_EIGENVALUE = 1e-4
#: Groups of brightness in which the variance is measured.
_GROUPS = 24
#: Cells whose mean is off by so many standard deviations are left out.
_OUTLYING = 4.0


@dataclass(frozen=True)
class PixelFit:
    """Outcome of the last step.

    Attributes
    ----------
    geometry : RingGeometry
        Refined.
    covariance : ndarray, shape (5, 5)
        Of centre x and y (mm), the logarithm of the camera length, p and q.
    deviation, deviation_error : dict of int to float
        Radius of each ring minus that of the model, and its standard uncertainty, mm.
    n_stretches : int
        Stretches of rings that were used.
    scatter : float
        Standard deviation of cells over the one expected from their pixels.
    converged : bool
        Whether the last step moved nothing.
    """

    geometry: RingGeometry
    covariance: Array
    deviation: dict[int, float]
    deviation_error: dict[int, float]
    n_stretches: int
    scatter: float
    converged: bool


def refine_on_pixels(
    pixels: Pixels,
    windows: Sequence[Window],
    frame: RingGeometry,
    tangent: Array,
    start: RingGeometry,
    shape: Array,
) -> PixelFit:
    """Refine a geometry that fits the cells.

    Parameters
    ----------
    pixels : Pixels
        The image.
    windows : sequence of Window
        Of the cells' fit.
    frame : RingGeometry
        In whose polar coordinates they lie.
    tangent : ndarray, shape (n,)
        Radius of each ring over the camera length.
    start : RingGeometry
        Of the cells' fit.
    shape : ndarray, shape (3,)
        Parameters of the profiles.

    Returns
    -------
    PixelFit

    Raises
    ------
    ValueError
        If rings are too weak, or the pixels want them elsewhere than the cells.
    """
    stretches = cut_stretches(pixels, windows, frame)
    geometry, converged = start, False
    far = start.distance * tangent[np.concatenate([w.rings for w in windows])].max()
    for number in range(_STEPS):
        if number < _WEIGHING_STEPS:
            _weigh(stretches, _fits(stretches, tangent, geometry, shape))
            for stretch in stretches:
                stretch.precision = np.zeros(len(stretch.rings))
            pool_heights(stretches, _fits(stretches, tangent, geometry, shape))
        fits = _fits(stretches, tangent, geometry, shape)
        step = _inverse(fits) @ sum(fit.score for fit in fits)
        geometry = _moved(geometry, step)
        shift = float(np.abs(step * [1, 1, far, far, far]).max())
        if shift > _LARGEST_SHIFT * pixels.size:
            raise ValueError(
                "the pixels do not confirm the rings that their means show"
            )
        if shift < _CONVERGED * pixels.size and number >= _WEIGHING_STEPS:
            converged = True
            break
    fits = _fits(stretches, tangent, geometry, shape)
    bread = _inverse(fits)
    score = np.array([fit.score for fit in fits])
    covariance = bread @ (score.T @ score) @ bread
    covariance *= len(score) / max(len(score) - len(bread), 1)
    deviation, deviation_error = _deviations(stretches, tangent, geometry, shape)
    return PixelFit(
        geometry,
        covariance,
        deviation,
        deviation_error,
        len(stretches),
        _scatter(stretches, fits),
        converged,
    )


def _inverse(fits: Sequence[StretchFit]) -> Array:
    """Inverse of the curvature of all stretches."""
    curvature = np.asarray(sum(fit.curvature for fit in fits))
    scale = np.sqrt(np.maximum(np.diagonal(curvature), 1e-300))
    scaled = curvature / np.outer(scale, scale)
    if not np.linalg.eigvalsh(scaled)[0] > _LEAST_EIGENVALUE:
        raise ValueError("the rings are too weak for a centre and an ellipse")
    return np.asarray(np.linalg.inv(scaled) / np.outer(scale, scale))


def _fits(
    stretches: Sequence[Stretch], tangent: Array, geometry: RingGeometry, shape: Array
) -> list[StretchFit]:
    return [fit_stretch(stretch, tangent, geometry, shape) for stretch in stretches]


def _moved(geometry: RingGeometry, step: Array) -> RingGeometry:
    x, y, length, p, q = (float(value) for value in step)
    return RingGeometry(
        (geometry.centre[0] + x, geometry.centre[1] + y),
        geometry.distance * float(np.exp(length)),
        (geometry.strain[0] + p, geometry.strain[1] + q),
    )


def _weigh(stretches: Sequence[Stretch], fits: Sequence[StretchFit]) -> None:
    """Weigh pixels by the variance at their brightness; leave out what stands out."""
    variances = _variances(stretches, fits)
    for stretch, fit, variance in zip(stretches, fits, variances):
        deviation = fit.residual / np.sqrt(variance)
        good = deviation < SPOT_DEVIATIONS
        likely = _cell_deviations(stretch, good / variance, fit.residual)
        good &= np.abs(likely)[stretch.cell] < _OUTLYING
        stretch.weight = good / variance


def _variances(stretches: Sequence[Stretch], fits: Sequence[StretchFit]) -> list[Array]:
    """Variance of each pixel, from those of like brightness."""
    used = np.concatenate([stretch.weight > 0 for stretch in stretches])
    mean = np.concatenate([fit.mean for fit in fits])
    square = np.concatenate([fit.residual for fit in fits]) ** 2
    order = np.argsort(mean[used])
    groups = [g for g in np.array_split(order, _GROUPS) if len(g)]
    brightness = [float(mean[used][group].mean()) for group in groups]
    measured = [float(square[used][group].mean()) for group in groups]
    floor = 1e-6 * max(max(measured), 1e-12)
    return [
        np.maximum(np.interp(fit.mean, brightness, measured), floor) for fit in fits
    ]


def _cell_deviations(stretch: Stretch, weight: Array, residual: Array) -> Array:
    """Mean residual of each cell over its standard deviation."""
    total = np.bincount(stretch.cell, weight)
    pull = np.bincount(stretch.cell, weight * residual)
    return np.asarray(pull / np.sqrt(np.where(total > 0, total, np.inf)))


def _scatter(stretches: Sequence[Stretch], fits: Sequence[StretchFit]) -> float:
    cells = []
    for stretch, fit in zip(stretches, fits):
        used = np.bincount(stretch.cell, stretch.weight) > 0
        cells.append(_cell_deviations(stretch, stretch.weight, fit.residual)[used])
    return float(np.concatenate(cells).std())


def _deviations(
    stretches: Sequence[Stretch], tangent: Array, geometry: RingGeometry, shape: Array
) -> tuple[dict[int, float], dict[int, float]]:
    """Shift of each ring that the pixels ask for, all else fixed.

    A ring in the wrong place is made of outlying cells: here they all count.
    """
    together: dict[tuple[int, ...], list[StretchFit]] = {}
    plain = _fits(stretches, tangent, geometry, shape)
    for stretch, variance in zip(stretches, _variances(stretches, plain)):
        stretch.weight = 1 / variance
        fit = fit_stretch(stretch, tangent, geometry, shape, by_ring=True)
        together.setdefault(tuple(stretch.rings.tolist()), []).append(fit)
    shifts, errors = {}, {}
    for rings, fits in together.items():
        bread = np.linalg.pinv(sum(fit.curvature for fit in fits), hermitian=True)
        score = np.array([fit.score for fit in fits])
        shift = bread @ score.sum(axis=0)
        variance = np.diagonal(bread @ (score.T @ score) @ bread)
        for k, ring in enumerate(rings):
            shifts[ring] = float(shift[k])
            errors[ring] = float(np.sqrt(max(variance[k], 0.0)))
    return shifts, errors
