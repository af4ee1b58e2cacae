"""Least squares of ring positions: centre, camera length and ellipse.

In polar cells of the current geometry every ring is nearly straight. Within a window
about a ring and in every sector, the cells are a background, which is a polynomial, and
the rings' profiles, with a height of their own in every sector: texture and grains do
not matter. These linear parameters are eliminated, and the shared ones are refined:
geometry, and the width and shape of the profiles. The cells are made again with the new
geometry until nothing moves. The last step is taken on pixels: see `ring_pixels`.

References
----------
Golub, G. H. & Pereyra, V. (1973). SIAM J. Numer. Anal. 10, 413-432 (elimination of linear
parameters), doi:10.1137/0710036.
Beaton, A. E. & Tukey, J. W. (1974). Technometrics 16, 147-185 (biweight),
doi:10.1080/00401706.1974.10489171.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from dials_truncfix.calibrate.rings.cake import Pixels
from dials_truncfix.calibrate.rings.ring_heights import (
    ring_heights,
    ring_significance,
    sectors_to_join,
)
from dials_truncfix.calibrate.rings.ring_model import (
    LENGTH,
    SPREAD,
    WIDTH,
    P,
    Q,
    RingGeometry,
    Window,
    X,
    Y,
    make_windows,
    on_image,
    positions,
    projected,
    widths,
)
from dials_truncfix.calibrate.rings.ring_pixels import refine_on_pixels
from dials_truncfix.correction.medians import MAD_TO_SD

Array = npt.NDArray[np.float64]

#: Height over its standard deviation of a ring that counts, over all sectors.
_SIGNIFICANT = 6.0
_BIWEIGHT = 4.685
_PASSES = 10
#: Shift that ends the passes, pixels; the last step is that on pixels.
_CONVERGED = 0.05


@dataclass(frozen=True)
class RingFit:
    """Outcome of a fit.

    Attributes
    ----------
    geometry : RingGeometry
        Refined.
    covariance : ndarray, shape (5, 5)
        Of centre x and y (mm), the logarithm of the camera length, p and q.
    width : ndarray, shape (n,)
        Standard deviation of the profile of each ring, mm.
    rings : ndarray of int, shape (n,)
        Which rings of the standard were seen.
    significance : ndarray, shape (n,)
        Their heights over standard deviations.
    deviation, deviation_error : ndarray, shape (n,)
        Radius of each ring minus that of the model, and its standard uncertainty, mm.
    n_stretches : int
        Stretches of rings that were used.
    scatter : float
        Standard deviation of cells over the one expected from their pixels.
    converged : bool
        Whether the last pass moved nothing.
    """

    geometry: RingGeometry
    covariance: Array
    width: Array
    rings: npt.NDArray[np.int64]
    significance: Array
    deviation: Array
    deviation_error: Array
    n_stretches: int
    scatter: float
    converged: bool


@dataclass(frozen=True)
class CellFit:
    """Outcome of the fit of cells.

    Attributes
    ----------
    geometry : RingGeometry
        Refined.
    shape : ndarray, shape (3,)
        Parameters of the profiles.
    rings : ndarray of int, shape (n,)
        Which rings of the standard were seen.
    significance : ndarray, shape (n,)
        Their heights over standard deviations.
    windows : list of Window
        The last cells.
    frame : RingGeometry
        In whose polar coordinates they lie.
    converged : bool
        Whether the last pass moved nothing.
    """

    geometry: RingGeometry
    shape: Array
    rings: npt.NDArray[np.int64]
    significance: Array
    windows: list[Window]
    frame: RingGeometry
    converged: bool


def fit_rings(
    pixels: Pixels, tan_two_theta: Array, start: RingGeometry, width: float
) -> RingFit:
    """Refine a geometry, on cells and then on pixels.

    Parameters
    ----------
    pixels, tan_two_theta, start, width
        As for `fit_cells`.

    Returns
    -------
    RingFit

    Raises
    ------
    ValueError
        If fewer than two rings stand out, or they are too weak.
    """
    cells = fit_cells(pixels, tan_two_theta, start, width)
    last = refine_on_pixels(
        pixels,
        cells.windows,
        cells.frame,
        tan_two_theta,
        cells.geometry,
        cells.shape,
    )
    radius = last.geometry.distance * tan_two_theta[cells.rings]
    return RingFit(
        geometry=last.geometry,
        covariance=last.covariance,
        width=widths(cells.shape, radius),
        rings=cells.rings,
        significance=cells.significance,
        deviation=np.array([last.deviation[int(k)] for k in cells.rings]),
        deviation_error=np.array([last.deviation_error[int(k)] for k in cells.rings]),
        n_stretches=last.n_stretches,
        scatter=last.scatter,
        converged=cells.converged and last.converged,
    )


def fit_cells(
    pixels: Pixels, tan_two_theta: Array, start: RingGeometry, width: float
) -> CellFit:
    """Refine a geometry on polar cells, outlying ones with less weight.

    Parameters
    ----------
    pixels : Pixels
        The image.
    tan_two_theta : ndarray, shape (n,)
        Radius of each ring over the camera length, rising.
    start : RingGeometry
        Within a few widths of the rings of the truth.
    width : float
        Standard deviation of the profiles to start from, mm.

    Returns
    -------
    CellFit

    Raises
    ------
    ValueError
        If fewer than two rings stand out, as one alone does not tell more than a
        camera length.
    """
    geometry, shape = start, np.array([np.log(width), 0.0, 0.2])
    rings = np.arange(len(tan_two_theta))
    converged, joins = False, np.ones(len(rings), dtype=int)
    for number in range(_PASSES):
        rings = on_image(pixels, tan_two_theta, geometry, rings)
        windows = make_windows(pixels, tan_two_theta, geometry, rings, shape, joins)
        parameters = np.concatenate([np.zeros(3), geometry.strain, shape])
        solution = _solve(windows, tan_two_theta, geometry, parameters)
        heights, errors = ring_heights(windows, tan_two_theta, geometry, solution)
        significance = ring_significance(heights, errors, len(tan_two_theta))
        moved = _largest_shift(pixels, geometry, solution, tan_two_theta, rings)
        frame, shape = geometry, solution[WIDTH:]
        geometry = _updated(geometry, solution)
        new_joins = sectors_to_join(heights, errors, len(tan_two_theta))
        kept = rings[significance[rings] > _SIGNIFICANT]
        if len(kept) < 2:
            raise ValueError(
                "fewer than two rings of the standard stand out from the noise"
            )
        same = len(kept) == len(rings) and np.array_equal(joins, new_joins)
        rings, joins = kept, new_joins if number < _PASSES // 2 else joins
        if number > 0 and moved < _CONVERGED * pixels.size and same:
            converged = True
            break
    return CellFit(
        geometry, shape, rings, significance[rings], windows, frame, converged
    )


def _solve(
    windows: list[Window], tangent: Array, geometry: RingGeometry, start: Array
) -> Array:
    """Refine the shared parameters, outlying cells with less weight each time."""
    parameters = start
    n_rings = sum(len(window.rings) for window in windows)
    lower = np.full(8, -np.inf)
    upper = np.full(8, np.inf)
    lower[WIDTH], upper[WIDTH] = start[WIDTH] - 1.5, start[WIDTH] + 1.5
    lower[SPREAD:], upper[SPREAD:] = 0.0, (0.1, 1.0)
    # a width that grows with the radius needs several radii to be seen
    free = np.arange(8) if n_rings > 2 else np.delete(np.arange(8), SPREAD)
    # the pull of one step of each parameter on the positions is alike
    reach = max(float(window.radius.max()) for window in windows)
    scale = np.array([1.0, 1.0, 1 / reach, 1 / reach, 1 / reach, 1.0, 1 / reach, 1.0])

    def residuals(values: Array) -> Array:
        full = parameters.copy()
        full[free] = values
        return np.concatenate(
            [r.ravel() for r in projected(windows, tangent, geometry, full)]
        )

    for _ in range(3):
        first = np.clip(parameters[free], lower[free] + 1e-6, upper[free] - 1e-6)
        solution = least_squares(
            residuals,
            first,
            bounds=(lower[free], upper[free]),
            x_scale=scale[free],
            xtol=1e-9,
            ftol=1e-9,
            max_nfev=15,
        )
        parameters = parameters.copy()
        parameters[free] = solution.x
        for window in windows:
            window.weight = window.full_weight
        unweighted = projected(windows, tangent, geometry, parameters)
        sd = _robust_sd(windows, unweighted)
        for window, residual in zip(windows, unweighted):
            t = np.clip(np.abs(residual) / (_BIWEIGHT * sd), 0.0, 1.0)
            window.weight = window.full_weight * (1 - t**2) ** 2
    return parameters


def _robust_sd(windows: Sequence[Window], residuals: Sequence[Array]) -> float:
    """Estimate the standard deviation of weighted residuals by their median."""
    used = np.concatenate([r[w.weight > 0] for w, r in zip(windows, residuals)])
    return max(MAD_TO_SD * float(np.median(np.abs(used))), 1e-12)


def _updated(geometry: RingGeometry, parameters: Array) -> RingGeometry:
    return RingGeometry(
        centre=(
            geometry.centre[0] + float(parameters[X]),
            geometry.centre[1] + float(parameters[Y]),
        ),
        distance=geometry.distance * float(np.exp(parameters[LENGTH])),
        strain=(float(parameters[P]), float(parameters[Q])),
    )


def _largest_shift(
    pixels: Pixels,
    geometry: RingGeometry,
    parameters: Array,
    tangent: Array,
    rings: npt.NDArray[np.int64],
) -> float:
    """How far any place of any ring moves, mm."""
    azimuth = np.linspace(0, 2 * np.pi, 24)
    still = np.concatenate([np.zeros(3), geometry.strain])
    before = positions(still, geometry, tangent[rings], azimuth)
    after = positions(parameters, geometry, tangent[rings], azimuth)
    return float(np.abs(after - before).max())
