"""Images made by a recipe: the sources read again, and corrected."""

from __future__ import annotations

import copy
import logging
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from dxtbx import flumpy
from dxtbx.format.FormatMultiImage import FormatMultiImage
from dxtbx.format.image import ImageBool
from dxtbx.format.Registry import get_format_class_for

from dials_truncfix import compat
from dials_truncfix.correction.draws.pixel_runs import joined, plain_runs
from dials_truncfix.correction.regions.beam_stop import tile_shape
from dials_truncfix.io.run_lengths import expand
from dials_truncfix.io.source_files import ReadingRights, find_source, printable
from dials_truncfix.sweep.correct import IntArray, drawn_runs, image_law
from dials_truncfix.sweep.experiments import write_panel_values
from dials_truncfix.sweep.image_output import marked_runs
from dials_truncfix.sweep.recipe import ImageRecipe, Recipe, refuse_unfit_class
from dials_truncfix.sweep.source import Frame, file_parts
from dials_truncfix.sweep.work import SweepWork

#: What models and numerics raise when they are given nonsense.
_NONSENSE = (
    ArithmeticError,
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


class SourceImages:
    """
    The source images of a recipe, in the way of an imageset.

    Nothing is opened before it is known to be what the recipe was made from.

    Parameters
    ----------
    recipe : Recipe
        How the images are made.
    rights : ReadingRights
        Of the file that holds the recipe.

    Raises
    ------
    ValueError
        When the models are damaged, or the class that reads the images is absent.
    """

    def __init__(self, recipe: Recipe, rights: ReadingRights) -> None:
        self.recipe = recipe
        self.rights = rights
        self._found: dict[int, str] = {}
        self._class = self._find_class()
        plain = recipe.models
        scan = plain["scan"]
        try:
            models = compat.models_from_dict({**plain, "scan": None})
            self._detector, self._beam, self._goniometer, _ = models
            self._scan = None if scan is None else compat.scan_from_dict(scan)
        except _NONSENSE as error:
            raise self._damaged(error) from None

    def _damaged(self, reason: Any) -> ValueError:
        return ValueError(
            f"{printable(self.rights.referrer)} is damaged "
            f"({printable(str(reason))[:200]}): run dials.truncfix again"
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.recipe.images)

    def get_detector(self) -> Any:
        """Return the detector of the source images."""
        return self._detector

    def get_beam(self) -> Any:
        """Return the beam."""
        return self._beam

    def get_goniometer(self) -> Any:
        """Return the goniometer, or None."""
        return self._goniometer

    def get_scan(self) -> Any:
        """Return the scan, or None."""
        return self._scan

    def indices(self) -> list[int]:
        """Return image numbers, counted from 0."""
        return [image.number - 1 for image in self.recipe.images]

    def get_path(self, index: int) -> str:
        """Return the path of the file that held an image when it was corrected."""
        return printable(self.recipe.files[self.recipe.images[index].file].path)

    def get_format_class(self) -> Any:
        """Return the class that reads the source images."""
        return self._class

    def _find_class(self) -> Any:
        name = self.recipe.format_class
        try:
            # by its name: to ask all classes would let some unpickle the file
            format_class = get_format_class_for(name)
        except KeyError:
            raise ValueError(
                f"{printable(self.rights.referrer)} refers to images that the class "
                f"{printable(name)} reads, which is not installed here: install the "
                "plugin that holds it"
            ) from None
        refuse_unfit_class(format_class)
        return format_class

    @property
    def external_lookup(self) -> Any:
        """The user's mask; call this when the size of an image has been seen."""
        runs, mask = self.recipe.mask, ImageBool()
        if runs is not None:
            pixels = expand(runs, self.recipe.shape) != 0
            mask = ImageBool(flumpy.from_numpy(pixels))
        return SimpleNamespace(mask=SimpleNamespace(data=mask))

    def find(self, index: int) -> str:
        """
        Find the file of an image, and see to it that it is the one.

        Raises
        ------
        ValueError
            When it is missing, has changed, or must not be read.
        """
        file = self.recipe.images[index].file
        if file not in self._found:
            source = self.recipe.files[file]
            self._found[file] = find_source(source, self.rights, file_parts)
        return self._found[file]

    def get_raw_data(self, index: int) -> tuple[Any, ...]:
        """Read one source image, as its format class does."""
        opened = self._opened(index)
        if issubclass(self._class, FormatMultiImage):
            data = opened.get_raw_data(self.recipe.images[index].frame)
        else:
            data = opened.get_raw_data()
        return data if isinstance(data, tuple) else (data,)

    def recorded_pixels(self, index: int) -> npt.NDArray[Any]:
        """Read one source image in its own type, if its class has this function."""
        opened = self._opened(index)
        pixels: npt.NDArray[Any] = opened.recorded_pixels(
            self.recipe.images[index].frame
        )
        return pixels

    def _opened(self, index: int) -> Any:
        """Open the file of an image, which has the frame that is wanted."""
        path = self.find(index)
        with _silent_formats():
            opened = self._class.get_instance(path, **self.recipe.format_options)
        if issubclass(self._class, FormatMultiImage):
            frame = self.recipe.images[index].frame
            if frame >= opened.get_num_images():
                raise self._damaged(f"{printable(path)} has no frame {frame}")
        return opened


@contextmanager
def _silent_formats() -> Iterator[None]:
    """Keep format classes from saying which models they assume; none is used."""
    logger = logging.getLogger("dxtbx.format")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


class RecipeImages:
    """
    The corrected images of a recipe.

    Parameters
    ----------
    recipe : Recipe
        How they are made.
    rights : ReadingRights
        Of the file that holds the recipe.

    Raises
    ------
    ValueError
        When the recipe is damaged.
    """

    def __init__(self, recipe: Recipe, rights: ReadingRights) -> None:
        self.recipe = recipe
        self.sources = SourceImages(recipe, rights)
        self._work = SweepWork(self.sources, recipe.options)
        self._index = {image.number: i for i, image in enumerate(recipe.images)}

    def detector(self) -> Any:
        """Return the detector of the corrected images."""
        detector = copy.deepcopy(self.sources.get_detector())
        write_panel_values(detector[0], self.recipe.panel)
        return detector

    @property
    def numbers(self) -> tuple[int, ...]:
        """Absolute number of each image."""
        return tuple(self._index)

    def index(self, number: int) -> int:
        """
        Return the position of the image of a number.

        Raises
        ------
        ValueError
            When there is none.
        """
        try:
            return self._index[number]
        except KeyError:
            raise ValueError(
                f"{printable(self.sources.rights.referrer)} holds no image {number}, "
                f"only {min(self._index)} to {max(self._index)}"
            ) from None

    def pixels(self, index: int) -> IntArray:
        """
        Make one image.

        Parameters
        ----------
        index : int
            Position in the sweep, from 0.

        Returns
        -------
        ndarray, shape (slow, fast), int32
            As written to CBF, ADU, without offset.

        Raises
        ------
        ValueError
            When the source is missing, has changed or must not be read, or the
            recipe does not fit it.
        """
        return joined(self.runs(index), self._work.source.shape)

    def runs(self, index: int) -> Iterator[npt.NDArray[np.signedinteger[Any]]]:
        """Make one image, as `pixels`, in runs of consecutive pixels."""
        image, work = self.recipe.images[index], self._work
        # from here on there are as many pixels as the models say
        frame = work.source.read(index, work.only_zeros_matter)
        if image.fits is None:
            yield from marked_runs(frame, plain_runs(frame.pixels), self.recipe.panel)
            return
        fits = self.recipe.fits[image.fits]
        try:
            regions = work.image_regions(frame, _shadow(image, frame))
            if len(fits.status) != regions.n_regions:
                raise ValueError(
                    f"{len(fits.status)} fits of {regions.n_regions} regions"
                )
            runs = drawn_runs(work, index, frame, image_law(work, frame, regions, fits))
            yield from marked_runs(frame, runs, self.recipe.panel)
        except _NONSENSE as error:
            raise ValueError(
                f"{printable(self.sources.rights.referrer)} does not fit image "
                f"{image.number} of its source "
                f"({printable(str(error))[:200]}): run dials.truncfix again"
            ) from None


def _shadow(image: ImageRecipe, frame: Frame) -> npt.NDArray[np.bool_] | None:
    """Tiles of an image that the beam stop shadows."""
    if image.shadow is None:
        return None
    shadow = expand(image.shadow, tile_shape(frame.pixels.shape))
    return np.asarray(shadow != 0)


def checksum(image: Iterable[IntArray]) -> int:
    """Return the CRC-32 of an image, given its rows or other runs of consecutive pixels.

    It is the same on every machine.
    """
    found = 0
    for run in image:
        found = zlib.crc32(np.ascontiguousarray(run, dtype="<i4").data, found)
    return found
