"""Recipes read from files that cannot be relied on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dials_truncfix.correction.fit import RingFits
from dials_truncfix.io.plain import from_plain
from dials_truncfix.io.source_files import printable
from dials_truncfix.sweep.recipe import FORMAT_OPTIONS, Recipe

_MODELS = ("beam", "detector", "goniometer", "scan")
_MAX_SIDE = 1 << 16
_MAX_LEVEL = 2**31 - 2
_MAX_DEPTH = 8


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
        if key not in FORMAT_OPTIONS:
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
