"""Everything that determines the pixels of a corrected sweep.

A sidecar holds a recipe in place of images; the record of a run holds it so that
the images can be verified.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dials_truncfix import compat
from dials_truncfix.correction.fit import RingFits
from dials_truncfix.io.plain import from_plain, to_plain
from dials_truncfix.io.run_lengths import RunLengths, run_lengths
from dials_truncfix.io.source_files import SourceFile, located, printable, source_file
from dials_truncfix.sweep.measure import ImageFits
from dials_truncfix.sweep.options import CorrectionOptions
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.source import SweepSource, file_parts

#: Classes by which nothing can be read again: what they read is executed, or is
#: corrected already.
_UNFIT_CLASSES = ("FormatPY", "FormatTruncfixSidecar")
_MODELS = ("beam", "detector", "goniometer", "scan")
_FORMAT_OPTIONS = ("dynamic_shadowing", "multi_panel")
_MAX_SIDE = 1 << 16
_MAX_LEVEL = 2**31 - 2
_MAX_DEPTH = 8


@dataclass(frozen=True)
class ImageRecipe:
    """
    How to make one image.

    Attributes
    ----------
    number : int
        Absolute number in the sweep, from 1.
    file : int
        Index of its file.
    frame : int
        Place in the file, from 0.
    fits : int or None
        Index of its fits; None leaves the pixels as they are.
    shadow : RunLengths or None
        Tiles that the beam stop shadows, where it was looked for.
    """

    number: int
    file: int
    frame: int
    fits: int | None
    shadow: RunLengths | None = None


@dataclass(frozen=True)
class PixelCheck:
    """CRC-32 of the corrected pixels of one image, as little-endian int32."""

    number: int
    crc32: int


@dataclass(frozen=True)
class Recipe:
    """
    Everything that determines the pixels of a corrected sweep.

    Attributes
    ----------
    format_class : str
        Name of the dxtbx class that reads the source images.
    format_options : mapping
        What this class was told.
    files : tuple of SourceFile
        Source images.
    images : tuple of ImageRecipe
        In the order of the sweep.
    models : mapping
        Beam, detector, goniometer and scan of the source images as plain values. The
        trusted range is the same to every release of dxtbx.
    mask : RunLengths or None
        The user's mask; 0 excludes a pixel.
    options : CorrectionOptions
        How the pixels are corrected.
    panel : PanelValues
        Detector values of the corrected images, and their offset.
    image_format : str
        Format of the corrected images.
    fits : tuple of RingFits
        Fits of the images.
    checks : tuple of PixelCheck
        Of a few images.
    """

    format_class: str
    format_options: dict[str, bool | str]
    files: tuple[SourceFile, ...]
    images: tuple[ImageRecipe, ...]
    models: dict[str, Any]
    mask: RunLengths | None
    options: CorrectionOptions
    panel: PanelValues
    image_format: str
    fits: tuple[RingFits, ...]
    checks: tuple[PixelCheck, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(slow, fast) size of the images, pixels."""
        fast, slow = self.models["detector"]["panels"][0]["image_size"]
        return slow, fast


def make_recipe(
    source: SweepSource,
    options: CorrectionOptions,
    panel: PanelValues,
    image_format: str,
    images: Sequence[ImageFits],
) -> Recipe:
    """
    Write down how the images of a sweep are corrected.

    Parameters
    ----------
    source : SweepSource
        The sweep.
    options : CorrectionOptions
        How it was corrected.
    panel : PanelValues
        What the detector model says.
    image_format : str
        Of the corrected images.
    images : sequence of ImageFits
        One for each image; none at all leaves the pixels as they are.

    Returns
    -------
    Recipe
        Without checks, and not yet `placed`.
    """
    imageset = source.imageset
    paths = [source.path(index) for index in range(len(source))]
    files = {path: i for i, path in enumerate(dict.fromkeys(paths))}
    mask = source.user_mask()
    in_one_file = imageset.reader().is_single_file_reader()
    places = list(imageset.indices()) if in_one_file else [0] * len(source)
    fits = [image.fits for image in images]
    unique = {id(fit): fit for fit in fits}
    position = {key: i for i, key in enumerate(unique)}
    return Recipe(
        format_class=source.format_name,
        format_options=_options(imageset.params()),
        files=tuple(source_file(file_parts(Path(path))) for path in files),
        images=tuple(
            ImageRecipe(
                number,
                files[path],
                int(place),
                position[id(image.fits)] if image else None,
                image.regions.shadow if image else None,
            )
            for number, path, place, image in zip(
                source.numbers, paths, places, images or [None] * len(source)
            )
        ),
        models=_models(source),
        mask=None if mask is None else run_lengths(mask),
        options=options,
        panel=panel,
        image_format=image_format,
        fits=tuple(unique.values()),
    )


def _options(params: Any) -> dict[str, Any]:
    """Keep what dials.import tells format classes; Auto is an object of libtbx."""
    given = dict(params or {})
    return {
        key: given[key] if isinstance(given[key], bool) else str(given[key])
        for key in _FORMAT_OPTIONS
        if key in given
    }


def _models(source: SweepSource) -> dict[str, Any]:
    imageset = source.imageset
    models = compat.models_to_dict(
        imageset.get_detector(), source.beam, source.goniometer, None, None
    )
    detector = models["detector"]
    safe = compat.safe_trusted_range(source.min_valid, source.max_valid)
    panel = dict(detector["panels"][0], trusted_range=list(safe))
    scan = None if source.scan is None else compat.scan_to_dict(source.scan)
    changed = {"detector": {**detector, "panels": [panel]}, "scan": scan}
    plain: dict[str, Any] = to_plain({**models, **changed})
    return plain


