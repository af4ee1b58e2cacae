"""The mean of all repeats of an image, as a smooth function of the place in a repeat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Points of the finest grid along each axis.
_FINE = 256
_FEWEST, _MOST = 8, 64
#: Orders of the series whose power is less times that of the noise are left out.
_NOISE = 4.0


@dataclass(frozen=True)
class MeanCell:
    """One repeat.

    Attributes
    ----------
    value : ndarray, shape (m, m)
        Mean over all repeats at fractions i/m of the first axis and j/m of the second.
    slopes : tuple of ndarray, shape (m, m)
        Its derivatives by both fractions.
    """

    value: Array
    slopes: tuple[Array, Array]

    @property
    def along(self) -> tuple[Array, Array]:
        """What varies along one axis only, for both axes, shape (m,)."""
        mean = self.value.mean()
        return self.value.mean(axis=1) - mean, self.value.mean(axis=0) - mean

    @property
    def shares(self) -> Array:
        """Part of the slopes by each fraction that `along` has, shape (2,)."""
        own = [slope.mean(axis=1 - k).var() for k, slope in enumerate(self.slopes)]
        return np.asarray(own / np.maximum([s.var() for s in self.slopes], 1e-30))

    def at(self, fractions: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Evaluate at fractions, shape (n, 2).

        Returns
        -------
        value, first, second, by_first, by_second : ndarray, shape (n,)
            Value, what of it varies along one axis only, and slopes.
        """
        size = len(self.value)
        i, j = (np.rint(fractions * size).astype(np.int64) % size).T
        first, second = self.along
        by_first, by_second = self.slopes
        return self.value[i, j], first[i], second[j], by_first[i, j], by_second[i, j]


def mean_cell(value: Array, fractions: Array, lengths: Array) -> MeanCell:
    """Average the repeats of an image.

    Each pixel is shared out between the four nearest points of a grid, about as wide as
    a pixel, and the grid is refined by its Fourier series.

    Parameters
    ----------
    value : ndarray, shape (n,)
        Of each pixel.
    fractions : ndarray, shape (n, 2)
        Its place in a repeat; whole numbers do not matter.
    lengths : ndarray, shape (2,)
        Of the axes, pixels.

    Returns
    -------
    MeanCell
    """
    n, m = (int(x) for x in np.clip(lengths, _FEWEST, _MOST))
    place = fractions * [n, m]
    low = np.floor(place).astype(np.int64)
    part = place - low
    total, weight, squared = np.zeros((3, n * m))
    for di in (0, 1):
        share = part[:, 0] if di else 1 - part[:, 0]
        row = (low[:, 0] + di) % n
        for dj in (0, 1):
            both = share * (part[:, 1] if dj else 1 - part[:, 1])
            number = row * m + (low[:, 1] + dj) % m
            total += np.bincount(number, both * value, n * m)
            weight += np.bincount(number, both, n * m)
            squared += np.bincount(number, both**2, n * m)
    known = weight > 1e-3 * weight.mean()
    coarse = np.full(n * m, total.sum() / weight.sum())
    coarse[known] = total[known] / weight[known]
    noise = value.var() * np.mean(squared[known] / weight[known] ** 2)
    return _refined(coarse.reshape(n, m), float(noise))


def _refined(coarse: Array, noise: float) -> MeanCell:
    n, m = coarse.shape
    orders = [np.rint(fft.fftfreq(k) * k).astype(np.int64) for k in (n, m)]
    # the highest order of an even number has no sign, and no slope
    series = fft.fft2(coarse)
    series[np.abs(orders[0]) * 2 == n] = 0
    series[:, np.abs(orders[1]) * 2 == m] = 0
    # what is not above the noise would make every part look like itself
    power = np.abs(series) ** 2 / (n * m * noise)
    series *= np.clip(1 - _NOISE / np.maximum(power, 1e-12), 0, 1)
    whole = np.zeros((_FINE, _FINE), dtype=complex)
    whole[np.ix_(orders[0] % _FINE, orders[1] % _FINE)] = series
    whole *= _FINE**2 / (n * m)
    by = 2j * np.pi * np.rint(fft.fftfreq(_FINE) * _FINE)
    value, first, second = (
        np.asarray(fft.ifft2(part).real)
        for part in (whole, by[:, None] * whole, by[None, :] * whole)
    )
    return MeanCell(value, (first, second))
