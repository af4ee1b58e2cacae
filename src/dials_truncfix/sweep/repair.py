"""The main job: judge one sweep, correct its images, describe them to DIALS."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dials_truncfix.correction.verdict.evidence import collect_evidence
from dials_truncfix.correction.verdict.kinds import VerdictClass
from dials_truncfix.correction.verdict.verdict import Verdict, judge
from dials_truncfix.io.atomic import atomic_write, check_writable
from dials_truncfix.io.staging import (
    output_folder,
    remove_abandoned,
    staging_folder,
)
from dials_truncfix.parallel import TaskMap, Workers, task_map
from dials_truncfix.sweep import summary
from dials_truncfix.sweep.camera import settle_camera
from dials_truncfix.sweep.experiments import corrected_experiments
from dials_truncfix.sweep.measure import MeasureTask, measure_images
from dials_truncfix.sweep.nexus import check_nexus, write_sweep_master
from dials_truncfix.sweep.options import CorrectionOptions, OutputOptions
from dials_truncfix.sweep.passes import (
    IMAGES_PER_TASK,
    Corrected,
    SweepTasks,
    copy_images,
    correct_images,
)
from dials_truncfix.sweep.recipe import (
    Recipe,
    drawn,
    make_recipe,
    placed,
)
from dials_truncfix.sweep.record import (
    as_json,
    camera_record,
    correction_record,
    correlation_record,
    illustrations_record,
    plain_record,
    regions_record,
    replicates_record,
    run_record,
)
from dials_truncfix.sweep.record_layout import BY_LINE, lay_out, spread_out
from dials_truncfix.sweep.region_summary import log_regions
from dials_truncfix.sweep.replicates import plan_replicates
from dials_truncfix.sweep.sidecar import check_sidecar, write_sidecar
from dials_truncfix.sweep.source import SweepSource
from dials_truncfix.sweep.work import SAMPLE_SIZE, SweepWork, blocks, pack, sample

logger = logging.getLogger("dials.truncfix.repair")


@dataclass(frozen=True)
class Repaired:
    """What a corrected sweep came to.

    Attributes
    ----------
    record : dict
        The record, plain JSON values.
    experiments : tuple of dxtbx.model.ExperimentList
        Experiments of the corrected images, one for each replicate.
    """

    record: dict[str, Any]
    experiments: tuple[Any, ...]


def check_sweep(
    experiments: Any, correction: CorrectionOptions, output: OutputOptions
) -> dict[str, Any]:
    """Judge a sweep and write the verdict, but no image.

    Parameters
    ----------
    experiments : dxtbx.model.ExperimentList
        All of one imageset.
    correction : CorrectionOptions
        As for the correction.
    output : OutputOptions
        Where to write the record.

    Returns
    -------
    dict
        The record, plain JSON values.

    Raises
    ------
    ValueError
        When the sweep cannot be read as images of one camera.
    OSError
        When a file cannot be read or written.
    """
    work = SweepWork(experiments.imagesets()[0], correction)
    with ExitStack() as files:
        json = _open(files, output.json)
        _check_report(output)
        log_regions(work)
        verdict = _judge(work, sample(len(work.source)))
        logger.info("Verdict: %s. %s.", verdict.verdict_class.value, verdict.reason)
        if verdict.verdict_class is VerdictClass.TRUNCATED:
            logger.info("dials.truncfix would correct these images.")
        elif verdict.verdict_class is not VerdictClass.NO_ZEROS:
            logger.info("%s", summary.REMEDIES[verdict.verdict_class])
        record = run_record(work.source, correction, verdict)
        if json is not None:
            json.write(as_json(record))
    return plain_record(record)


def repair_sweep(
    experiments: Any,
    correction: CorrectionOptions,
    output: OutputOptions,
    workers: Workers | TaskMap = Workers(),
    force: bool = False,
) -> Repaired:
    """Correct a sweep.

    All outputs appear together when everything has gone well; otherwise none does. The
    report is left to the caller, who gets what it is made from.

    Parameters
    ----------
    experiments : dxtbx.model.ExperimentList
        All of one imageset.
    correction : CorrectionOptions
        How the pixels are corrected.
    output : OutputOptions
        What is written, and where.
    workers : Workers or TaskMap
        Who does the work.
    force : bool
        Correct whatever the verdict.

    Returns
    -------
    Repaired

    Raises
    ------
    ValueError
        When the sweep is not truncated, or cannot be read as images of one camera.
    OSError
        When a file cannot be read or written.
    """
    work = SweepWork(experiments.imagesets()[0], correction)
    source = work.source
    replicates = plan_replicates(correction.seed, output)
    if len(replicates) > 1 and correction.assign == "expected":
        raise ValueError(
            f"replicates={len(replicates)} must be draws, and assign=expected takes the "
            "mean of what can be drawn: give assign=random or assign=local"
        )
    for replicate in replicates:
        if output.image_format == "sidecar":
            check_sidecar(source, replicate.output.images_path)
        else:
            refuse_folder_of_inputs(Path(replicate.output.directory), source)
    names = [output.file_name(number) for number in source.numbers]
    if output.image_format == "nexus":
        check_nexus(source, output.compression)

    with ExitStack() as files:
        # opened first: a folder that cannot be written is found out before the work
        files.enter_context(output_folder(Path(output.directory)))
        expts = [_open(files, replicate.output.experiments) for replicate in replicates]
        json = _open(files, output.json)
        _check_report(output)
        for replicate in replicates:
            for path in remove_abandoned(Path(replicate.output.directory)):
                logger.info("Removed what a run that was killed had left: %s", path)
        folders = [
            files.enter_context(staging_folder(Path(replicate.output.directory)))
            for replicate in replicates
        ]
        if isinstance(workers, Workers):
            workers = workers.at_most(len(source))
        tasks = files.enter_context(task_map(workers))

        log_regions(work)
        verdict = _verdict(work, tasks, force)
        camera_fit = None
        if verdict.verdict_class is not VerdictClass.NO_ZEROS:
            work.options, camera_fit = settle_camera(work, tasks)
        images = SweepTasks(source, work.options, replicates, folders, tasks)
        if verdict.verdict_class is VerdictClass.NO_ZEROS:
            done = copy_images(images)
        else:
            done = correct_images(images)

        described = []
        recipe = _recipe(work, output, done)
        for replicate, staged, panel, expt in zip(
            replicates, folders, done.panels, expts
        ):
            if output.image_format == "nexus":
                write_sweep_master(
                    staged, source, replicate, panel, images.images_per_task
                )
            template = replicate.output.images_path
            if output.image_format == "sidecar":
                draw = drawn(recipe, replicate.seed, panel)
                draw = write_sidecar(staged / template.name, draw, template)
                recipe = draw if replicate.number == 1 else recipe
            corrected = corrected_experiments(experiments, source, template, panel)
            described.append(corrected)
            if expt is not None:
                expt.write(corrected.as_json().encode())
        record = run_record(source, work.options, verdict)
        record["camera"] = camera_record(work.options, camera_fit)
        record.update(correction_record(done.fits, done.panels[0], done.gain))
        record["regions"] = regions_record(work)
        record["replicates"] = replicates_record(replicates, done.panels)
        record["noise_correlation"] = correlation_record(done.looks)
        record["illustrations"] = illustrations_record(done.looks, source)
        recipe = placed(recipe, Path(output.json or ".").absolute().parent)
        paths = {file["path"] for file in record["source"]["files"]}
        record.update(lay_out(done.fits, recipe, paths))
        if json is not None:
            json.write(as_json(record, BY_LINE))
    for replicate, panel in zip(replicates, done.panels):
        summary.log_saved(replicate, names, source, panel)
    if output.json is not None:
        logger.info("Saving the record to %s", output.json)
    return Repaired(spread_out(plain_record(record)), tuple(described))


def _recipe(work: SweepWork, output: OutputOptions, done: Corrected) -> Recipe:
    """Write down what determines the pixels of the first draw."""
    return make_recipe(
        work.source, work.options, done.panels[0], output.image_format, done.fits
    )


def refuse_folder_of_inputs(folder: Path, source: SweepSource) -> None:
    """Raise a ValueError when the images to correct lie in the output folder."""
    target = folder.resolve()
    for path in source.files():
        # where the file is, and where a link to it is
        if target in (path.resolve().parent, path.parent.resolve()):
            raise ValueError(
                f"the folder {target} holds the images to be corrected: give another "
                "for the corrected ones, e.g. output.directory=corrected"
            )


def _check_report(output: OutputOptions) -> None:
    """See before the work that the report can be written after it."""
    if output.html is not None:
        check_writable(output.html)


def _open(files: ExitStack, path: str | None) -> BinaryIO | None:
    return None if path is None else files.enter_context(atomic_write(path))


def _judge(work: SweepWork, indices: Sequence[int]) -> Verdict:
    frames = (work.source.read(index) for index in indices)
    return judge(
        collect_evidence(
            ((frame.pixels, frame.valid) for frame in frames),
            work.radius,
            zeros_trusted=work.source.min_valid <= 0,
            pedestal=work.source.panel.get_pedestal(),
        )
    )


def _verdict(work: SweepWork, tasks: TaskMap, force: bool) -> Verdict:
    """Judge a sample, and refuse what is not truncated."""
    verdict = _judge(work, sample(len(work.source)))
    if verdict.verdict_class is VerdictClass.NO_ZEROS:
        # few zeros can hide between the images of a sample
        most = _most_zeros(work, tasks)
        verdict = _judge(work, most) if most else verdict
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
