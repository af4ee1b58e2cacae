"""Postrefinement of a whole data set, against a given reference or against itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dials_truncfix.parallel import Map
from dials_truncfix.postrefine.cycles.cycle_options import CycleOptions
from dials_truncfix.postrefine.cycles.finish import finish, merge_again, without_harmful
from dials_truncfix.postrefine.cycles.held_out import HeldOut, best_model
from dials_truncfix.postrefine.cycles.outcome import Cycle, Outcome
from dials_truncfix.postrefine.cycles.passes import (
    Means,
    PassResult,
    Run,
    compare_pass,
    degrees_of_freedom,
    prepare,
    refine_pass,
    start_pass,
)
from dials_truncfix.postrefine.input.observations import LatticeSource
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.merge.merging import Merged
from dials_truncfix.postrefine.merge.references import ExternalReference
from dials_truncfix.postrefine.merge.rejection import Verdict, lacks_freedom


@dataclass(frozen=True)
class _Refined:
    """Where the cycles end."""

    last: PassResult
    cycles: list[Cycle]
    model: Model
    held_out: list[HeldOut]


def postrefine(
    observations: LatticeSource,
    external: ExternalReference | None,
    options: CycleOptions,
    apply: Map,
    folder: Path | None = None,
) -> Outcome:
    """Put all lattices on one scale.

    Parameters
    ----------
    observations : LatticeSource
        What was measured.
    external : ExternalReference or None
        None to refine against the mean of the other lattices, cycle by cycle.
    options : CycleOptions
        How.
    apply : callable
        Applies a function to tasks, on any number of processes, and keeps their order.
    folder : pathlib.Path or None
        Where full intensities are kept between passes; None for memory.

    Returns
    -------
    Outcome
        Nothing in it depends on the number of processes.

    Raises
    ------
    ValueError
        If nothing has a reference.
    OSError
        If the folder cannot be written.
    """
    if external is not None and not np.any(np.isfinite(external.intensity)):
        raise ValueError("the reference holds none of the reflections observed")
    if external is None and observations.n_lattices < 2:
        raise ValueError(
            "a single lattice cannot be refined against itself: give a reference"
        )
    run = prepare(observations, options, apply, folder)
    if external is not None:
        refined = _against(run, external)
    else:
        refined = _against_itself(run)
    return _finished(run, refined, external)


def _against(run: Run, external: ExternalReference) -> _Refined:
    compared = compare_pass(run, external)
    model = run.options.model or best_model(compared)
    last = refine_pass(run, run.options, model, external, None)
    return _Refined(last, [_cycle(last, None)], model, compared)


def _against_itself(run: Run) -> _Refined:
    options = run.options
    model = options.model or Model.GAUSSIAN
    means = start_pass(run, model)
    # what all lattices together could tell, so that one rejection does not lead to the next
    freedom = degrees_of_freedom(run, means, merged_only=True)
    refinement = replace(options.refinement, protocol="scale")
    protocols = [replace(options, refinement=refinement)]
    protocols += options.max_cycles * [options]
    cycles: list[Cycle] = []
    compared: list[HeldOut] = []
    for number, each in enumerate(protocols):
        if number == 2:
            # by now the mean is good enough to tell models apart
            compared = compare_pass(run, means)
            model = options.model or best_model(compared)
        last = refine_pass(run, each, model, means, freedom)
        cycles.append(_cycle(last, means))
        means = last.means
        if not cycles[-1].n_accepted:
            break
        if number > 1 and not cycles[-1].change >= options.tolerance:
            break
    last = _without_under_determined(run, last)
    return _Refined(last, cycles, model, compared)


def _cycle(result: PassResult, before: Means | None) -> Cycle:
    accepted = np.asarray(result.verdicts == Verdict.ACCEPTED)
    cc = result.fits.cc_after[accepted]
    return Cycle(
        n_accepted=int(accepted.sum()),
        change=(
            float("nan")
            if before is None
            else _change(before.sums.merged, result.means.sums.merged)
        ),
        mean_cc=float(np.mean(cc)) if len(cc) else float("nan"),
        log_g_shift=result.shift[0],
        b_shift=result.shift[1],
    )


def _change(old: Merged, new: Merged) -> float:
    both = (old.n_observed > 0) & (new.n_observed > 0)
    difference = np.abs(new.intensity - old.intensity)[both].sum()
    size = np.abs(new.intensity[both]).sum()
    return float(difference / size) if size > 0 else float("nan")


def _without_under_determined(run: Run, last: PassResult) -> PassResult:
    """Give up the lattices that the reflections merged in the end do not determine."""
    wanted = np.any(run.options.refinement.rounds(), axis=0)
    freedom = degrees_of_freedom(run, last.means, merged_only=False)
    short = lacks_freedom(freedom, wanted)
    if not short.any():
        return last
    verdicts = last.verdicts.copy()
    verdicts[short] = Verdict.UNDER_DETERMINED
    accepted = np.asarray(verdicts == Verdict.ACCEPTED)
    means = merge_again(run, last.means, accepted)
    return replace(last, verdicts=verdicts, means=means)


def _finished(
    run: Run, refined: _Refined, external: ExternalReference | None
) -> Outcome:
    last = refined.last
    means, verdicts, delta = without_harmful(run, last.means, last.verdicts)
    return Outcome(
        fits=last.fits,
        verdicts=verdicts,
        delta_cc_half=delta,
        final=finish(run, means, verdicts, external),
        store=run.store,
        cycles=refined.cycles,
        model=refined.model,
        held_out=refined.held_out,
    )
