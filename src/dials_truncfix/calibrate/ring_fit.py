"""Least squares of ring positions: centre, camera length and ellipse.

In polar cells of the current geometry every ring is nearly straight. Within a window
about a ring and in every sector, the cells are a background, which is a polynomial, and
the rings' profiles, with a height of their own in every sector: texture and grains do
not matter. These linear parameters are eliminated, and the shared ones are refined:
geometry, and the width and shape of the profiles. The cells are made again with the new
geometry until nothing moves.

References
----------
Golub, G. H. & Pereyra, V. (1973). SIAM J. Numer. Anal. 10, 413-432 (elimination of linear
parameters), doi:10.1137/0710036.
Liang, K.-Y. & Zeger, S. L. (1986). Biometrika 73, 13-22, equation 8 (covariance from the
scores of independent blocks), doi:10.1093/biomet/73.1.13.
Beaton, A. E. & Tukey, J. W. (1974). Technometrics 16, 147-185 (biweight),
doi:10.1080/00401706.1974.10489171.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from dials_truncfix.calibrate.cake import Cake, Pixels, make_cake
from dials_truncfix.calibrate.ellipse import strain_matrix

Array = npt.NDArray[np.float64]

#: Sectors of the cells; windows of weak rings join neighbours.
N_SECTORS = 72
_JOINS = (1, 2, 3, 4, 6)
#: Height over its standard deviation that a ring shall have in a sector.
_TELLING = 4.0
#: Of a ring that counts, over all sectors.
_SIGNIFICANT = 6.0
#: Part of its circumference on which a ring has to be seen.
_LEAST_ARC = 0.3
#: Half width of a window, in widths of the ring and at least in pixels.
_WINDOW_WIDTHS, _WINDOW_PIXELS = 4.5, 6.0
_BIWEIGHT = 4.685
_MAD_TO_SD = 1.4826
#: Darker than this part of the ring's median, a cell lies in a shadow.
_SHADOW = 0.5
_PASSES = 10
#: Shift that ends the passes, pixels.
_CONVERGED = 0.01
#: Positions of the parameters.
_X, _Y, _LENGTH, _P, _Q, _WIDTH, _SPREAD, _SHAPE = range(8)
GEOMETRY = slice(_X, _Q + 1)


@dataclass(frozen=True)
class RingGeometry:
    """Where rings lie.

    Attributes
    ----------
    centre : tuple of float
        Beam on the panel (fast, slow), mm from its corner.
    distance : float
        Camera length, mm.
    strain : tuple of float
        (p, q) of the ellipse; see `ellipse`.
    """

    centre: tuple[float, float]
    distance: float
    strain: tuple[float, float]

    @property
    def undo(self) -> Array:
        """Inverse of the magnification matrix."""
        return strain_matrix(-self.strain[0], -self.strain[1])


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
    n_blocks : int
        Stretches of rings that were used.
    scatter : float
        Standard deviation of the residuals over the one expected from the pixels.
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
    n_blocks: int
    scatter: float
    converged: bool


@dataclass
class _Window:
    """Cells about one ring or several that overlap."""

    rings: npt.NDArray[np.int64]
    radius: Array
    value: Array
    #: 1/σ², and the same with outlying cells counting less.
    full_weight: Array
    weight: Array
    azimuth: Array
    polynomial: Array


def fit_rings(
    pixels: Pixels, tan_two_theta: Array, start: RingGeometry, width: float
) -> RingFit:
    """Refine a geometry.

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
    RingFit

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
        rings = _on_image(pixels, tan_two_theta, geometry, rings)
        windows = _make_windows(pixels, tan_two_theta, geometry, rings, shape, joins)
        parameters = np.concatenate([np.zeros(3), geometry.strain, shape])
        solution = _solve(windows, tan_two_theta, geometry, parameters)
        heights, errors = _heights(windows, tan_two_theta, geometry, solution)
        significance = _significance(heights, errors, len(tan_two_theta))
        moved = _largest_shift(pixels, geometry, solution, tan_two_theta, rings)
        geometry, shape = _updated(geometry, solution), solution[_WIDTH:]
        new_joins = _joins(heights, errors, len(tan_two_theta))
        kept = rings[significance[rings] > _SIGNIFICANT]
        if len(kept) < 2:
            raise ValueError(
                f"{len(kept)} ring of the standard stands out from the noise, and two "
                "at least are needed"
            )
        same = len(kept) == len(rings) and np.array_equal(joins, new_joins)
        rings, joins = kept, new_joins if number < _PASSES // 2 else joins
        if number > 0 and moved < _CONVERGED * pixels.size and same:
            converged = True
            break
    return _finish(pixels, windows, tan_two_theta, geometry, shape, significance,
                   rings, converged)  # fmt: skip


