"""Postrefinement of a whole data set, against a given reference or against itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dials_truncfix.postrefine.cycle_options import CycleOptions
from dials_truncfix.postrefine.freedom import degrees_of_freedom
from dials_truncfix.postrefine.held_out import HeldOut, best_model
from dials_truncfix.postrefine.lattices import FloatArray
from dials_truncfix.postrefine.merging import reference_of_others, scale_and_merge
from dials_truncfix.postrefine.observations import Observations
from dials_truncfix.postrefine.outcome import Cycle, ExternalReference, Outcome
from dials_truncfix.postrefine.partiality import Model
from dials_truncfix.postrefine.passes import (
    Map,
    compare_on_blocks,
    first_mean,
    one_cycle,
)
from dials_truncfix.postrefine.rejection import Verdict, lacks_freedom


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
        compared = compare_on_blocks(observations, reference, variance, options, apply)
        model = options.model or best_model(compared)
        outcome = one_cycle(
            observations, reference, variance, options, model, apply, None
        )
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
    scaled = first_mean(observations, options, model, apply)
    # what all lattices together could tell, so that one rejection does not lead to the next
    freedom = degrees_of_freedom(observations, scaled, scaled.used)
    refinement = replace(options.refinement, protocol="scale")
    protocols = [replace(options, refinement=refinement)]
    protocols += options.max_cycles * [options]
    cycles: list[Cycle] = []
    compared: list[HeldOut] = []
    for number, each in enumerate(protocols):
        reference, variance = reference_of_others(observations, scaled)
        if number == 2:
            # by now the mean is good enough to tell models apart
            compared = compare_on_blocks(
                observations, reference, variance, options, apply
            )
            model = options.model or best_model(compared)
        outcome = one_cycle(
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
    short = lacks_freedom(
        degrees_of_freedom(observations, outcome.scaled, partial), wanted
    )
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
