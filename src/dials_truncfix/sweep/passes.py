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

import numpy as np

from dials.util import progress

from dials_truncfix.correction.correlation.gain_of_sums import gain_of_sums
from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.gain import GainEstimate, estimate_gain
from dials_truncfix.parallel import Map
from dials_truncfix.sweep import summary
from dials_truncfix.sweep.camera import camera_gain
from dials_truncfix.sweep.close_look import (
    CloseLook,
    LookTask,
    look_closely,
    looked_correlation,
)
from dials_truncfix.sweep.image_output import Destination
from dials_truncfix.sweep.measure import ImageFits, MeasureTask, fit_images, fit_sweep
from dials_truncfix.sweep.options import CorrectionOptions, OutputOptions
from dials_truncfix.sweep.panel import PanelValues, panel_values
from dials_truncfix.sweep.replicates import Replicate
from dials_truncfix.sweep.source import SweepSource
from dials_truncfix.sweep.work import blocks, pack, sample
from dials_truncfix.sweep.write import (
    CorrectTask,
    FitAndWriteTask,
    SmallestTask,
    WriteTask,
    fit_and_write_images,
    smallest_values,
    write_images,
)

IMAGES_PER_TASK = 8
#: Of NeXus a task writes one data file. Larger ones would leave processes idle.
IMAGES_PER_FILE = 16
_SAMPLES_PER_TASK = 5


@dataclass(frozen=True)
class SweepTasks:
    """A sweep, where to put its images, and where the work is done.

    Attributes
    ----------
    source : SweepSource
        The sweep.
    correction : CorrectionOptions
        How it is corrected.
    replicates : sequence of Replicate
        The draws to make; one, or all with one kind of output.
    folders : sequence of pathlib.Path
        Where the images of each replicate are written.
    tasks : callable
        Where the work is done.
    """

    source: SweepSource
    correction: CorrectionOptions
    replicates: Sequence[Replicate]
    folders: Sequence[Path]
    tasks: Map

    @cached_property
    def packed(self) -> bytes:
        """The sweep as tasks carry it."""
        return pack(self.source.imageset, self.correction)

    @property
    def output(self) -> OutputOptions:
        """What all replicates have in common."""
        return self.replicates[0].output

    @property
    def images_per_task(self) -> int:
        """How many images one task writes."""
        nexus = self.output.image_format == "nexus"
        return IMAGES_PER_FILE if nexus else IMAGES_PER_TASK

    def destinations(
        self, indices: Sequence[int], panels: Sequence[PanelValues]
    ) -> tuple[Destination, ...]:
        """Where some images of each replicate go."""
        numbers = [self.source.numbers[index] for index in indices]
        if self.output.image_format == "nexus":
            numbers = numbers[:1]
        names = [self.output.file_name(number) for number in numbers]
        return tuple(
            Destination(
                tuple(str(folder / name) for name in names),
                self.output.image_format,
                panel,
                replicate.seed,
                self.output.compression,
            )
            for replicate, folder, panel in zip(self.replicates, self.folders, panels)
        )


@dataclass(frozen=True)
class Corrected:
    """What was found on the way.

    Attributes
    ----------
    fits : list of ImageFits
        One for each image; empty where nothing was corrected.
    gain : GainEstimate or None
        Measured on some corrected images.
    panels : list of PanelValues
        Written to the detector models, one for each replicate; only offsets differ.
    looks : list of CloseLook
        At some corrected images.
    """

    fits: list[ImageFits]
    gain: GainEstimate | None
    panels: list[PanelValues]
    looks: list[CloseLook]


def copy_images(work: SweepTasks) -> Corrected:
    """Write all images with their pixels as they are."""
    images = [(index, None) for index in range(len(work.source))]
    panels = _panels(work, None, [], images)
    _write_all(work, images, panels)
    return Corrected([], None, panels, [])


def correct_images(work: SweepTasks) -> Corrected:
    """Fit, correct and write all images."""
    alone = work.correction.histograms == "image"
    if alone and work.output.image_format in ("cbf", "nexus"):
        return _one_pass(work)
    return _two_passes(work)


