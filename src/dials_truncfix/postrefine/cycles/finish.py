"""What follows the last cycle: lattices that harm, errors, and the final means."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dials_truncfix.postrefine.cycles.final_blocks import (
    DeltaTask,
    FinalTask,
    MergeTask,
    SampleTask,
    delta_block,
    final_block,
    sample_block,
    sum_block,
)
from dials_truncfix.postrefine.cycles.passes import Means, Run, scaled_block
from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray
from dials_truncfix.postrefine.merge.delta_cc_half import (
    harmful,
    reflection_sums,
)
from dials_truncfix.postrefine.merge.error_model import (
    NO_MODEL,
    Deviations,
    ErrorCheck,
    ErrorModel,
    check_error_model,
    fit_error_model,
    join_deviations,
)
from dials_truncfix.postrefine.merge.merging import (
    HalfSums,
)
from dials_truncfix.postrefine.merge.moments import ReferenceMoments
from dials_truncfix.postrefine.merge.references import ExternalReference
from dials_truncfix.postrefine.merge.rejection import Verdict

#: Deviations on which the error model rests at most, half of them to check it.
_SAMPLE = 200_000
#: Fewer lattices do not tell which of them is the odd one.
_FEWEST_LATTICES = 20


@dataclass(frozen=True)
class Final:
    """The final means.

    Attributes
    ----------
    sums : HalfSums
        Of the accepted lattices.
    moments : ReferenceMoments
        Of observations and what they were compared with.
    n_used, n_outliers : int
        Observations merged, and left out because they deviate.
    error_model : ErrorModel or None
        None where the data do not carry one, or none is wanted.
    error_check : list of ErrorCheck
        How deviations spread, by intensity.
    """

    sums: HalfSums
    moments: ReferenceMoments
    n_used: int
    n_outliers: int
    error_model: ErrorModel | None
    error_check: list[ErrorCheck]


def _merge_tasks(run: Run, means: Means, accepted: BoolArray) -> Iterator[MergeTask]:
    merged = means.sums.merged
    for lattices in run.blocks:
        block = run.observations.block(lattices)
        scaled = scaled_block(run, lattices, block, means)
        mine = accepted[lattices][block.row]
        scaled = replace(scaled, used=scaled.used & mine, outlier=scaled.outlier & mine)
        yield MergeTask(block, scaled, run.half[lattices], merged)


def merge_again(run: Run, means: Means, accepted: BoolArray) -> Means:
    """Means without lattices that were given up after the last pass."""
    tasks = _merge_tasks(run, means, accepted)
    sums = _total(run.apply(sum_block, tasks))
    return Means(sums, means.factor)


def _total(parts: Iterable[HalfSums]) -> HalfSums:
    total: HalfSums | None = None
    for part in parts:
        total = part if total is None else total + part
    assert total is not None
    return total


def without_harmful(
    run: Run, means: Means, verdicts: npt.NDArray[np.object_]
) -> tuple[Means, npt.NDArray[np.object_], FloatArray]:
    """Give up the lattices whose removal raises CC½ clearly.

    Returns
    -------
    means : Means
        Of the others.
    verdicts : ndarray of Verdict, shape (n_lattices,)
        With the reason of those given up.
    delta : ndarray, shape (n_lattices,)
        Change of CC½ when a lattice is left out; NaN of lattices that are not merged.
    """
    accepted = np.asarray(verdicts == Verdict.ACCEPTED)
    threshold = run.options.limits.max_delta_cc_half
    if math.isinf(threshold) or accepted.sum() < _FEWEST_LATTICES:
        return means, verdicts, np.full(len(verdicts), np.nan)
    everything = reflection_sums(means.sums, run.observations.d)
    tasks = (
        DeltaTask(task.observations, task.scaled, everything)
        for task in _merge_tasks(run, means, accepted)
    )
    delta = np.concatenate(list(run.apply(delta_block, tasks)))
    delta[~accepted] = np.nan
    gone = harmful(delta, threshold)
    if not gone.any():
        return means, verdicts, delta
    verdicts = verdicts.copy()
    verdicts[gone] = Verdict.DELTA_CC_HALF
    return merge_again(run, means, accepted & ~gone), verdicts, delta


def _fit_errors(
    run: Run, means: Means, accepted: BoolArray
) -> tuple[ErrorModel | None, list[ErrorCheck]]:
    """Fit the error model to one half of a sample, and check it on the other."""
    n_used = max(int(means.sums.n_observed.sum()), 1)
    part = min(1.0, _SAMPLE / n_used)
    tasks = (
        SampleTask(task, part, (run.options.seed, number))
        for number, task in enumerate(_merge_tasks(run, means, accepted))
    )
    sample = join_deviations(list(run.apply(sample_block, tasks)))
    first, second = (
        Deviations(**{name: values[half::2] for name, values in vars(sample).items()})
        for half in (0, 1)
    )
    model = fit_error_model(first)
    return model, [] if model is None else check_error_model(second, model)


def finish(
    run: Run,
    means: Means,
    verdicts: npt.NDArray[np.object_],
    external: ExternalReference | None,
) -> Final:
    """Fit the error model, and merge for good.

    Parameters
    ----------
    run : Run
        The data set.
    means : Means
        Of the accepted lattices.
    verdicts : ndarray of Verdict, shape (n_lattices,)
        Which are accepted.
    external : ExternalReference or None
        What the lattices were refined against, if not each other.

    Returns
    -------
    Final
        The full intensities in the store are then on the scale of its sums.
    """
    accepted = np.asarray(verdicts == Verdict.ACCEPTED)
    model: ErrorModel | None = None
    check: list[ErrorCheck] = []
    if run.options.error_model and accepted.any():
        model, check = _fit_errors(run, means, accepted)
    tasks = (
        FinalTask(task, external, model or NO_MODEL, run.options.max_deviation)
        for task in _merge_tasks(run, means, accepted)
    )
    sums, moments, n_used, n_outliers = None, None, 0, 0
    for lattices, result in zip(run.blocks, run.apply(final_block, tasks)):
        run.store.write(lattices, result.scaled)
        sums = result.sums if sums is None else sums + result.sums
        moments = result.moments if moments is None else moments + result.moments
        n_used += result.n_used
        n_outliers += result.n_outliers
    assert sums is not None and moments is not None
    return Final(sums, moments, n_used, n_outliers, model, check)
