"""dials.truncfix mode=verify."""

from __future__ import annotations

import logging
import os
from typing import Any

from dials.util import Sorry

from dials_truncfix import __version__
from dials_truncfix.command_line.given_sweeps import Given
from dials_truncfix.command_line.many_sweeps import each_sweep, refuse_failures
from dials_truncfix.command_line.program import in_one_sentence
from dials_truncfix.sweep.options import OutputOptions
from dials_truncfix.sweep.read_record import read_record
from dials_truncfix.sweep.sweeps import Sweep, plan_sweeps
from dials_truncfix.sweep.verify import conclusion, log_findings, verify_sweep

logger = logging.getLogger("dials.truncfix.verify")


def verify(params: Any, given: Given) -> None:
    """
    Compare corrected images with what their record says they are.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        Of dials.truncfix.
    given : Given
        The corrected images.

    Raises
    ------
    Sorry
        When something does not agree, or cannot be compared.
    """
    path = params.verify.json
    if path is None:
        raise Sorry("verify.json cannot be None: give the record of the correction")
    with in_one_sentence():
        sweeps = plan_sweeps(given.experiments, OutputOptions())
    if len(sweeps) == 1:
        if not os.path.exists(path) and not os.path.dirname(path):
            path = _beside(sweeps[0], path)
        _verify(sweeps[0], path, params.verify.images)
        return

    def do(sweep: Sweep) -> str:
        record = _beside(sweep, os.path.basename(path))
        _verify(sweep, record, params.verify.images)
        return "as recorded"

    refuse_failures(each_sweep(sweeps, do, given), sweeps, given)


def _beside(sweep: Sweep, name: str) -> str:
    """Find the record of one of several sweeps: by its images, or one folder up.

    There it is where the images are one of several draws.
    """
    folder = os.path.dirname(sweep.name)
    paths = [os.path.join(f, name) for f in (folder, os.path.dirname(folder))]
    return next(filter(os.path.exists, paths), paths[0])


def _verify(sweep: Sweep, path: str, n_images: int) -> None:
    if not os.path.exists(path):
        raise Sorry(
            f"{path}: there is no such file: give the record of the correction, "
            "verify.json"
        )
    with in_one_sentence(path):
        record = read_record(path)
        if record.version != __version__:
            logger.info("The record was written by version %s.", record.version)
        findings = verify_sweep(sweep.experiments, record, n_images)
    log_findings(findings, record)
    if not findings.agree:
        raise Sorry(conclusion(findings, record))
