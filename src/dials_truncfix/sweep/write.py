"""Second pass: correct each image, and write it with its models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import dials_truncfix
from dials_truncfix import compat
from dials_truncfix.correction.annuli import Annuli
from dials_truncfix.correction.draw import replace_zeros
from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.gain import NoiseProfile, noise_profile
from dials_truncfix.correction.quantiles import (
    QuantileTables,
    conditional_tables,
    mean_preserving_knots,
)
from dials_truncfix.io import cbf, smv
from dials_truncfix.io.corrected_header import (
    CorrectedHeader,
    format_cbf_lines,
    format_smv_header,
    make_header,
)
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.source import Frame, SweepSource
from dials_truncfix.sweep.work import SweepWork, unpack

IntArray = npt.NDArray[np.int32]


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
    """Images to correct and write.

    Attributes
    ----------
    correct : CorrectTask
        The images.
    paths : tuple of str
        Where to write each.
    image_format : {'cbf', 'smv'}
        Format.
    panel : PanelValues
        What the detector model shall say.
    """

    correct: CorrectTask
    paths: tuple[str, ...]
    image_format: str
    panel: PanelValues


def smallest_values(task: CorrectTask) -> list[int]:
    """Find the smallest corrected value among the measured pixels of each image."""
    work = unpack(task.sweep)
    smallest = []
    for index, fits in task.images:
        frame = work.source.read(index)
        values = corrected_pixels(work, index, frame, fits)[frame.valid]
        smallest.append(int(values.min()) if values.size else 0)
    return smallest


def noise_profiles(task: CorrectTask) -> list[NoiseProfile]:
    """Measure the noise of corrected images against their brightness."""
    work = unpack(task.sweep)
    profiles = []
    for index, fits in task.images:
        frame = work.source.read(index)
        pixels = corrected_pixels(work, index, frame, fits, assign="random")
        usable = work.image_annuli(frame).labels >= 0
        profiles.append(noise_profile(pixels, usable, work.radius))
    return profiles


def write_images(task: WriteTask) -> int:
    """Correct images and write them; returns how many."""
    work = unpack(task.correct.sweep)
    for (index, fits), path in zip(task.correct.images, task.paths):
        frame = work.source.read(index)
        pixels = corrected_pixels(work, index, frame, fits)
        bad = (pixels < 0) & ~frame.valid
        if bad.any():
            # the format's mark of bad pixels would now pass for a value
            pixels = np.where(bad, task.panel.lowest - 1, pixels)
        header = image_header(work.source, index, task.panel, work.options.seed)
        if task.image_format == "cbf":
            _write_cbf(Path(path), pixels, header)
        else:
            _write_smv(Path(path), pixels, header)
    return len(task.paths)


def corrected_pixels(
    work: SweepWork,
    index: int,
    frame: Frame,
    fits: RingFits | None,
    assign: str | None = None,
) -> IntArray:
    """Replace the zeros of one image.

    Parameters
    ----------
    work : SweepWork
        The sweep.
    index : int
        Position of the image.
    frame : Frame
        The image.
    fits : RingFits or None
        Fits of its annuli. None leaves the pixels as they are.
    assign : {'random', 'expected'}, optional
        What a zero becomes, if not what the options of the sweep say.

    Returns
    -------
    ndarray, shape (slow, fast), int32
        ADU. Where there is nothing to replace, the very pixels of the frame.
    """
    if fits is None or not fits.fitted.any():
        return frame.pixels
    annuli = work.image_annuli(frame)
    eligible = annuli.labels >= 0
    tables = _tables(work, frame, annuli, fits)
    if tables is None:
        return frame.pixels
    return replace_zeros(
        frame.pixels,
        eligible,
        work.radius,
        tables,
        seed=work.options.seed,
        image_number=work.source.numbers[index],
        assign=assign or work.options.assign,
        rounding=work.options.rounding,
    )


def _tables(
    work: SweepWork, frame: Frame, annuli: Annuli, fits: RingFits
) -> QuantileTables | None:
    """Quantile tables whose average over the zeros of each annulus is its fit's.

    None when there are no zeros.
    """
    zero = np.flatnonzero((frame.pixels == 0) & (annuli.labels >= 0))
    if not zero.size:
        return None
    ring, radius = annuli.labels.ravel()[zero], work.radius.ravel()[zero]
    n_zero = np.bincount(ring, minlength=annuli.n_rings)
    some = np.maximum(n_zero, 1)
    centroid = np.where(
        n_zero > 0,
        np.bincount(ring, radius, annuli.n_rings) / some,
        annuli.radius,
    )
    deviation = (
        np.bincount(ring, np.abs(radius - centroid[ring]), annuli.n_rings) / some
    )
    tables = conditional_tables(fits, centroid)
    return mean_preserving_knots(tables, deviation[fits.fitted])


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


def _write_cbf(path: Path, pixels: IntArray, header: CorrectedHeader) -> None:
    cbf.write(path, pixels, format_cbf_lines(header))


def _write_smv(path: Path, pixels: IntArray, header: CorrectedHeader) -> None:
    # saturated pixels leave the range of 16 bits by the offset; they are not trusted
    stored = np.clip(pixels + np.int32(header.offset), 0, 65535).astype(np.uint16)
    smv.write(path, stored, format_smv_header(header))
