"""Whether the background is the same all around the annuli, by an analysis of variance.

The zeros are counted, because spots hardly touch their number. Each annulus is divided
into sectors and each sector into parts. Where the background is uniform, the numbers
of zeros of the sectors scatter no more than those of the parts within a sector do.
Spots and noise that neighbouring pixels share make both scatter alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from dials_truncfix.correction.regions.lattice import azimuth_bins
from dials_truncfix.correction.regions.radial_grid import N_NODES, RadialGrid

IntArray = npt.NDArray[np.integer[Any]]
Array = npt.NDArray[np.float64]

N_SECTORS = 16
_PARTS = 4
# Every second or third row and column of large images is enough.
_ENOUGH_PIXELS = 1 << 18
# A part says something where its zeros scatter by at least this many counts squared.
_SMALLEST_VARIANCE = 5.0
#: Uniform sweeps have a statistic less probable than this in any annulus so rarely.
SMALLEST_CHANCE = 1e-4
#: Larger errors of the local background than this are worth sectors, ADU.
WORTH_SECTORS = 0.02


@dataclass(frozen=True)
class AzimuthGrid:
    """
    Radius and azimuth of some pixels of all images of a sweep.

    Attributes
    ----------
    step : int
        Every so many rows and columns are used.
    code : ndarray, shape (n_slow, n_fast), uint16
        Node of the radial grid × number of parts + part of the turn.
    ring : ndarray, shape (n_nodes,), intp
        Annulus of each node.
    """

    step: int
    code: npt.NDArray[np.uint16]
    ring: npt.NDArray[np.intp]


@dataclass(frozen=True)
class ZeroCounts:
    """
    Zeros of an image around each annulus, and how many a uniform one would have.

    Attributes
    ----------
    n_pixels, n_zero : ndarray, shape (n_rings, n_parts), float64
        Pixels, and those recorded as zero.
    expected, variance : ndarray, shape (n_rings, n_parts), float64
        Mean and variance of the number of zeros, if the distribution of independent
        pixels depended on the radius only.
    n_one : ndarray, shape (n_rings,), float64
        Pixels recorded as 1.
    """

    n_pixels: Array
    n_zero: Array
    expected: Array
    variance: Array
    n_one: Array


@dataclass(frozen=True)
class Anisotropy:
    """
    How the background varies around one annulus.

    Attributes
    ----------
    statistic : float
        Variance between sectors over that within sectors, F; NaN where there are too
        few zeros to tell.
    chance : float
        Probability of such a statistic where the annulus is uniform.
    amplitude : float
        Of the variation of the mean, if it is a wave around the annulus, ADU.
    largest : float
        Largest deviation of a sector, ADU.
    error : float
        Amplitude of the error of the local background where zeros are drawn from the
        distribution of the whole annulus, ADU.
    advised : bool
        Whether the annulus is not uniform, and sectors would be worth while.
    """

    statistic: float
    chance: float
    amplitude: float
    largest: float
    error: float
    advised: bool


def azimuth_grid(
    grid: RadialGrid, edges: Array, centre: tuple[float, float]
) -> AzimuthGrid:
    """
    Prepare the counting.

    Parameters
    ----------
    grid : RadialGrid
        Grid of the sweep.
    edges : ndarray, shape (n_rings + 1,), float64
        Limits of the annuli.
    centre : tuple of float
        Where the direct beam meets the detector (slow, fast), pixels.

    Returns
    -------
    AzimuthGrid
    """
    node = grid.node
    step = max(int(np.sqrt(node.size / _ENOUGH_PIXELS)), 1)
    some = node[::step, ::step]
    middle = (centre[0] / step, centre[1] / step)
    n_parts = N_SECTORS * _PARTS
    n_slow, n_fast = some.shape
    code = some.astype(np.uint16) * np.uint16(n_parts)
    code += azimuth_bins((n_slow, n_fast), middle, n_parts)
    ring = np.searchsorted(edges[1:-1], grid.radius, side="right")
    return AzimuthGrid(step, code, ring)


def count_zeros(
    image: IntArray, labels: npt.NDArray[np.signedinteger[Any]], grid: AzimuthGrid
) -> ZeroCounts:
    """
    Count the zeros of an image around its annuli.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), integer
        Recorded values, ADU.
    labels : ndarray, shape (ny, nx), integer
        Region of each pixel; pixels with a negative label take no part.
    grid : AzimuthGrid
        Of the sweep.

    Returns
    -------
    ZeroCounts
    """
    some = (slice(None, None, grid.step),) * 2
    used = labels[some] >= 0
    code, values = grid.code[used], image[some][used]
    n_parts = N_SECTORS * _PARTS
    n_codes = N_NODES * n_parts
    n_pixels = np.bincount(code, minlength=n_codes).reshape(N_NODES, n_parts)
    n_zero = np.bincount(code[values == 0], minlength=n_codes).reshape(n_pixels.shape)
    n_one = np.bincount(code[values == 1] // n_parts, minlength=N_NODES)
    of_node = n_pixels.sum(axis=1)
    fraction = n_zero.sum(axis=1) / np.maximum(of_node, 1)
    expected = fraction[:, None] * n_pixels
    variance = (1.0 - fraction)[:, None] * expected

    def of_rings(values: npt.NDArray[Any]) -> Array:
        total = np.zeros((int(grid.ring[-1]) + 1, *values.shape[1:]))
        np.add.at(total, grid.ring, values)
        return total

    return ZeroCounts(
        n_pixels=of_rings(n_pixels),
        n_zero=of_rings(n_zero),
        expected=of_rings(expected),
        variance=of_rings(variance),
        n_one=of_rings(n_one),
    )


def anisotropy(counts: Sequence[ZeroCounts], slope: float) -> list[Anisotropy]:
    """
    Test the annuli of some images of a sweep.

    Parameters
    ----------
    counts : sequence of ZeroCounts
        Of some images.
    slope : float
        Change of the mean of the values recorded as zero with that of all pixels. It
        is small where few pixels hold an electron: the read noise alone then takes
        pixels below zero.

    Returns
    -------
    list of Anisotropy
        One for each annulus, from the centre outwards; none without images.
    """
    if not counts:
        return []
    total = ZeroCounts(
        **{
            name: np.sum([getattr(image, name) for image in counts], axis=0)
            for name in ("n_pixels", "n_zero", "expected", "variance", "n_one")
        }
    )
    return [_of_ring(total, ring, slope) for ring in range(len(total.n_one))]


def _of_ring(counts: ZeroCounts, ring: int, slope: float) -> Anisotropy:
    """
    Test one annulus.

    Parameters
    ----------
    counts : ZeroCounts
        Sums over the images.
    ring : int
        Number of the annulus.
    slope : float
        As for `anisotropy`.

    Returns
    -------
    Anisotropy
    """

    def by_sector(values: Array) -> Array:
        return np.asarray(values[ring].reshape(N_SECTORS, _PARTS))

    known = by_sector(counts.variance) >= _SMALLEST_VARIANCE
    known &= known.sum(axis=1, keepdims=True) > 1
    variance = np.where(known, by_sector(counts.variance), 0.0)
    excess = np.where(known, by_sector(counts.n_zero - counts.expected), 0.0)
    sectors = known.any(axis=1)
    n_sectors = int(np.count_nonzero(sectors))
    freedom = n_sectors - 1, int(np.count_nonzero(known)) - n_sectors
    density = counts.n_one[ring] / max(counts.n_pixels[ring].sum(), 1.0)
    if n_sectors < 3 or density <= 0:
        return Anisotropy(np.nan, np.nan, np.nan, np.nan, np.nan, False)
    of_sector, scale = excess.sum(axis=1)[sectors], variance.sum(axis=1)[sectors]
    between = np.sum(of_sector**2 / scale)
    within = np.sum(excess[known] ** 2 / variance[known]) - between
    dispersion = max(within / freedom[1], np.finfo(float).tiny)
    statistic = between / freedom[0] / dispersion
    chance = float(special.fdtrc(*freedom, statistic))
    # So much does the number of zeros change with the mean.
    n_pixels = np.where(known, by_sector(counts.n_pixels), 0.0).sum(axis=1)[sectors]
    deviation = -of_sector / (density * n_pixels)
    noise = dispersion * scale / (density * n_pixels) ** 2
    amplitude = float(np.sqrt(2.0 * max(np.mean(deviation**2 - noise), 0.0)))
    fraction = counts.n_zero[ring].sum() / counts.n_pixels[ring].sum()
    error = float(fraction * slope * amplitude)
    doubtful = chance > SMALLEST_CHANCE / len(counts.n_one)
    return Anisotropy(
        statistic=float(statistic),
        chance=chance,
        amplitude=amplitude,
        largest=float(np.abs(deviation).max()),
        error=error,
        advised=not doubtful and error >= WORTH_SECTORS,
    )
