"""The order of the work on a sweep: one pass over its images where that suffices.

Each image holds the gain in its header, and in SMV the offset. The gain comes from
a few images. So images that are fitted by themselves are read once, unless the
offset, or histograms of several images, ask for a pass over all of them before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dials.util import progress

from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.gain import GainEstimate, estimate_gain
from dials_truncfix.parallel import TaskMap
from dials_truncfix.sweep import summary
from dials_truncfix.sweep.measure import ImageFits, MeasureTask, fit_images, fit_sweep
from dials_truncfix.sweep.options import CorrectionOptions, OutputOptions
from dials_truncfix.sweep.panel import PanelValues, panel_values
from dials_truncfix.sweep.source import SweepSource
from dials_truncfix.sweep.work import blocks, pack, sample
from dials_truncfix.sweep.write import (
    CorrectTask,
    Destination,
    FitAndWriteTask,
    WriteTask,
    fit_and_write_images,
    noise_profiles,
    smallest_values,
    write_images,
)

IMAGES_PER_TASK = 8


@dataclass(frozen=True)
class SweepTasks:
    """A sweep, where to put its images, and where the work is done."""

    source: SweepSource
    correction: CorrectionOptions
    output: OutputOptions
    paths: Sequence[Path]
    tasks: TaskMap

    @cached_property
    def packed(self) -> bytes:
        """The sweep as tasks carry it."""
        return pack(self.source.imageset, self.correction)

    def destination(self, indices: Sequence[int], panel: PanelValues) -> Destination:
        """Where some images go."""
        paths = tuple(str(self.paths[index]) for index in indices)
        return Destination(paths, self.output.image_format, panel)


@dataclass(frozen=True)
class Corrected:
    """What was found on the way.

    Attributes
    ----------
    fits : list of ImageFits
        One for each image; empty where nothing was corrected.
    gain : GainEstimate or None
        Measured on some corrected images.
    panel : PanelValues
        Written to the detector model.
    """

    fits: list[ImageFits]
    gain: GainEstimate | None
    panel: PanelValues


def copy_images(work: SweepTasks) -> Corrected:
    """Write all images with their pixels as they are."""
    images = [(index, None) for index in range(len(work.source))]
    panel = _panel(work, None, images)
    _write_all(work, images, panel)
    return Corrected([], None, panel)


def correct_images(work: SweepTasks) -> Corrected:
    """Fit, correct and write all images."""
    if work.correction.histograms == "image" and work.output.image_format == "cbf":
        return _one_pass(work)
    return _two_passes(work)


def _one_pass(work: SweepTasks) -> Corrected:
    todo = [MeasureTask(work.packed, (index,)) for index in sample(len(work.source))]
    few = [image for block in work.tasks(fit_images, todo) for image in block]
    gain = _gain(work, [(image.annuli.index, image.fits) for image in few])
    panel = _panel(work, gain, [])
    writing = [
        FitAndWriteTask(
            MeasureTask(work.packed, tuple(block)), work.destination(block, panel)
        )
        for block in blocks(range(len(work.source)), IMAGES_PER_TASK)
    ]
    fits: list[ImageFits] = []
    with progress(total=len(work.source), desc="Correcting") as bar:
        for written in work.tasks(fit_and_write_images, writing):
            fits += written
            bar.update(len(written))
    summary.log_fits(fits, work.source)
    return Corrected(fits, gain, panel)


def _two_passes(work: SweepTasks) -> Corrected:
    n_images = len(work.source)
    fitting = fit_sweep(work.packed, n_images, work.correction, work.tasks)
    fits = list(progress(fitting, total=n_images, desc="Fitting"))
    summary.log_fits(fits, work.source)
    images = [(image.annuli.index, image.fits) for image in fits]
    gain = _gain(work, [images[index] for index in sample(n_images)])
    panel = _panel(work, gain, images)
    _write_all(work, images, panel)
    return Corrected(fits, gain, panel)


def _gain(work: SweepTasks, images: Sequence[tuple[int, RingFits]]) -> GainEstimate:
    """Estimate the gain on a few corrected images."""
    todo = [CorrectTask(work.packed, (image,)) for image in images]
    return estimate_gain(
        [profile for block in work.tasks(noise_profiles, todo) for profile in block]
    )


def _panel(
    work: SweepTasks,
    gain: GainEstimate | None,
    images: Sequence[tuple[int, RingFits | None]],
) -> PanelValues:
    """Choose what the detector model shall say, and log it."""
    panel = panel_values(work.source, gain, work.output.gain, work.output.pedestal)
    if work.output.image_format == "smv":
        todo = [
            CorrectTask(work.packed, tuple(block))
            for block in blocks(images, IMAGES_PER_TASK)
        ]
        smallest = min(
            value for block in work.tasks(smallest_values, todo) for value in block
        )
        panel = panel.with_offset(smallest, work.output.offset)
    summary.log_panel(panel, gain)
    return panel


def _write_all(
    work: SweepTasks,
    images: Sequence[tuple[int, RingFits | None]],
    panel: PanelValues,
) -> None:
    todo = [
        WriteTask(
            CorrectTask(work.packed, tuple(block)),
            work.destination([index for index, _ in block], panel),
        )
        for block in blocks(images, IMAGES_PER_TASK)
    ]
    with progress(total=len(images), desc="Correcting") as bar:
        for n_written in work.tasks(write_images, todo):
            bar.update(n_written)
