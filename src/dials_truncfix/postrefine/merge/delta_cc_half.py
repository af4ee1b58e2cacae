"""How CC½ of merged intensities changes when a lattice is left out.

CC½ is not taken from half sets, whose chance would hide what one lattice does, but from the
scatter of merged intensities V and the mean variance M of a merged intensity, both from the
data: CC½ = (V - M)/(V + M). Sums over the observations of each reflection are all that is
needed to leave a lattice out.

References
----------
Assmann, G., Brehm, W. & Diederichs, K. (2016). J. Appl. Cryst. 49, 1021-1028.
https://doi.org/10.1107/S1600576716005471
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dials_truncfix.postrefine.input.observations import ObservationBlock
from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray, IntArray
from dials_truncfix.postrefine.merge.merging import HalfSums
from dials_truncfix.postrefine.merge.scaling import Scaled

#: Most shells of resolution, and reflections of a shell.
_MOST_SHELLS, _PER_SHELL = 10, 200
#: Observations of a reflection that counts. Of fewer, one that is left out leaves nothing to
#: compare with.
_FEWEST = 3
#: Scatter of a normal distribution over its median absolute deviation.
_OF_MEDIAN_DEVIATION = 1.4826


@dataclass(frozen=True)
class ReflectionSums:
    """Sums over all lattices for each unique reflection, and its shell.

    Attributes
    ----------
    weight, total, square : ndarray, shape (n_unique,)
        Of weights, weighted intensities and their squares.
    n_observed : ndarray, shape (n_unique,), int64
        Observations.
    shell : ndarray, shape (n_unique,), int64
        Shell of resolution.
    centre : ndarray, shape (n_shells,)
        About the mean intensity of a shell: differences lose fewer digits.
    """

    weight: FloatArray
    total: FloatArray
    square: FloatArray
    n_observed: IntArray
    shell: IntArray
    centre: FloatArray

    def shell_sums(self) -> FloatArray:
        """Sum the terms of CC½ over each shell, shape (4, n_shells)."""
        terms = _terms(
            (self.weight, self.total, self.square),
            self.n_observed,
            _FEWEST,
            self.centre[self.shell],
        )
        n = len(self.centre)
        return np.stack(
            [np.bincount(self.shell, term, n).astype(float) for term in terms]
        )


def reflection_sums(sums: HalfSums, d: FloatArray) -> ReflectionSums:
    """Prepare what `delta_cc_half` compares with.

    Parameters
    ----------
    sums : HalfSums
        Of all lattices.
    d : ndarray, shape (n_unique,)
        Resolution, Å.
    """
    several = np.flatnonzero(sums.n_observed.sum(axis=0) >= _FEWEST)
    n_shells = int(np.clip(len(several) // _PER_SHELL, 1, _MOST_SHELLS))
    shell = np.zeros(len(d), dtype=np.int64)
    # shells of as many reflections; the others do not count
    order = several[np.argsort(-d[several], kind="stable")]
    shell[order] = np.arange(len(order)) * n_shells // max(len(order), 1)
    merged = sums.merged
    intensity = np.where(merged.n_observed >= _FEWEST, merged.intensity, 0.0)
    size = np.bincount(shell[several], minlength=n_shells)
    centre = np.bincount(shell[several], intensity[several], n_shells)
    return ReflectionSums(
        merged.weight,
        merged.total,
        sums.square.sum(axis=0),
        merged.n_observed,
        shell,
        centre / np.maximum(size, 1),
    )


def _terms(
    sums: tuple[FloatArray, FloatArray, FloatArray],
    n_observed: IntArray,
    fewest: int,
    centre: FloatArray,
) -> FloatArray:
    """Return what reflections add to a shell: 1, I, I², variance of I; shape (4, n)."""
    weight, total, square = sums
    counts = n_observed >= fewest
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / weight
        scatter = np.maximum(square - total * mean, 0.0)
        variance = scatter / ((n_observed - 1) * weight)
        intensity = mean - centre
        terms = np.stack([counts, intensity, intensity * intensity, variance])
    return np.where(counts & (weight > 0), terms, 0.0)


def _cc_half(terms: FloatArray) -> FloatArray:
    """Mean over the shells, by the number of their reflections.

    Parameters
    ----------
    terms : ndarray, shape (4, ..., n_shells)
        Sums of what `_terms` gives.

    Returns
    -------
    ndarray, shape (...)
    """
    n = np.maximum(terms[0], 1.0)
    scatter = np.maximum(terms[2] / n - np.square(terms[1] / n), 0.0)
    noise = terms[3] / n
    with np.errstate(divide="ignore", invalid="ignore"):
        shells = np.where(
            scatter + noise > 0, (scatter - noise) / (scatter + noise), 0.0
        )
    return np.asarray(
        np.sum(shells * terms[0], axis=-1) / np.maximum(np.sum(terms[0], axis=-1), 1.0)
    )


def delta_cc_half(
    block: ObservationBlock, scaled: Scaled, everything: ReflectionSums
) -> FloatArray:
    """CC½ without each lattice of a block, less CC½ with all lattices.

    Parameters
    ----------
    block : ObservationBlock
        Lattices.
    scaled : Scaled
        Their full intensities, on the scale of the sums.
    everything : ReflectionSums
        Over all lattices, these included.

    Returns
    -------
    ndarray, shape (n_lattices,)
        Above 0 where a lattice lowers CC½.
    """
    n_shells, n_lattices = len(everything.centre), block.n_lattices
    used = scaled.used
    weight = np.where(used, 1.0 / scaled.variance, 0.0)
    weighted = weight * scaled.intensity
    starts, _ = block.runs
    own_weight, own_total, own_square = (
        np.add.reduceat(values, starts)
        for values in (weight, weighted, weighted * scaled.intensity)
    )
    own_number = np.add.reduceat(used.astype(np.int64), starts)
    group, lattice = block.group[starts], block.row[starts]
    shell = everything.shell[group]
    centre = everything.centre[shell]
    number = everything.n_observed[group]
    sums = (
        everything.weight[group],
        everything.total[group],
        everything.square[group],
    )
    left = (sums[0] - own_weight, sums[1] - own_total, sums[2] - own_square)
    with_all = _terms(sums, number, _FEWEST, centre)
    without = _terms(left, number - own_number, 2, centre)
    change = np.where(with_all[0] * without[0] > 0, without - with_all, 0.0)
    place = lattice * n_shells + shell
    changes = np.stack(
        [np.bincount(place, term, n_lattices * n_shells) for term in change]
    ).reshape(4, n_lattices, n_shells)
    shells = everything.shell_sums()
    return np.asarray(_cc_half(shells[:, None] + changes) - _cc_half(shells))


def harmful(delta: FloatArray, threshold: float) -> BoolArray:
    """Which lattices lower CC½ clearly more than others.

    Parameters
    ----------
    delta : ndarray, shape (n_lattices,)
        From `delta_cc_half`; NaN for lattices that are not merged.
    threshold : float
        Beyond so many standard deviations from the median, these from the median absolute
        deviation.

    Returns
    -------
    ndarray, shape (n_lattices,), bool
    """
    known = delta[np.isfinite(delta)]
    if len(known) == 0:
        return np.zeros(len(delta), dtype=bool)
    middle = np.median(known)
    spread = _OF_MEDIAN_DEVIATION * np.median(np.abs(known - middle))
    with np.errstate(invalid="ignore"):
        return np.asarray((delta > 0) & (delta - middle > threshold * spread))
