"""Whether corrected images are what their record says they are."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dials.util import progress, tabulate
from dxtbx import flumpy

from dials_truncfix.io.source_files import find_source
from dials_truncfix.sweep.image_output import stored_pixels
from dials_truncfix.sweep.read_record import Record
from dials_truncfix.sweep.recipe import Recipe
from dials_truncfix.sweep.recipe_images import RecipeImages, checksum
from dials_truncfix.sweep.source import file_parts, sha256

logger = logging.getLogger("dials.truncfix.verify")


@dataclass(frozen=True)
class ImageFinding:
    """
    One image, compared with what was made anew.

    Attributes
    ----------
    number : int
        Its number.
    n_different : int
        Pixels that differ.
    n_measured : int
        Of these, pixels that the correction leaves as they were recorded.
    largest : int
        Largest difference, ADU.
    problem : str or None
        Why it could not be compared.
    """

    number: int
    n_different: int = 0
    n_measured: int = 0
    largest: int = 0
    problem: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether every pixel is the same."""
        return self.problem is None and not self.n_different


@dataclass(frozen=True)
class FileFinding:
    """A source file, and what is wrong with it."""

    path: str
    problem: str | None


@dataclass(frozen=True)
class Findings:
    """What has been compared."""

    images: tuple[ImageFinding, ...]
    files: tuple[FileFinding, ...]

    @property
    def agree(self) -> bool:
        """Whether everything is as recorded."""
        return all(image.agrees for image in self.images) and not any(
            file.problem for file in self.files
        )


def verify_sweep(experiments: Any, record: Record, n_images: int) -> Findings:
    """
    Make images again from their sources, and compare.

    Parameters
    ----------
    experiments : dxtbx.model.ExperimentList
        Corrected images, all of one imageset: those of the record, or a part of them.
    record : Record
        Of the run that wrote them.
    n_images : int
        How many to compare, spread over the sweep.

    Returns
    -------
    Findings

    Raises
    ------
    ValueError
        When the record is that of another sweep.
    """
    imageset = experiments.imagesets()[0]
    recipe = record.recipe
    positions = _positions(imageset, recipe, record.name)
    chosen = np.linspace(0, len(positions) - 1, min(n_images, len(positions)))
    indices = sorted({round(index) for index in chosen})
    recipe = _which_replicate(imageset, record, indices[0], positions)
    made = RecipeImages(recipe, record.rights)
    images = tuple(
        _compare(imageset, index, made, positions[index])
        for index in progress(indices, desc="Comparing")
    )
    return Findings(images, _files(record))


def _positions(imageset: Any, recipe: Recipe, name: str) -> list[int]:
    """Position in the recipe of each image of an imageset."""
    first = str(imageset.get_path(0))
    if any(os.path.realpath(first) == source.path for source in recipe.files):
        raise ValueError(
            f"{first} is what was corrected: give the corrected images, e.g. "
            "truncfix.expt"
        )
    detector = imageset.get_detector()
    size = tuple(detector[0].get_image_size()) if detector else None
    if size != recipe.shape[::-1]:
        raise ValueError(
            f"{name} is the record of another sweep: its images have "
            f"{recipe.shape[1]} × {recipe.shape[0]} pixels, and {first} has "
            + ("no detector" if size is None else f"{size[0]} × {size[1]}")
        )
    known = {image.number: i for i, image in enumerate(recipe.images)}
    scan = getattr(imageset, "get_scan", lambda: None)()
    if scan is None:
        if len(imageset) != len(known):
            raise ValueError(
                f"{name} is the record of {len(known)} images, and {len(imageset)} "
                "were given: give all of them"
            )
        return list(range(len(known)))
    low, high = scan.get_image_range()
    if low not in known or high not in known:
        raise ValueError(
            f"{name} is the record of another sweep: it holds images {min(known)} to "
            f"{max(known)}, and images {low} to {high} were given"
        )
    return [known[number] for number in range(low, high + 1)]


def _pixels(imageset: Any, index: int) -> npt.NDArray[Any]:
    return np.asarray(flumpy.to_numpy(imageset.get_raw_data(index)[0]))


