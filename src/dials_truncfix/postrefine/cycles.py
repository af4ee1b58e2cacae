"""Postrefinement of a whole data set, against a given reference or against itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Callable

import numpy as np
import numpy.typing as npt

from dials_truncfix.postrefine.block import (
    BlockTask,
    join_full,
    refine_block,
    start_block,
)
from dials_truncfix.postrefine.fits import LatticeFits, join_fits
from dials_truncfix.postrefine.held_out import (
    HeldOut,
    best_model,
    compare_models,
    held_out_task,
    predict_held_out,
)
from dials_truncfix.postrefine.lattices import BoolArray, FloatArray
from dials_truncfix.postrefine.merging import (
    Merged,
    Scaled,
    centred,
    reference_of_others,
    scale_and_merge,
    shifted,
)
from dials_truncfix.postrefine.observations import Observations
from dials_truncfix.postrefine.options import RefinementOptions
from dials_truncfix.postrefine.partiality import Model
from dials_truncfix.postrefine.rejection import (
    RejectionLimits,
    Verdict,
    judge,
    lacks_freedom,
)

#: Observations of a block that a process refines at a time.
BLOCK = 100_000
#: Blocks on which the models are compared: more would not change the answer.
_MOST_BLOCKS_HELD_OUT = 4

#: ``map(function, tasks)``, on any number of processes.
Map = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class CycleOptions:
    """How a data set is refined.

    Attributes
    ----------
    model : Model or None
        Partiality; None for that which predicts observations held out best.
    refinement : RefinementOptions
        Of each lattice.
    limits : RejectionLimits
        What an acceptable lattice keeps to.
    min_partiality : float
        Observations of a smaller partiality are neither merged nor written as full.
    max_deviation : float
        Observations that deviate from the mean of the other lattices by more standard
        deviations are not merged.
    max_cycles : int
        Most cycles of a refinement against the data themselves.
    tolerance : float
        Such a refinement ends when the mean intensities change by a smaller part.
    free_part : float
        Part of the observations held out to compare the models.
    seed : int
        Of the choice of these.
    """

    model: Model | None = None
    refinement: RefinementOptions = field(default_factory=RefinementOptions)
    limits: RejectionLimits = field(default_factory=RejectionLimits)
    min_partiality: float = 0.2
    max_deviation: float = 6.0
    max_cycles: int = 8
    tolerance: float = 2e-3
    free_part: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse thresholds that make no sense."""
        if not 0 < self.min_partiality < 1:
            raise ValueError(f"min_partiality {self.min_partiality} is not in 0 to 1")
        if not self.max_deviation > 0 or not self.tolerance > 0:
            raise ValueError(
                f"max_deviation {self.max_deviation}, tolerance {self.tolerance}"
            )
        if not 0 < self.free_part < 1:
            raise ValueError(f"free_part {self.free_part} is not in 0 to 1")
        if self.max_cycles < 1:
            raise ValueError(f"{self.max_cycles} cycles")


@dataclass(frozen=True)
class ExternalReference:
    """Intensities of full reflections from elsewhere.

    Attributes
    ----------
    intensity, variance : ndarray, shape (n_unique,)
        One for each unique reflection of the observations; NaN where there is none.
    """

    intensity: FloatArray
    variance: FloatArray


@dataclass(frozen=True)
class Cycle:
    """How far a cycle came.

    Attributes
    ----------
    n_accepted : int
        Lattices accepted.
    change : float
        Change of the mean intensities since the cycle before, Σ|ΔI|/Σ|I|.
    mean_cc : float
        Mean correlation of observed and calculated intensities of accepted lattices.
    log_g_shift, b_shift : float
        Means of log G and B (Å²) that were taken out.
    """

    n_accepted: int
    change: float
    mean_cc: float
    log_g_shift: float
    b_shift: float


@dataclass(frozen=True)
class Outcome:
    """A data set after postrefinement.

    Attributes
    ----------
    fits : LatticeFits
        Of every lattice, on the common scale.
    verdicts : ndarray of Verdict, shape (n_lattices,)
        Which are accepted, and why others are not.
    reference : ndarray, shape (n,)
        What each observation was refined against in the last cycle; NaN for none.
    scaled : Scaled
        Full intensities and their means.
    cycles : list of Cycle
        One for a given reference.
    model : Model
        Partiality.
    held_out : list of HeldOut
        How the models predict observations that they were not fitted to.
    """

    fits: LatticeFits
    verdicts: npt.NDArray[np.object_]
    reference: FloatArray
    scaled: Scaled
    cycles: list[Cycle]
    model: Model
    held_out: list[HeldOut]

    @property
    def accepted(self) -> BoolArray:
        """Lattices accepted, shape (n_lattices,)."""
        return np.asarray(self.verdicts == Verdict.ACCEPTED)


