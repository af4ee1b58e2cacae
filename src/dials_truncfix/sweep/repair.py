"""The main job: judge one sweep, correct its images, describe them to DIALS."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dials.util import progress

from dials_truncfix.correction.evidence import collect_evidence
from dials_truncfix.correction.gain import GainEstimate, estimate_gain
from dials_truncfix.correction.verdict import Verdict, VerdictClass, judge
from dials_truncfix.io.atomic import atomic_write
from dials_truncfix.io.staging import staging_folder
from dials_truncfix.parallel import TaskMap, task_map
from dials_truncfix.sweep import summary
from dials_truncfix.sweep.experiments import corrected_experiments
from dials_truncfix.sweep.measure import (
    ImageFits,
    MeasureTask,
    fit_sweep,
    measure_images,
)
from dials_truncfix.sweep.options import CorrectionOptions, OutputOptions
from dials_truncfix.sweep.panel import PanelValues, panel_values
from dials_truncfix.sweep.record import as_json, fits_record, run_record
from dials_truncfix.sweep.source import SweepSource
from dials_truncfix.sweep.work import SweepWork, blocks, pack
from dials_truncfix.sweep.write import (
    CorrectTask,
    WriteTask,
    noise_profiles,
    smallest_values,
    write_images,
)

logger = logging.getLogger("dials.truncfix.repair")

_IMAGES_TO_JUDGE = 10
_IMAGES_PER_TASK = 8


def check_sweep(
    experiments: Any, correction: CorrectionOptions, output: OutputOptions
) -> Verdict:
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
    Verdict

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
        verdict = _judge(work, _sample(len(work.source)))
        logger.info("Verdict: %s. %s.", verdict.verdict_class.value, verdict.reason)
        if verdict.verdict_class is VerdictClass.TRUNCATED:
            logger.info("dials.truncfix would correct these images.")
        elif verdict.verdict_class is not VerdictClass.NO_ZEROS:
            logger.info("%s", summary.REMEDIES[verdict.verdict_class])
        if json is not None:
            json.write(as_json(run_record(work.source, correction, verdict)))
    return verdict


def repair_sweep(
    experiments: Any,
    correction: CorrectionOptions,
    output: OutputOptions,
    nproc: int = 1,
    force: bool = False,
) -> None:
    """Correct a sweep.

    All outputs appear together when everything has gone well; otherwise none does.

    Parameters
    ----------
    experiments : dxtbx.model.ExperimentList
        All of one imageset.
    correction : CorrectionOptions
        How the pixels are corrected.
    output : OutputOptions
        What is written, and where.
    nproc : int
        Number of processes.
    force : bool
        Correct whatever the verdict.

    Raises
    ------
    ValueError
        When the sweep is not truncated, or cannot be read as images of one camera.
    OSError
        When a file cannot be read or written.
    """
    imageset = experiments.imagesets()[0]
    work = SweepWork(imageset, correction)
    source = work.source
    names = [output.file_name(number) for number in source.numbers]
    folder = Path(output.directory)
    refuse_folder_of_inputs(folder, source)

    with ExitStack() as files:
        # opened first: a folder that cannot be written is found out before the work
        expt = _open(files, output.experiments)
        json = _open(files, output.json)
        staging = files.enter_context(staging_folder(folder))
        tasks = files.enter_context(task_map(min(nproc, len(source))))

        verdict = _verdict(work, tasks, force)
        sweep = pack(imageset, correction)
        fits: list[ImageFits] = []
        if verdict.verdict_class is not VerdictClass.NO_ZEROS:
            fits = list(
                progress(
                    fit_sweep(sweep, len(source), correction, tasks),
                    total=len(source),
                    desc="Fitting",
                )
            )
            logger.info("\n%s", summary.annulus_table(fits))
        images = _images(fits, len(source))
        gain = _gain(sweep, images, tasks) if fits else None
        panel = panel_values(source, gain, output.gain, output.pedestal)
        if output.image_format == "smv":
            panel = _with_offset(panel, sweep, images, output, tasks)
        summary.log_panel(panel, gain)

        todo = [
            WriteTask(
                CorrectTask(sweep, tuple(block)),
                tuple(str(staging / names[index]) for index, _ in block),
                output.image_format,
                panel,
            )
            for block in blocks(images, _IMAGES_PER_TASK)
        ]
        with progress(total=len(source), desc="Correcting") as bar:
            for n_written in tasks(write_images, todo):
                bar.update(n_written)

        if expt is not None:
            corrected = corrected_experiments(
                experiments, source, folder.absolute() / output.file_template, panel
            )
            expt.write(corrected.as_json().encode())
        if json is not None:
            record = run_record(source, correction, verdict)
            record.update(fits_record(fits, source, panel, gain))
            json.write(as_json(record))
    summary.log_saved(output, names, source, panel)


def refuse_folder_of_inputs(folder: Path, source: SweepSource) -> None:
    """Raise a ValueError when the images to correct lie in the output folder."""
    target = folder.resolve()
    for path in source.files():
        if path.resolve().parent == target:
            raise ValueError(
                f"the folder {target} holds the images to be corrected: give another "
                "for the corrected ones, e.g. output.directory=corrected"
            )


def _open(files: ExitStack, path: str | None) -> BinaryIO | None:
    return None if path is None else files.enter_context(atomic_write(path))


def _sample(n_images: int) -> list[int]:
    """Positions of a few images spread over the sweep."""
    n = min(n_images, _IMAGES_TO_JUDGE)
    return sorted({round(i) for i in np.linspace(0, n_images - 1, n)})


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
    verdict = _judge(work, _sample(len(work.source)))
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
        for block in blocks(range(len(work.source)), _IMAGES_PER_TASK)
    ]
    n_zero = {
        image.annuli.index: int(image.annuli.n_zero.sum())
        for block in tasks(measure_images, todo)
        for image in block
    }
    ranked = sorted((-n, index) for index, n in n_zero.items() if n)
    return sorted(index for _, index in ranked[:_IMAGES_TO_JUDGE])


def _images(fits: list[ImageFits], n_images: int) -> list[tuple[int, Any]]:
    if fits:
        return [(image.annuli.index, image.fits) for image in fits]
    return [(index, None) for index in range(n_images)]


def _gain(sweep: bytes, images: list[tuple[int, Any]], tasks: TaskMap) -> GainEstimate:
    """Estimate the gain on a few corrected images spread over the sweep."""
    todo = [CorrectTask(sweep, (images[index],)) for index in _sample(len(images))]
    return estimate_gain(
        [profile for block in tasks(noise_profiles, todo) for profile in block]
    )


def _with_offset(
    panel: PanelValues,
    sweep: bytes,
    images: list[tuple[int, Any]],
    output: OutputOptions,
    tasks: TaskMap,
) -> PanelValues:
    """Find the offset that makes the smallest pixel of the sweep 1."""
    todo = [
        CorrectTask(sweep, tuple(block)) for block in blocks(images, _IMAGES_PER_TASK)
    ]
    smallest = min(value for block in tasks(smallest_values, todo) for value in block)
    return panel.with_offset(smallest, output.offset)