def _one_pass(work: SweepTasks) -> Corrected:
    todo = [
        MeasureTask(work.packed, tuple(block))
        for block in blocks(sample(len(work.source)), _SAMPLES_PER_TASK)
    ]
    few = [image for block in work.tasks(fit_images, todo) for image in block]
    known = {image.regions.index: image for image in few}
    looks = _look(work, [(index, image.fits) for index, image in known.items()])
    gain = estimate_gain([look.noise for look in looks])
    panels = _panels(work, gain, looks, [])
    writing = [
        FitAndWriteTask(
            MeasureTask(work.packed, tuple(block)),
            work.destinations(block, panels),
            tuple(known[index] for index in block if index in known),
        )
        for block in blocks(range(len(work.source)), work.images_per_task)
    ]
    fits: list[ImageFits] = []
    with progress(total=len(work.source), desc="Correcting") as bar:
        for written in work.tasks(fit_and_write_images, writing):
            fits += written
            bar.update(len(written))
    summary.log_fits(fits, work.source)
    return Corrected(fits, gain, panels, looks)


def _two_passes(work: SweepTasks) -> Corrected:
    n_images = len(work.source)
    fitting = fit_sweep(work.packed, n_images, work.correction, work.tasks)
    fits = list(progress(fitting, total=n_images, desc="Fitting"))
    summary.log_fits(fits, work.source)
    images = [(image.regions.index, image.fits) for image in fits]
    looks = _look(work, [images[index] for index in sample(n_images)])
    gain = estimate_gain([look.noise for look in looks])
    panels = _panels(work, gain, looks, images)
    _write_all(work, images, panels)
    return Corrected(fits, gain, panels, looks)


def _look(work: SweepTasks, images: Sequence[tuple[int, RingFits]]) -> list[CloseLook]:
    """Look closely at a few corrected images; of one in the middle keep a picture."""
    fitted = [index for index, fits in images if fits.fitted.any()]
    shown = fitted[len(fitted) // 2] if fitted else None
    todo = [
        LookTask(work.packed, index, fits, picture=index == shown)
        for index, fits in images
    ]
    looks = list(work.tasks(look_closely, todo))
    summary.log_correlation(looked_correlation(looks), work.correction.noise)
    return looks


def _panels(
    work: SweepTasks,
    gain: GainEstimate | None,
    looks: Sequence[CloseLook],
    images: Sequence[tuple[int, RingFits | None]],
) -> list[PanelValues]:
    """Choose what the detector model of each replicate shall say, and log it."""
    numbers = work.source.numbers
    camera = camera_gain(work.correction, 0.5 * (numbers[0] + numbers[-1]))
    summary.log_gain(gain, camera)
    known = gain if camera is None else camera
    correlation = looked_correlation(looks)
    if known is not None and correlation is not None and correlation.significant:
        covariances = [look.covariance for look in looks if look.covariance is not None]
        of_pixels, known = known, gain_of_sums(known, covariances)
        summary.log_gain_of_sums(of_pixels, known)
    panel = panel_values(work.source, known, work.output.gain, work.output.pedestal)
    summary.log_panel(panel)
    if work.output.image_format != "smv":
        return [panel] * len(work.replicates)
    seeds = tuple(replicate.seed for replicate in work.replicates)
    todo = [
        SmallestTask(CorrectTask(work.packed, tuple(block)), seeds)
        for block in blocks(images, IMAGES_PER_TASK)
    ]
    smallest = np.min(list(work.tasks(smallest_values, todo)), axis=0)
    return [panel.with_offset(int(value), work.output.offset) for value in smallest]


def _write_all(
    work: SweepTasks,
    images: Sequence[tuple[int, RingFits | None]],
    panels: Sequence[PanelValues],
) -> None:
    if work.output.image_format == "sidecar":
        # its images are corrected as they are read
        return
    todo = [
        WriteTask(
            CorrectTask(work.packed, tuple(block)),
            work.destinations([index for index, _ in block], panels),
        )
        for block in blocks(images, work.images_per_task)
    ]
    with progress(total=len(images), desc="Correcting") as bar:
        for n_written in work.tasks(write_images, todo):
            bar.update(n_written)
