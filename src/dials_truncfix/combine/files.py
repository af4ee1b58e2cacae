"""The work of dials.truncfix_combine: check replicates, pool, tabulate, write."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dials.util import tabulate

from dials_truncfix import compat
from dials_truncfix.combine.models import Tolerances, check_models
from dials_truncfix.combine.recordings import check_recordings
from dials_truncfix.combine.shells import Shell, pooled_shells
from dials_truncfix.combine.tables import Combined, combine_tables
from dials_truncfix.compare.files import Integrated, load_integrated
from dials_truncfix.io.atomic import atomic_write

logger = logging.getLogger("dials.truncfix.combine")

_NAMES = {"sum": "summation", "prf": "profile fitting"}


@dataclass(frozen=True)
class CombineOptions:
    """How replicates are pooled, and what is written.

    Attributes
    ----------
    rule : {'reduced', 'rubin'}
        Variance of the pooled intensities.
    min_replicates : int
        Reflections that fewer replicates integrated are left out.
    tolerances : Tolerances
        How far the crystals may differ.
    n_shells : int
        Shells of the table.
    reflections, experiments : str or None
        Files to write.
    """

    rule: str = "reduced"
    min_replicates: int = 2
    tolerances: Tolerances = field(default_factory=Tolerances)
    n_shells: int = 10
    reflections: str | None = "combined.refl"
    experiments: str | None = "combined.expt"


def combine_files(
    reflections: Sequence[Path], experiments: Sequence[Path], options: CombineOptions
) -> Combined:
    """Pool the replicates in files.

    Parameters
    ----------
    reflections : sequence of pathlib.Path
        Integrated reflections, a file for each replicate.
    experiments : sequence of pathlib.Path
        Their experiments; without any, those of the same names.
    options : CombineOptions
        How they are pooled.

    Returns
    -------
    Combined

    Raises
    ------
    ValueError
        When the files are no replicates of one sweep, or cannot be pooled.
    OSError
        When a file cannot be read or written.
    """
    if len(reflections) < 2:
        raise ValueError(
            f"{len(reflections)} table was given, and the scatter of the draws takes "
            "two at least: give the integrated reflections of all replicates"
        )
    if options.min_replicates > len(reflections):
        raise ValueError(
            f"min_replicates={options.min_replicates} is more than the "
            f"{len(reflections)} replicates that were given"
        )
    with ExitStack() as files:
        # opened first: a folder that cannot be written is found out before the work
        outputs = {
            path: files.enter_context(atomic_write(path))
            for path in (options.reflections, options.experiments)
            if path is not None
        }
        replicates = load_integrated(reflections, experiments)
        changes = check_models(replicates, options.tolerances)
        if doubt := check_recordings(replicates):
            logger.warning("%s", doubt)
        combined = combine_tables(
            replicates,
            changes,
            options.rule,
            options.min_replicates,
            _max_distance(replicates[0], options.tolerances),
        )
        _log(combined, replicates, options)
        if options.reflections is not None:
            combined.table.as_file(outputs[options.reflections].name)
        if options.experiments is not None:
            text = compat.experiments_as_json(replicates[0].experiments)
            outputs[options.experiments].write(text.encode())
    for path in outputs:
        what = "reflections" if path == options.reflections else "experiments"
        logger.info("Saving the combined %s to %s", what, path)
    return combined


def _max_distance(replicate: Integrated, tolerances: Tolerances) -> float:
    """How far a crystal that is turned within the tolerance moves spots, images."""
    widths = [
        math.inf if e.scan is None else abs(e.scan.get_oscillation()[1])
        for e in replicate.experiments
    ]
    narrow = min(widths)
    return math.inf if not narrow else 2.0 + 2.0 * tolerances.rotation / narrow


def _log(
    combined: Combined, replicates: Sequence[Integrated], options: CombineOptions
) -> None:
    for number, replicate in enumerate(replicates, start=1):
        logger.info(
            "Replicate %d: %s, %s",
            number,
            replicate.path,
            replicate.experiments_path,
        )
    n = len(replicates)
    for kind, pooled in combined.pooled.items():
        if pooled.pooled.any():
            shells = pooled_shells(pooled, combined.d, n, options.n_shells)
            logger.info(
                "\nIntensities by %s, pooled over %d replicates:\n%s",
                _NAMES[kind],
                n,
                shell_table(shells),
            )
    if options.rule == "reduced":
        logger.info(
            "Variance of the mean: within - (1 - 1/m) between, for draws whose law is "
            "known\nfar better than the intensity of a reflection is."
        )
    else:
        logger.info("Variance of the mean: within + (1 + 1/m) between (Rubin, 1987).")
    first = next(iter(combined.pooled.values()))
    partly = int((first.n[first.pooled] < n).sum())
    logger.info(
        "%d reflections were pooled, %d of them without every replicate; %d were "
        "left out,\nas fewer than %d replicates integrated them.",
        len(combined.table),
        partly,
        combined.n_dropped,
        options.min_replicates,
    )


def _count(degrees_of_freedom: float) -> str:
    most = 1000
    return f"> {most}" if degrees_of_freedom > most else f"{degrees_of_freedom:.0f}"


def shell_table(shells: Sequence[Shell]) -> str:
    """Tabulate shells of resolution."""
    rows: list[list[Any]] = [
        [
            f"{shell.d_max:.2f}-{shell.d_min:.2f}",
            shell.n,
            f"{shell.intensity:.2f}",
            f"{shell.i_over_sigma:.2f}",
            f"{shell.within:.4g}",
            f"{shell.between:.4g}",
            f"{100 * shell.missing:.1f}",
            _count(shell.degrees_of_freedom),
            f"{shell.sigma_ratio:.3f}",
        ]
        for shell in shells
    ]
    rows[-1][0] = "all"
    header = [
        "d (Å)",
        "Reflections",
        "Mean I",
        "Mean\nI/σ",
        "Variance\nwithin",
        "Variance\nbetween",
        "Information\nmissing (%)",
        "Degrees of\nfreedom",
        "σ of the mean\nover single",
    ]
    return str(tabulate(rows, header, disable_numparse=True))
