"""The shift between two images, by normalised cross-correlation of what overlaps.

scikit-image's phase_cross_correlation returns the highest peak alone. Whether there is a
peak at all, and whether it is the only one, is seen in the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

Array = npt.NDArray[np.float64]

#: Least part of the image that has to overlap.
LEAST_OVERLAP = 0.12
#: Noise alone reaches five to six robust standard deviations of the map.
_SIGNIFICANT = 7.0
#: A coefficient that needs no map to tell; where an image repeats itself, the map is all
#: peaks.
_BY_ITSELF = 0.5
#: A second peak of so much of the first one's height makes the choice a guess.
_AMBIGUOUS = 0.85
#: Images are averaged down to about so many pixels for the search.
_SEARCH_SIDE = 320


@dataclass(frozen=True)
class Peak:
    """Highest peak of a correlation map.

    Attributes
    ----------
    shift : ndarray, shape (2,)
        Of the second image against the first (fast, slow), pixels.
    coefficient : float
        Correlation coefficient of what overlaps.
    significance : float
        Height over the robust standard deviation of the map.
    second : float
        Height of the next peak, over that of the highest.
    overlap : float
        Part of the image that overlaps.
    """

    shift: Array
    coefficient: float
    significance: float
    second: float
    overlap: float


def band_passed(image: Array, fine: float, coarse: float) -> Array:
    """Take away noise of single pixels, and what varies over more than `coarse` pixels.

    Parameters
    ----------
    image : ndarray, shape (slow, fast)
        Any unit.
    fine, coarse : float
        Standard deviations of the Gaussians of which the difference is taken, pixels.

    Returns
    -------
    ndarray, shape (slow, fast)
    """
    smooth = ndimage.gaussian_filter(image, fine, mode="nearest")
    # two running means are nearly a Gaussian, whatever its width in the same time
    side = max(3, round(np.sqrt(6.0) * coarse))
    slow = image
    for _ in range(2):
        slow = ndimage.uniform_filter(slow, side, mode="nearest")
    return np.asarray(smooth - slow)


def averaged(image: Array, step: int) -> Array:
    """Average squares of pixels; those that do not fill one are left out."""
    slow, fast = (n // step for n in image.shape)
    squares = image[: slow * step, : fast * step].reshape(slow, step, fast, step)
    return np.asarray(squares.mean(axis=(1, 3)))


def search_step(shape: tuple[int, int], side: int = _SEARCH_SIDE) -> int:
    """Pixels to average along each side for a search."""
    return max(1, round(min(shape) / side))


def correlation_map(
    first: Array, second: Array, largest: float = 1.0
) -> tuple[Array, Array, Array]:
    """Correlate two images of one size at all shifts that leave enough overlap.

    Parameters
    ----------
    first, second : ndarray, shape (slow, fast)
        Without their slow variation, see `band_passed`.
    largest : float
        Largest shift along each side, as a part of it.

    Returns
    -------
    coefficient : ndarray, shape (m, n)
        Correlation coefficient of what overlaps.
    overlap : ndarray, shape (m, n)
        Part of the image.
    origin : ndarray, shape (2,)
        Where the shift is zero (slow, fast).

    References
    ----------
    Padfield, D. (2012). IEEE Trans. Image Process. 21, 2706-2718,
    doi:10.1109/TIP.2011.2181402, equation 17, with images whose local mean is zero.
    """
    shape = first.shape
    size = [fft.next_fast_len(2 * n, real=True) for n in shape]
    a, b, a2, b2, one = (
        fft.rfft2(part, size)
        for part in (first, second, first**2, second**2, np.ones(shape))
    )
    reach = [int(min(largest, 1 - LEAST_OVERLAP) * n) for n in shape]
    rows, columns = (np.arange(-r, r + 1) for r in reach)
    pick = np.ix_(rows % size[0], columns % size[1])
    product = fft.irfft2(np.conj(a) * b, size)[pick]
    energy_a = fft.irfft2(np.conj(a2) * one, size)[pick]
    energy_b = fft.irfft2(one.conj() * b2, size)[pick]
    overlap = np.outer(1 - np.abs(rows) / shape[0], 1 - np.abs(columns) / shape[1])
    energy = np.sqrt(np.maximum(energy_a, 0) * np.maximum(energy_b, 0))
    enough = (overlap >= LEAST_OVERLAP) & (energy > 1e-9 * energy.max())
    coefficient = np.where(enough, product / np.where(enough, energy, 1.0), 0.0)
    return coefficient, overlap, np.array(reach)


def find_shift(first: Array, second: Array, largest: float = 1.0) -> Peak:
    """Find the shift at which two images correlate best, to about a pixel.

    Parameters
    ----------
    first, second : ndarray, shape (slow, fast)
        Any unit, of one size.
    largest : float
        Largest shift along each side, as a part of it.

    Returns
    -------
    Peak
    """
    step = search_step((first.shape[0], first.shape[1]))
    small = [
        band_passed(averaged(image, step), 1.0, min(first.shape) / step / 16)
        for image in (first, second)
    ]
    coefficient, overlap, origin = correlation_map(small[0], small[1], largest)
    # a small overlap correlates by chance
    height = coefficient * np.sqrt(overlap)
    best = np.unravel_index(int(np.argmax(height)), height.shape)
    used = height[overlap >= LEAST_OVERLAP]
    spread = 1.4826 * float(np.median(np.abs(used - np.median(used))))
    top = float(height[best])
    away = np.hypot(*np.ogrid[-best[0] : height.shape[0] - best[0],
                              -best[1] : height.shape[1] - best[1]])  # fmt: skip
    # the peak is as wide as the image's details, and ringed by the band pass
    other = height[away > _own_radius(height, best)]
    second_height = float(other.max(initial=0.0))
    lag = np.array(best[::-1], float) - origin[::-1]
    return Peak(
        shift=step * (lag + _parabola(height, best)),
        coefficient=float(coefficient[best]),
        significance=top / max(spread, 1e-12),
        second=second_height / max(top, 1e-12),
        overlap=float(overlap[best]),
    )


def refuse_chance(peak: Peak, names: str) -> None:
    """Raise where a peak may be chance, or one of several.

    Parameters
    ----------
    peak : Peak
        From `find_shift`.
    names : str
        The images, for the message.

    Raises
    ------
    ValueError
        In one sentence.
    """
    if peak.significance < _SIGNIFICANT and peak.coefficient < _BY_ITSELF:
        raise ValueError(
            f"{names} show nothing in common: the highest peak of their correlation "
            f"stands {peak.significance:.1f} standard deviations out, and "
            f"{_SIGNIFICANT:.0f} are needed; give images that overlap, with more "
            "electrons or more details"
        )
    if peak.second > _AMBIGUOUS:
        raise ValueError(
            f"{names} fit each other at several shifts: the second peak of their "
            f"correlation has {100 * peak.second:.0f} % of the first one's height; take "
            "a specimen that does not repeat itself, or limit pair.largest_shift"
        )


def _own_radius(height: Array, best: tuple[np.intp, ...]) -> float:
    """How far the peak reaches: three times to where it falls to half."""
    row, column = int(best[0]), int(best[1])
    half = height[row, column] / 2
    right, down = height[row, column:] < half, height[row:, column] < half
    width = max(int(np.argmax(right)), int(np.argmax(down)), 1)
    return 3.0 * width + 1


def _parabola(height: Array, best: tuple[np.intp, ...]) -> Array:
    """Offset of the top (fast, slow) from three points along each axis."""
    row, column = int(best[0]), int(best[1])
    offset = np.zeros(2)
    if 0 < column < height.shape[1] - 1:
        offset[0] = _top(*height[row, column - 1 : column + 2])
    if 0 < row < height.shape[0] - 1:
        offset[1] = _top(*height[row - 1 : row + 2, column])
    return offset


def _top(left: float, middle: float, right: float) -> float:
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else float(0.5 * (left - right) / bend)
