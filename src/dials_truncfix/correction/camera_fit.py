"""One camera fitted to the histograms of regions of some images of a sweep."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.camera_likelihood import (
    N_SHARED,
    CameraRows,
    model_from_working,
)
from dials_truncfix.correction.camera_model import CameraModel
from dials_truncfix.correction.camera_scoring import (
    LOWER,
    UPPER,
    CameraOptimum,
    minimise_camera,
)
from dials_truncfix.correction.distributions import EMG
from dials_truncfix.correction.family_fit import fit_family
from dials_truncfix.correction.intervals import THRESHOLDS, make_intervals

Array = NDArray[np.float64]

_FEWEST_ROWS = 6
_START_SKEWNESSES = (0.1, 0.55)
_LINE_ITERATIONS = 20
# A dark level or a drift of less than this many standard uncertainties is none, …
_SIGNIFICANT = 4.0
# … unless signals would have to be negative without, and the likelihood says so, nat.
_SIGNIFICANT_NLL = 10.0
# … and one of less than this fraction of the read noise changes nothing.
_NOTICEABLE = 0.02
_LARGEST_RELATIVE_SD = 0.25
#: A camera that misses more information per pixel than this is no good description.
LARGEST_MISFIT = 1e-4


@dataclass(frozen=True)
class CameraFit:
    """A camera with the standard uncertainties of its parameters.

    The uncertainties come from the scatter of the regions about the model, which
    contains what the model leaves out; they are NaN for what was not fitted.

    Attributes
    ----------
    model : CameraModel
        The camera, in the middle of the sweep.
    dark_drift : float
        Change of the dark level per image, ADU; 0 unless it is significant.
    middle : float
        Image number to which the dark level of `model` belongs.
    gain_sd, pulse_variance_sd, read_noise_sd, dark_sd, dark_drift_sd : float
        Standard uncertainties, in the unit of each.
    effective_gain, effective_gain_sd : float
        Slope of the variance on the mean, ADU.
    pedestal, pedestal_sd : float
        Value at which the variance would be zero, ADU.
    signal_range : tuple of float
        Smallest and largest mean signal of the regions, ADU.
    n_regions, n_pixels : int
        What the fit was made to.
    misfit : float
        Information per pixel of the fitted ranges that the model lacks, without what
        chance explains, nat. `LARGEST_MISFIT` and more is no good description.
    reliable : bool
        False when the data do not determine a camera; the numbers are then not to be
        used.
    reason : str
        Why it is not reliable, else empty.
    """

    model: CameraModel
    dark_drift: float
    middle: float
    gain_sd: float
    pulse_variance_sd: float
    read_noise_sd: float
    dark_sd: float
    dark_drift_sd: float
    effective_gain: float
    effective_gain_sd: float
    pedestal: float
    pedestal_sd: float
    signal_range: tuple[float, float]
    n_regions: int
    n_pixels: int
    misfit: float
    reliable: bool
    reason: str


def fit_camera(
    histograms: NDArray[np.integer[Any]],
    image_number: NDArray[np.integer[Any]],
    rounding: str = "round",
) -> CameraFit:
    """Fit one camera to the histograms of regions of some images.

    Parameters
    ----------
    histograms : NDArray[np.integer[Any]]
        (n, n_bins) pixels of each value in regions of one brightness each, of any
        number of images; the last bin holds all larger values.
    image_number : NDArray[np.integer[Any]]
        (n,) number of each region's image, for the drift.
    rounding : str
        "round" or "floor": how the camera made integers.

    Returns
    -------
    CameraFit

    Raises
    ------
    ValueError
        For an unknown rounding, or when fewer than six regions can be fitted.
    """
    if rounding not in THRESHOLDS:
        raise ValueError(f"rounding must be 'round' or 'floor', not {rounding!r}")
    intervals = make_intervals(np.asarray(histograms), THRESHOLDS[rounding])
    # Where hardly a pixel was cut off there is nothing to learn of the read noise.
    usable = np.flatnonzero((intervals.status == "fitted") & (intervals.first == 0))
    if len(usable) < _FEWEST_ROWS:
        raise ValueError(
            f"a camera cannot be fitted to {len(usable)} regions with zeros and "
            f"counts: it takes {_FEWEST_ROWS}"
        )
    number = np.asarray(image_number, dtype=np.float64)[usable]
    middle = 0.5 * float(number.min() + number.max())
    half = max(0.5 * float(np.ptp(number)), 1.0)
    rows = CameraRows(intervals.take(usable), (number - middle) / half, rounding)
    optimum, free = _search(rows, several_images=len(np.unique(number)) > 2)
    return _describe(optimum, free, rows, middle, half)


def _search(
    rows: CameraRows, several_images: bool
) -> tuple[CameraOptimum, NDArray[np.bool_]]:
    """Find the best camera, with a dark level and a drift if they are significant."""
    start, signal = _start(rows)
    simple = np.array([True, True, True, False, False])
    without = _with(start, 3, 0.0), np.maximum(signal + start[3], 0.0)
    found = [
        minimise_camera(rows, _with(without[0], 1, skewness), without[1], simple)
        for skewness in _START_SKEWNESSES
    ]
    best, free = min(found, key=lambda optimum: optimum.nll), simple
    dark = simple | (np.arange(N_SHARED) == 3)
    nearer = _with(best.shared, 3, float(start[3]))
    with_dark = minimise_camera(rows, nearer, best.signal - start[3], dark)
    gained = best.nll - with_dark.nll
    negative = bool((best.signal <= 0.0).any()) and gained > _SIGNIFICANT_NLL
    if negative or _significant(with_dark, dark, 3):
        best, free = with_dark, dark
    if several_images:
        drift = free | (np.arange(N_SHARED) == 4)
        with_drift = minimise_camera(rows, best.shared, best.signal, drift)
        if _significant(with_drift, drift, 4):
            best, free = with_drift, drift
    return best, free


def _start(rows: CameraRows) -> tuple[Array, Array]:
    """Return a camera and signals from the moments of each row's own distribution."""
    intervals = rows.intervals
    theta = fit_family("emg", intervals, np.arange(len(intervals.i_max))).theta
    mean, variance = EMG.mean(theta), EMG.variance(theta)
    design = np.stack([mean, np.ones_like(mean)], axis=1)
    weight = np.ones_like(mean)
    slope, intercept = 1.0, float(np.median(variance))
    for _ in range(_LINE_ITERATIONS):
        scale = np.sqrt(weight) / variance
        slope, intercept = np.linalg.lstsq(
            design * scale[:, None], variance * scale, rcond=None
        )[0]
        away = np.abs(variance - design @ (slope, intercept)) / variance
        weight = 1.0 / np.maximum(away / max(float(np.median(away)), 1e-9), 1.0)
    dark = min(float(mean.min()), 0.0)
    gain = max(float(slope), 0.05 * float(np.median(variance)) ** 0.5)
    read_variance = max(intercept + gain * dark, 0.1 * float(variance.min()))
    shared = np.array([np.log(gain), 0.0, 0.5 * np.log(read_variance), dark, 0.0])
    return np.clip(shared, LOWER, UPPER), mean - dark


