"""How the record of a run lies in its file, where each fact appears once.

The report wants everything about an image and its annuli together; the recipe, by which
images are made again, wants it to the last digit. In the file there is one list of
images, one of fits, by columns, and one of divisions into annuli, which most images
share. What the parameters and the source files say is left out of the recipe.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import repeat
from typing import Any

import numpy as np

from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.regions.regions import RegionTable
from dials_truncfix.io.plain import to_plain
from dials_truncfix.io.run_lengths import RunLengths
from dials_truncfix.sweep.measure import ImageFits, ImageRegions
from dials_truncfix.sweep.recipe import ImageRecipe, Recipe, recipe_to_plain

#: What is written one entry a line: several kilobytes an image.
BY_LINE = ("images", "divisions", "fits", "recipe")

_COLUMNS = {"family": "<U9", "status": "<U10", "converged": "|b1"} | dict.fromkeys(
    ("i_max", "n_pixels", "n_zero"), "<i8"
)
_OF_FLOATS = "<f8"
# What the report calls some columns of the fits.
_REPORTED_AS = {"family": "model", "theta": "parameters"}
# Of the images, where histograms were not pooled.
_COUNTS = ("n_pixels", "n_zero")


def lay_out(
    images: Sequence[ImageFits], recipe: Recipe, paths: Container[str]
) -> dict[str, Any]:
    """Describe the images of a run and what makes them.

    Parameters
    ----------
    images : sequence of ImageFits
        One for each image; none at all where the pixels were left as they are.
    recipe : Recipe
        How the images are made.
    paths : container of str
        Those that the record gives for the source files.

    Returns
    -------
    dict
        ``divisions``, ``images``, ``fits`` and ``recipe``, plain JSON values, to be
        added to a record that holds ``parameters``, ``source``, ``gain``,
        ``pedestal`` and ``offset``.
    """
    divisions: dict[bytes, tuple[int, dict[str, Any]]] = {}
    lines: list[dict[str, Any]] = []
    first_of: dict[int, dict[str, Any]] = {}
    for made, image in zip(recipe.images, images or repeat(None)):
        line = _image_line(made)
        if image is not None:
            table = image.regions.table
            key = table.key + image.regions.d_limits.tobytes()
            new = (len(divisions), _division(image.regions))
            line["division"] = divisions.setdefault(key, new)[0]
            line["n_left_out"] = image.regions.n_left_out
            line["n_pixels"] = image.regions.n_pixels.tolist()
            line["n_zero"] = image.regions.n_zero.tolist()
            if made.fits is not None:
                first_of.setdefault(made.fits, line)
        lines.append(line)
    return {
        "divisions": [division for _, division in divisions.values()],
        "images": lines,
        "fits": [_fits_line(fits, first_of[i]) for i, fits in enumerate(recipe.fits)],
        "recipe": _rest_of_recipe(recipe, paths),
    }


def _image_line(image: ImageRecipe) -> dict[str, Any]:
    return {
        "image": image.number,
        "file": image.file,
        "frame": image.frame,
        "fits": image.fits,
        "shadow": None if image.shadow is None else _runs(image.shadow),
    }


def _runs(runs: RunLengths) -> list[list[int]]:
    return [runs.values.tolist(), runs.lengths.tolist()]


def _division(regions: ImageRegions) -> dict[str, Any]:
    table = regions.table
    limits = {
        "d_max": regions.d_limits[:, 0].tolist(),
        "d_min": regions.d_limits[:, 1].tolist(),
    }
    if table.n_cells == 1:
        return limits
    cells = [_cells_of(table, region) for region in range(table.n_regions)]
    return {**limits, "cells": cells}


def _cells_of(table: RegionTable, region: int) -> list[int]:
    """Cells of the sweep whose pixels a region holds."""
    cells: list[int] = np.flatnonzero(table.host == table.cell[region]).tolist()
    return cells


def _fits_line(fits: RingFits, image: Mapping[str, Any]) -> dict[str, Any]:
    """Write fits by columns, without what the line of their image says."""
    line: dict[str, Any] = {}
    for name in _column_names():
        array = getattr(fits, name)
        values = to_plain(array)["values"]
        if name == "theta":
            width = array.shape[1]
            values = [values[i : i + width] for i in range(0, len(values), width)]
        if name not in _COUNTS or values != image[name]:
            line[name] = values
    if fits.camera is not None:
        line["camera"] = to_plain(fits.camera)
    return line


def _column_names() -> list[str]:
    names = (field.name for field in fields(RingFits))
    return [name for name in names if name not in ("rounding", "camera")]


def _rest_of_recipe(recipe: Recipe, paths: Container[str]) -> dict[str, Any]:
    plain = recipe_to_plain(recipe)
    labels, panel = plain.pop("options")["labels"], plain.pop("panel")
    del plain["images"], plain["fits"], plain["format_class"]
    plain["labels"] = labels
    plain["trusted"] = [panel["lowest"], panel["highest"]]
    for file in plain["files"]:
        file["parts"] = [part["digest"] for part in file["parts"]]
        if file["path"] in paths:
            del file["path"]
    return plain


def recipe_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Put the recipe of a record together.

    Parameters
    ----------
    content : mapping
        A record as it lies in its file, of unknown origin.

    Returns
    -------
    dict
        For `recipe_checks.recipe_from_plain`.

    Raises
    ------
    ArithmeticError, AttributeError, LookupError, TypeError, ValueError
        When it is damaged.
    """
    plain = dict(content["recipe"])
    lowest, highest = plain.pop("trusted")
    options = {**content["parameters"], "labels": plain.pop("labels")}
    lines: dict[Any, Mapping[str, Any]] = {}
    for line in content["images"]:
        lines.setdefault(line["fits"], line)
    return {
        **plain,
        "format_class": content["source"]["format_class"],
        "files": list(_files(plain["files"], content["source"]["files"])),
        "images": [_image(line) for line in content["images"]],
        "options": options,
        "panel": {
            **{name: content[name] for name in ("gain", "pedestal", "offset")},
            "lowest": lowest,
            "highest": highest,
        },
        "fits": [
            _fits({**_counts(lines.get(i, {})), **line}, options["rounding"])
            for i, line in enumerate(content["fits"])
        ],
    }


