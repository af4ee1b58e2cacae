"""The sidecar of one sweep: its recipe in a file that stands for the images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import dials_truncfix
from dials_truncfix.io.atomic import atomic_write
from dials_truncfix.io.sidecar import format_sidecar, read_sidecar
from dials_truncfix.io.source_files import printable, reading_rights
from dials_truncfix.sweep.recipe import (
    PixelCheck,
    Recipe,
    placed,
    recipe_to_plain,
    refuse_unfit_class,
    with_checks,
)
from dials_truncfix.sweep.recipe_checks import recipe_from_plain
from dials_truncfix.sweep.recipe_images import RecipeImages, checksum
from dials_truncfix.sweep.source import SweepSource

#: dxtbx makes lists of as many places.
LARGEST_NUMBER = 1_000_000


def check_sidecar(source: SweepSource, path: Path) -> None:
    """
    Find out before the work whether a sidecar can stand for the images.

    Parameters
    ----------
    source : SweepSource
        The images to correct.
    path : pathlib.Path
        Where the sidecar will lie.

    Raises
    ------
    ValueError
        When an image has a number that does not fit, when they cannot be read again,
        or when one of them has this path.
    """
    refuse_unfit_class(source.imageset.get_format_class())
    _check_numbers(source.numbers, source.name)
    if path.resolve() in (file.resolve() for file in source.files()):
        raise ValueError(
            f"{path} is an input and would be overwritten: give another "
            "output.template or output.directory"
        )


def write_sidecar(path: Path, recipe: Recipe, final: Path) -> Recipe:
    """
    Write a sidecar, and see that it can be read.

    Parameters
    ----------
    path : pathlib.Path
        Where to write it.
    recipe : Recipe
        What determines the images.
    final : pathlib.Path
        Where it will lie, from where the paths of the sources are looked up.

    Returns
    -------
    Recipe
        With checks of a few images.

    Raises
    ------
    OSError
        When it cannot be written.
    ValueError
        When it is too large, or the images cannot be read again.
    """
    recipe = placed(recipe, final.parent)
    images = RecipeImages(recipe, reading_rights(str(final), os.geteuid()))
    n_images = len(recipe.images)
    checks = [
        PixelCheck(recipe.images[i].number, checksum(images.runs(i)))
        for i in sorted({0, n_images // 2, n_images - 1})
    ]
    recipe = with_checks(recipe, checks)
    content = {"recipe": recipe_to_plain(recipe)}
    # what it would refuse to read it does not write
    recipe_from_plain(content["recipe"], str(final))
    with atomic_write(path) as stream:
        stream.write(format_sidecar(content, dials_truncfix.__version__))
    return recipe


def _check_numbers(numbers: Sequence[int], name: str) -> None:
    """Refuse numbers that programs cannot look up in a file, or only at great cost."""
    for number in (min(numbers), max(numbers)):
        if not 1 <= number <= LARGEST_NUMBER:
            raise ValueError(
                f"{name}: image number {number} has no place in a sidecar, where "
                f"numbers go from 1 to {LARGEST_NUMBER}: give output.format=cbf"
            )


def open_sidecar(path: str) -> RecipeImages:
    """
    Open a sidecar.

    Parameters
    ----------
    path : str
        Its path.

    Returns
    -------
    RecipeImages
        Of which the first source has been found.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is damaged, of another schema, or lacks its source.
    """
    sidecar = read_sidecar(path)
    name = printable(str(path))
    if sidecar.version != dials_truncfix.__version__:
        name += f", by version {printable(sidecar.version)[:40]},"
    recipe = recipe_from_plain(sidecar.content.get("recipe"), name)
    images = RecipeImages(recipe, sidecar.rights)
    _check_numbers(images.numbers, name)
    # to fail now is better than in the middle of a sweep
    images.sources.find(0)
    return images