def _which_replicate(
    imageset: Any, record: Record, index: int, positions: Sequence[int]
) -> Recipe:
    """Find the draw that the images are: one image tells. The first, if none is."""
    if len(record.draws) == 1:
        return record.recipe
    given = _pixels(imageset, index)
    for number, (seed, offset) in enumerate(record.draws, 1):
        recipe = replace(
            record.recipe,
            options=replace(record.recipe.options, seed=seed),
            panel=replace(record.recipe.panel, offset=offset),
            # they are those of the first draw
            checks=record.recipe.checks if number == 1 else (),
        )
        try:
            pixels = RecipeImages(recipe, record.rights).pixels(positions[index])
        except ValueError:
            # said of each image later
            break
        if np.array_equal(stored_pixels(pixels, recipe.image_format, offset), given):
            logger.info("These are the images of replicate %d, seed %d.", number, seed)
            return recipe
    return record.recipe


def _compare(
    imageset: Any, index: int, made: RecipeImages, position: int
) -> ImageFinding:
    """Compare one image with what the recipe makes."""
    recipe = made.recipe
    number = recipe.images[position].number
    try:
        pixels = made.pixels(position)
    except ValueError as error:
        return ImageFinding(number, problem=str(error))
    for check in recipe.checks:
        if check.number == number and check.crc32 != checksum(pixels):
            return ImageFinding(
                number,
                problem=f"image {number} can be made, but differs from what it was when "
                "the record was written: by another version or on another machine",
            )
    offset = recipe.panel.offset
    expected = stored_pixels(pixels, recipe.image_format, offset)
    given = _pixels(imageset, index)
    if given.shape != expected.shape:
        return ImageFinding(
            number, problem=f"image {number} has {given.shape} pixels of (slow, fast)"
        )
    different = given != expected
    n_different = int(np.count_nonzero(different))
    if not n_different:
        return ImageFinding(number)
    step = given[different].astype(np.int64) - expected[different]
    return ImageFinding(
        number,
        n_different=n_different,
        n_measured=int(np.count_nonzero(expected[different] > offset)),
        largest=int(np.abs(step).max()),
    )


def _files(record: Record) -> tuple[FileFinding, ...]:
    """Compare the source files with their hashes."""
    findings = []
    hashes = iter(record.hashes)
    for source in record.recipe.files:
        known = [next(hashes) for _ in source.parts]
        try:
            path = find_source(source, record.rights, file_parts)
            parts = file_parts(Path(path))
            found = [sha256(part) for part in parts]
        except (OSError, ValueError) as error:
            findings.append(FileFinding(source.path, str(error)))
            continue
        findings += [
            FileFinding(
                str(part), None if one == other else f"{part} has another SHA-256"
            )
            for part, one, other in zip(parts, found, known)
        ]
    return tuple(findings)


def log_findings(findings: Findings, record: Record) -> None:
    """Say what agrees and what does not."""
    images, files = findings.images, findings.files
    rows = [
        [image.number, image.n_different, image.n_measured, image.largest]
        for image in images
        if image.n_different
    ]
    head = ["Image", "Pixels that\ndiffer", "of these\nmeasured", "Largest\n(ADU)"]
    if rows:
        logger.info("\n%s", tabulate(rows, head))
    alike = [str(image.number) for image in images if image.agrees]
    if alike:
        logger.info(
            "%d of the %d images compared (number %s) %s, pixel by pixel, what the seed "
            "and the fits in %s make of the source.",
            len(alike),
            len(images),
            ", ".join(alike),
            "is" if len(alike) == 1 else "are",
            record.name,
        )
    problems = [image.problem for image in images] + [file.problem for file in files]
    for problem in dict.fromkeys(filter(None, problems)):
        logger.info("%s", problem)
    if not any(file.problem for file in files):
        logger.info(
            "The source is unchanged: %d file%s with the recorded SHA-256.",
            len(files),
            "" if len(files) == 1 else "s",
        )


def conclusion(findings: Findings, record: Record) -> str:
    """Say in one sentence what does not agree, and what that means."""
    wrong = [image for image in findings.images if image.n_different]
    unmade = [image for image in findings.images if image.problem]
    changed = [file for file in findings.files if file.problem]
    if unmade or changed:
        problems = [x.problem for x in changed] + [x.problem for x in unmade]
        if not wrong:
            return str(problems[0])
    numbers = ", ".join(str(image.number) for image in wrong[:10])
    if all(image.n_measured for image in wrong):
        meaning = (
            "pixels that the correction does not touch differ too: the images were "
            f"changed afterwards, or {record.name} is the record of another sweep"
        )
    else:
        meaning = (
            "only pixels recorded as zero differ: they were drawn with another seed, "
            f"or {record.name} is the record of another run"
        )
    return (
        f"{len(wrong)} of {len(findings.images)} images are not what {record.name} "
        f"says (image {numbers}{' …' if len(wrong) > 10 else ''}); {meaning}"
    )
