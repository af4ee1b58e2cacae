"""What a command of DIALS has to leave behind: each check says what came out.

A check takes the folder in which the command ran and what it printed, and returns a short
statement; it raises ValueError where the output is not what it should be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cctbx import miller
from dials.array_family import flex
from dxtbx.model.experiment_list import ExperimentList
from iotbx import mtz

Check = Callable[[Path, str], str]


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file() or not path.stat().st_size:
        raise ValueError(f"{name} was not written")
    return path


def says(pattern: str, label: str = "") -> Check:
    """Ask for something printed; its first group, with a label, is what came out."""

    def check(folder: Path, printed: str) -> str:
        found = re.search(pattern, printed, re.MULTILINE)
        if found is None:
            raise ValueError(f"nothing printed that matches {pattern!r}")
        return f"{label} {found[1]}".strip()

    return check


def resolution_limit(folder: Path, printed: str) -> str:
    """Ask for the page of dials.estimate_resolution, and what it says of CC½."""
    _existing(folder, "dials.estimate_resolution.html")
    # newer releases say nothing where their fit finds no limit
    found = re.search(r"^Resolution cc_half:? *(\S+)", printed, re.MULTILINE)
    return f"by CC½, Å: {found[1]}" if found else "no limit by CC½"


def written(pattern: str, least: int = 1) -> Check:
    """Ask for files that are not empty."""

    def check(folder: Path, printed: str) -> str:
        found = [path for path in folder.glob(pattern) if path.stat().st_size]
        if len(found) < least:
            raise ValueError(f"{len(found)} files {pattern} in the place of {least}")
        return f"{len(found)} files {pattern}" if least > 1 else pattern

    return check


def lines(pattern: str, row: str, least: int) -> Check:
    """Ask for lines of text files that match."""

    def check(folder: Path, printed: str) -> str:
        texts = [path.read_text(errors="replace") for path in folder.glob(pattern)]
        if not any(texts):
            raise ValueError(f"{pattern} was not written")
        found = sum(len(re.findall(row, text, re.MULTILINE)) for text in texts)
        if found < least:
            raise ValueError(f"{found} lines of data in {pattern}, {least} asked")
        return f"{found} lines of data in {pattern}"

    return check


def json_with(name: str, *keys: str) -> Check:
    """Ask for a JSON file with these keys."""

    def check(folder: Path, printed: str) -> str:
        found = json.loads(_existing(folder, name).read_text())
        if missing := [key for key in keys if not found.get(key)]:
            raise ValueError(f"{name} has no {missing[0]}")
        return f"{name} with {', '.join(keys)}"

    return check


def reflections(name: str, least: int, column: str | None = None) -> Check:
    """Ask for a reflection table, and take the sum of one of its columns."""

    def check(folder: Path, printed: str) -> str:
        table = flex.reflection_table.from_file(str(_existing(folder, name)))
        if len(table) < least:
            raise ValueError(f"{len(table)} reflections, at least {least} asked")
        if column is None:
            return f"{len(table)} reflections"
        values = np.array(table[column])
        if not np.isfinite(values).all():
            raise ValueError(f"{column} of {name} is not finite everywhere")
        return f"{len(table)} reflections, {column} {values.sum():.6g} in all"

    return check


def integrated(name: str, least: int) -> Check:
    """Ask for summed intensities."""

    def check(folder: Path, printed: str) -> str:
        table = flex.reflection_table.from_file(str(_existing(folder, name)))
        done = table.select(table.get_flags(table.flags.integrated_sum))
        if len(done) < least:
            raise ValueError(f"{len(done)} integrated, at least {least} asked")
        total = np.array(done["intensity.sum.value"]).sum()
        return f"{len(done)} integrated, {total:.6g} counts in all"

    return check


def experiments(name: str, number: int, n_images: int | None = None) -> Check:
    """Ask for so many experiments, of so many images each."""

    def check(folder: Path, printed: str) -> str:
        found = ExperimentList.from_file(
            str(_existing(folder, name)), check_format=False
        )
        if len(found) != number:
            raise ValueError(f"{len(found)} experiments in the place of {number}")
        if n_images is not None and len(found[0].imageset) != n_images:
            raise ValueError(
                f"{len(found[0].imageset)} images in the place of {n_images}"
            )
        images = "" if n_images is None else f", {n_images} images"
        return f"{number} experiments{images}"

    return check


def readable(name: str, number: int) -> Check:
    """Ask for experiments whose images are read again."""

    def check(folder: Path, printed: str) -> str:
        imageset = ExperimentList.from_file(str(_existing(folder, name)))[0].imageset
        if len(imageset) != number:
            raise ValueError(f"{len(imageset)} images in the place of {number}")
        pixels = imageset.get_raw_data(0)[0].as_1d().as_numpy_array()
        # SMV holds no negative numbers: its pixels and its pedestal are on an offset
        above = pixels.mean() - imageset.get_detector()[0].get_pedestal()
        return f"{number} images, mean {above:.3f} ADU above the pedestal"

    return check


def pixels_as_before(original: str, copy: str) -> Check:
    """Ask for images that, imported again, have the same pixels."""

    def check(folder: Path, printed: str) -> str:
        sets = [
            ExperimentList.from_file(str(_existing(folder, name)))[0].imageset
            for name in (original, copy)
        ]
        values = [s.get_raw_data(1)[0].as_1d().as_numpy_array() for s in sets]
        wrong = int(np.count_nonzero(values[0] != values[1]))
        if wrong:
            raise ValueError(f"{wrong} pixels of the second image differ")
        return "the same pixels"

    return check


def merged(name: str, least: int) -> Check:
    """Ask for a merged MTZ file that iotbx reads, with positive deviations."""

    def check(folder: Path, printed: str) -> str:
        array = _mean_intensities(_existing(folder, name))
        if array.size() < least:
            raise ValueError(f"{array.size()} merged reflections in {name}")
        if array.sigmas().all_gt(0) is False:
            raise ValueError(f"standard deviations in {name} are not positive")
        return f"{array.size()} merged reflections"

    return check


def merged_as(name: str, reference: str) -> Check:
    """Ask for merged intensities that correlate with those of another file."""

    def check(folder: Path, printed: str) -> str:
        ours = _mean_intensities(_existing(folder, reference))
        theirs = _mean_intensities(_existing(folder, name))
        one, other = ours.common_sets(theirs)
        alike = flex.linear_correlation(one.data(), other.data()).coefficient()
        text = (
            f"{theirs.size()} merged reflections, {ours.size()} in {reference}, "
            f"CC {alike:.5f}"
        )
        if one.size() < 0.99 * ours.size() or alike < 0.999:
            raise ValueError(text)
        return text

    return check


def unmerged(name: str, least: int) -> Check:
    """Ask for an unmerged MTZ file with batches."""

    def check(folder: Path, printed: str) -> str:
        found = mtz.object(str(_existing(folder, name)))
        if found.n_reflections() < least or not found.n_batches():
            raise ValueError(
                f"{found.n_reflections()} reflections, {found.n_batches()} batches"
            )
        return f"{found.n_reflections()} reflections, {found.n_batches()} batches"

    return check


def _mean_intensities(path: Path) -> miller.array:
    arrays = mtz.object(str(path)).as_miller_arrays(merge_equivalents=False)
    for array in arrays:
        if array.info().labels[:1] == ["IMEAN"]:
            return array.map_to_asu()
    raise ValueError(f"no IMEAN in {path.name}")
