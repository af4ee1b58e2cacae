"""
Repair images of a camera that cut negative pixel values off at zero.

Cameras that subtract a dark frame and store unsigned integers, such as the TVIPS
TemCam-F416 in rolling-shutter mode, record every pixel below zero as zero. This
lifts the background, most at high angle, so weak intensities come out too low and
look better than they are. The program fits a distribution to the low counts in
annuli of every image, and replaces each zero by a random draw from the part of the
distribution that was cut off (Hattne et al. (2016) J. Appl. Cryst. 49, 1029).
Positive pixels never change.

It judges first whether the images are truncated at all, and stops with the reason
when they are not: zeros of a counting detector are real. It also estimates the gain
and pedestal that DIALS needs to weigh signed pixels, and writes them to the
experiments. Run it after dials.import and before dials.find_spots, and go on with
truncfix.expt in the place of imported.expt.

It writes the corrected images, truncfix.expt, a record of all that was found
(dials.truncfix.json), and a report with figures, dials.truncfix.html: read its warnings
before you integrate. The images that were given are never changed. The exit status is 0
when the work was done, 1 when the images were refused or something failed.

Of several sweeps, in one file or in several, each is judged and corrected by itself
and has a folder of its own, sweep_1, sweep_2, ...; truncfix.expt has the experiments of
all. A sweep that fails does not stop the others: what failed is told in the end.

Where a run was killed, the same command with resume=True goes on: whatever is whole,
and of the same options, input and version, is kept, and the output is the same to the
last bit.

All parameters with their help: dials.truncfix -c -e2 -a2

Examples::

  # judge and correct; the images go to the folder corrected
  dials.truncfix imported.expt output.directory=corrected

  # several sweeps, each by itself
  dials.truncfix crystal_1.expt crystal_2.expt output.directory=corrected

  # go on where the run was killed
  dials.truncfix crystal_1.expt crystal_2.expt output.directory=corrected resume=True

  # judge only
  dials.truncfix imported.expt mode=check

  # draw each zero at the brightness of its surroundings: least bias beside spots
  dials.truncfix imported.expt assign=local

  # unsigned images for XDS, MOSFLM and xia2, on an offset that the log tells
  dials.truncfix imported.expt output.format=smv output.template=xds_####.img

  # no images, but a small file by which DIALS corrects them as it reads them
  dials.truncfix imported.expt output.format=sidecar

  # make some images again from their source, and compare
  dials.truncfix truncfix.expt mode=verify

  # make the report again, without the images
  dials.truncfix dials.truncfix.json mode=report
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dials.util import Sorry, show_mail_handle_errors
from dials.util.options import ArgumentParser

from dials_truncfix.command_line.arguments import parse_with_files
from dials_truncfix.command_line.given_sweeps import Given, given_sweeps
from dials_truncfix.command_line.many_sweeps import check_sweeps, correct_sweeps
from dials_truncfix.command_line.mp_phil import workers
from dials_truncfix.command_line.program import (
    in_one_sentence,
    keep_files,
    keep_inputs,
    start,
)
from dials_truncfix.command_line.report_mode import Report, remake_reports
from dials_truncfix.command_line.truncfix_options import (
    correction_options,
    output_options,
)
from dials_truncfix.command_line.truncfix_phil import phil_scope
from dials_truncfix.command_line.verify_mode import verify
from dials_truncfix.executors import Workers
from dials_truncfix.io.output_locks import locked_outputs
from dials_truncfix.parallel import TaskMap
from dials_truncfix.report.plotly_js import missing_packages
from dials_truncfix.report.sweep_results import read_record
from dials_truncfix.report.truncfix_page import truncfix_page
from dials_truncfix.sweep.check import check_sweep
from dials_truncfix.sweep.options import OutputOptions
from dials_truncfix.sweep.repair import Conduct, Repaired, repair_sweep
from dials_truncfix.sweep.replicates import plan_replicates
from dials_truncfix.sweep.sweeps import (
    Sweep,
    plan_sweeps,
    refuse_folders_of_inputs,
    without_report,
)

logger = logging.getLogger("dials.truncfix")

_REPORT = Report(
    read_record, truncfix_page, "which a correction wrote, such as dials.truncfix.json"
)


@show_mail_handle_errors()
def run(args: Sequence[str] | None = None, phil: Any = phil_scope) -> None:
    """Run dials.truncfix as from the command line.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments; those of the command line if not given.
    phil : libtbx.phil.scope
        Definition of the parameters.
    """
    parser = ArgumentParser(
        usage="dials.truncfix [options] imported.expt [more.expt ...]",
        phil=phil,
        read_experiments=True,
        read_experiments_from_images=True,
        epilog=__doc__,
    )
    params, options, files = parse_with_files(parser, args, phil)
    if params.resume and params.mode != "correct":
        raise Sorry(
            f"resume=True goes with mode=correct: mode={params.mode} leaves nothing to go "
            "on with"
        )
    if params.mode == "report":
        # without a log file: that of the correction stays
        start(parser, options, None)
        remake_reports(_REPORT, files, params.output.html)
        return
    given = given_sweeps(params.input.experiments, files)
    if not given.experiments:
        parser.print_help()
        sys.exit(0)
    if params.mode == "verify":
        # without a log file: that of the correction stays
        start(parser, options, None)
        verify(params, given)
        return
    output = output_options(params)
    with in_one_sentence():
        sweeps = plan_sweeps(given.experiments, output)
        refuse_folders_of_inputs(sweeps)
    outputs = _outputs(params, output, sweeps)
    keep_inputs(params, outputs)
    also_read = (params.regions.labels, params.fit.camera.record, *given.files)
    keep_files([path for path in also_read if path is not None], outputs)
    of_all = [params.output.log, *_experiments_of_all(params, output, sweeps)]
    with in_one_sentence(), locked_outputs([Path(path) for path in of_all if path]):
        start(parser, options, params.output.log)
        _work(params, given, sweeps, output)


def _work(
    params: Any, given: Given, sweeps: Sequence[Sweep], output: OutputOptions
) -> None:
    """Judge or correct all sweeps."""
    correction = correction_options(params)
    page = truncfix_page
    if output.html is not None and (missing := missing_packages()):
        logger.warning("No report was written: %s.", missing)
        sweeps = [without_report(sweep) for sweep in sweeps]

    def check(sweep: Sweep) -> str:
        return check_sweep(sweep.experiments, correction, sweep.output, page)

    def correct(sweep: Sweep, tasks: TaskMap | Workers) -> Repaired:
        conduct = Conduct(
            force=params.force,
            resume=params.resume,
            notes=params.resume or len(sweeps) > 1,
            page=page,
        )
        return repair_sweep(sweep.experiments, correction, sweep.output, tasks, conduct)

    writes_images = params.mode == "correct"
    if len(sweeps) > 1:
        if writes_images:
            correct_sweeps(sweeps, given, params, output, correct)
        else:
            check_sweeps(sweeps, check, given)
        return
    with in_one_sentence(output.directory):
        if writes_images:
            correct(sweeps[0], workers(params))
        else:
            check(sweeps[0])


def _experiments_of_all(
    params: Any, output: OutputOptions, sweeps: Sequence[Sweep]
) -> list[str | None]:
    """List the files with the experiments of all sweeps, if there are several."""
    if len(sweeps) < 2 or params.mode != "correct":
        return []
    return [r.output.experiments for r in plan_replicates(params.seed, output)]


def _outputs(
    params: Any, output: OutputOptions, sweeps: Sequence[Sweep]
) -> list[str | None]:
    """List the files that will be written, besides images."""
    of_sweeps = [sweep.output for sweep in sweeps]
    experiments = [
        replicate.output.experiments
        for where in of_sweeps
        for replicate in plan_replicates(params.seed, where)
        if params.mode == "correct"
    ]
    others = [path for where in of_sweeps for path in (where.json, where.html)]
    of_all = _experiments_of_all(params, output, sweeps)
    return [*of_all, *experiments, *others, params.output.log]


if __name__ == "__main__":
    run()
