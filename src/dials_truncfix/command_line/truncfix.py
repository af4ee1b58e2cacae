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
experiments. Run it after dials.import and before dials.find_spots.

Examples::

  dials.truncfix imported.expt

  dials.truncfix imported.expt mode=check

  dials.truncfix imported.expt output.directory=corrected mp.nproc=4

  dials.truncfix imported.expt output.format=smv output.template=xds_####.img

  dials.truncfix truncfix.expt mode=verify

  dials.truncfix dials.truncfix.json mode=report
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from dials.util import show_mail_handle_errors
from dials.util.options import ArgumentParser

from dials_truncfix.command_line.mp_phil import workers
from dials_truncfix.command_line.program import (
    in_one_sentence,
    keep_files,
    keep_inputs,
    parse_with_files,
    refuse_unread,
    single_imageset,
    start,
)
from dials_truncfix.command_line.report_mode import (
    Report,
    remake_report,
    write_report,
)
from dials_truncfix.command_line.truncfix_options import (
    correction_options,
    output_options,
)
from dials_truncfix.command_line.truncfix_phil import phil_scope
from dials_truncfix.command_line.verify_mode import verify
from dials_truncfix.report.sweep_results import read_record
from dials_truncfix.report.truncfix_page import truncfix_page
from dials_truncfix.sweep.repair import check_sweep, repair_sweep
from dials_truncfix.sweep.replicates import plan_replicates

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
        usage="dials.truncfix [options] imported.expt",
        phil=phil,
        read_experiments=True,
        read_experiments_from_images=True,
        epilog=__doc__,
    )
    params, options, files = parse_with_files(parser, args, phil)
    if params.mode == "report":
        # without a log file: that of the correction stays
        start(parser, options, None)
        remake_report(_REPORT, files, params.output.html)
        return
    refuse_unread(files)
    if not params.input.experiments:
        parser.print_help()
        sys.exit(0)
    if params.mode == "verify":
        # without a log file: that of the correction stays
        start(parser, options, None)
        verify(params)
        return
    output = output_options(params)
    writes_images = params.mode == "correct"
    replicates = plan_replicates(params.seed, output)
    outputs = [
        *(r.output.experiments for r in replicates if writes_images),
        output.json,
        output.html,
        params.output.log,
    ]
    keep_inputs(params, outputs)
    also_read = (params.regions.labels, params.fit.camera.record)
    keep_files([path for path in also_read if path is not None], outputs)
    start(parser, options, params.output.log)
    experiments, _ = single_imageset(params)
    correction = correction_options(params)
    with in_one_sentence(output.directory):
        if writes_images:
            force = params.force
            record = repair_sweep(
                experiments, correction, output, workers(params), force
            )
        else:
            record = check_sweep(experiments, correction, output)
    write_report(_REPORT, record, output.html, output.json or "the record")


if __name__ == "__main__":
    run()
