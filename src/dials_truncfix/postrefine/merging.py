"""Full equivalents of partial reflections, their means, and references made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dials_truncfix.postrefine.lattices import BoolArray, FloatArray, IntArray
from dials_truncfix.postrefine.observations import Observations
from dials_truncfix.postrefine.target import LOG_G, B

#: References made of fewer than this part of the weight of a reflection are differences of
#: nearly equal sums.
_LEAST_PART = 1e-9


@dataclass(frozen=True)
class FullEquivalents:
    """What each observation says about the full reflection.

    Attributes
    ----------
    scale : ndarray, shape (n,)
        G exp(-B d*²/2) p: observed over full intensity.
    partiality : ndarray, shape (n,)
        p.
    r_h : ndarray, shape (n,)
        Excitation error, Å⁻¹.
    doubt : ndarray, shape (n,)
        Variance of the logarithm of `scale` from the covariance of the parameters.
    spread : ndarray, shape (n,)
        Spread of the weighted residuals of the lattice.
    """

    scale: FloatArray
    partiality: FloatArray
    r_h: FloatArray
    doubt: FloatArray
    spread: FloatArray


@dataclass(frozen=True)
class Merged:
    """Weighted means of equivalents.

    Attributes
    ----------
    weight, total : ndarray, shape (n_unique,)
        Sums of the weights, and of the weighted intensities.
    n_observed : ndarray, shape (n_unique,), int64
        Observations.
    """

    weight: FloatArray
    total: FloatArray
    n_observed: IntArray

    @property
    def intensity(self) -> FloatArray:
        """Means; NaN without an observation."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.n_observed > 0, self.total / self.weight, np.nan)

    @property
    def sigma(self) -> FloatArray:
        """Their standard deviations."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.n_observed > 0, 1.0 / np.sqrt(self.weight), np.nan)


@dataclass(frozen=True)
class Scaled:
    """Full intensities of a data set on one scale, and their means.

    Attributes
    ----------
    full : FullEquivalents
        Of every observation.
    intensity, variance : ndarray, shape (n,)
        Of the full reflections; 0 and 1 where not used.
    used : ndarray, shape (n,), bool
        Whether an observation is merged.
    outlier : ndarray, shape (n,), bool
        Whether it was left out because it deviates.
    merged : Merged
        Means of what is used.
    """

    full: FullEquivalents
    intensity: FloatArray
    variance: FloatArray
    used: BoolArray
    outlier: BoolArray
    merged: Merged


def merge(
    observations: Observations,
    intensity: FloatArray,
    variance: FloatArray,
    used: BoolArray,
) -> Merged:
    """Average full intensities with weights 1/variance.

    Parameters
    ----------
    observations : Observations
        For what is equivalent to what.
    intensity, variance : ndarray, shape (n,)
        Of the full reflections.
    used : ndarray, shape (n,), bool
        Which of them.

    Returns
    -------
    Merged
    """
    n = len(observations.unique)
    group, weight = observations.group[used], 1.0 / variance[used]
    return Merged(
        weight=np.bincount(group, weight, minlength=n).astype(float),
        total=np.bincount(group, weight * intensity[used], minlength=n).astype(float),
        n_observed=np.bincount(group, minlength=n),
    )


def scale_and_merge(
    observations: Observations,
    full: FullEquivalents,
    accepted: BoolArray,
    reference: FloatArray,
    reference_variance: FloatArray,
    *,
    min_partiality: float,
    max_deviation: float,
) -> Scaled:
    """Divide observations by their scales, leave out what deviates, and merge.

    Parameters
    ----------
    observations : Observations
        What was measured.
    full : FullEquivalents
        Scales.
    accepted : ndarray, shape (n_lattices,), bool
        Lattices to merge.
    reference, reference_variance : ndarray, shape (n,)
        Full intensities expected, NaN where unknown, and their variances.
    min_partiality : float
        Observations of a smaller partiality are not used.
    max_deviation : float
        Nor are those further from the reference, in standard deviations.

    Returns
    -------
    Scaled
    """
    used = accepted[observations.row] & (full.partiality >= min_partiality)
    scale = np.where(used, full.scale, 1.0)
    intensity = np.where(used, observations.intensity / scale, 0.0)
    known = np.isfinite(reference) & np.isfinite(reference_variance)
    expected = np.where(known, reference, intensity)
    variance = observations.variance * np.square(full.spread / scale)
    variance += full.doubt * np.square(expected)
    variance = np.where(used, variance, 1.0)
    total = variance + np.where(known, reference_variance, 0.0)
    outlier = used & (np.abs(intensity - expected) > max_deviation * np.sqrt(total))
    used &= ~outlier
    merged = merge(observations, intensity, variance, used)
    return Scaled(full, intensity, variance, used, outlier, merged)


def reference_of_others(
    observations: Observations, scaled: Scaled
) -> tuple[FloatArray, FloatArray]:
    """Mean of the other lattices, for every observation.

    A lattice refined against a mean with itself in it would find itself right.

    Parameters
    ----------
    observations : Observations
        The observations.
    scaled : Scaled
        Their full intensities and means.

    Returns
    -------
    reference, variance : ndarray, shape (n,)
        NaN where no other lattice has an equivalent.
    """
    starts, run = observations.runs
    used, merged = scaled.used, scaled.merged
    weight = np.where(used, 1.0 / scaled.variance, 0.0)
    own_weight = np.add.reduceat(weight, starts)[run]
    own_total = np.add.reduceat(weight * scaled.intensity, starts)[run]
    own_number = np.add.reduceat(used.astype(np.int64), starts)[run]
    all_weight = merged.weight[observations.group]
    left = all_weight - own_weight
    exists = (merged.n_observed[observations.group] > own_number) & (
        left > _LEAST_PART * all_weight
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (merged.total[observations.group] - own_total) / left
        return np.where(exists, mean, np.nan), np.where(exists, 1.0 / left, np.nan)


def centred(
    parameters: FloatArray, accepted: BoolArray
) -> tuple[FloatArray, tuple[float, float]]:
    """Shift G and B so that log G and B of the accepted lattices average to 0.

    Without this the overall scale and B of data that are refined against their own mean
    wander from cycle to cycle.

    Parameters
    ----------
    parameters : ndarray, shape (n_lattices, 5)
        log G, B, θx, θy, log rs.
    accepted : ndarray, shape (n_lattices,), bool
        Lattices that count.

    Returns
    -------
    parameters : ndarray, shape (n_lattices, 5)
        Shifted.
    shift : tuple of float
        What was subtracted from log G and B.
    """
    result = parameters.copy()
    if not np.any(accepted):
        return result, (0.0, 0.0)
    shift = parameters[accepted][:, [LOG_G, B]].mean(axis=0)
    result[:, [LOG_G, B]] -= shift
    return result, (float(shift[0]), float(shift[1]))


def shifted(
    full: FullEquivalents, observations: Observations, shift: tuple[float, float]
) -> FullEquivalents:
    """Take the shift of `centred` out of the scales of observations."""
    d_star_squared = observations.d[observations.group] ** -2.0
    factor = np.exp(-shift[0] + 0.5 * shift[1] * d_star_squared)
    return replace(full, scale=full.scale * factor)
