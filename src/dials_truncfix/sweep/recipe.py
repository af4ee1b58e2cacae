"""Everything that determines the pixels of a corrected sweep.

A sidecar holds a recipe in place of images; the record of a run holds it so that
the images can be verified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any

from dials_truncfix import compat
from dials_truncfix.correction.fit import RingFits
from dials_truncfix.io.plain import to_plain
from dials_truncfix.io.run_lengths import RunLengths, run_lengths
from dials_truncfix.io.source_files import SourceFile, located, source_file
from dials_truncfix.sweep.measure import ImageFits
from dials_truncfix.sweep.options import CorrectionOptions
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.source import SweepSource, file_parts

#: Classes by which nothing can be read again: what they read is executed, or is
#: corrected already.
_UNFIT_CLASSES = ("FormatPY", "FormatTruncfixSidecar")
#: What dials.import tells format classes.
FORMAT_OPTIONS = ("dynamic_shadowing", "multi_panel")


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
                source.numbers, paths, places, images or repeat(None)
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
        for key in FORMAT_OPTIONS
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
