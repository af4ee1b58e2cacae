"""dials.truncfix on several sweeps: one after the other, whatever becomes of the others."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dials.util import Sorry, tabulate

from dials_truncfix import compat
from dials_truncfix.command_line.arguments import why_unread
from dials_truncfix.command_line.given_sweeps import Given
from dials_truncfix.command_line.mp_phil import workers
from dials_truncfix.command_line.program import in_one_sentence
from dials_truncfix.io.atomic import atomic_write, check_writable
from dials_truncfix.io.staging import output_folder
from dials_truncfix.parallel import TaskMap, task_map
from dials_truncfix.sweep.options import OutputOptions
from dials_truncfix.sweep.repair import Repaired
from dials_truncfix.sweep.replicates import plan_replicates
from dials_truncfix.sweep.sweeps import Sweep, all_experiments

logger = logging.getLogger("dials.truncfix.sweeps")


def each_sweep(
    sweeps: Sequence[Sweep], do: Callable[[Sweep], str], given: Given
) -> list[str]:
    """Do something with each sweep, whatever becomes of the others.

    Parameters
    ----------
    sweeps : sequence of Sweep
        In the order of their numbers.
    do : callable
        Returns what came of a sweep, in a word or two.
    given : Given
        Says which of them, and which other files, cannot be read.

    Returns
    -------
    list of str
        What failed, each with the reason.
    """
    rows, failures = [], []
    for number, sweep in enumerate(sweeps, 1):
        logger.info("\nSweep %d of %d: %s", number, len(sweeps), sweep.name)
        try:
            if reason := given.problems.get(sweep.name):
                raise Sorry(reason)
            came_of_it = _in_one_sentence(do, sweep)
        except Sorry as error:
            came_of_it = "failed"
            logger.error("Sweep %d failed: %s", number, error)
            told = str(error)
            name = "" if sweep.name in told else f", {sweep.name}"
            failures.append(f"sweep {number}{name}: {told}")
        # recordings of a visit often have one name, in folders of their own
        short = os.path.join(*Path(sweep.name).parts[-2:])
        rows.append([number, short, sweep.n_images, came_of_it])
    logger.info("\n%s", tabulate(rows, ["Sweep", "Images", "Number", "Result"]))
    return failures + [why_unread(file) for file in given.unread]


def refuse_failures(
    failures: Sequence[str], sweeps: Sequence[Sweep], given: Given
) -> None:
    """Raise a Sorry that lists what failed, if anything did."""
    if failures:
        n_given = len(sweeps) + len(given.unread)
        raise Sorry(
            f"{len(failures)} of {n_given} sweeps failed:\n  " + "\n  ".join(failures)
        )


def _in_one_sentence(do: Callable[[Sweep], str], sweep: Sweep) -> str:
    try:
        with in_one_sentence(sweep.output.directory):
            return do(sweep)
    except Sorry:
        raise
    except Exception as error:
        # a fault of the program, or of a library, must not cost the other sweeps
        logger.debug("", exc_info=True)
        raise Sorry(f"{type(error).__name__}: {error}") from None


def check_sweeps(
    sweeps: Sequence[Sweep],
    check: Callable[[Sweep], str],
    given: Given,
) -> None:
    """Judge each sweep.

    Parameters
    ----------
    sweeps, given
        As for `each_sweep`.
    check : callable
        Judges one, and returns the verdict.
    """

    def do(sweep: Sweep) -> str:
        with output_folder(Path(sweep.output.directory)):
            return check(sweep)

    refuse_failures(each_sweep(sweeps, do, given), sweeps, given)


def correct_sweeps(
    sweeps: Sequence[Sweep],
    given: Given,
    params: Any,
    output: OutputOptions,
    correct: Callable[[Sweep, TaskMap], Repaired],
) -> None:
    """Correct each sweep, and write the experiments of all that could be corrected.

    Parameters
    ----------
    sweeps, given
        As for `each_sweep`.
    params : libtbx.phil.scope_extract
        Of dials.truncfix.
    output : OutputOptions
        Where the user wants the experiments of all.
    correct : callable
        Corrects one sweep by means of the tasks.
    """
    replicates = plan_replicates(params.seed, output)
    paths = [replicate.output.experiments for replicate in replicates]
    corrected: list[tuple[Sweep, Repaired]] = []
    with in_one_sentence():
        for path in filter(None, paths):
            check_writable(path)
            # it describes what is replaced from here on
            with suppress(FileNotFoundError):
                os.unlink(path)
        n_images = sum(sweep.n_images for sweep in sweeps)
        processes = workers(params).at_most(n_images)

        def do(sweep: Sweep) -> str:
            with output_folder(Path(sweep.output.directory)):
                done = correct(sweep, tasks)
            corrected.append((sweep, done))
            return done.verdict

        with task_map(processes) as tasks:
            failures = each_sweep(sweeps, do, given)
        _write_all(given.experiments, corrected, paths)
    refuse_failures(failures, sweeps, given)


def _write_all(
    given: Any,
    corrected: Sequence[tuple[Sweep, Repaired]],
    paths: Sequence[str | None],
) -> None:
    """Write the experiments of each replicate of all sweeps."""
    if not corrected:
        return
    for number, path in enumerate(paths):
        if path is None:
            continue
        parts = [(s.positions, done.experiments[number]) for s, done in corrected]
        with atomic_write(path) as stream:
            together = all_experiments(given, parts)
            stream.write(compat.experiments_as_json(together).encode())
        n_sweeps = f"{len(parts)} sweep{'s' if len(parts) > 1 else ''}"
        logger.info("Saving the experiments of %s to %s", n_sweeps, path)
