"""Files of corrected images, in any of the formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np

import dials_truncfix
from dials_truncfix import compat
from dials_truncfix.io import cbf, smv
from dials_truncfix.io.byte_offset import compress_runs
from dials_truncfix.io.corrected_header import (
    CorrectedHeader,
    format_cbf_lines,
    format_smv_header,
    make_header,
)
from dials_truncfix.io.nexus_data import open_data_file
from dials_truncfix.sweep.correct import IntArray, SignedArray
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.source import Frame, SweepSource

#: Writes one image: its position in the sweep, the recorded image, corrected pixels in
#: runs.
WriteImage = Callable[[int, Frame, Iterable[SignedArray]], None]


@dataclass(frozen=True)
class Destination:
    """Where the corrected images of a task go.

    Attributes
    ----------
    paths : tuple of str
        Where to write each image; of NeXus the one data file for all.
    image_format : {'cbf', 'smv', 'nexus'}
        Format.
    panel : PanelValues
        What the detector model shall say.
    seed : int
        Seed of the draws.
    compression : str
        Of NeXus images.
    """

    paths: tuple[str, ...]
    image_format: str
    panel: PanelValues
    seed: int
    compression: str = "gzip"


@contextmanager
def open_output(
    source: SweepSource, destination: Destination, n_images: int
) -> Iterator[WriteImage]:
    """Open the files of one task.

    Parameters
    ----------
    source : SweepSource
        The sweep.
    destination : Destination
        Where the images go.
    n_images : int
        How many there are.

    Yields
    ------
    callable
        To be called for each image, in the order of the destination's paths.
    """
    if destination.image_format == "nexus":
        shape = (n_images, *source.shape)
        with open_data_file(
            destination.paths[0], shape, destination.compression
        ) as write:
            yield lambda index, frame, runs: write(
                marked_runs(frame, runs, destination.panel)
            )
        return
    paths = iter(destination.paths)
    write_file = {"cbf": _write_cbf, "smv": _write_smv}[destination.image_format]

    def write_image(index: int, frame: Frame, runs: Iterable[SignedArray]) -> None:
        header = image_header(source, index, destination.panel, destination.seed)
        marked = marked_runs(frame, runs, destination.panel)
        write_file(Path(next(paths)), marked, source.shape, header)

    yield write_image


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
    return corrected_header(models, panel, seed)


def corrected_header(
    models: dict[str, Any], panel: PanelValues, seed: int
) -> CorrectedHeader:
    """Put what the correction found into the models of recorded images."""
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


def marked_runs(
    frame: Frame, runs: Iterable[SignedArray], panel: PanelValues
) -> Iterator[SignedArray]:
    """Give bad pixels a value that cannot pass for a measured one any more."""
    if frame.valid.all():
        yield from runs
        return
    start, valid = 0, frame.valid.ravel()
    for run in runs:
        bad = run < 0
        bad &= ~valid[start : start + run.size]
        if bad.any():
            # never so in narrow runs, which were unsigned
            run[bad] = panel.lowest - 1
        start += run.size
        yield run


def _write_cbf(
    path: Path,
    runs: Iterable[SignedArray],
    shape: tuple[int, int],
    header: CorrectedHeader,
) -> None:
    cbf.write_compressed(path, compress_runs(runs), shape, format_cbf_lines(header))


def _write_smv(
    path: Path,
    runs: Iterable[SignedArray],
    shape: tuple[int, int],
    header: CorrectedHeader,
) -> None:
    stored = np.empty(shape, dtype=np.uint16)
    flat, start = stored.reshape(-1), 0
    for run in runs:
        stop = start + run.size
        flat[start:stop] = stored_pixels(run, "smv", header.offset)
        start = stop
    smv.write(path, stored, format_smv_header(header))


def stored_pixels(pixels: IntArray, image_format: str, offset: int) -> IntArray:
    """Return corrected pixels as a format has them, ADU."""
    if image_format != "smv":
        return pixels
    # saturated pixels leave the range of 16 bits by the offset; they are not trusted
    return np.clip(pixels + np.int32(offset), 0, 65535)
