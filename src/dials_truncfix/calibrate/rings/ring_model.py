"""Rings in polar cells: windows about them, and the profiles expected there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dials_truncfix.calibrate.ellipse import strain_matrix
from dials_truncfix.calibrate.rings.cake import Cake, Pixels, make_cake

Array = npt.NDArray[np.float64]

#: Sectors of the cells; windows of weak rings join neighbours.
N_SECTORS = 72
#: Part of its circumference on which a ring has to be seen.
_LEAST_ARC = 0.3
#: Half width of a window, in widths of the ring and at least in pixels.
_WINDOW_WIDTHS, _WINDOW_PIXELS = 4.5, 6.0
#: Darker than this part of the ring's median, a cell lies in a shadow.
_SHADOW = 0.5
#: Positions of the shared parameters: shift of the centre (mm), logarithm of the ratio of
#: camera lengths, strain; logarithm of the constant width (mm), proportional width, and
#: part of the Lorentzian in the profile.
X, Y, LENGTH, P, Q, WIDTH, SPREAD, SHAPE = range(8)


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


@dataclass
class Window:
    """Cells about one ring or several that overlap."""

    rings: npt.NDArray[np.int64]
    radius: Array
    value: Array
    #: 1/σ², and the same with outlying cells counting less.
    full_weight: Array
    weight: Array
    azimuth: Array
    polynomial: Array
    #: Radius at which the first cell begins, mm; how many sectors are joined.
    low: float
    join: int
    #: Joined sectors that are used, and which cells are not in a shadow.
    rows: npt.NDArray[np.int64]
    clear: npt.NDArray[np.bool_]


def on_image(
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
    return np.asarray(rings[seen & (radius > _WINDOW_PIXELS * pixels.size)])


def widths(shape: Array, radius: Array) -> Array:
    """Width of the profile at a radius: constant and proportional part."""
    return np.asarray(np.hypot(np.exp(shape[0]), shape[1] * radius))


def make_windows(
    pixels: Pixels,
    tangent: Array,
    geometry: RingGeometry,
    rings: npt.NDArray[np.int64],
    shape: Array,
    joins: npt.NDArray[np.int64],
) -> list[Window]:
    """Cut a cake into windows about the rings."""
    radius = geometry.distance * tangent[rings]
    if not len(radius):
        raise ValueError("no ring of the standard lies on the image")
    half = np.maximum(
        _WINDOW_WIDTHS * widths(shape, radius), _WINDOW_PIXELS * pixels.size
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
        window.low = float(low.min()) + first * pixels.size
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


def _rows(window: Window, keep: npt.NDArray[np.bool_]) -> Window:
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
                "rows",
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


def _joined(cake: Cake, weight: Array, part: slice, join: int) -> Window:
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
    return Window(
        rings=empty.astype(np.int64),
        radius=radius,
        value=value,
        full_weight=total,
        weight=total,
        azimuth=azimuth,
        polynomial=empty,
        low=0.0,
        join=join,
        rows=np.arange(len(azimuth)),
        clear=weight[:, part] > 0,
    )


def positions(
    parameters: Array, geometry: RingGeometry, tangent: Array, azimuth: Array
) -> Array:
    """Radius of rings in the polar cells of a geometry, to first order.

    Returns
    -------
    ndarray, shape (n_sectors, n_rings)
        mm.
    """
    p, q = parameters[P : Q + 1]
    relative = geometry.undo @ strain_matrix(p, q)
    direction = np.stack([np.cos(azimuth), np.sin(azimuth)])
    stretch = np.linalg.norm(relative @ direction, axis=0)
    offset = direction.T @ (geometry.undo @ parameters[X : Y + 1])
    length = geometry.distance * np.exp(parameters[LENGTH])
    return np.asarray(length * stretch[:, None] * tangent + offset[:, None])


def _profiles(
    window: Window, tangent: Array, geometry: RingGeometry, parameters: Array
) -> Array:
    """Pseudo-Voigt profiles of unit height, shape (n_sectors, n_bins, n_rings)."""
    place = positions(parameters, geometry, tangent[window.rings], window.azimuth)
    width = widths(parameters[WIDTH:], geometry.distance * tangent[window.rings])
    z = (window.radius[..., None] - place[:, None, :]) / width
    return pseudo_voigt(z, float(parameters[SHAPE]))


def pseudo_voigt(z: Array, mixing: float) -> Array:
    """Profile of unit height at z widths; both parts have the same half height."""
    square = z * z
    lorentzian = 1.0 / (1.0 + square / (2 * np.log(2)))
    return np.asarray((1 - mixing) * np.exp(-0.5 * square) + mixing * lorentzian)


def pseudo_voigt_slope(z: Array, mixing: float) -> Array:
    """Its derivative by z."""
    square = z * z
    lorentzian = 1.0 / (1.0 + square / (2 * np.log(2)))
    gaussian = -z * np.exp(-0.5 * square)
    return np.asarray((1 - mixing) * gaussian - mixing * z / np.log(2) * lorentzian**2)


def basis(
    window: Window, tangent: Array, geometry: RingGeometry, parameters: Array
) -> Array:
    """Weighted profiles and polynomial, shape (n_sectors, n_bins, n_linear)."""
    profiles = _profiles(window, tangent, geometry, parameters)
    basis = np.concatenate([profiles, window.polynomial], axis=2)
    return np.asarray(basis * np.sqrt(window.weight)[..., None])


def projected(
    windows: Sequence[Window],
    tangent: Array,
    geometry: RingGeometry,
    parameters: Array,
) -> list[Array]:
    """Weighted residuals after the best linear parameters, window by window."""
    result = []
    for window in windows:
        q, _ = np.linalg.qr(basis(window, tangent, geometry, parameters))
        y = (np.sqrt(window.weight) * window.value)[..., None]
        result.append((y - q @ (np.swapaxes(q, 1, 2) @ y))[..., 0])
    return result
