"""Histograms of the regions of each image, and their fits."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.fit import RingFits, fit_histograms
from dials_truncfix.correction.histogram import ring_histograms
from dials_truncfix.correction.regions.anisotropy import ZeroCounts, count_zeros
from dials_truncfix.correction.regions.beam_stop import indices_of_tiles, with_edge
from dials_truncfix.correction.regions.regions import Regions, RegionTable
from dials_truncfix.io.run_lengths import RunLengths, run_lengths
from dials_truncfix.parallel import Map
from dials_truncfix.sweep.options import CorrectionOptions
from dials_truncfix.sweep.source import Frame
from dials_truncfix.sweep.work import SweepWork, blocks, unpack

#: Bins of the histograms, ADU. Brighter pixels say nothing about zero, but annuli of
#: up to this mean tell the gain.
N_BINS = 2048
_IMAGES_PER_TASK = 8


@dataclass(frozen=True)
class MeasureTask:
    """Images to measure: the packed sweep, and positions in it."""

    sweep: bytes
    indices: tuple[int, ...]


@dataclass(frozen=True)
class ImageRegions:
    """The regions of one image.

    Attributes
    ----------
    index : int
        Position in the imageset.
    table : RegionTable
        The regions; radial coordinates are 2θ, rad.
    d_limits : ndarray, shape (n_regions, 2), float64
        Resolution at the inner and outer limit, Å.
    n_zero : ndarray, shape (n_regions,), int64
        Pixels recorded as zero.
    n_left_out : int
        Measured pixels left out: they lie in the shadow of the beam stop, or are
        labelled so.
    shadow : RunLengths or None
        Tiles that the beam stop shadows, where it was looked for.
    zeros : ZeroCounts or None
        Zeros around the annuli, of the images of the sample.
    """

    index: int
    table: RegionTable
    d_limits: npt.NDArray[np.float64]
    n_zero: npt.NDArray[np.int64]
    n_left_out: int
    shadow: RunLengths | None = None
    zeros: ZeroCounts | None = None

    @property
    def n_pixels(self) -> npt.NDArray[np.int64]:
        """Pixels of each region."""
        return self.table.n_pixels


@dataclass(frozen=True)
class ImageHistograms:
    """Regions of one image with their histograms.

    Attributes
    ----------
    number : int
        Number of the image.
    regions : ImageRegions
        Its regions.
    histograms : ndarray, shape (n_regions, n_bins), int64
        Pixels of each value.
    """

    number: int
    regions: ImageRegions
    histograms: npt.NDArray[np.int64]

    @property
    def is_blank(self) -> bool:
        """Whether all pixels have one value."""
        return int(np.count_nonzero(self.histograms.any(axis=0))) <= 1


@dataclass(frozen=True)
class ImageFits:
    """Regions of one image with their fits, one row per region.

    Where histograms were pooled, the fits count the pixels of all images.
    """

    regions: ImageRegions
    fits: RingFits


def fit_sweep(
    sweep: bytes, n_images: int, options: CorrectionOptions, tasks: Map
) -> Iterator[ImageFits]:
    """Fit every image of a sweep.

    Parameters
    ----------
    sweep : bytes
        The packed sweep.
    n_images : int
        Number of its images.
    options : CorrectionOptions
        Says which histograms are pooled.
    tasks : callable
        Where the images are measured.

    Yields
    ------
    ImageFits
        One for each image, in order.
    """
    todo = [
        MeasureTask(sweep, tuple(block))
        for block in blocks(range(n_images), _IMAGES_PER_TASK)
    ]
    if options.histograms == "image":
        for fitted in tasks(fit_images, todo):
            yield from fitted
        return
    measured = (image for block in tasks(measure_images, todo) for image in block)
    if options.histograms == "sweep":
        yield from _fit_pooled(list(measured), options)
    else:
        yield from _fit_blocks(measured, options)


def fit_images(task: MeasureTask) -> list[ImageFits]:
    """Measure and fit images, each by itself."""
    return fit_each(measure_images(task), unpack(task.sweep).options)


def fit_each(
    images: Sequence[ImageHistograms], options: CorrectionOptions
) -> list[ImageFits]:
    """Fit images, each by itself, those of like regions in one go.

    What a fit costs is mostly the overhead of its steps, which they share; the
    fits themselves are the same to the last bit.
    """
    alike: dict[tuple[bytes, float], list[int]] = {}
    for position, image in enumerate(images):
        # a camera drifts from image to image
        number = 0.0 if options.camera is None else image.number
        key = (image.regions.table.ring.tobytes(), number)
        alike.setdefault(key, []).append(position)
    fitted: dict[int, ImageFits] = {}
    for positions in alike.values():
        first = images[positions[0]]
        together = np.stack([images[position].histograms for position in positions])
        fits = _fit(together, first.regions.table, options, first.number)
        for row, position in enumerate(positions):
            fitted[position] = ImageFits(images[position].regions, fits[row])
    return [fitted[position] for position in range(len(images))]


def measure_images(task: MeasureTask) -> list[ImageHistograms]:
    """Measure the histograms of images."""
    work = unpack(task.sweep)
    measured = []
    for index in task.indices:
        frame = work.source.read(index, narrow=True)
        measured.append(measure_frame(work, index, frame, work.image_regions(frame)))
        # before the next one is read
        del frame
    return measured


def measure_frame(
    work: SweepWork, index: int, frame: Frame, regions: Regions
) -> ImageHistograms:
    """Measure the histograms of one image that has been read."""
    histograms = ring_histograms(
        frame.pixels, regions.labels, regions.n_regions, N_BINS
    )
    n_zero = histograms[:, 0].copy()
    if regions.shadow is not None and regions.shadow.any():
        edge = with_edge(regions.shadow) & ~regions.shadow
        at = indices_of_tiles(edge, frame.pixels.shape)
        histograms -= ring_histograms(
            frame.pixels.ravel().take(at),
            regions.labels.ravel().take(at),
            regions.n_regions,
            N_BINS,
        )
    table = regions.table
    return ImageHistograms(
        work.source.numbers[index],
        ImageRegions(
            index=index,
            table=table,
            d_limits=work.d_limits(table),
            n_zero=n_zero,
            n_left_out=int(np.count_nonzero(frame.valid) - table.n_pixels.sum()),
            shadow=None if regions.shadow is None else run_lengths(regions.shadow),
            zeros=(
                count_zeros(frame.pixels, regions.labels, work.azimuths)
                if index in work.samples
                else None
            ),
        ),
        histograms,
    )


def _fit(
    histograms: npt.NDArray[np.int64],
    regions: RegionTable,
    options: CorrectionOptions,
    number: float,
) -> RingFits:
    camera = None if options.camera is None else options.camera.at(number)
    return fit_histograms(
        histograms, options.family, options.rounding, regions.ring, camera
    )


def _pool(
    image: ImageHistograms, others: Iterable[ImageHistograms]
) -> npt.NDArray[np.int64]:
    """Sum the histograms of the images whose regions are this image's.

    A moving beam stop can take a region away, and a recording can fail; such images
    stay apart.
    """
    if image.is_blank:
        return image.histograms
    total = np.zeros_like(image.histograms)
    for other in others:
        if (
            image.regions.table.same_division(other.regions.table)
            and not other.is_blank
        ):
            total += other.histograms
    return total


def _fit_pooled(
    images: list[ImageHistograms], options: CorrectionOptions
) -> Iterator[ImageFits]:
    fitted: dict[tuple[bytes, bool], RingFits] = {}
    middle = float(np.mean([image.number for image in images]))
    for image in images:
        key = (image.regions.table.key, image.is_blank)
        if key not in fitted or image.is_blank:
            pooled = _pool(image, images)
            fitted[key] = _fit(pooled, image.regions.table, options, middle)
        yield ImageFits(image.regions, fitted[key])


def _fit_blocks(
    images: Iterable[ImageHistograms], options: CorrectionOptions
) -> Iterator[ImageFits]:
    """Fit each image on the block around it; at the ends the block is cut."""
    before = (options.block_size - 1) // 2
    after = options.block_size - 1 - before
    window: deque[ImageHistograms] = deque()
    waiting: deque[ImageHistograms] = deque()

    def fit_first() -> ImageFits:
        image = waiting.popleft()
        while window[0].regions.index < image.regions.index - before:
            window.popleft()
        histograms = _pool(image, window)
        fits = _fit(histograms, image.regions.table, options, image.number)
        return ImageFits(image.regions, fits)

    for image in images:
        window.append(image)
        waiting.append(image)
        if len(waiting) > after:
            yield fit_first()
    while waiting:
        yield fit_first()
