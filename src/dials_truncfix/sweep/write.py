"""Correction of single images, and writing them with their models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Callable, Optional

from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.regions.regions import Regions
from dials_truncfix.sweep.correct import IntArray, drawn_runs, image_law
from dials_truncfix.sweep.image_output import Destination, open_output
from dials_truncfix.sweep.measure import (
    ImageFits,
    ImageHistograms,
    MeasureTask,
    fit_each,
    measure_frame,
)
from dials_truncfix.sweep.source import Frame
from dials_truncfix.sweep.work import SweepWork, blocks, unpack

#: Corrects and writes an image: its position, pixels, regions and fits.
_Write = Callable[[int, Frame, Regions, Optional[RingFits]], None]

# Images of no more bytes are held in memory together, to be fitted in one go.
_BYTES_AT_ONCE = 1 << 26
# Of images of more bytes the fits take too small a part of the time for that.
_LARGE = 1 << 24


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
    """Images to fit, each by itself, to correct and write for each destination.

    Those among them that have been fitted already are `known`.
    """

    measure: MeasureTask
    destinations: tuple[Destination, ...]
    known: tuple[ImageFits, ...] = ()


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
        frame = work.source.read(index, work.only_zeros_matter)
        regions = work.image_regions(frame)
        law = image_law(work, frame, regions, fits)
        smallest.append(
            [
                _smallest(drawn_runs(work, index, frame, law, seed=seed), frame)
                for seed in task.seeds
            ]
        )
        # before the next one is read
        del frame
    return [min(values) for values in zip(*smallest)]


def _smallest(runs: Iterable[IntArray], frame: Frame) -> int:
    """Find the smallest of the measured pixels; 0 where there are none."""
    found, start, valid = [], 0, frame.valid.ravel()
    for run in runs:
        measured = run[valid[start : start + run.size]]
        start += run.size
        if measured.size:
            found.append(int(measured.min()))
    return min(found, default=0)


def write_images(task: WriteTask) -> int:
    """Correct images and write them; returns how many."""
    work = unpack(task.correct.sweep)
    images = task.correct.images
    with _open_outputs(work, task.destinations, len(images)) as write:
        for index, fits in images:
            frame = work.source.read(index, work.only_zeros_matter)
            write(index, frame, work.image_regions(frame), fits)
            # before the next one is read
            del frame
    return len(images)


def fit_and_write_images(task: FitAndWriteTask) -> list[ImageFits]:
    """Fit images, each by itself, correct them and write them."""
    work = unpack(task.measure.sweep)
    indices = task.measure.indices
    known = {image.regions.index: image for image in task.known}
    n_bytes = math.prod(work.source.shape) * (2 if work.only_zeros_matter else 4)
    at_once = max(_BYTES_AT_ONCE // n_bytes, 1) if n_bytes <= _LARGE else 1
    fitted = []
    with _open_outputs(work, task.destinations, len(indices)) as write:
        for block in blocks(indices, at_once):
            # by a function, which lets go of its images before others are read
            fitted += _fit_and_write(work, block, known, write)
    return fitted


def _fit_and_write(
    work: SweepWork,
    indices: Sequence[int],
    known: Mapping[int, ImageFits],
    write: _Write,
) -> list[ImageFits]:
    """Fit together as many images as may be in memory, and write them."""
    read: list[tuple[Frame, Regions]] = []
    new: list[ImageHistograms] = []
    for index in indices:
        frame = work.source.read(index, work.only_zeros_matter)
        regions = work.image_regions(frame)
        if index not in known:
            new.append(measure_frame(work, index, frame, regions))
        read.append((frame, regions))
    fits = iter(fit_each(new, work.options))
    images = [known.get(index) or next(fits) for index in indices]
    for image, (frame, regions) in zip(images, read):
        write(image.regions.index, frame, regions, image.fits)
    return images


@contextmanager
def _open_outputs(
    work: SweepWork, destinations: Sequence[Destination], n_images: int
) -> Iterator[_Write]:
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
                runs = drawn_runs(work, index, frame, law, seed=destination.seed)
                write_image(index, frame, runs)

        yield write
