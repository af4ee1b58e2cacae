"""Search for the one camera that describes regions of some images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.joint_camera.camera_likelihood import (
    N_SHARED,
    CameraRows,
)
from dials_truncfix.correction.joint_camera.camera_scoring import (
    LOWER,
    UPPER,
    CameraOptimum,
    minimise_camera,
)
from dials_truncfix.correction.laws.distributions import EMG
from dials_truncfix.correction.laws.family_fit import fit_family

Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_SKEWNESS, _DARK, _DRIFT = 1, 3, 4
_SIMPLE = np.array([True, True, True, False, False])
_START_SKEWNESSES = (0.1, 0.55)
_LINE_ITERATIONS = 20
# A dark level or a drift of less than this many standard uncertainties is none, …
_SIGNIFICANT = 4.0
# … unless signals would have to be negative without, and the likelihood says so, nat.
_SIGNIFICANT_NLL = 10.0
# … and one of less than this fraction of the read noise changes nothing.
_NOTICEABLE = 0.02
# Regions around the beam, and those that hold an edge, mix brightnesses. They are left
# out if they miss so much information per pixel, nat, and so much more than chance, in
# standard deviations: the worst first, for they draw the camera to themselves, and none
# if they are the rule.
_LARGEST_ROW_MISFIT = 1e-3
_LARGEST_ROW_DEVIATION = 5.0
_LEFT_OUT_AT_ONCE = 0.05
_MOST_LEFT_OUT = 1.0 / 3.0


@dataclass(frozen=True)
class FoundCamera:
    """Where the search ended.

    Attributes
    ----------
    rows : CameraRows
        Regions that were not left out.
    optimum : CameraOptimum
        Their best camera.
    free : NDArray[np.bool_]
        (5,) working parameters that were fitted; the others are zero.
    """

    rows: CameraRows
    optimum: CameraOptimum
    free: BoolArray

    @property
    def covariance(self) -> Array:
        """Covariance of the working parameters, (5, 5), NaN for those not fitted."""
        return _covariance(self.optimum, self.free)

    @property
    def excess(self) -> Array:
        """Half the deviance of each row above its expectation, per pixel, nat, (n,)."""
        intervals = self.rows.intervals
        occupied = intervals.fractions > 0.0
        logs = np.log(np.where(occupied, intervals.fractions, 1.0))
        least = -(intervals.fractions * logs).sum(axis=-1)
        # the masses of a row add up to one, and it has a signal of its own
        freedom = occupied.sum(axis=-1) - 2.0
        per_pixel = (self.optimum.model.nll - 0.5 * freedom) / intervals.n_fitted
        return np.asarray(per_pixel - least)


def search_camera(rows: CameraRows) -> FoundCamera:
    """Find the best camera, with a dark level and a drift if they are significant.

    Parameters
    ----------
    rows : CameraRows
        n rows.

    Returns
    -------
    FoundCamera
        Without the rows that hold more than one brightness.
    """
    everything = found = _best(rows, _START_SKEWNESSES)
    while True:
        kept = _without_worst(found)
        if len(kept) == len(found.rows.place):
            break
        if len(kept) < (1.0 - _MOST_LEFT_OUT) * len(rows.place):
            found = everything
            break
        skewness = float(found.optimum.shared[_SKEWNESS])
        found = _best(found.rows.take(kept), (skewness,))
    return found


def _best(rows: CameraRows, skewnesses: tuple[float, ...]) -> FoundCamera:
    """Find the best camera of all rows."""
    found = _with_dark(rows, skewnesses)
    return _with_drift(found) if len(np.unique(rows.place)) > 2 else found


def _with_dark(rows: CameraRows, skewnesses: tuple[float, ...]) -> FoundCamera:
    """Fit gain, pulse heights and read noise, and a dark level if there is one."""
    start, signal = _start(rows)
    dark = float(start[_DARK])
    without = _with(start, _DARK, 0.0)
    positive = np.maximum(signal + dark, 0.0)
    candidates = [
        minimise_camera(rows, _with(without, _SKEWNESS, s), positive, _SIMPLE)
        for s in skewnesses
    ]
    best = min(candidates, key=lambda optimum: optimum.nll)
    free = _also(_SIMPLE, _DARK)
    start = _with(best.shared, _DARK, dark)
    shifted = FoundCamera(
        rows, minimise_camera(rows, start, best.signal - dark, free), free
    )
    gained = best.nll - shifted.optimum.nll
    negative = bool((best.signal <= 0.0).any()) and gained > _SIGNIFICANT_NLL
    if negative or _significant(shifted, _DARK):
        return shifted
    return FoundCamera(rows, best, _SIMPLE)


def _with_drift(found: FoundCamera) -> FoundCamera:
    """Let the dark level drift, if it does."""
    drifting = _released(found, _also(_also(_SIMPLE, _DARK), _DRIFT))
    if not _significant(drifting, _DRIFT):
        return found
    if found.free[_DARK] or _significant(drifting, _DARK):
        return drifting
    return _released(found, _also(_SIMPLE, _DRIFT))


def _released(found: FoundCamera, free: BoolArray) -> FoundCamera:
    """Fit again with other parameters free."""
    best = found.optimum
    optimum = minimise_camera(found.rows, best.shared, best.signal, free)
    return replace(found, optimum=optimum, free=free)


def _without_worst(found: FoundCamera) -> NDArray[np.intp]:
    """Return the rows without the worst of those that the camera does not describe."""
    intervals = found.rows.intervals
    chance = np.sqrt(0.5 * (intervals.fractions > 0.0).sum(axis=-1))
    chance = _LARGEST_ROW_DEVIATION * chance / intervals.n_fitted
    severity = found.excess / np.maximum(chance, _LARGEST_ROW_MISFIT)
    order = np.argsort(-severity, kind="stable")
    n_bad = int((severity > 1.0).sum())
    n_worst = min(n_bad, max(int(_LEFT_OUT_AT_ONCE * len(order)), 1))
    return np.asarray(np.sort(order[n_worst:]))


def _start(rows: CameraRows) -> tuple[Array, Array]:
    """Return a camera and signals from the moments of each row's own distribution."""
    intervals = rows.intervals
    theta = fit_family("emg", intervals, np.arange(len(intervals.i_max))).theta
    # the tail of a row may have been fitted to chance; clipping raises means
    mean = np.minimum(EMG.mean(theta), rows.recorded_mean)
    variance = EMG.variance(theta)
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


def _also(free: BoolArray, index: int) -> BoolArray:
    return np.asarray(free | (np.arange(N_SHARED) == index))


def _significant(found: FoundCamera, index: int) -> bool:
    """Tell whether a dark level or a drift is worth keeping."""
    optimum = found.optimum
    value = abs(float(optimum.shared[index]))
    sd = float(np.sqrt(found.covariance[index, index]))
    noticeable = _NOTICEABLE * float(np.exp(optimum.shared[2]))
    return optimum.converged and value > max(_SIGNIFICANT * sd, noticeable)


def _covariance(optimum: CameraOptimum, free: BoolArray) -> Array:
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