def _with(shared: Array, index: int, value: float) -> Array:
    changed = shared.copy()
    changed[index] = value
    return changed


def _significant(optimum: CameraOptimum, free: NDArray[np.bool_], index: int) -> bool:
    """Tell whether a dark level or a drift is worth keeping."""
    value = abs(float(optimum.shared[index]))
    sd = float(np.sqrt(_covariance(optimum, free)[index, index]))
    noticeable = _NOTICEABLE * float(np.exp(optimum.shared[2]))
    return optimum.converged and value > max(_SIGNIFICANT * sd, noticeable)


def _covariance(optimum: CameraOptimum, free: NDArray[np.bool_]) -> Array:
    """Return the covariance of the working parameters, NaN for those not fitted.

    The scores of the rows scatter by chance and by what the model leaves out; their
    squares between two inverse informations allow for both (the sandwich). A parameter
    at its bound lends the others no uncertainty.
    """
    information, scores = optimum.profile_information, optimum.profile_scores
    n = scores.shape[1]
    covariance = np.full((N_SHARED, N_SHARED), np.nan)
    bound = (optimum.shared <= LOWER) | (optimum.shared >= UPPER)
    # first those at a bound as well, then the others as if it were known
    for chosen in (free, free & ~bound):
        index = np.flatnonzero(chosen)
        bread = np.linalg.pinv(information[np.ix_(index, index)], rcond=1e-12)
        own = scores[index] - scores[index].mean(axis=1, keepdims=True)
        meat = own @ own.T * (n / max(n - len(index), 1))
        covariance[np.ix_(index, index)] = bread @ meat @ bread
    return covariance


