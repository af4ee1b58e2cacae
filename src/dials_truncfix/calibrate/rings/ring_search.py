"""First guesses for a ring pattern: centre, camera length and ellipse.

An ellipse is its own image under inversion through its centre, whatever its shape: the
centre is where the image correlates best with itself turned by 180°. Then the standard's
rings are laid over the pattern in every camera length and ellipse within bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from dials_truncfix.calibrate.rings.cake import Pixels, make_cake

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Image edge to which images are reduced for the search of the centre.
_SEARCH_PIXELS = 512
#: Half width of the background's average, reduced pixels.
_SMOOTH = 12
#: Noise times this is the largest value that counts; what is higher may be a spot.
_CEILING = 4.0
#: Standard deviation of the filter that lets rings stand out, reduced pixels.
_RING_WIDTH = 1.5
#: Part of the rotated image that must overlap.
_LEAST_OVERLAP = 0.25

_SECTORS = 32
_LOG_STEP = 0.002
_STRAIN_STEP = 0.006
#: Radial cells per pixel and smoothing of the background in log radius.
_BACKGROUND_STEPS = 25
#: The next best camera length counts as another one beyond this, relative.
_OTHER_LENGTH = 0.02


@dataclass(frozen=True)
class FirstGuess:
    """Where to start the fit.

    Attributes
    ----------
    distance : float
        Camera length, mm.
    strain : tuple of float
        (p, q) of the ellipse.
    score : float
        How well the rings fit, in standard deviations of the scores of all camera
        lengths and ellipses.
    rival_distance : float
        The best camera length that differs by more than 2 %, mm.
    rival_score : float
        Its score.
    """

    distance: float
    strain: tuple[float, float]
    score: float
    rival_distance: float
    rival_score: float


def symmetry_centre(image: Array, valid: BoolArray) -> tuple[float, float]:
    """Point through which the image is most alike to its inversion.

    Parameters
    ----------
    image : ndarray, shape (slow, fast)
        ADU.
    valid : ndarray, shape (slow, fast), bool
        Pixels that measure.

    Returns
    -------
    tuple of float
        Pixels (fast, slow); the first pixel reaches from 0 to 1.

    Raises
    ------
    ValueError
        If no pixel measures.
    """
    if not valid.any():
        raise ValueError("no pixel of the image measures")
    factor = max(1, int(np.ceil(max(image.shape) / _SEARCH_PIXELS)))
    weight = _reduce(valid.astype(float), factor)
    total = _reduce(np.where(valid, image, 0.0), factor)
    signal = _flattened(total, weight)
    weight = (weight > 0.5).astype(float)
    # self-convolution: value at s sums the products of pixels i and s - i
    size = [fft.next_fast_len(2 * n - 1) for n in signal.shape]
    product = fft.irfft2(fft.rfft2(signal, size) ** 2, size)
    overlap = fft.irfft2(fft.rfft2(weight, size) ** 2, size)
    product = product[: 2 * signal.shape[0] - 1, : 2 * signal.shape[1] - 1]
    overlap = overlap[: product.shape[0], : product.shape[1]]
    enough = overlap > _LEAST_OVERLAP * weight.sum()
    # the sum of n products of noise grows like √n
    likeness = np.where(enough, product / np.sqrt(np.maximum(overlap, 1.0)), -np.inf)
    row, column = np.unravel_index(int(np.argmax(likeness)), likeness.shape)
    slow, fast = _parabola(likeness, int(row), int(column))
    # index sum s of two pixels: their midpoint is (s + 1)/2 in pixel edges
    return factor * (fast + 1) / 2, factor * (slow + 1) / 2


def _reduce(image: Array, factor: int) -> Array:
    """Mean of blocks; what is left at the far edges is dropped."""
    slow, fast = (n // factor for n in image.shape)
    cut = image[: slow * factor, : fast * factor]
    return np.asarray(cut.reshape(slow, factor, fast, factor).mean(axis=(1, 3)))


def _flattened(total: Array, weight: Array) -> Array:
    """Image over its local mean, in units of the local noise, limited on both sides."""
    box = 2 * _SMOOTH + 1
    local_weight = np.maximum(ndimage.uniform_filter(weight, box), 1e-9)
    mean = ndimage.uniform_filter(total, box) / local_weight
    deviation = np.where(weight > 0.5, total - weight * mean, 0.0)
    # the filter's running sums leave small negative numbers where all is zero
    square = np.maximum(ndimage.uniform_filter(deviation**2, box), 0.0)
    noise = np.sqrt(square / local_weight)
    scaled = deviation / np.maximum(noise, np.median(noise[weight > 0.5]) * 0.01)
    # rings are wider than the noise
    return np.asarray(
        ndimage.gaussian_filter(np.clip(scaled, -_CEILING, _CEILING), _RING_WIDTH)
    )


def _parabola(values: Array, slow: int, fast: int) -> tuple[float, float]:
    """Maximum between the pixels, by a parabola along each axis."""
    result = []
    for axis, place in enumerate((slow, fast)):
        line = values[:, fast] if axis == 0 else values[slow]
        if not 0 < place < len(line) - 1:
            result.append(float(place))
            continue
        low, middle, high = line[place - 1 : place + 2]
        bend = low - 2 * middle + high
        usable = np.isfinite(bend) and bend < 0
        result.append(place + (0.5 * (low - high) / bend if usable else 0.0))
    return result[0], result[1]


def lay_rings(
    pixels: Pixels,
    centre: tuple[float, float],
    tan_two_theta: Array,
    weight: Array,
    *,
    distance: float,
    distance_range: float,
    largest_strain: float,
) -> FirstGuess:
    """Find the camera length and ellipse in which rings meet the bright places.

    Parameters
    ----------
    pixels : Pixels
        The image.
    centre : tuple of float
        Beam (fast, slow), mm.
    tan_two_theta : ndarray, shape (n,)
        Radius of each ring over the camera length.
    weight : ndarray, shape (n,)
        How much each ring counts.
    distance : float
        Camera length to start from, mm.
    distance_range : float
        How far it may be wrong, relative.
    largest_strain : float
        Bound of p and q.

    Returns
    -------
    FirstGuess

    Raises
    ------
    ValueError
        If no ring lies on the image.
    """
    radii = np.hypot(pixels.x - centre[0], pixels.y - centre[1])
    reach = float(radii.max())
    inner = max(10 * pixels.size, 0.6 * distance * tan_two_theta.min())
    if not inner < reach:
        raise ValueError("no ring of the standard lies on the image")
    profiles, start = _log_profiles(pixels, centre, inner, reach)
    margin = int(np.ceil(1.5 * largest_strain / _LOG_STEP))
    span = int(np.ceil(np.log1p(distance_range) / _LOG_STEP))
    lengths = np.log(distance) + _LOG_STEP * np.arange(
        -span - margin, span + margin + 1
    )
    comb = np.zeros((_SECTORS, len(lengths)))
    seen = np.zeros(len(lengths))
    for tangent, part in zip(tan_two_theta, weight):
        place = np.rint((lengths + np.log(tangent) - start) / _LOG_STEP).astype(int)
        on = (place >= 0) & (place < profiles.shape[1])
        comb[:, on] += part * profiles[:, place[on]]
        seen[on] += part**2
    comb /= np.sqrt(np.maximum(seen, 0.25 * np.sum(weight**2)))
    steps = np.arange(-largest_strain, largest_strain + 1e-9, _STRAIN_STEP)
    double = 2 * (np.arange(_SECTORS) + 0.5) * (2 * np.pi / _SECTORS)
    inside = np.arange(margin, len(lengths) - margin)
    scores = np.empty((len(steps), len(steps), len(inside)))
    for i, p in enumerate(steps):
        for j, q in enumerate(steps):
            shift = 0.5 * (p * np.cos(double) + q * np.sin(double)) / _LOG_STEP
            place = inside[None, :] + np.rint(shift).astype(int)[:, None]
            scores[i, j] = np.take_along_axis(comb, place, axis=1).sum(axis=0)
    scores = (scores - scores.mean()) / max(float(scores.std()), 1e-12)
    i, j, k = (int(n) for n in np.unravel_index(int(np.argmax(scores)), scores.shape))
    best = scores.max(axis=(0, 1))
    other = np.abs(np.arange(len(inside)) - k) * _LOG_STEP > _OTHER_LENGTH
    rival = int(np.argmax(np.where(other, best, -np.inf)))
    found = lengths[inside]
    return FirstGuess(
        distance=float(np.exp(found[k])),
        strain=(float(steps[i]), float(steps[j])),
        score=float(scores[i, j, k]),
        rival_distance=float(np.exp(found[rival])),
        rival_score=float(best[rival]) if other.any() else -np.inf,
    )


def _log_profiles(
    pixels: Pixels, centre: tuple[float, float], inner: float, reach: float
) -> tuple[Array, float]:
    """Contrast along the radius of each sector, on a grid in its logarithm.

    Returns
    -------
    profiles : ndarray, shape (n_sectors, n)
        Mean over its surroundings, in standard deviations, compressed.
    start : float
        Logarithm of the first radius (mm).
    """
    cake = make_cake(
        pixels,
        centre,
        np.eye(2),
        radius_range=(inner, reach),
        step=pixels.size,
        n_sectors=_SECTORS,
    )
    grid = np.arange(np.log(inner), np.log(reach), _LOG_STEP)
    rows = []
    for radius, mean, error in zip(cake.radius, cake.mean, cake.error):
        known = np.isfinite(error)
        if known.sum() < 2:
            rows.append(np.zeros(len(grid)))
            continue
        log_radius = np.log(radius[known])
        value = np.interp(grid, log_radius, mean[known])
        noise = np.interp(grid, log_radius, error[known])
        on = np.interp(grid, np.log(radius[0 : len(radius)]), known.astype(float)) > 0.9
        weight = ndimage.uniform_filter1d(on.astype(float), 2 * _BACKGROUND_STEPS + 1)
        smooth = ndimage.uniform_filter1d(
            np.where(on, value, 0.0), 2 * _BACKGROUND_STEPS + 1
        ) / np.maximum(weight, 1e-9)
        contrast = np.where(on, (value - smooth) / np.maximum(noise, 1e-12), 0.0)
        # a bright ring shall not outweigh all others
        rows.append(np.arcsinh(ndimage.gaussian_filter1d(contrast, 2.0)))
    return np.array(rows), float(np.log(inner))