def refuse_unfit_class(format_class: Any) -> None:
    """
    Refuse classes that execute what they read, and sidecars of sidecars.

    Parameters
    ----------
    format_class : type
        That reads the source images.

    Raises
    ------
    ValueError
        Naming the class.
    """
    for parent in format_class.__mro__:
        if parent.__name__ in _UNFIT_CLASSES:
            raise ValueError(
                f"images that {format_class.__name__} reads cannot be the source of a "
                "sidecar: give output.format=cbf"
            )


def recipe_to_plain(recipe: Recipe) -> dict[str, Any]:
    """Describe a recipe by plain JSON values, to the last digit."""
    plain: dict[str, Any] = to_plain(recipe)
    return plain


def recipe_from_plain(plain: Any, name: str) -> Recipe:
    """
    Inverse of `recipe_to_plain`.

    Parameters
    ----------
    plain : object
        From a file that cannot be relied on.
    name : str
        Of the file, for messages.

    Raises
    ------
    ValueError
        When it is damaged.
    """
    try:
        recipe = from_plain(Recipe, plain)
        _check(recipe)
        return recipe
    except ValueError as error:
        raise ValueError(
            f"{name} is damaged ({printable(str(error))[:200]}): run dials.truncfix again"
        ) from None


def _check(recipe: Recipe) -> None:
    """Refuse what the annotations allow and no run has written."""
    _check_detector(recipe.models)
    for key in recipe.format_options:
        if key not in _FORMAT_OPTIONS:
            raise ValueError(f"an option {key[:40]!r} of the format class")
    numbers = [image.number for image in recipe.images]
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError("it has no images, or one number twice")
    for image in recipe.images:
        if not 0 <= image.file < len(recipe.files):
            raise ValueError(f"image {image.number} is in file {image.file}")
        if image.fits is not None and not 0 <= image.fits < len(recipe.fits):
            raise ValueError(f"image {image.number} has fits {image.fits}")
        if not (0 <= image.frame < 2**31 and abs(image.number) < 2**31):
            raise ValueError(f"image {image.number} is frame {image.frame}")
    if not all(source.parts for source in recipe.files):
        raise ValueError("a source file has no fingerprint")
    _check_scan(recipe.models["scan"], numbers)
    panel = recipe.panel
    for level in (panel.lowest, panel.highest, panel.offset):
        if abs(level) > _MAX_LEVEL:
            raise ValueError(f"a limit of {level} ADU")
    if not (0 < panel.gain < math.inf and math.isfinite(panel.pedestal)):
        raise ValueError(f"gain {panel.gain}, pedestal {panel.pedestal}")
    for fits in recipe.fits:
        _check_fits(fits)


def _check_scan(scan: Any, numbers: Sequence[int]) -> None:
    """See that a scan is as long as there are images."""
    if scan is None:
        return
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise ValueError("its images are not numbered in one row")
    if not isinstance(scan, dict) or scan.get("image_range") != [
        numbers[0],
        numbers[-1],
    ]:
        raise ValueError("its scan does not number its images")
    for name in ("exposure_times", "epochs"):
        times = scan.get(name)
        if not isinstance(times, list) or len(times) != len(numbers):
            raise ValueError(f"its scan has no {name} for its images")


def _check_detector(models: Mapping[str, Any]) -> None:
    if set(models) != set(_MODELS):
        raise ValueError("its models are not " + ", ".join(_MODELS))
    detector = models["detector"]
    panels = detector.get("panels") if isinstance(detector, dict) else None
    if not isinstance(panels, list) or len(panels) != 1:
        raise ValueError("its detector has not one panel")
    size = panels[0].get("image_size") if isinstance(panels[0], dict) else None
    if (
        not isinstance(size, list)
        or len(size) != 2
        or not all(type(n) is int and 0 < n < _MAX_SIDE for n in size)
    ):
        raise ValueError("its detector has no size")
    if _depth(models) > _MAX_DEPTH:
        raise ValueError("its models are nested too deeply")


def _depth(value: Any) -> int:
    """Levels of a value that a JSON parser has let pass."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return 0
    return 1 + max(map(_depth, value), default=0)


def _check_fits(fits: RingFits) -> None:
    shape = fits.status.shape
    if len(shape) != 1:
        raise ValueError("fits are not those of one image")
    for name, value in vars(fits).items():
        if isinstance(value, np.ndarray) and value.shape[:1] != shape:
            raise ValueError(f"fits have {value.shape} {name} for {shape} annuli")


def with_checks(recipe: Recipe, checks: Sequence[PixelCheck]) -> Recipe:
    """Add what a few images must come out as."""
    return replace(recipe, checks=tuple(checks))


def placed(recipe: Recipe, folder: Path) -> Recipe:
    """Say where the sources lie from the folder where the recipe will lie."""
    files = tuple(located(source, folder) for source in recipe.files)
    return replace(recipe, files=files)


def drawn(recipe: Recipe, seed: int, panel: PanelValues) -> Recipe:
    """Change the draw that a recipe describes: its seed, and an offset that fits."""
    return replace(recipe, options=replace(recipe.options, seed=seed), panel=panel)
