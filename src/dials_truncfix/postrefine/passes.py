"""Passes over all lattices of a data set, in blocks on any number of processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Callable

import numpy as np

from dials_truncfix.postrefine.block import (
    BlockTask,
    join_full,
    refine_block,
    start_block,
)
from dials_truncfix.postrefine.cycle_options import CycleOptions
from dials_truncfix.postrefine.fits import join_fits
from dials_truncfix.postrefine.held_out import (
    HeldOut,
    compare_models,
    held_out_task,
    predict_held_out,
)
from dials_truncfix.postrefine.lattices import FloatArray
from dials_truncfix.postrefine.merging import (
    Merged,
    Scaled,
    centred,
    scale_and_merge,
    shifted,
)
from dials_truncfix.postrefine.observations import Observations
from dials_truncfix.postrefine.outcome import Cycle, Outcome
from dials_truncfix.postrefine.partiality import Model
from dials_truncfix.postrefine.rejection import Verdict, judge

#: Observations of a block that a process refines at a time.
BLOCK = 100_000
#: Blocks on which the models are compared: more would not change the answer.
_MOST_BLOCKS_HELD_OUT = 4

#: ``map(function, tasks)``, on any number of processes.
Map = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]


def compare_on_blocks(
    observations: Observations,
    reference: FloatArray,
    variance: FloatArray,
    options: CycleOptions,
    apply: Map,
) -> list[HeldOut]:
    """Compare the models on blocks evenly spread over the data."""
    blocks = list(observations.blocks(BLOCK))
    step = -(-len(blocks) // _MOST_BLOCKS_HELD_OUT)
    tasks = []
    for block in blocks[::step]:
        part = slice(
            observations.offsets[block.start], observations.offsets[block.stop]
        )
        tasks.append(
            held_out_task(
                observations,
                block,
                reference[part],
                variance[part],
                options.refinement,
                options.free_part,
                options.seed,
            )
        )
    return compare_models(list(apply(predict_held_out, tasks)))


def _tasks(
    observations: Observations,
    reference: FloatArray,
    variance: FloatArray,
    options: CycleOptions,
    model: Model,
) -> list[BlockTask]:
    used = np.isfinite(reference) & np.isfinite(variance)
    result = []
    for block in observations.blocks(BLOCK):
        part = slice(
            observations.offsets[block.start], observations.offsets[block.stop]
        )
        lattices = observations.lattices(
            block, reference[part], variance[part], used[part]
        )
        result.append(BlockTask(lattices, model, options.refinement))
    return result


def first_mean(
    observations: Observations, options: CycleOptions, model: Model, apply: Map
) -> Scaled:
    """Average with equal scales and the partialities of unrefined lattices."""
    zero = np.zeros(len(observations))
    tasks = _tasks(observations, zero, zero, options, model)
    return scale_and_merge(
        observations,
        join_full(list(apply(start_block, tasks))),
        np.ones(observations.n_lattices, dtype=bool),
        np.full(len(observations), np.nan),
        zero,
        min_partiality=options.min_partiality,
        max_deviation=np.inf,
    )


def one_cycle(
    observations: Observations,
    reference: FloatArray,
    reference_variance: FloatArray,
    options: CycleOptions,
    model: Model,
    apply: Map,
    before: Scaled | None,
    freedom: FloatArray | None = None,
) -> Outcome:
    """Refine once, judge, and merge; on itself if there are means before."""
    tasks = _tasks(observations, reference, reference_variance, options, model)
    results = list(apply(refine_block, tasks))
    fits = join_fits([result.fits for result in results])
    full = join_full([result.full for result in results])
    wanted = np.any(options.refinement.rounds(), axis=0)
    verdicts = judge(fits, options.limits, wanted, freedom)
    accepted = np.asarray(verdicts == Verdict.ACCEPTED)
    shift = (0.0, 0.0)
    if before is not None:
        parameters, shift = centred(fits.parameters, accepted)
        fits = replace(fits, parameters=parameters)
        full = shifted(full, observations, shift)
    scaled = scale_and_merge(
        observations,
        full,
        accepted,
        reference,
        reference_variance,
        min_partiality=options.min_partiality,
        max_deviation=options.max_deviation,
    )
    mean_cc = float(np.mean(fits.cc_after[accepted])) if np.any(accepted) else np.nan
    change = np.nan if before is None else _change(before.merged, scaled.merged)
    cycle = Cycle(int(accepted.sum()), change, mean_cc, *shift)
    return Outcome(fits, verdicts, reference, scaled, [cycle], model, [])


def _change(old: Merged, new: Merged) -> float:
    both = (old.n_observed > 0) & (new.n_observed > 0)
    difference = np.abs(new.intensity - old.intensity)[both].sum()
    size = np.abs(new.intensity[both]).sum()
    return float(difference / size) if size > 0 else float("nan")
