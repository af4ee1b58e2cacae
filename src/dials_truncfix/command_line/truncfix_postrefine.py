r"""
Put partial reflections of many stationary crystals on one scale.

A still image records only a part of each reflection, and how large a part depends on the
distance of its reciprocal lattice point from the Ewald sphere. For every lattice the
program refines a scale G, a temperature factor B, two small rotations at right angles to
the beam and the radius rs of the reciprocal lattice points, each with its standard
uncertainty, such that the observed partial intensities agree best with the full intensities
of a reference. Without a reference file this is the mean of the other lattices, in cycles.

Narrow rotations, up to 5 degrees of each crystal, are refined in the same way: there it is the
reflections at their ends that are partial.

It writes the intensities of full reflections on one scale, merged (merged.mtz) and unmerged
(postrefined.expt, postrefined.refl), a record that says of every lattice whether it was
accepted, and if not, why (dials.truncfix_postrefine.json), and a page of figures made from it
(dials.truncfix_postrefine.html).

All parameters with their help: dials.truncfix_postrefine -c -e2 -a2

Examples::

  # against the mean of the other lattices, in cycles
  dials.truncfix_postrefine integrated.expt integrated.refl

  # what dials.stills_process or dials.ssx_integrate left in several files
  dials.truncfix_postrefine idx-*_integrated.expt idx-*_integrated.refl

  # against known intensities, or a structure
  dials.truncfix_postrefine integrated.expt integrated.refl reference.file=model.mtz

  # with a model of partiality that is known, and to a resolution
  dials.truncfix_postrefine integrated.expt integrated.refl model=gaussian d_min=1.8

  # a stream of CrystFEL, which does not say the symmetry
  dials.truncfix_postrefine indexed.stream stream.space_group="C 2 2 21"

  # merge again, by DIALS
  dials.merge postrefined.expt postrefined.refl

  # make the page of figures again
  dials.truncfix_postrefine dials.truncfix_postrefine.json mode=report
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dials.util import show_mail_handle_errors, tabulate
from dials.util.options import ArgumentParser

from dials_truncfix.command_line.arguments import parse_with_files
from dials_truncfix.command_line.mp_phil import workers
from dials_truncfix.command_line.postrefine_indexing import settle_indexing
from dials_truncfix.command_line.postrefine_options import (
    InputFiles,
    cycle_options,
    input_options,
    input_pieces,
    sort_files,
)
from dials_truncfix.command_line.postrefine_phil import phil_scope
from dials_truncfix.command_line.program import (
    in_one_sentence,
    keep_files,
    plain_values,
    start,
)
from dials_truncfix.command_line.report_mode import (
    Report,
    remake_report,
    write_report,
)
from dials_truncfix.io.atomic import check_writable
from dials_truncfix.io.staging import refuse_unwritable, scratch_folder, staged_files
from dials_truncfix.parallel import TaskMap, task_map
from dials_truncfix.postrefine.cycles.cycles import postrefine
from dials_truncfix.postrefine.cycles.outcome import Outcome
from dials_truncfix.postrefine.input.free_cells import FreeCells
from dials_truncfix.postrefine.input.gather import DataSet, gather
from dials_truncfix.postrefine.lattice.cell import cell_freedom
from dials_truncfix.postrefine.results.figures import Shell, shell_figures
from dials_truncfix.postrefine.results.merged_mtz import write_mtz
from dials_truncfix.postrefine.results.parts import (
    Part,
    part_names,
    piece_ranges,
    piece_results,
    stale_parts,
    write_part,
)
from dials_truncfix.postrefine.results.profiles import Profiles, profiles
from dials_truncfix.postrefine.results.record import (
    lattice_records,
    run_record,
    write_record,
)
from dials_truncfix.postrefine.results.words import (
    Table,
    cell_table,
    cycle_table,
    error_table,
    findings,
    model_table,
    parameter_table,
    shell_table,
    verdict_table,
)
from dials_truncfix.report.postrefine_page import postrefine_page
from dials_truncfix.report.postrefine_results import read_postrefine_record
from dials_truncfix.sweep.record import plain_record, software_versions

logger = logging.getLogger("dials.truncfix.postrefine")

_REPORT = Report(
    read_postrefine_record,
    postrefine_page,
    "which a refinement wrote, such as dials.truncfix_postrefine.json",
)


def _log(table: Table) -> None:
    text = tabulate(
        table.rows,
        table.header,
        disable_numparse=True,
        colalign=["left", *["right"] * (len(table.header) - 1)],
    )
    logger.info("\n%s\n%s", table.title, text)


@dataclass(frozen=True)
class Results:
    """A data set, what became of it, and how it looks."""

    data: DataSet
    outcome: Outcome
    shells: list[Shell]
    binned: Profiles | None
    sentences: list[str]


def refine_files(
    params: Any, files: InputFiles, folder: Path, apply: TaskMap
) -> Results:
    """Read all files, refine, and log the tables.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        After parsing.
    files : InputFiles
        What to read.
    folder : pathlib.Path
        For what does not stay in memory.
    apply : TaskMap
        Processes.
    """
    data = gather(
        input_pieces(params, files, folder), input_options(params), folder, apply
    )
    logger.info(
        "%d lattices, %d reflections, %s, cell %s",
        data.n_experiments,
        len(data.observations),
        data.symmetry.space_group_info(),
        ", ".join(f"{x:.5g}" for x in data.symmetry.unit_cell().parameters()),
    )
    settled = settle_indexing(params, data, folder, apply)
    data, external = settled.data, settled.external
    if params.refine_cell:
        observations = data.observations
        free = FreeCells(observations, cell_freedom(data.symmetry))
        data = replace(data, observations=free)
    outcome = postrefine(
        data.observations, external, cycle_options(params), apply, folder
    )
    shells = shell_figures(
        data.observations.d,
        outcome,
        data.symmetry,
        params.shells,
        None if external is None else external.intensity,
    )
    for table in (
        cycle_table(outcome),
        model_table(outcome),
        verdict_table(data, outcome),
        parameter_table(outcome),
        cell_table(data, outcome),
        error_table(outcome),
        shell_table(shells),
    ):
        if table.rows:
            _log(table)
    logger.info("")
    binned = profiles(data.observations, outcome, external, apply)
    sentences = findings(data, outcome, external is not None, binned)
    for sentence in sentences:
        logger.info("%s", sentence)
    if not outcome.accepted.any():
        raise ValueError(
            "no lattice is acceptable (the table above says why): give a reference, "
            "more lattices, or other limits"
        )
    if settled.doubt is not None:
        raise ValueError(settled.doubt)
    return Results(data, outcome, shells, binned, sentences)


def write_parts(
    output: Any, results: Results, apply: TaskMap, stack: ExitStack
) -> None:
    """Write experiments and reflections, numbered where there are too many for one file."""
    data, outcome = results.data, results.outcome
    ranges = piece_ranges(data, outcome, output.lattices_per_file)
    names: dict[str, list[Path]] = {}
    for kind in ("experiments", "reflections"):
        if (name := getattr(output, kind)) is not None:
            names[kind] = part_names(Path(name), len(ranges))
    if not names:
        return
    staged = {
        kind: stack.enter_context(staged_files(paths)) for kind, paths in names.items()
    }

    def parts() -> Iterator[Part]:
        for number, pieces in enumerate(ranges):
            yield Part(
                list(piece_results(data, outcome, pieces)),
                **{
                    kind: staged[kind][number] if kind in staged else None
                    for kind in ("experiments", "reflections")
                },
            )

    for _ in apply(write_part, parts()):
        pass
    for paths in names.values():
        logger.info(
            "Saving to %s",
            paths[0] if len(paths) == 1 else f"{paths[0]} to {paths[-1].name}",
        )
        if stale := stale_parts(paths):
            logger.warning("%s is of an earlier run: remove it", stale[0])


def postrefine_files(params: Any, files: InputFiles) -> None:
    """Refine, log the tables and write all files.

    Raises
    ------
    ValueError
        When the files cannot be refined.
    OSError
        When a file cannot be read or written.
    """
    output = params.output
    whole = [Path(name) for name in (output.mtz, output.json) if name is not None]
    in_parts = [
        Path(name)
        for name in (output.experiments, output.reflections)
        if name is not None
    ]
    if output.html is not None:
        check_writable(output.html)
    with ExitStack() as stack:
        # before the work, so that a folder that cannot be written costs no time
        staged = dict(zip(whole, stack.enter_context(staged_files(whole))))
        refuse_unwritable(in_parts)
        beside = (in_parts or whole or [Path("x")])[0].absolute().parent
        folder = stack.enter_context(scratch_folder(beside))
        apply = stack.enter_context(task_map(workers(params)))
        results = refine_files(params, files, folder, apply)
        data, outcome = results.data, results.outcome
        record = plain_record(
            {
                "versions": software_versions(),
                "files": list(map(str, files.given())),
                # neither changes the results
                "parameters": {
                    name: value
                    for name, value in plain_values(params).items()
                    if name not in ("mp", "output")
                },
                "findings": results.sentences,
                **run_record(data, outcome, results.shells, results.binned),
            }
        )
        if output.json is not None:
            path = staged[Path(output.json)]
            write_record(path, record, lattice_records(data, outcome))
            logger.info("Saving to %s", output.json)
        if output.mtz is not None:
            path = staged[Path(output.mtz)]
            write_mtz(path, data, outcome.merged, outcome.halves)
            logger.info("Saving to %s", output.mtz)
        write_parts(output, results, apply, stack)
    record["lattices"] = lattice_records(data, outcome)
    write_report(_REPORT, record, output.html, output.json or "the record")


@show_mail_handle_errors()
def run(args: Sequence[str] | None = None, phil: Any = phil_scope) -> None:
    """Run dials.truncfix_postrefine as from the command line.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments; those of the command line if not given.
    phil : libtbx.phil.scope
        Definition of the parameters.
    """
    parser = ArgumentParser(
        usage="dials.truncfix_postrefine [options] integrated.expt integrated.refl | x.stream",
        phil=phil,
        epilog=__doc__,
    )
    given = list(sys.argv[1:] if args is None else args)
    params, options, files = parse_with_files(parser, given, phil)
    output = params.output
    if params.mode == "report":
        # without a log file: that of the refinement stays
        start(parser, options, None)
        remake_report(_REPORT, files, output.html)
        return
    if not files:
        parser.print_help()
        sys.exit(0)
    given_files = sort_files(files)
    keep_files(
        [*map(str, given_files.read()), *filter(None, [params.reference.file])],
        [
            output.experiments,
            output.reflections,
            output.mtz,
            output.json,
            output.html,
            output.log,
        ],
    )
    start(parser, options, params.output.log)
    with in_one_sentence():
        postrefine_files(params, given_files)


if __name__ == "__main__":
    run()