def postrefine(
    observations: Observations,
    external: ExternalReference | None,
    options: CycleOptions,
    apply: Map,
) -> Outcome:
    """Put all lattices on one scale.

    Parameters
    ----------
    observations : Observations
        What was measured.
    external : ExternalReference or None
        None to refine against the mean of the other lattices, cycle by cycle.
    options : CycleOptions
        How.
    apply : callable
        Applies a function to tasks, on any number of processes, and keeps their order.

    Returns
    -------
    Outcome
        Nothing in it depends on the number of processes.

    Raises
    ------
    ValueError
        If nothing has a reference.
    """
    if external is not None:
        reference = external.intensity[observations.group]
        variance = external.variance[observations.group]
        if not np.any(np.isfinite(reference)):
            raise ValueError("the reference holds none of the reflections observed")
        compared = _held_out(observations, reference, variance, options, apply)
        model = options.model or best_model(compared)
        outcome = _cycle(observations, reference, variance, options, model, apply, None)
        return replace(outcome, held_out=compared)
    if observations.n_lattices < 2:
        raise ValueError(
            "a single lattice cannot be refined against itself: give a reference"
        )
    return _against_itself(observations, options, apply)


def _against_itself(
    observations: Observations, options: CycleOptions, apply: Map
) -> Outcome:
    model = options.model or Model.GAUSSIAN
    scaled = _first_mean(observations, options, model, apply)
    # what all lattices together could tell, so that one rejection does not lead to the next
    freedom = _freedom(observations, scaled, scaled.used)
    refinement = replace(options.refinement, protocol="scale")
    protocols = [replace(options, refinement=refinement)]
    protocols += options.max_cycles * [options]
    cycles: list[Cycle] = []
    compared: list[HeldOut] = []
    for number, each in enumerate(protocols):
        reference, variance = reference_of_others(observations, scaled)
        if number == 2:
            # by now the mean is good enough to tell models apart
            compared = _held_out(observations, reference, variance, options, apply)
            model = options.model or best_model(compared)
        outcome = _cycle(
            observations, reference, variance, each, model, apply, scaled, freedom
        )
        scaled = outcome.scaled
        cycles += outcome.cycles
        if not outcome.accepted.any():
            break
        if number > 1 and not cycles[-1].change >= options.tolerance:
            break
    outcome = replace(outcome, cycles=cycles, held_out=compared)
    return _without_under_determined(observations, outcome, options, variance)


def _without_under_determined(
    observations: Observations,
    outcome: Outcome,
    options: CycleOptions,
    reference_variance: FloatArray,
) -> Outcome:
    """Give up the lattices that the reflections merged in the end do not determine."""
    wanted = np.any(options.refinement.rounds(), axis=0)
    partial = outcome.scaled.full.partiality >= options.min_partiality
    short = lacks_freedom(_freedom(observations, outcome.scaled, partial), wanted)
    if not short.any():
        return outcome
    verdicts = outcome.verdicts.copy()
    verdicts[short] = Verdict.UNDER_DETERMINED
    scaled = scale_and_merge(
        observations,
        outcome.scaled.full,
        outcome.accepted & ~short,
        outcome.reference,
        reference_variance,
        min_partiality=options.min_partiality,
        max_deviation=options.max_deviation,
    )
    return replace(outcome, verdicts=verdicts, scaled=scaled)


def _held_out(
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


def _first_mean(
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


def _cycle(
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


def _freedom(
    observations: Observations, scaled: Scaled, counted: BoolArray
) -> FloatArray:
    """Degrees of freedom of each lattice, shape (n_lattices,).

    m observations of a reflection have m - 1: each has its share of the unknown mean. An
    observation that is not merged counts as if it were.
    """
    m = scaled.merged.n_observed[observations.group] + np.where(scaled.used, 0, 1)
    shares = np.where(counted, 1.0 - 1.0 / m, 0.0)
    return np.asarray(np.add.reduceat(shares, observations.offsets[:-1]))


def _change(old: Merged, new: Merged) -> float:
    both = (old.n_observed > 0) & (new.n_observed > 0)
    difference = np.abs(new.intensity - old.intensity)[both].sum()
    size = np.abs(new.intensity[both]).sum()
    return float(difference / size) if size > 0 else float("nan")
