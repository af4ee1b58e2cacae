"""Passes over all lattices of a data set, in blocks on any number of processes.

The blocks, and the order in which their sums are added, depend on the data alone: so do all
results, to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dials_truncfix.parallel import Map
from dials_truncfix.postrefine.cycles.block import (
    BlockTask,
    refine_block,
    start_block,
)
from dials_truncfix.postrefine.cycles.cycle_options import CycleOptions
from dials_truncfix.postrefine.cycles.held_out import (
    HeldOut,
    compare_models,
    held_out_task,
    predict_held_out,
)
from dials_truncfix.postrefine.cycles.store import ScaledStore, make_store
from dials_truncfix.postrefine.input.observations import (
    LatticeSource,
    ObservationBlock,
    cut,
)
from dials_truncfix.postrefine.lattice.fits import LatticeFits, join_fits
from dials_truncfix.postrefine.lattice.lattices import FloatArray, IntArray
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.merge.merging import HalfSums, centred, factor_of_shift
from dials_truncfix.postrefine.merge.references import (
    ExternalReference,
    OtherLattices,
    Reference,
)
from dials_truncfix.postrefine.merge.rejection import Verdict
from dials_truncfix.postrefine.merge.scaling import Scaled

#: Observations of a block that a process works on at a time.
BLOCK = 100_000
#: Blocks on which the models are compared: more would not change the answer.
_MOST_BLOCKS_HELD_OUT = 4


@dataclass(frozen=True)
class Run:
    """What all passes over a data set share.

    Attributes
    ----------
    observations : LatticeSource
        What was measured.
    options : CycleOptions
        How to refine.
    apply : callable
        Applies a function to tasks.
    store : ScaledStore
        Full intensities, from one pass to the next.
    half : ndarray, shape (n_lattices,), int
        Half set of each lattice, 0 or 1.
    blocks : list of slice
        Ranges of lattices.
    """

    observations: LatticeSource
    options: CycleOptions
    apply: Map
    store: ScaledStore
    half: IntArray
    blocks: list[slice]


@dataclass(frozen=True)
class Means:
    """Where a pass leaves the means.

    Attributes
    ----------
    sums : HalfSums
        Over all accepted lattices.
    factor : ndarray, shape (n_unique,)
        What the intensities in the store are multiplied with to be on the scale of `sums`.
    """

    sums: HalfSums
    factor: FloatArray


@dataclass(frozen=True)
class PassResult:
    """What a pass of refinement gives.

    Attributes
    ----------
    fits : LatticeFits
        Of every lattice.
    verdicts : ndarray of Verdict, shape (n_lattices,)
        Which are accepted.
    means : Means
        Of these.
    shift : tuple of float
        Means of log G and B (Å²) that were taken out.
    """

    fits: LatticeFits
    verdicts: npt.NDArray[np.object_]
    means: Means
    shift: tuple[float, float]


def prepare(
    observations: LatticeSource,
    options: CycleOptions,
    apply: Map,
    folder: Path | None,
) -> Run:
    """Cut a data set into blocks and divide its lattices into half sets.

    Observations of one lattice share the errors of its parameters, so that lattices, and
    not observations, are divided.
    """
    n = observations.n_lattices
    half = np.zeros(n, dtype=np.int64)
    half[np.random.default_rng(options.seed).permutation(n)[: n // 2]] = 1
    return Run(
        observations,
        options,
        apply,
        make_store(folder, observations.offsets),
        half,
        list(cut(observations.offsets, BLOCK)),
    )


def scaled_block(
    run: Run, lattices: slice, block: ObservationBlock, means: Means
) -> Scaled:
    """Full intensities of a block on the scale of the means."""
    return run.store.read(lattices).multiplied(means.factor[block.group])


def start_pass(run: Run, model: Model) -> Means:
    """Average with equal scales and the partialities of unrefined lattices."""
    n_unique = len(run.observations.unique)
    nothing = ExternalReference(np.empty(0), np.empty(0))

    def tasks() -> Iterator[BlockTask]:
        for lattices in run.blocks:
            block = run.observations.block(lattices)
            yield BlockTask(
                block, nothing, run.half[lattices], model, run.options, None, n_unique
            )

    sums = None
    for lattices, (scaled, part) in zip(run.blocks, run.apply(start_block, tasks())):
        run.store.write(lattices, scaled)
        sums = part if sums is None else sums + part
    assert sums is not None
    return Means(sums, np.ones(n_unique))


def refine_pass(
    run: Run,
    options: CycleOptions,
    model: Model,
    reference: ExternalReference | Means,
    freedom: FloatArray | None,
) -> PassResult:
    """Refine every lattice once, judge it, and merge what is accepted.

    Parameters
    ----------
    run : Run
        The data set.
    options : CycleOptions
        How, in this pass.
    model : Model
        Partiality.
    reference : ExternalReference or Means
        What to refine against: means stand for those of the other lattices, and the
        averages of log G and B are then taken out.
    freedom : ndarray, shape (n_lattices,), or None
        Degrees of freedom of each lattice.
    """

    def tasks() -> Iterator[BlockTask]:
        for lattices, block, expected in blocks_with_reference(run, reference):
            yield BlockTask(
                block,
                expected,
                run.half[lattices],
                model,
                options,
                None if freedom is None else freedom[lattices],
                len(run.observations.unique),
            )

    fits, verdicts, sums = [], [], None
    for lattices, result in zip(run.blocks, run.apply(refine_block, tasks())):
        run.store.write(lattices, result.scaled)
        fits.append(result.fits)
        verdicts.append(result.verdicts)
        sums = result.sums if sums is None else sums + result.sums
    assert sums is not None
    all_fits, all_verdicts = join_fits(fits), np.concatenate(verdicts)
    shift, factor = (0.0, 0.0), np.ones(len(run.observations.unique))
    if isinstance(reference, Means):
        accepted = np.asarray(all_verdicts == Verdict.ACCEPTED)
        parameters, shift = centred(all_fits.parameters, accepted)
        all_fits = replace(all_fits, parameters=parameters)
        factor = factor_of_shift(run.observations.d, shift)
        sums = sums.multiplied(factor)
    return PassResult(all_fits, all_verdicts, Means(sums, factor), shift)


def blocks_with_reference(
    run: Run, reference: ExternalReference | Means, step: int = 1
) -> Iterator[tuple[slice, ObservationBlock, Reference]]:
    """Every block, or every so many, beside what it is compared with."""
    merged = reference.sums.merged if isinstance(reference, Means) else None
    for lattices in run.blocks[::step]:
        block = run.observations.block(lattices)
        if isinstance(reference, Means) and merged is not None:
            own = scaled_block(run, lattices, block, reference)
            yield lattices, block, OtherLattices(merged, own)
        elif isinstance(reference, ExternalReference):
            yield lattices, block, reference


def compare_pass(run: Run, reference: ExternalReference | Means) -> list[HeldOut]:
    """Compare the models on blocks evenly spread over the data."""
    step = -(-len(run.blocks) // _MOST_BLOCKS_HELD_OUT)
    options = run.options
    tasks = (
        held_out_task(
            block,
            expected,
            lattices,
            options.refinement,
            options.free_part,
            options.seed,
        )
        for lattices, block, expected in blocks_with_reference(run, reference, step)
    )
    return compare_models(list(run.apply(predict_held_out, tasks)))


def degrees_of_freedom(run: Run, means: Means, merged_only: bool) -> FloatArray:
    """Degrees of freedom of each lattice, shape (n_lattices,).

    m observations of a reflection have m - 1: each has its share of the unknown mean. An
    observation that is not merged counts as if it were.

    Parameters
    ----------
    run : Run
        The data set.
    means : Means
        Of it.
    merged_only : bool
        Whether only observations that are merged count, or all that are partial enough.
    """
    n_observed = means.sums.n_observed.sum(axis=0)
    result = []
    for lattices in run.blocks:
        block, scaled = run.observations.block(lattices), run.store.read(lattices)
        m = n_observed[block.group] + np.where(scaled.used, 0, 1)
        counted = scaled.used if merged_only else scaled.partial
        shares = np.where(counted, 1.0 - 1.0 / m, 0.0)
        result.append(np.add.reduceat(shares, block.offsets[:-1]))
    return np.concatenate(result)
