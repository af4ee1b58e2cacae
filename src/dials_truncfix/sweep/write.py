"""Correction of single images, and writing them with their models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import dials_truncfix
from dials_truncfix import compat
from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.gain import NoiseProfile, noise_profile
from dials_truncfix.io import cbf, smv
from dials_truncfix.io.corrected_header import (
    CorrectedHeader,
    format_cbf_lines,
    format_smv_header,
    make_header,
)
from dials_truncfix.sweep.correct import IntArray, corrected_pixels
from dials_truncfix.sweep.measure import ImageFits, MeasureTask, fit_frame
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.source import Frame, SweepSource
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
class Destination:
    """Where corrected images go.

    Attributes
    ----------
    paths : tuple of str
        Where to write each image of a task.
    image_format : {'cbf', 'smv'}
        Format.
    panel : PanelValues
        What the detector model shall say.
    """

    paths: tuple[str, ...]
    image_format: str
    panel: PanelValues


@dataclass(frozen=True)
class WriteTask:
    """Images to correct and write."""

    correct: CorrectTask
    destination: Destination


@dataclass(frozen=True)
class FitAndWriteTask:
    """Images to fit, each by itself, to correct and write."""

    measure: MeasureTask
    destination: Destination


def smallest_values(task: CorrectTask) -> list[int]:
    """Find the smallest corrected value among the measured pixels of each image."""
    work = unpack(task.sweep)
    smallest = []
    for index, fits in task.images:
        frame = work.source.read(index)
        annuli = work.image_annuli(frame)
        values = corrected_pixels(work, index, frame, annuli, fits)[frame.valid]
        smallest.append(int(values.min()) if values.size else 0)
    return smallest


def noise_profiles(task: CorrectTask) -> list[NoiseProfile]:
    """Measure the noise of corrected images against their brightness."""
    work = unpack(task.sweep)
    profiles = []
    for index, fits in task.images:
        frame = work.source.read(index)
        annuli = work.image_annuli(frame)
        pixels = corrected_pixels(work, index, frame, annuli, fits, assign="random")
        profiles.append(noise_profile(pixels, annuli.labels >= 0, work.radius))
    return profiles


def write_images(task: WriteTask) -> int:
    """Correct images and write them; returns how many."""
    work = unpack(task.correct.sweep)
    for (index, fits), path in zip(task.correct.images, task.destination.paths):
        frame = work.source.read(index)
        annuli = work.image_annuli(frame)
        pixels = corrected_pixels(work, index, frame, annuli, fits)
        _write(work, index, frame, pixels, path, task.destination)
    return len(task.correct.images)


def fit_and_write_images(task: FitAndWriteTask) -> list[ImageFits]:
    """Fit images, each by itself, correct them and write them."""
    work = unpack(task.measure.sweep)
    fitted = []
    for index, path in zip(task.measure.indices, task.destination.paths):
        frame = work.source.read(index)
        annuli = work.image_annuli(frame)
        image = fit_frame(work, index, frame, annuli)
        pixels = corrected_pixels(work, index, frame, annuli, image.fits)
        _write(work, index, frame, pixels, path, task.destination)
        fitted.append(image)
    return fitted


def image_header(
    source: SweepSource, index: int, panel: PanelValues, seed: int
) -> CorrectedHeader:
    """Describe a corrected image: its models, and what the correction found."""
    imageset: Any = source.imageset
    scan = source.scan
    models = compat.models_to_dict(
        imageset.get_detector(),
        imageset.get_beam(),
        source.goniometer,
        scan,
        None if scan is None else source.numbers[index],
    )
    return make_header(
        models,
        gain=panel.gain,
        pedestal=panel.pedestal + panel.offset,
        trusted_range=compat.safe_trusted_range(
            panel.lowest + panel.offset, panel.highest + panel.offset
        ),
        offset=panel.offset,
        seed=seed,
        version=dials_truncfix.__version__,
    )


def _write(
    work: SweepWork,
    index: int,
    frame: Frame,
    pixels: IntArray,
    path: str,
    destination: Destination,
) -> None:
    """Write one corrected image."""
    panel = destination.panel
    if not frame.valid.all():
        # the format's mark of bad pixels would now pass for a value
        bad = (pixels < 0) & ~frame.valid
        pixels = np.where(bad, np.int32(panel.lowest - 1), pixels)
    header = image_header(work.source, index, panel, work.options.seed)
    if destination.image_format == "cbf":
        _write_cbf(Path(path), pixels, header)
    else:
        _write_smv(Path(path), pixels, header)


def _write_cbf(path: Path, pixels: IntArray, header: CorrectedHeader) -> None:
    cbf.write(path, pixels, format_cbf_lines(header))


def _write_smv(path: Path, pixels: IntArray, header: CorrectedHeader) -> None:
    # saturated pixels leave the range of 16 bits by the offset; they are not trusted
    stored = np.clip(pixels + np.int32(header.offset), 0, 65535).astype(np.uint16)
    smv.write(path, stored, format_smv_header(header))