def _rounded(model: CameraModel) -> CameraModel:
    """Return a camera of the digits that are shown, so that it can be given again."""
    return replace(
        model,
        gain=_significant_digits(model.gain),
        pulse_variance=_significant_digits(model.pulse_variance),
        read_noise=_significant_digits(model.read_noise),
        dark=_significant_digits(model.dark),
    )


def _significant_digits(value: float) -> float:
    return float(f"{value:.6g}")


def _misfit(optimum: CameraOptimum, free: NDArray[np.bool_], rows: CameraRows) -> float:
    """Return half the deviance above its expectation, per pixel, nat."""
    fractions, n_fitted = rows.intervals.fractions, rows.intervals.n_fitted
    occupied = fractions > 0.0
    logs = np.log(np.where(occupied, fractions, 1.0))
    least = -float((n_fitted * (fractions * logs).sum(axis=-1)).sum())
    # the masses of a row add up to one, and it has a signal of its own
    freedom = int(occupied.sum()) - 2 * len(n_fitted) - int(free.sum())
    return float((optimum.nll - least - 0.5 * freedom) / n_fitted.sum())


def _describe(
    optimum: CameraOptimum,
    free: NDArray[np.bool_],
    rows: CameraRows,
    middle: float,
    half: float,
) -> CameraFit:
    shared = optimum.shared
    model = _rounded(model_from_working(shared, rows.rounding))
    covariance = np.nan_to_num(_covariance(optimum, free))
    gain, s = model.effective_gain, float(shared[1])
    read_variance = model.read_noise**2

    def sd(log_gain: float, s: float, log_noise: float, dark: float) -> float:
        slope = np.array([log_gain, s, log_noise, dark, 0.0])
        return float(np.sqrt(max(slope @ covariance @ slope, 0.0)))

    gain_sd = sd(gain, 0.0, 0.0, 0.0)
    fitted = rows.intervals.n_fitted
    bound = (shared <= LOWER) | (shared >= UPPER)
    reason = ""
    if not optimum.converged:
        reason = "the fit did not converge"
    elif bound[[0, 2, 3]].any():
        reason = (
            f"an effective gain of {gain:.2g} ADU, a read noise of "
            f"{model.read_noise:.2g} ADU and a dark level of {model.dark:.2g} ADU are "
            "at the limit of what a camera can have"
        )
    elif gain_sd > _LARGEST_RELATIVE_SD * gain:
        reason = f"the effective gain {gain:.2g} ± {gain_sd:.2g} ADU is uncertain"
    return CameraFit(
        model=model,
        dark_drift=_significant_digits(float(shared[4]) / half),
        middle=middle,
        gain_sd=sd(model.gain, -gain, 0.0, 0.0),
        pulse_variance_sd=sd(0.0, 1.0 / (1.0 - s) ** 2, 0.0, 0.0),
        read_noise_sd=sd(0.0, 0.0, model.read_noise, 0.0),
        dark_sd=sd(0.0, 0.0, 0.0, 1.0) if free[3] else np.nan,
        dark_drift_sd=float(np.sqrt(covariance[4, 4])) / half if free[4] else np.nan,
        effective_gain=gain,
        effective_gain_sd=gain_sd,
        pedestal=model.pedestal,
        pedestal_sd=sd(
            (read_variance + 1.0 / 12.0) / gain, 0.0, -2.0 * read_variance / gain, 1.0
        ),
        signal_range=(float(optimum.signal.min()), float(optimum.signal.max())),
        n_regions=len(fitted),
        n_pixels=int(fitted.sum()),
        misfit=_misfit(optimum, free, rows),
        reliable=not reason,
        reason=reason,
    )
