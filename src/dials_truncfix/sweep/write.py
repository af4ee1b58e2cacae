"""Correction of single images, and writing them with their models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Callable

from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.regions.regions import Regions
from dials_truncfix.sweep.correct import drawn_pixels, image_law
from dials_truncfix.sweep.image_output import Destination, open_output
from dials_truncfix.sweep.measure import ImageFits, MeasureTask, fit_frame
from dials_truncfix.sweep.source import Frame
from dials_truncfix.sweep.work import SweepWork, unpack


@dataclass(frozen=True)
class CorrectTask:
    """Images to correct.

    Attributes
    ----------
    sweep : bytes
        The packed sweep.
    images : tuple of (int, RingFits or None)
        Position in the imageset, and fits; without fits the pixels stay as they are.
    """

    sweep: bytes
    images: tuple[tuple[int, RingFits | None], ...]


@dataclass(frozen=True)
class WriteTask:
    """Images to correct and write, once for each destination."""

    correct: CorrectTask
    destinations: tuple[Destination, ...]


@dataclass(frozen=True)
class FitAndWriteTask:
    """Images to fit, each by itself, to correct and write for each destination."""

    measure: MeasureTask
    destinations: tuple[Destination, ...]


@dataclass(frozen=True)
class SmallestTask:
    """Images whose smallest value is asked for, once for each seed."""

    correct: CorrectTask
    seeds: tuple[int, ...]


def smallest_values(task: SmallestTask) -> list[int]:
    """Find the smallest corrected value among the measured pixels, for each seed."""
    work = unpack(task.correct.sweep)
    smallest = []
    for index, fits in task.correct.images:
        frame = work.source.read(index)
        regions = work.image_regions(frame)
        law = image_law(work, frame, regions, fits)
        drawn = (
            drawn_pixels(work, index, frame, law, seed=seed)[frame.valid]
            for seed in task.seeds
        )
        smallest.append([int(values.min()) if values.size else 0 for values in drawn])
    return [min(values) for values in zip(*smallest)]


def write_images(task: WriteTask) -> int:
    """Correct images and write them; returns how many."""
    work = unpack(task.correct.sweep)
    images = task.correct.images
    with _open_outputs(work, task.destinations, len(images)) as write:
        for index, fits in images:
            frame = work.source.read(index)
            write(index, frame, work.image_regions(frame), fits)
    return len(images)


def fit_and_write_images(task: FitAndWriteTask) -> list[ImageFits]:
    """Fit images, each by itself, correct them and write them."""
    work = unpack(task.measure.sweep)
    indices = task.measure.indices
    fitted = []
    with _open_outputs(work, task.destinations, len(indices)) as write:
        for index in indices:
            frame = work.source.read(index)
            regions = work.image_regions(frame)
            image = fit_frame(work, index, frame, regions)
            write(index, frame, regions, image.fits)
            fitted.append(image)
    return fitted


@contextmanager
def _open_outputs(
    work: SweepWork, destinations: Sequence[Destination], n_images: int
) -> Iterator[Callable[[int, Frame, Regions, RingFits | None], None]]:
    """Open the outputs of a task; what is yielded corrects and writes an image."""
    with ExitStack() as files:
        writers = [
            files.enter_context(open_output(work.source, destination, n_images))
            for destination in destinations
        ]

        def write(
            index: int, frame: Frame, regions: Regions, fits: RingFits | None
        ) -> None:
            law = image_law(work, frame, regions, fits)
            for destination, write_image in zip(destinations, writers):
                pixels = drawn_pixels(work, index, frame, law, seed=destination.seed)
                write_image(index, frame, pixels)

        yield write
