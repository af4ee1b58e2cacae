"""Means of full equivalents, and references made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dials_truncfix.postrefine.input.observations import ObservationBlock
from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray, IntArray
from dials_truncfix.postrefine.lattice.target import LOG_G, B
from dials_truncfix.postrefine.merge.scaling import Scaled

#: References made of fewer than this part of the weight of a reflection are differences of
#: nearly equal sums.
_LEAST_PART = 1e-9


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

    @cached_property
    def intensity(self) -> FloatArray:
        """Means; NaN without an observation."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.n_observed > 0, self.total / self.weight, np.nan)

    @cached_property
    def sigma(self) -> FloatArray:
        """Their standard deviations."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.n_observed > 0, 1.0 / np.sqrt(self.weight), np.nan)


@dataclass(frozen=True)
class HalfSums:
    """Sums over the observations of each unique reflection, in two half sets of lattices.

    They add up from block to block, and to what all lattices together say.

    Attributes
    ----------
    weight, total, square : ndarray, shape (2, n_unique)
        Sums of weights, and of weighted intensities and their squares.
    n_observed : ndarray, shape (2, n_unique), int64
        Observations.
    """

    weight: FloatArray
    total: FloatArray
    square: FloatArray
    n_observed: IntArray

    def __add__(self, other: HalfSums) -> HalfSums:
        """Add the sums of other lattices."""
        return HalfSums(
            self.weight + other.weight,
            self.total + other.total,
            self.square + other.square,
            self.n_observed + other.n_observed,
        )

    def multiplied(self, factor: FloatArray) -> HalfSums:
        """Take the sums to intensities that are multiplied by a factor.

        Parameters
        ----------
        factor : ndarray, shape (n_unique,)
            Of the intensities.
        """
        return HalfSums(
            self.weight / (factor * factor),
            self.total / factor,
            self.square,
            self.n_observed,
        )

    @property
    def merged(self) -> Merged:
        """Means of all lattices."""
        return Merged(
            self.weight.sum(axis=0), self.total.sum(axis=0), self.n_observed.sum(axis=0)
        )

    @property
    def halves(self) -> tuple[Merged, Merged]:
        """Means of the half sets."""
        first, second = (
            Merged(self.weight[half], self.total[half], self.n_observed[half])
            for half in (0, 1)
        )
        return first, second


def merge(
    group: IntArray,
    intensity: FloatArray,
    variance: FloatArray,
    used: BoolArray,
    n_unique: int,
) -> Merged:
    """Average full intensities with weights 1/variance.

    Parameters
    ----------
    group : ndarray, shape (n,), int
        Which unique reflection an observation is of.
    intensity, variance : ndarray, shape (n,)
        Of the full reflections.
    used : ndarray, shape (n,), bool
        Which of them.
    n_unique : int
        Number of unique reflections.

    Returns
    -------
    Merged
    """
    scaled = Scaled(intensity, variance, np.zeros(len(group)), used, used, ~used)
    first_half = np.zeros(len(group), dtype=np.int64)
    return half_sums(group, scaled, first_half, n_unique).halves[0]


def half_sums(
    group: IntArray, scaled: Scaled, half: IntArray, n_unique: int
) -> HalfSums:
    """Sum over the observations that are used.

    Parameters
    ----------
    group : ndarray, shape (n,), int
        Which unique reflection an observation is of.
    scaled : Scaled
        Full intensities.
    half : ndarray, shape (n,), int
        Half set, 0 or 1, of each observation.
    n_unique : int
        Number of unique reflections.

    Returns
    -------
    HalfSums
    """
    used, size = scaled.used, 2 * n_unique
    place = group[used] + n_unique * half[used]
    weight, intensity = 1.0 / scaled.variance[used], scaled.intensity[used]

    def summed(values: FloatArray) -> FloatArray:
        return np.bincount(place, values, minlength=size).reshape(2, -1).astype(float)

    weighted = weight * intensity
    return HalfSums(
        weight=summed(weight),
        total=summed(weighted),
        square=summed(weighted * intensity),
        n_observed=np.bincount(place, minlength=size).reshape(2, -1),
    )


def reference_of_others(
    block: ObservationBlock, scaled: Scaled, merged: Merged
) -> tuple[FloatArray, FloatArray]:
    """Mean of the other lattices, for every observation.

    A lattice refined against a mean with itself in it would find itself right.

    Parameters
    ----------
    block : ObservationBlock
        The observations.
    scaled : Scaled
        Their full intensities.
    merged : Merged
        Means of all lattices.

    Returns
    -------
    reference, variance : ndarray, shape (n,)
        NaN where no other lattice has an equivalent.
    """
    starts, run = block.runs
    used, group = scaled.used, block.group
    weight = np.where(used, 1.0 / scaled.variance, 0.0)
    own_weight = np.add.reduceat(weight, starts)[run]
    own_total = np.add.reduceat(weight * scaled.intensity, starts)[run]
    own_number = np.add.reduceat(used.astype(np.int64), starts)[run]
    all_weight = merged.weight[group]
    left = all_weight - own_weight
    exists = (merged.n_observed[group] > own_number) & (left > _LEAST_PART * all_weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (merged.total[group] - own_total) / left
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


def factor_of_shift(d: FloatArray, shift: tuple[float, float]) -> FloatArray:
    """Full intensities after the shift of `centred` over those before.

    Parameters
    ----------
    d : ndarray, shape (n_unique,)
        Resolution, Å.
    shift : tuple of float
        Of log G and B.

    Returns
    -------
    ndarray, shape (n_unique,)
    """
    return np.asarray(np.exp(shift[0] - 0.5 * shift[1] * d**-2.0))