def _counts(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in _COUNTS if name in line}


def _files(
    files: Sequence[Mapping[str, Any]], described: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Give back names and sizes to the source files of a recipe."""
    if sum(len(file["parts"]) for file in files) != len(described):
        raise ValueError("it does not list its source files")
    known = iter(described)
    for file in files:
        parts = [(next(known), digest) for digest in file["parts"]]
        yield {
            "path": parts[0][0]["path"],
            **file,
            "parts": [
                {
                    "name": os.path.basename(part["path"]),
                    "size": part["bytes"],
                    "digest": digest,
                }
                for part, digest in parts
            ],
        }


def _image(line: Mapping[str, Any]) -> dict[str, Any]:
    shadow = line["shadow"]
    if shadow is not None:
        values, lengths = shadow
        shadow = {"values": _array("<i4", values), "lengths": _array("<i8", lengths)}
    return {
        "number": line["image"],
        **{name: line[name] for name in ("file", "frame", "fits")},
        "shadow": shadow,
    }


def _fits(line: Mapping[str, Any], rounding: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        name: _array(_COLUMNS.get(name, _OF_FLOATS), line[name])
        for name in _column_names()
        if name != "theta"
    }
    rows = line["theta"]
    values = [value for row in rows for value in row]
    shape = [len(rows), len(values) // max(len(rows), 1)]
    plain["theta"] = {"dtype": _OF_FLOATS, "shape": shape, "values": values}
    return {**plain, "rounding": rounding, "camera": line.get("camera")}


def _array(dtype: str, values: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [len(values)], "values": values}


def spread_out(content: Mapping[str, Any]) -> dict[str, Any]:
    """Gather what a record says of each annulus of each image.

    Parameters
    ----------
    content : mapping
        A record as it lies in its file.

    Returns
    -------
    dict
        The record without its recipe; each image with a list ``annuli`` of mappings
        of ``cells`` (where annuli are divided), ``d_max`` and ``d_min``,
        ``n_pixels``, ``n_zero``, ``status``, ``model``, ``parameters`` and the other
        columns of the fits. What is not finite is None. Images that were left as they
        are do not appear.

    Raises
    ------
    ArithmeticError, AttributeError, LookupError, TypeError, ValueError
        When it is damaged.
    """
    if "recipe" not in content:
        # of a sweep that was only judged
        return dict(content)
    rest = {k: v for k, v in content.items() if k not in BY_LINE}
    images = [
        {
            "image": line["image"],
            "n_left_out": line["n_left_out"],
            "annuli": _annuli(
                line,
                content["divisions"][line["division"]],
                content["fits"][line["fits"]],
            ),
        }
        for line in content["images"]
        if line["fits"] is not None
    ]
    return {**rest, "images": images}


def _annuli(
    line: Mapping[str, Any], division: Mapping[str, Any], fits: Mapping[str, Any]
) -> list[dict[str, Any]]:
    columns = {
        **division,
        **{_REPORTED_AS.get(k, k): v for k, v in fits.items() if k != "camera"},
        **{name: line[name] for name in _COUNTS},
    }
    n_regions = len(line["n_zero"])
    if any(len(column) != n_regions for column in columns.values()):
        raise ValueError(f"image {line['image']} has not one fit for each annulus")
    return [
        {name: _finite(column[region]) for name, column in columns.items()}
        for region in range(n_regions)
    ]


def _finite(value: Any) -> Any:
    """Replace what `to_plain` makes of numbers that are not finite by None."""
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if value in ("nan", "inf", "-inf") else value
