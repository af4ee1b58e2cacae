"""The verdict on a sweep: with mode=check all there is, else the first step."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.verdict.evidence import collect_evidence
from dials_truncfix.correction.verdict.kinds import VerdictClass
from dials_truncfix.correction.verdict.verdict import Verdict, judge
from dials_truncfix.io.atomic import check_writable
from dials_truncfix.io.output_locks import locked_outputs
from dials_truncfix.parallel import TaskMap
from dials_truncfix.sweep import summary
from dials_truncfix.sweep.inputs import Inputs
from dials_truncfix.sweep.measure import MeasureTask, measure_images
from dials_truncfix.sweep.options import CorrectionOptions, OutputOptions
from dials_truncfix.sweep.passes import IMAGES_PER_TASK
from dials_truncfix.sweep.record import as_json, plain_record, run_record
from dials_truncfix.sweep.region_summary import log_regions
from dials_truncfix.sweep.text_outputs import Page, write_page, write_text
from dials_truncfix.sweep.work import SAMPLE_SIZE, SweepWork, blocks, pack, sample

IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]

logger = logging.getLogger("dials.truncfix.check")


def check_sweep(
    experiments: Any,
    correction: CorrectionOptions,
    output: OutputOptions,
    page: Page | None = None,
) -> str:
    """Judge a sweep and write the verdict, but no image.

    Parameters
    ----------
    experiments : dxtbx.model.ExperimentList
        All of one imageset.
    correction : CorrectionOptions
        As for the correction.
    output : OutputOptions
        Where to write the record and the report.
    page : callable, optional
        Makes the report.

    Returns
    -------
    str
        The verdict in a word or two.

    Raises
    ------
    ValueError
        When the sweep cannot be read as images of one camera.
    OSError
        When a file cannot be read or written.
    """
    work = SweepWork(experiments.imagesets()[0], correction)
    with ExitStack() as files:
        written = [path for path in (output.json, output.html) if path is not None]
        for path in written:
            check_writable(path)
        files.enter_context(locked_outputs([Path(path) for path in written]))
        inputs = Inputs(work.source.files())
        files.enter_context(inputs.watched())
        log_regions(work)
        verdict = judge_images(work, sample(len(work.source)))
        logger.info("Verdict: %s. %s.", verdict.verdict_class.value, verdict.reason)
        if verdict.verdict_class is VerdictClass.TRUNCATED:
            logger.info("dials.truncfix would correct these images.")
        elif verdict.verdict_class is not VerdictClass.NO_ZEROS:
            logger.info("%s", summary.REMEDIES[verdict.verdict_class])
        record = run_record(work.source, inputs.record(), correction, verdict)
        write_text(files, output.json, as_json(record))
        has_page = write_page(files, page, plain_record(record), output)
        inputs.refuse_changed()
    if has_page:
        logger.info("Saving the report to %s", output.html)
    return verdict.words


def judge_images(work: SweepWork, indices: Sequence[int]) -> Verdict:
    """Judge a sweep by some of its images."""

    def frames() -> Iterator[tuple[IntArray, BoolArray]]:
        for index in indices:
            frame = work.source.read(index, narrow=True)
            yield frame.pixels, frame.valid
            # before the next one is read
            del frame

    return judge(
        collect_evidence(
            frames(),
            work.radius,
            zeros_trusted=work.source.min_valid <= 0,
            pedestal=work.source.panel.get_pedestal(),
        )
    )


def settle_verdict(work: SweepWork, tasks: TaskMap, force: bool) -> Verdict:
    """Judge a sample, and refuse what is not truncated.

    Raises
    ------
    ValueError
        With the reason, unless `force`.
    """
    verdict = judge_images(work, sample(len(work.source)))
    if verdict.verdict_class is VerdictClass.NO_ZEROS:
        # few zeros can hide between the images of a sample
        most = _most_zeros(work, tasks)
        verdict = judge_images(work, most) if most else verdict
    logger.info("Verdict: %s. %s.", verdict.verdict_class.value, verdict.reason)
    if verdict.verdict_class is VerdictClass.NO_ZEROS:
        logger.info("The pixels are written as they are.")
    elif verdict.verdict_class is not VerdictClass.TRUNCATED:
        if not force:
            raise ValueError(
                f"{work.source.name}: {verdict.reason}. "
                f"{summary.REMEDIES[verdict.verdict_class]}"
            )
        logger.warning("Correcting all the same, as force=True was given.")
    return verdict


def _most_zeros(work: SweepWork, tasks: TaskMap) -> list[int]:
    """Positions of the images with the most zeros, as many as are judged."""
    sweep = pack(work.source.imageset, work.options)
    todo = [
        MeasureTask(sweep, tuple(block))
        for block in blocks(range(len(work.source)), IMAGES_PER_TASK)
    ]
    n_zero = {
        image.regions.index: int(image.regions.n_zero.sum())
        for block in tasks(measure_images, todo)
        for image in block
    }
    ranked = sorted((-n, index) for index, n in n_zero.items() if n)
    return sorted(index for _, index in ranked[:SAMPLE_SIZE])