def _on_image(
    pixels: Pixels,
    tangent: Array,
    geometry: RingGeometry,
    rings: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Rings of which enough lies on the image."""
    far = np.hypot(pixels.x - geometry.centre[0], pixels.y - geometry.centre[1])
    step = 4 * pixels.size
    count = np.bincount((far / step).astype(int))
    radius = geometry.distance * tangent[rings]
    place = np.minimum((radius / step).astype(int), len(count) - 1)
    whole = 2 * np.pi * radius * step / pixels.size**2
    seen = (radius / step < len(count)) & (count[place] > _LEAST_ARC * whole)
    return rings[seen & (radius > _WINDOW_PIXELS * pixels.size)]


def _widths(shape: Array, radius: Array) -> Array:
    """Standard deviation of the profile at a radius: constant and proportional part."""
    return np.hypot(np.exp(shape[0]), shape[1] * radius)


def _make_windows(
    pixels: Pixels,
    tangent: Array,
    geometry: RingGeometry,
    rings: npt.NDArray[np.int64],
    shape: Array,
    joins: npt.NDArray[np.int64],
) -> list[_Window]:
    """Cut a cake into windows about the rings."""
    radius = geometry.distance * tangent[rings]
    if not len(radius):
        raise ValueError("no ring of the standard lies on the image")
    half = np.maximum(
        _WINDOW_WIDTHS * _widths(shape, radius), _WINDOW_PIXELS * pixels.size
    )
    low, high = np.maximum(radius - half, 0.0), radius + half
    cake = make_cake(
        pixels,
        geometry.centre,
        geometry.undo,
        radius_range=(float(low.min()), float(high.max())),
        step=pixels.size,
        n_sectors=N_SECTORS,
    )
    weight = _cell_weights(cake)
    windows = []
    for members in _overlapping(low, high):
        first = int((low[members[0]] - low.min()) / pixels.size)
        last = int(np.ceil((high[members].max() - low.min()) / pixels.size))
        part = slice(first, min(last, cake.mean.shape[1]))
        join = int(joins[rings[members]].max())
        window = _joined(cake, weight, part, join)
        middle = window.radius.mean()
        scaled = (window.radius - middle) / np.ptp(window.radius)
        degree = min(len(members), 4)
        window.polynomial = scaled[..., None] ** np.arange(degree + 1)
        window.rings = rings[members]
        enough = (window.weight > 0).sum(axis=1) > 2 * (degree + 1 + len(members))
        if enough.any():
            windows.append(_rows(window, enough))
    if not windows:
        raise ValueError("no ring of the standard is seen by enough pixels")
    return windows


def _rows(window: _Window, keep: npt.NDArray[np.bool_]) -> _Window:
    return replace(
        window,
        **{
            name: getattr(window, name)[keep]
            for name in (
                "radius",
                "value",
                "full_weight",
                "weight",
                "azimuth",
                "polynomial",
            )
        },
    )


def _cell_weights(cake: Cake) -> Array:
    """1/σ² of cells; 0 for empty ones and those in or beside a shadow."""
    weight = np.where(np.isfinite(cake.error), cake.error, np.inf) ** -2.0
    known = np.where(weight > 0, cake.mean, np.nan)
    some = np.isfinite(known).any(axis=0)
    median = np.full(known.shape[1], np.nan)
    median[some] = np.nanmedian(known[:, some], axis=0)
    noise = np.where(np.isfinite(cake.error), cake.error, 0.0)
    dark = (known < _SHADOW * median) & (median - known > 3 * noise)
    for step in (-1, 1):
        dark |= np.roll(dark, step, axis=0)
    return np.where(dark, 0.0, weight)


def _overlapping(low: Array, high: Array) -> list[list[int]]:
    """Group windows that overlap; they are in rising order."""
    groups = [[0]]
    for k in range(1, len(low)):
        if low[k] < high[groups[-1]].max():
            groups[-1].append(k)
        else:
            groups.append([k])
    return groups


def _joined(cake: Cake, weight: Array, part: slice, join: int) -> _Window:
    """Cells of a window, those of neighbouring sectors joined."""

    def stacked(values: Array) -> Array:
        return values[:, part].reshape(len(values) // join, join, -1)

    w = stacked(weight)
    total = w.sum(axis=1)
    safe = np.where(total > 0, total, 1.0)
    value = (w * stacked(cake.mean)).sum(axis=1) / safe
    radius = (w * stacked(cake.radius)).sum(axis=1) / safe
    radius = np.where(total > 0, radius, stacked(cake.radius).mean(axis=1))
    azimuth = cake.azimuth.reshape(-1, join).mean(axis=1)
    empty = np.zeros(0)
    return _Window(
        empty.astype(np.int64), radius, value, total, total, azimuth, empty
    )


def _positions(
    parameters: Array, geometry: RingGeometry, tangent: Array, azimuth: Array
) -> Array:
    """Radius of rings in the polar cells of a geometry, to first order.

    Returns
    -------
    ndarray, shape (n_sectors, n_rings)
        mm.
    """
    p, q = parameters[_P : _Q + 1]
    relative = geometry.undo @ strain_matrix(p, q)
    direction = np.stack([np.cos(azimuth), np.sin(azimuth)])
    stretch = np.linalg.norm(relative @ direction, axis=0)
    offset = direction.T @ (geometry.undo @ parameters[_X : _Y + 1])
    length = geometry.distance * np.exp(parameters[_LENGTH])
    return np.asarray(length * stretch[:, None] * tangent + offset[:, None])


def _profiles(
    window: _Window, tangent: Array, geometry: RingGeometry, parameters: Array
) -> Array:
    """Pseudo-Voigt profiles of unit height, shape (n_sectors, n_bins, n_rings)."""
    place = _positions(parameters, geometry, tangent[window.rings], window.azimuth)
    width = _widths(parameters[_WIDTH:], geometry.distance * tangent[window.rings])
    square = ((window.radius[..., None] - place[:, None, :]) / width) ** 2
    mixing = parameters[_SHAPE]
    # both parts have the same width at half height
    lorentzian = 1.0 / (1.0 + square / (2 * np.log(2)))
    return np.asarray((1 - mixing) * np.exp(-0.5 * square) + mixing * lorentzian)


def _basis(
    window: _Window, tangent: Array, geometry: RingGeometry, parameters: Array
) -> Array:
    """Weighted profiles and polynomial, shape (n_sectors, n_bins, n_linear)."""
    profiles = _profiles(window, tangent, geometry, parameters)
    basis = np.concatenate([profiles, window.polynomial], axis=2)
    return np.asarray(basis * np.sqrt(window.weight)[..., None])


def _projected(
    windows: Sequence[_Window],
    tangent: Array,
    geometry: RingGeometry,
    parameters: Array,
) -> list[Array]:
    """Weighted residuals after the best linear parameters, window by window."""
    result = []
    for window in windows:
        q, _ = np.linalg.qr(_basis(window, tangent, geometry, parameters))
        y = (np.sqrt(window.weight) * window.value)[..., None]
        result.append((y - q @ (np.swapaxes(q, 1, 2) @ y))[..., 0])
    return result


def _solve(
    windows: list[_Window], tangent: Array, geometry: RingGeometry, start: Array
) -> Array:
    """Refine the shared parameters, outlying cells with less weight each time."""
    parameters = start
    n_rings = sum(len(window.rings) for window in windows)
    lower = np.full(8, -np.inf)
    upper = np.full(8, np.inf)
    lower[_WIDTH], upper[_WIDTH] = start[_WIDTH] - 1.5, start[_WIDTH] + 1.5
    lower[_SPREAD:], upper[_SPREAD:] = 0.0, (0.1, 1.0)
    # a width that grows with the radius needs several radii to be seen
    free = np.arange(8) if n_rings > 2 else np.delete(np.arange(8), _SPREAD)
    # the pull of one step of each parameter on the positions is alike
    reach = max(float(window.radius.max()) for window in windows)
    scale = np.array([1.0, 1.0, 1 / reach, 1 / reach, 1 / reach, 1.0, 1 / reach, 1.0])

    def residuals(values: Array) -> Array:
        full = parameters.copy()
        full[free] = values
        return np.concatenate(
            [r.ravel() for r in _projected(windows, tangent, geometry, full)]
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
        unweighted = _projected(windows, tangent, geometry, parameters)
        sd = _robust_sd(windows, unweighted)
        for window, residual in zip(windows, unweighted):
            t = np.clip(np.abs(residual) / (_BIWEIGHT * sd), 0.0, 1.0)
            window.weight = window.full_weight * (1 - t**2) ** 2
    return parameters


def _robust_sd(windows: Sequence[_Window], residuals: Sequence[Array]) -> float:
    """Standard deviation of weighted residuals, by their median."""
    used = np.concatenate([r[w.weight > 0] for w, r in zip(windows, residuals)])
    return max(_MAD_TO_SD * float(np.median(np.abs(used))), 1e-12)


def _heights(
    windows: Sequence[_Window],
    tangent: Array,
    geometry: RingGeometry,
    parameters: Array,
) -> tuple[dict[int, Array], dict[int, Array]]:
    """Height of each ring in each sector, with its standard deviation (ADU)."""
    heights, errors = {}, {}
    for window in windows:
        basis = _basis(window, tangent, geometry, parameters)
        y = (np.sqrt(window.weight) * window.value)[..., None]
        inverse = np.linalg.pinv(np.swapaxes(basis, 1, 2) @ basis)
        linear = (inverse @ (np.swapaxes(basis, 1, 2) @ y))[..., 0]
        spread = np.sqrt(np.maximum(np.diagonal(inverse, axis1=1, axis2=2), 0.0))
        for k, ring in enumerate(window.rings):
            heights[int(ring)] = linear[:, k]
            errors[int(ring)] = np.maximum(spread[:, k], 1e-12)
    return heights, errors


def _significance(
    heights: dict[int, Array], errors: dict[int, Array], n: int
) -> Array:
    """Weighted mean height of each ring over its standard deviation."""
    result = np.zeros(n)
    for ring, height in heights.items():
        weight = errors[ring] ** -2.0
        result[ring] = np.sum(weight * height) / np.sqrt(np.sum(weight))
    return result


def _joins(
    heights: dict[int, Array], errors: dict[int, Array], n: int
) -> npt.NDArray[np.int64]:
    """How many sectors to join so that rings stand out in each."""
    result = np.full(n, _JOINS[-1])
    for ring, height in heights.items():
        # per sector of the cake, whatever was joined this time
        typical = np.median(height / errors[ring]) * np.sqrt(len(height) / N_SECTORS)
        enough = [join for join in _JOINS if typical * np.sqrt(join) > _TELLING]
        result[ring] = enough[0] if enough else _JOINS[-1]
    return result


def _updated(geometry: RingGeometry, parameters: Array) -> RingGeometry:
    return RingGeometry(
        centre=(
            geometry.centre[0] + float(parameters[_X]),
            geometry.centre[1] + float(parameters[_Y]),
        ),
        distance=geometry.distance * float(np.exp(parameters[_LENGTH])),
        strain=(float(parameters[_P]), float(parameters[_Q])),
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
    before = _positions(still, geometry, tangent[rings], azimuth)
    after = _positions(parameters, geometry, tangent[rings], azimuth)
    return float(np.abs(after - before).max())


def _finish(
    pixels: Pixels,
    windows: list[_Window],
    tangent: Array,
    geometry: RingGeometry,
    shape: Array,
    significance: Array,
    rings: npt.NDArray[np.int64],
    converged: bool,
) -> RingFit:
    """Uncertainties, and the deviation of each ring."""
    parameters = np.concatenate([np.zeros(3), geometry.strain, shape])
    seen = np.concatenate([window.rings for window in windows])
    n_rings = len(seen)

    def residuals(values: Array) -> list[Array]:
        moved = tangent.copy()
        moved[seen] += values[8:] / geometry.distance
        return _projected(windows, moved, geometry, values[:8])

    at = np.concatenate([parameters, np.zeros(n_rings)])
    step = np.full(len(at), 1e-3 * pixels.size)
    step[[_LENGTH, _P, _Q, _SPREAD]] /= geometry.distance * tangent[seen].max()
    step[[_WIDTH, _SHAPE]] = 1e-3
    centre = residuals(at)
    derivative: list[list[Array]] = [[] for _ in windows]
    for k in range(len(at)):
        forward, backward = at.copy(), at.copy()
        forward[k] += step[k]
        backward[k] -= step[k]
        for store, high, low in zip(
            derivative, residuals(forward), residuals(backward)
        ):
            store.append((high - low) / (2 * step[k]))
    curvature = np.zeros((len(at), len(at)))
    scores = []
    for store, residual in zip(derivative, centre):
        jacobian = np.stack(store, axis=-1)
        curvature += np.einsum("sbi,sbj->ij", jacobian, jacobian)
        scores.append(np.einsum("sbi,sb->si", jacobian, residual))
    score = np.concatenate(scores)
    shared = slice(0, 8)
    bread = np.linalg.pinv(curvature[shared, shared], rcond=1e-14, hermitian=True)
    covariance = bread @ (score[:, shared].T @ score[:, shared]) @ bread
    inflation = _inflation(windows)
    covariance *= inflation**2 * len(score) / max(len(score) - 8, 1)
    deviation, deviation_error = _deviations(curvature[8:, 8:], score[:, 8:])
    used = [r[w.weight > 0] for w, r in zip(windows, centre)]
    order = [int(np.flatnonzero(seen == ring)[0]) for ring in rings]
    return RingFit(
        geometry=geometry,
        covariance=covariance[GEOMETRY, GEOMETRY],
        width=_widths(shape, geometry.distance * tangent[rings]),
        rings=rings,
        significance=significance[rings],
        deviation=deviation[order],
        deviation_error=inflation * deviation_error[order],
        n_blocks=len(score),
        scatter=float(np.concatenate(used).std()),
        converged=converged,
    )


def _inflation(windows: Sequence[_Window]) -> float:
    """Mean weight over mean slope of the influence function ψ = weight × residual.

    The curvature of a robust target is ψ', not the weight: for normal residuals the
    biweight makes uncertainties 1.2 times too small without this.
    """
    parts = []
    for window in windows:
        used = window.full_weight > 0
        parts.append(window.weight[used] / window.full_weight[used])
    weight = np.concatenate(parts)
    root = np.sqrt(weight)
    slope = np.where(weight > 0, root * (5 * root - 4), 0.0)
    return float(weight.mean() / max(slope.mean(), 0.1 * weight.mean()))


def _deviations(curvature: Array, score: Array) -> tuple[Array, Array]:
    """Shift of each ring that the residuals ask for, all else fixed."""
    bread = np.linalg.pinv(curvature, hermitian=True)
    # the residual falls where the ring moves towards the data
    shift = -bread @ score.sum(axis=0)
    covariance = bread @ (score.T @ score) @ bread
    return shift, np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
