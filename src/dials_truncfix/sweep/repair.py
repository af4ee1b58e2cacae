"""The main job: judge one sweep, correct its images, describe them to DIALS."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dials_truncfix import compat
from dials_truncfix.correction.verdict.kinds import VerdictClass
from dials_truncfix.executors import Workers
from dials_truncfix.io.atomic import check_writable
from dials_truncfix.io.output_locks import locked_outputs
from dials_truncfix.io.staging import output_folder, remove_abandoned
from dials_truncfix.io.work_folder import move_out, work_folder
from dials_truncfix.parallel import TaskMap, task_map
from dials_truncfix.sweep import summary
from dials_truncfix.sweep.camera import settle_camera
from dials_truncfix.sweep.check import settle_verdict
from dials_truncfix.sweep.experiments import corrected_experiments
from dials_truncfix.sweep.inputs import Inputs
from dials_truncfix.sweep.journal import Journal
from dials_truncfix.sweep.nexus import check_nexus, write_sweep_master
from dials_truncfix.sweep.options import CorrectionOptions, OutputOptions
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.passes import (
    Corrected,
    SweepTasks,
    copy_images,
    correct_images,
)
from dials_truncfix.sweep.recipe import (
    Recipe,
    drawn,
    make_recipe,
)
from dials_truncfix.sweep.record import as_json, plain_record
from dials_truncfix.sweep.record_layout import BY_LINE, spread_out
from dials_truncfix.sweep.region_summary import log_regions
from dials_truncfix.sweep.replicates import Replicate, plan_replicates
from dials_truncfix.sweep.resume import (
    journal_folder,
    note_path,
    prepare_work,
    read_note,
    work_path,
    write_note,
)
from dials_truncfix.sweep.run_key import RunKey, run_key
from dials_truncfix.sweep.sidecar import check_sidecar, write_sidecar
from dials_truncfix.sweep.source import SweepSource
from dials_truncfix.sweep.sweep_record import sweep_record
from dials_truncfix.sweep.text_outputs import (
    Page,
    remove_former,
    write_page,
    write_text,
)
from dials_truncfix.sweep.work import SweepWork, keep_open

logger = logging.getLogger("dials.truncfix.repair")

#: Pixels on which a process has to work as long as its start takes, or somewhat longer.
WORTH_A_PROCESS = 2**27


@dataclass(frozen=True)
class Conduct:
    """How a run goes about its work.

    Attributes
    ----------
    force : bool
        Correct whatever the verdict.
    resume : bool
        Go on where an earlier run with the same key ended.
    notes : bool
        Note down, beside the images, that a sweep is finished, for a run that resumes.
    page : callable or None
        Makes the report.
    """

    force: bool = False
    resume: bool = False
    notes: bool = False
    page: Page | None = None


@dataclass(frozen=True)
class Repaired:
    """What a corrected sweep came to.

    Attributes
    ----------
    verdict : str
        Kind of images; that it was finished before, if that is so.
    experiments : tuple of dxtbx.model.ExperimentList
        Experiments of the corrected images, one for each replicate.
    """

    verdict: str
    experiments: tuple[Any, ...]


def repair_sweep(
    experiments: Any,
    correction: CorrectionOptions,
    output: OutputOptions,
    workers: Workers | TaskMap = Workers(),
    conduct: Conduct = Conduct(),
) -> Repaired:
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
    workers : Workers or TaskMap
        Who does the work.
    conduct : Conduct
        How the run goes about it.

    Returns
    -------
    Repaired

    Raises
    ------
    ValueError
        When the sweep is not truncated, cannot be read as images of one camera, or
        changes while it is read.
    OSError
        When a file cannot be read or written, or another run writes it.
    """
    work = SweepWork(experiments.imagesets()[0], correction)
    source = work.source
    replicates = plan_replicates(correction.seed, output)
    _refuse_impossible(source, correction, output, replicates)
    written = [*(r.output.experiments for r in replicates), output.json, output.html]
    note = note_path(output)
    if isinstance(workers, Workers):
        n_pixels = len(source) * math.prod(source.shape)
        workers = workers.at_most(len(source)).worth(n_pixels // WORTH_A_PROCESS)
    with ExitStack() as files:
        files.enter_context(output_folder(Path(output.directory)))
        # found out before the work
        for path in filter(None, written):
            check_writable(path)
        files.enter_context(locked_outputs([Path(path) for path in written if path]))
        folders = [_open_folder(files, one, conduct.resume) for one in replicates]
        tasks = files.enter_context(task_map(workers))
        inputs = Inputs(source.files(), tasks)
        files.enter_context(inputs.watched())
        what = (experiments, source, inputs, correction, output, conduct.force)
        if conduct.resume:
            panels = read_note(note, run_key(*what))
            if panels is not None:
                logger.info("All output is there and whole: nothing is left to do.")
                described = _describe(experiments, source, replicates, panels)
                return Repaired("finished before", described)

        log_regions(work)
        verdict = settle_verdict(work, tasks, conduct.force)
        key = run_key(*what)
        staged = [prepare_work(folder, key, conduct.resume) for folder in folders]
        final = {
            work_: Path(replicate.output.directory)
            for work_, replicate in zip(staged, replicates)
        }
        journal = Journal(journal_folder(staged[0]), tasks, final)
        camera_fit = None
        if verdict.verdict_class is not VerdictClass.NO_ZEROS:
            work.options, camera_fit = settle_camera(work, tasks)
        images = SweepTasks(source, work.options, replicates, staged, journal)
        keep_open(images.packed, work)
        if verdict.verdict_class is VerdictClass.NO_ZEROS:
            done = copy_images(images)
        else:
            done = correct_images(images)
        if journal.n_kept:
            logger.info("Of an earlier run %d files were kept.", journal.n_kept)

        recipe = _complete_images(images, done, _recipe(work, output, done))
        described = _describe(experiments, source, replicates, done.panels)
        record = sweep_record(
            work, inputs, verdict, camera_fit, done, replicates, recipe
        )
        with ExitStack() as texts:
            # the first to be written is the last to appear, when all that it tells of is
            # there
            for replicate, corrected in zip(replicates, described):
                text = compat.experiments_as_json(corrected).encode()
                write_text(texts, replicate.output.experiments, text)
            write_text(texts, output.json, as_json(record, BY_LINE))
            shown = spread_out(plain_record(record))
            has_page = write_page(texts, conduct.page, shown, output)
            inputs.refuse_changed()
            # from here on nothing is written any more, but put into its place
            remove_former([*written, str(note)])
            for folder, place in final.items():
                move_out(folder, place)
        _log_saved(replicates, source, done, output)
        if has_page:
            logger.info("Saving the report to %s", output.html)
        if conduct.notes:
            names = {replicate.output.images_path for replicate in replicates}
            others = [Path(path) for path in (*written, *names) if path]
            _note_down(note, key, done, journal, others)
    return Repaired(verdict.words, described)


def _refuse_impossible(
    source: SweepSource,
    correction: CorrectionOptions,
    output: OutputOptions,
    replicates: Sequence[Replicate],
) -> None:
    """Raise a ValueError about what cannot be written, before anything is."""
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
    for number in source.numbers:
        output.file_name(number)
    if output.image_format == "nexus":
        check_nexus(source, output.compression)


def _open_folder(files: ExitStack, replicate: Replicate, resume: bool) -> Path:
    """Make the folder of a draw, and in it the hidden one for its files."""
    directory = Path(replicate.output.directory)
    files.enter_context(output_folder(directory))
    for path in remove_abandoned(directory):
        logger.info("Removed what a run that was killed had left: %s", path)
    # workers of a cluster are at work in folders of their own
    path = work_path(replicate.output).absolute()
    return files.enter_context(work_folder(path, outlives_interrupts=resume))


def _recipe(work: SweepWork, output: OutputOptions, done: Corrected) -> Recipe:
    """Write down what determines the pixels of the first draw."""
    return make_recipe(
        work.source, work.options, done.panels[0], output.image_format, done.fits
    )


def _complete_images(images: SweepTasks, done: Corrected, recipe: Recipe) -> Recipe:
    """Write master files and sidecars; returns the recipe of the first draw."""
    first = recipe
    for replicate, folder, panel in zip(images.replicates, images.folders, done.panels):
        output = replicate.output
        if output.image_format == "nexus":
            write_sweep_master(
                folder, images.source, replicate, panel, images.images_per_task
            )
        if output.image_format == "sidecar":
            template = output.images_path
            draw = drawn(recipe, replicate.seed, panel)
            draw = write_sidecar(folder / template.name, draw, template)
            first = draw if replicate.number == 1 else first
    return first


def _describe(
    experiments: Any,
    source: SweepSource,
    replicates: Sequence[Replicate],
    panels: Sequence[PanelValues],
) -> tuple[Any, ...]:
    """Make the experiments of the corrected images, for each draw."""
    return tuple(
        corrected_experiments(experiments, source, replicate.output.images_path, panel)
        for replicate, panel in zip(replicates, panels)
    )


def _log_saved(
    replicates: Sequence[Replicate],
    source: SweepSource,
    done: Corrected,
    output: OutputOptions,
) -> None:
    names = [output.file_name(number) for number in source.numbers]
    for replicate, panel in zip(replicates, done.panels):
        summary.log_saved(replicate, names, source, panel)
    if output.json is not None:
        logger.info("Saving the record to %s", output.json)


def _note_down(
    note: Path, key: RunKey, done: Corrected, journal: Journal, others: Sequence[Path]
) -> None:
    """Note that the sweep is finished; that this fails costs a later run some time."""
    files = [*journal.marks, *(path for path in others if path.is_file())]
    try:
        write_note(note, key, done.panels, files, journal.marks)
    except OSError as error:
        logger.warning(
            "resume=True will make this sweep anew: %s: %s", note, error.strerror
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
