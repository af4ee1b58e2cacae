"""What is done with the blocks of a data set after the last cycle, on any process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dials_truncfix.postrefine.input.observations import ObservationBlock
from dials_truncfix.postrefine.lattice.lattices import FloatArray, IntArray
from dials_truncfix.postrefine.merge.delta_cc_half import (
    ReflectionSums,
    delta_cc_half,
)
from dials_truncfix.postrefine.merge.error_model import (
    Deviations,
    ErrorModel,
)
from dials_truncfix.postrefine.merge.merging import (
    HalfSums,
    Merged,
    half_sums,
    reference_of_others,
)
from dials_truncfix.postrefine.merge.moments import ReferenceMoments, reference_moments
from dials_truncfix.postrefine.merge.references import ExternalReference
from dials_truncfix.postrefine.merge.scaling import Scaled

#: Others that the mean of a deviation needs.
_FEWEST_OTHERS = 2
#: Part of the variance of an observation that a fit leaves at least.
_LEAST_RESIDUAL = 0.1


@dataclass(frozen=True)
class MergeTask:
    """Lattices of a block with their full intensities, to be merged.

    Attributes
    ----------
    observations : ObservationBlock
        What was measured.
    scaled : Scaled
        Full intensities on the scale of the means.
    half : ndarray, shape (n_lattices,), int
        Half set of each lattice.
    merged : Merged
        Means of all accepted lattices.
    """

    observations: ObservationBlock
    scaled: Scaled
    half: IntArray
    merged: Merged


@dataclass(frozen=True)
class DeltaTask:
    """A block whose lattices are left out one by one."""

    observations: ObservationBlock
    scaled: Scaled
    everything: ReflectionSums


@dataclass(frozen=True)
class SampleTask:
    """A block of which deviations are drawn."""

    merge: MergeTask
    part: float
    seed: tuple[int, int]


@dataclass(frozen=True)
class FinalTask:
    """A block to be merged for good."""

    merge: MergeTask
    external: ExternalReference | None
    error_model: ErrorModel
    max_deviation: float


@dataclass(frozen=True)
class FinalResult:
    """Full intensities of a block with final uncertainties, and its sums."""

    scaled: Scaled
    sums: HalfSums
    moments: ReferenceMoments
    n_used: int
    n_outliers: int


def sum_block(task: MergeTask) -> HalfSums:
    """Sum what is used of a block."""
    block = task.observations
    return half_sums(
        block.group, task.scaled, task.half[block.row], len(task.merged.weight)
    )


def delta_block(task: DeltaTask) -> FloatArray:
    """CC½ without each lattice of a block, less that with it."""
    return delta_cc_half(task.observations, task.scaled, task.everything)


def sample_block(task: SampleTask) -> Deviations:
    """Draw deviations from the mean of the other lattices."""
    block, scaled = task.merge.observations, task.merge.scaled
    merged = task.merge.merged
    mean, variance = reference_of_others(block, scaled, merged)
    starts, run = block.runs
    own_number = np.add.reduceat(scaled.used.astype(np.int64), starts)[run]
    n_others = merged.n_observed[block.group] - own_number
    good = scaled.used & np.isfinite(mean) & (n_others >= _FEWEST_OTHERS)
    good &= np.random.default_rng(task.seed).random(len(good)) < task.part
    return Deviations(
        deviation=(scaled.intensity - mean)[good],
        # of what the fit has made smaller, not larger
        variance=_residual_variance(scaled)[good],
        others_variance=variance[good],
        expected=merged.intensity[block.group[good]],
        n_others=n_others[good],
    )


def _residual_variance(scaled: Scaled) -> FloatArray:
    """Variance of what is left after a fit: the fit follows the noise a little."""
    counted = scaled.variance - scaled.fit_variance
    return np.maximum(counted - scaled.fit_variance, _LEAST_RESIDUAL * counted)


def final_block(task: FinalTask) -> FinalResult:
    """Merge a block with final uncertainties."""
    merge, block = task.merge, task.merge.observations
    scaled, merged, model = merge.scaled, merge.merged, task.error_model
    if task.external is not None:
        reference, reference_variance = task.external.of(block)
    else:
        reference, reference_variance = reference_of_others(block, scaled, merged)
    mean = merged.intensity[block.group]
    variance = model.variance(
        scaled.variance, np.where(np.isfinite(mean), mean, scaled.intensity)
    )
    known = np.isfinite(reference) & np.isfinite(reference_variance)
    total = variance + np.where(known, model.a**2 * reference_variance, 0.0)
    deviation = np.where(known, scaled.intensity - reference, 0.0)
    candidate = scaled.used | scaled.outlier
    deviates = np.abs(deviation) > task.max_deviation * np.sqrt(total)
    used, outlier = candidate & ~deviates, candidate & deviates
    final = Scaled(
        scaled.intensity,
        np.where(scaled.partial, variance, 1.0),
        scaled.fit_variance,
        scaled.partial,
        used,
        outlier,
    )
    return FinalResult(
        final,
        half_sums(block.group, final, merge.half[block.row], len(merged.weight)),
        reference_moments(
            block.group[used & known],
            block.intensity[used & known],
            scaled.intensity[used & known],
            reference[used & known],
            len(merged.weight),
        ),
        int(used.sum()),
        int(outlier.sum()),
    )
