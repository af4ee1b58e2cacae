"""One camera fitted to the histograms of regions of some images of a sweep."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dials_truncfix.correction.joint_camera.camera_likelihood import (
    CameraRows,
    model_from_working,
)
from dials_truncfix.correction.joint_camera.camera_model import CameraModel
from dials_truncfix.correction.joint_camera.camera_scoring import LOWER, UPPER
from dials_truncfix.correction.joint_camera.camera_search import (
    FoundCamera,
    search_camera,
)
from dials_truncfix.correction.laws.intervals import THRESHOLDS, make_intervals

_FEWEST_ROWS = 6
# Bright regions are the least uniform, and say least of what was cut off: those with
# less than this share of the zeros of the darkest ones are not used.
_SMALLEST_SHARE = 0.25
_DARKEST = 0.95
_LARGEST_RELATIVE_SD = 0.2
# The variances of bright and of dark regions have to differ by this part of that of the
# read noise.
_SMALLEST_LEVER = 0.1
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
    histograms = np.asarray(histograms)
    intervals = make_intervals(histograms, THRESHOLDS[rounding])
    usable = np.flatnonzero(
        (intervals.status == "fitted") & (intervals.first == 0) & _dark(histograms)
    )
    if len(usable) < _FEWEST_ROWS:
        raise ValueError(
            f"a camera cannot be fitted to {len(usable)} regions with zeros and "
            f"counts: it takes {_FEWEST_ROWS}"
        )
    number = np.asarray(image_number, dtype=np.float64)[usable]
    middle = 0.5 * float(number.min() + number.max())
    half = max(0.5 * float(np.ptp(number)), 1.0)
    counts = histograms[usable].astype(np.float64)
    rows = CameraRows(
        intervals.take(usable),
        (counts @ np.arange(counts.shape[1])) / counts.sum(axis=1),
        (number - middle) / half,
        rounding,
    )
    return _describe(search_camera(rows), middle, half)


def _dark(histograms: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Tell which regions have enough of the zeros that the camera is to explain."""
    zeros = histograms[:, 0] / np.maximum(histograms.sum(axis=1), 1)
    enough = _SMALLEST_SHARE * np.quantile(zeros, _DARKEST) if len(zeros) else 0.0
    return np.asarray(zeros >= enough)


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


def _lever(found: FoundCamera, model: CameraModel) -> float:
    """Return by how much more than chance bright and dark regions differ, ADU."""
    ends = np.quantile(found.rows.recorded_mean, [1.0 - _DARKEST, _DARKEST])
    n_pixels = float(np.median(found.rows.intervals.n_fitted))
    chance = np.ptp(ndtri([1.0 - _DARKEST, _DARKEST])) * model.read_noise
    return float(np.sqrt(max(np.ptp(ends) ** 2 - chance**2 / n_pixels, 0.0)))


def _describe(found: FoundCamera, middle: float, half: float) -> CameraFit:
    optimum, free = found.optimum, found.free
    shared = optimum.shared
    model = _rounded(model_from_working(shared, found.rows.rounding))
    covariance = np.nan_to_num(found.covariance)
    gain, s = model.effective_gain, float(shared[1])
    read_variance = model.read_noise**2

    def sd(log_gain: float, s: float, log_noise: float, dark: float) -> float:
        slope = np.array([log_gain, s, log_noise, dark, 0.0])
        return float(np.sqrt(max(slope @ covariance @ slope, 0.0)))

    gain_sd = sd(gain, 0.0, 0.0, 0.0)
    read_noise_sd = sd(0.0, 0.0, model.read_noise, 0.0)
    fitted = found.rows.intervals.n_fitted
    bound = (shared <= LOWER) | (shared >= UPPER)
    lever = _lever(found, model)
    reason = ""
    if gain * lever < _SMALLEST_LEVER * read_variance:
        reason = f"a background that varies by {lever:.2g} ADU does not tell the gain"
    elif not optimum.converged:
        reason = "the fit did not converge"
    elif bound[[0, 2, 3]].any():
        reason = (
            f"an effective gain of {gain:.2g} ADU, a read noise of "
            f"{model.read_noise:.2g} ADU and a dark level of {model.dark:.2g} ADU are "
            "at the limit of what a camera can have"
        )
    elif gain_sd > _LARGEST_RELATIVE_SD * gain:
        reason = f"the effective gain {gain:.2g} ± {gain_sd:.2g} ADU is uncertain"
    elif read_noise_sd > _LARGEST_RELATIVE_SD * model.read_noise:
        reason = (
            f"the read noise {model.read_noise:.2g} ± {read_noise_sd:.2g} ADU is "
            "uncertain"
        )
    return CameraFit(
        model=model,
        dark_drift=_significant_digits(float(shared[4]) / half),
        middle=middle,
        gain_sd=sd(model.gain, -gain, 0.0, 0.0),
        pulse_variance_sd=sd(0.0, 1.0 / (1.0 - s) ** 2, 0.0, 0.0),
        read_noise_sd=read_noise_sd,
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
        misfit=float((found.excess * fitted).sum() / fitted.sum()),
        reliable=not reason,
        reason=reason,
    )
