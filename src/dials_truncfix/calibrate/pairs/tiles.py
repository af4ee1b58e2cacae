"""Local displacements between two images that nearly lie on each other, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Cubic splines carry frequencies up to here from one image to the other, 1/pixel.
_HIGHEST = 0.35
#: Coherence of a ring of frequencies counts when chance makes it so rarely, in standard
#: deviations; and is never taken for more than this.
_COHERENT, _MOST_COHERENT = 3.0, 0.98
#: Part of a tile's width over which it fades at each edge.
_FADE = 0.25
_NEWTON_STEPS = 4


@dataclass(frozen=True)
class TileShifts:
    """What tiles say.

    Attributes
    ----------
    places : ndarray, shape (n, 2)
        Middles of the tiles in the first image (fast, slow), pixels.
    shifts : ndarray, shape (n, 2)
        Of the second image's content against the first one's (fast, slow), pixels.
    coefficients : ndarray, shape (n,)
        Correlation coefficient at that shift, of the frequencies as weighted.
    weights : ndarray, shape (n,)
        Relative inverse variances, from the sharpness of the peaks.
    spectral_weights : ndarray, shape (m,)
        What `tile_shifts` takes the next time: a factor for each ring of frequencies.
    """

    places: Array
    shifts: Array
    coefficients: Array
    weights: Array
    spectral_weights: Array


def tile_grid(shape: tuple[int, int], side: int) -> Array:
    """Corners (slow, fast) of tiles side by side, in the middle of an image.

    Returns
    -------
    ndarray of int, shape (n, 2)
    """
    starts = []
    for n in shape:
        count = n // side
        starts.append((n - count * side) // 2 + side * np.arange(count))
    grid = np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1)
    return np.asarray(grid.reshape(-1, 2))


def tile_shifts(
    first: Array,
    second: Array,
    valid: BoolArray,
    side: int,
    reach: float,
    spectral_weights: Array | None = None,
) -> TileShifts:
    """Measure the shift of every tile that both images cover.

    Parameters
    ----------
    first, second : ndarray, shape (slow, fast)
        Without slow variation.
    valid : ndarray, shape (slow, fast), bool
        Pixels that both have.
    side : int
        Of a tile, pixels.
    reach : float
        Largest shift, pixels; up to a quarter of a tile.
    spectral_weights : ndarray, shape (m,), optional
        From an earlier call with tiles of this side.

    Returns
    -------
    TileShifts
        Tiles without contrast are left out.

    References
    ----------
    Knapp, C. H. & Carter, G. C. (1976). IEEE Trans. Acoust. Speech Signal Process. 24,
    320-327, doi:10.1109/TASSP.1976.1162830, equation 23: frequencies are weighted by their
    coherence for the least variance.
    """
    corners = tile_grid((first.shape[0], first.shape[1]), side)
    steps = np.arange(side)
    rows = corners[:, 0, None, None] + steps[:, None]
    columns = corners[:, 1, None, None] + steps
    covered = valid[rows, columns].all(axis=(1, 2))
    rows, columns, corners = rows[covered], columns[covered], corners[covered]
    fade = _window(side)
    frequency = fft.fftfreq(side)
    low = np.abs(frequency) < _HIGHEST
    frequency = frequency[low]
    ring = np.rint(side * np.hypot(frequency[:, None], frequency)).astype(int)
    if spectral_weights is None:
        spectral_weights = np.exp(
            -((2 * np.pi * np.arange(ring.max() + 1) / side) ** 2)
        )
    parts = []
    for image in (first, second):
        tiles = image[rows, columns]
        tiles = tiles - np.mean(tiles, axis=(1, 2), keepdims=True)
        parts.append(fft.fft2(tiles * fade)[:, low][:, :, low])
    powers = [np.abs(part) ** 2 for part in parts]
    weight = spectral_weights[ring]
    norm = np.sqrt(np.prod([np.sum(weight * p, axis=(1, 2)) for p in powers], axis=0))
    usable = norm > 1e-9 * max(float(norm.max(initial=0.0)), 1e-300)
    cross = (np.conj(parts[0]) * parts[1])[usable]
    wave = 2 * np.pi * frequency
    shifts, value, bend = _peaks(weight * cross, wave, side, reach)
    coefficient = value / norm[usable]
    good = (coefficient > 0) & (bend > 0)
    middles = corners[usable][:, ::-1] + side / 2
    return TileShifts(
        middles[good],
        shifts[good],
        coefficient[good],
        bend[good],
        _coherence_weights(
            cross[good],
            [power[usable][good] for power in powers],
            wave,
            shifts[good],
            coefficient[good],
            ring,
        ),
    )


def _coherence_weights(
    cross: Array,
    powers: list[Array],
    wave: Array,
    shifts: Array,
    coefficients: Array,
    ring: npt.NDArray[np.int64],
) -> Array:
    """Weights of cross spectra by the coherence of rings of frequencies."""
    n_rings = int(ring.max()) + 1
    if not len(cross):
        return np.ones(n_rings)
    # tiles that found no peak would make all look incoherent
    sound = coefficients >= np.median(coefficients)
    u, v = shifts[sound].T
    phase = np.exp(1j * (v[:, None, None] * wave[:, None] + u[:, None, None] * wave))
    sums = [
        np.bincount(ring.ravel(), values.sum(axis=0).ravel(), n_rings)
        for values in (
            (cross[sound] * phase).real,
            powers[0][sound],
            powers[1][sound],
        )
    ]
    count = np.bincount(ring.ravel(), minlength=n_rings) * int(sound.sum()) / 2
    both = np.sqrt(np.maximum(sums[1] * sums[2], 1e-300))
    coherence = np.clip(sums[0] / both, 0.0, _MOST_COHERENT)
    known = coherence > _COHERENT / np.sqrt(count)
    if not known.any():
        return np.ones(n_rings)
    weights = np.where(known, coherence / (both * (1 - coherence**2)), 0.0)
    return np.asarray(weights / weights.max())


def _window(side: int) -> Array:
    edge = max(1, int(_FADE * side))
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    window = np.ones(side)
    window[:edge], window[-edge:] = ramp, ramp[::-1]
    return np.outer(window, window)


def _peaks(
    cross: Array, frequency: Array, side: int, reach: float
) -> tuple[Array, Array, Array]:
    """Tops of the correlations whose spectra are given.

    Returns
    -------
    shifts : ndarray, shape (n, 2)
        (fast, slow), pixels.
    coefficient : ndarray, shape (n,)
    bend : ndarray, shape (n,)
        Mean of the two curvatures at the top, pixels⁻².
    """
    limit = min(int(np.ceil(reach)), side // 4)
    lag = np.arange(-limit, limit + 1)
    phase = np.exp(1j * np.outer(lag, frequency))
    grid = (phase @ cross @ phase.T).real
    best = grid.reshape(len(cross), -1).argmax(axis=1)
    down, right = np.divmod(best, len(lag))
    inside = (np.minimum(down, right) > 0) & (np.maximum(down, right) < 2 * limit)
    v, u = lag[down].astype(float), lag[right].astype(float)
    for _ in range(_NEWTON_STEPS):
        _, du, dv, duu, duv, dvv = _derivatives(cross, frequency, u, v)
        determinant = duu * dvv - duv**2
        peaked = (duu < 0) & (determinant > 0)
        safe = np.where(peaked, determinant, 1.0)
        step_u = np.where(peaked, -(dvv * du - duv * dv) / safe, 0.0)
        step_v = np.where(peaked, -(duu * dv - duv * du) / safe, 0.0)
        u, v = u + np.clip(step_u, -0.5, 0.5), v + np.clip(step_v, -0.5, 0.5)
    value, _, _, duu, duv, dvv = _derivatives(cross, frequency, u, v)
    peaked = (duu < 0) & (duu * dvv - duv**2 > 0) & inside
    bend = np.where(peaked, -(duu + dvv) / 2, 0.0)
    return np.column_stack([u, v]), value, bend


def _derivatives(
    cross: Array, frequency: Array, u: Array, v: Array
) -> tuple[Array, ...]:
    """Correlation at a shift of each tile, and its derivatives by fast and slow."""
    across = np.exp(1j * np.outer(u, frequency))
    along = np.exp(1j * np.outer(v, frequency))
    k = 1j * frequency

    def total(n: int, m: int) -> Array:
        return np.asarray(
            np.einsum(
                "nij,ni,nj->n", cross, along * k**m, across * k**n, optimize=True
            ).real
        )

    return total(0, 0), total(1, 0), total(0, 1), total(2, 0), total(1, 1), total(0, 2)
