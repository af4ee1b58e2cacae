"""dials.truncfix mode=verify."""

from __future__ import annotations

import logging
from typing import Any

from dials.util import Sorry

from dials_truncfix import __version__
from dials_truncfix.command_line.program import in_one_sentence, single_imageset
from dials_truncfix.sweep.read_record import read_record
from dials_truncfix.sweep.verify import conclusion, log_findings, verify_sweep

logger = logging.getLogger("dials.truncfix.verify")


def verify(params: Any) -> None:
    """
    Compare corrected images with what their record says they are.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        Of dials.truncfix.

    Raises
    ------
    Sorry
        When something does not agree, or cannot be compared.
    """
    path = params.verify.json
    if path is None:
        raise Sorry("verify.json cannot be None: give the record of the correction")
    experiments, _ = single_imageset(params)
    with in_one_sentence(path):
        record = read_record(path)
        if record.version != __version__:
            logger.info("The record was written by version %s.", record.version)
        findings = verify_sweep(experiments, record, params.verify.images)
    log_findings(findings, record)
    if not findings.agree:
        raise Sorry(conclusion(findings, record))
