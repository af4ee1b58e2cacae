"""How many zeros a counting detector would have recorded, from its other low counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FEWEST_LEVELS = 4
_MOST_LEVELS = 32
_ENOUGH_COUNTS = 1000
_MAX_STEPS = 60
# A weak prior on how the ratios change from k = 1 to k = m: it decides only where the
# counts do not. Poisson: log 1; a smooth density: log m. Its centre lies between.
_PRIOR_SD = 5.0


@dataclass(frozen=True)
class ZeroExcess:
    """
    Zeros of some regions against what their positive low counts predict.

    Attributes
    ----------
    ratio : ndarray, shape (n_regions,), float64
        E = H(0) / H(0) predicted; NaN where nothing can be predicted.
    sd_log : ndarray, shape (n_regions,), float64
        Standard deviation of log E.
    n_levels : ndarray, shape (n_regions,), int64
        m, the largest value that was used.
    curvature : ndarray, shape (n_regions,), float64
        S = H(0) H(2) / H(1)²; NaN where H(1) = 0.
    n_zero, n_pixels : ndarray, shape (n_regions,), int64
        Zeros and pixels of each region.
    """

    ratio: NDArray[np.float64]
    sd_log: NDArray[np.float64]
    n_levels: NDArray[np.int64]
    curvature: NDArray[np.float64]
    n_zero: NDArray[np.int64]
    n_pixels: NDArray[np.int64]


def zero_excess(histograms: NDArray[np.int64]) -> ZeroExcess:
    """
    Compare the zeros of each region with a counting law fitted to its low counts.

    The laws of counts, Poisson, negative binomial and binomial, obey the recursion
    k p(k) / p(k - 1) = a k + b. It is fitted to k = 2 … m by maximum likelihood,
    conditioned on 1 … m, and continued to k = 1, which predicts p(0). The zeros of a
    counting detector follow it (E near 1, also when the mean varies within the
    region). Truncated zeros stand for everything below 1/2, so that E exceeds 1, the
    more so the larger the read noise.

    Parameters
    ----------
    histograms : ndarray, shape (n_regions, n_bins), int64
        Pixels of each value; the last bin holds all larger values.

    Returns
    -------
    ZeroExcess

    Raises
    ------
    ValueError
        If the histograms have another shape or fewer than four bins.

    References
    ----------
    Panjer, H. H. (1981). ASTIN Bulletin 12, 22-26,
    doi:10.1017/S0515036100006796.
    """
    if histograms.ndim != 2 or histograms.shape[1] < 4:
        raise ValueError(
            f"histograms must be (n_regions, n_bins >= 4), not {histograms.shape}"
        )
    n_regions = len(histograms)
    ratio = np.full(n_regions, np.nan)
    sd_log = np.full(n_regions, np.inf)
    n_levels = np.zeros(n_regions, dtype=np.int64)
    for i, histogram in enumerate(histograms.astype(np.float64)):
        m = _levels_to_use(histogram)
        n_levels[i] = m
        counts = histogram[1 : m + 1]
        if counts[0] == 0 or np.count_nonzero(counts) < 2:
            continue
        log_predicted, variance = _predict_zeros(counts)
        ratio[i] = histogram[0] / np.exp(log_predicted)
        sd_log[i] = np.sqrt(variance + 1.0 / max(histogram[0], 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        zero, one, two = (histograms[:, k].astype(np.float64) for k in range(3))
        curvature = np.where(one > 0, zero * two / (one * one), np.nan)
    return ZeroExcess(
        ratio=ratio,
        sd_log=sd_log,
        n_levels=n_levels,
        curvature=curvature,
        n_zero=histograms[:, 0].astype(np.int64),
        n_pixels=histograms.sum(axis=1).astype(np.int64),
    )


def _levels_to_use(histogram: NDArray[np.float64]) -> int:
    """
    Choose m: few values, as the recursion is local, but enough counts.

    Parameters
    ----------
    histogram : ndarray, shape (n_bins,)
        Pixels of each value.

    Returns
    -------
    int
        m, at least two.
    """
    total = np.cumsum(histogram[1:-1])
    enough = int(np.searchsorted(total, _ENOUGH_COUNTS)) + 1
    return min(max(enough, _FEWEST_LEVELS), _MOST_LEVELS, len(histogram) - 2)


def _predict_zeros(counts: NDArray[np.float64]) -> tuple[float, float]:
    """
    Fit the recursion and continue it to zero.

    The ratios t(k) = k p(k) / p(k - 1) are a straight line between exp(u) at k = 1
    and exp(v) at k = m; u and v are found by Fisher scoring.

    Parameters
    ----------
    counts : ndarray, shape (m,)
        Pixels with the values 1 … m.

    Returns
    -------
    tuple of float
        Logarithm of the predicted number of zeros and its variance.
    """
    m = len(counts)
    total = counts.sum()
    first = np.log(2.0 * (counts[1] + 0.5) / (counts[0] + 0.5))
    centre = 0.5 * np.log(m)
    parameters = np.array([first, first + centre])
    direction = np.array([-1.0, 1.0])
    prior = np.outer(direction, direction) / _PRIOR_SD**2

    def objective(at: NDArray[np.float64]) -> float:
        log_p = _log_probabilities(at, m)[0]
        slope = direction @ at - centre
        return float(counts @ log_p - 0.5 * slope**2 / _PRIOR_SD**2)

    value = objective(parameters)
    information = prior
    for _ in range(_MAX_STEPS):
        log_p, derivative = _log_probabilities(parameters, m)
        p = np.exp(log_p)
        gradient = (counts - total * p) @ derivative
        gradient -= direction * (direction @ parameters - centre) / _PRIOR_SD**2
        centred = derivative - p @ derivative
        information = total * (centred.T * p) @ centred + prior
        information += 1e-9 * np.trace(information) * np.eye(2)
        step = np.clip(np.linalg.solve(information, gradient), -1.0, 1.0)
        scale = 1.0
        while (new := objective(parameters + scale * step)) < value and scale > 1e-6:
            scale /= 2.0
        if new < value:
            break
        parameters = parameters + scale * step
        gain, value = new - value, new
        if gain < 1e-7:
            break
    log_p, derivative = _log_probabilities(parameters, m)
    p = np.exp(log_p)
    # log p(0) = log p(1) - u up to the constant that normalises over 1 … m.
    log_zeros = np.log(total) + log_p[0] - parameters[0]
    slope = derivative[0] - p @ derivative - np.array([1.0, 0.0])
    variance = slope @ np.linalg.solve(information, slope) + 1.0 / total
    return float(log_zeros), float(variance)


def _log_probabilities(
    parameters: NDArray[np.float64], m: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Probabilities of 1 … m, given one of them, and what they derive from.

    Parameters
    ----------
    parameters : ndarray, shape (2,)
        u and v, the logarithms of t(1) and t(m).
    m : int
        Largest value.

    Returns
    -------
    tuple of ndarray
        log p(k), shape (m,), normalised, and the derivative of the logarithm of the
        unnormalised probabilities with respect to u and v, shape (m, 2).
    """
    k = np.arange(2, m + 1)
    weight = np.stack([m - k, k - 1.0], axis=1) / (m - 1)
    ends = np.exp(np.clip(parameters, -50.0, 50.0))
    t = weight @ ends
    log_p = np.concatenate([[0.0], np.cumsum(np.log(t / k))])
    log_p -= np.logaddexp.reduce(log_p)
    derivative = np.zeros((m, 2))
    derivative[1:] = np.cumsum(weight * ends / t[:, None], axis=0)
    return log_p, derivative
