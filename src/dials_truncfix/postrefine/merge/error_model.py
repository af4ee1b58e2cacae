"""Errors of full intensities beyond what counting and the fits explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import minimize_scalar

from dials_truncfix.postrefine.lattice.lattices import FloatArray, IntArray
from dials_truncfix.postrefine.lattice.residuals import mean_square_limited

#: Deviations beyond so many spreads count as on this limit.
_LIMIT = 2.0
_ROUNDS = 12
#: Groups of intensity in which the deviations shall spread alike, and of the check.
_N_BINS = 10
#: Fewer deviations do not carry a model.
_FEWEST = 1000
#: Part of a large intensity that is uncertain at most.
_LARGEST_B = 1.0


@dataclass(frozen=True)
class ErrorModel:
    """Variance of a full intensity: a² (σ² + (b I)²).

    Attributes
    ----------
    a : float
        Factor of all standard deviations.
    b : float
        Uncertainty in proportion to the intensity.

    References
    ----------
    Evans, P. R. & Murshudov, G. N. (2013). Acta Cryst. D69, 1204-1214.
    https://doi.org/10.1107/S0907444913000061
    """

    a: float
    b: float

    def variance(self, variance: FloatArray, intensity: FloatArray) -> FloatArray:
        """Variance of full intensities.

        Parameters
        ----------
        variance : ndarray, shape (n,)
            Without the model.
        intensity : ndarray, shape (n,)
            Expected; below 0 it counts as 0.
        """
        proportional = self.b * np.maximum(intensity, 0.0)
        return self.a**2 * (variance + proportional * proportional)


NO_MODEL = ErrorModel(1.0, 0.0)


@dataclass(frozen=True)
class Deviations:
    """Observations against the mean of the other lattices.

    Attributes
    ----------
    deviation : ndarray, shape (n,)
        Full intensity less the mean of the others.
    variance, others_variance : ndarray, shape (n,)
        Of both.
    expected : ndarray, shape (n,)
        Mean intensity.
    n_others : ndarray, shape (n,), int64
        Observations in the mean of the others.
    """

    deviation: FloatArray
    variance: FloatArray
    others_variance: FloatArray
    expected: FloatArray
    n_others: IntArray

    def __len__(self) -> int:
        """Return their number."""
        return len(self.deviation)

    def scores(self, model: ErrorModel) -> FloatArray:
        """Deviations over their standard deviations by a model."""
        variance = model.variance(self.variance, self.expected)
        # what the model makes of the variances of n others, all about as uncertain
        others = model.variance(
            self.others_variance, self.expected / np.sqrt(self.n_others)
        )
        return np.asarray(self.deviation / np.sqrt(variance + others))


def join_deviations(parts: Sequence[Deviations]) -> Deviations:
    """Put those of several blocks one after the other."""
    return Deviations(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(Deviations)
        }
    )


@dataclass(frozen=True)
class ErrorCheck:
    """How far deviations of observations of about one intensity spread.

    Attributes
    ----------
    intensity : float
        Median of the expected intensities.
    n : int
        Deviations.
    before, after : float
        Spread of deviations over standard deviations without and with the model.
    """

    intensity: float
    n: int
    before: float
    after: float


def spread(scores: FloatArray) -> float:
    """Estimate the standard deviation of scores around 0, the largest of them limited."""
    size = np.abs(scores)
    # a start that wild deviations cannot move
    result = float(np.median(size)) / 0.6745
    for _ in range(_ROUNDS):
        limited = np.minimum(size, _LIMIT * result)
        result = float(
            np.sqrt(np.mean(limited * limited) / mean_square_limited(_LIMIT))
        )
    return result


def _bins(expected: FloatArray) -> list[IntArray]:
    """Positions of observations in groups of rising intensity."""
    return np.array_split(np.argsort(expected, kind="stable"), _N_BINS)


def fit_error_model(deviations: Deviations) -> ErrorModel | None:
    """Find the model under which deviations of every intensity spread by 1.

    Parameters
    ----------
    deviations : Deviations
        Of a sample of the observations.

    Returns
    -------
    ErrorModel or None
        None if they are too few, or do not scatter.
    """
    if len(deviations) < _FEWEST:
        return None
    bins = _bins(deviations.expected)

    def log_spreads(b: float) -> FloatArray:
        scores = deviations.scores(ErrorModel(1.0, b))
        with np.errstate(divide="ignore"):
            return np.log([spread(scores[chosen]) for chosen in bins])

    def unevenness(b: float) -> float:
        return float(np.var(log_spreads(b)))

    if not np.all(np.isfinite(log_spreads(0.0))):
        return None
    best = minimize_scalar(
        lambda root: unevenness(root * root),
        bounds=(0.0, np.sqrt(_LARGEST_B)),
        method="bounded",
    )
    b = float(best.x) ** 2
    if unevenness(0.0) <= best.fun:
        b = 0.0
    return ErrorModel(float(np.exp(np.mean(log_spreads(b)))), b)


def check_error_model(deviations: Deviations, model: ErrorModel) -> list[ErrorCheck]:
    """Spread of deviations by intensity, best on others than the model was fitted to."""
    before, after = deviations.scores(NO_MODEL), deviations.scores(model)
    return [
        ErrorCheck(
            float(np.median(deviations.expected[chosen])),
            len(chosen),
            spread(before[chosen]),
            spread(after[chosen]),
        )
        for chosen in _bins(deviations.expected)
        if len(chosen)
    ]
