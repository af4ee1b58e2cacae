"""What to make of a stack of frames, in a small JSON file that stands for its images.

dials.import has no options for formats, so that whoever wants frames summed or
reduced, or other files applied than the title of the stack names, writes a file such
as ``lysozyme.frames`` and imports it instead of the stack::

    {
      "serialem_frames": 1,
      "stack": "lysozyme_001.tif",
      "frames_per_image": 10,
      "oscillation": [-30.0, 0.5]
    }
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dials_truncfix.io.json_object import parse_json
from dials_truncfix.io.source_files import open_regular, printable, reading_rights

SUFFIX = ".frames"
_KEY = "serialem_frames"
SCHEMA = 1
_MAX_BYTES = 1 << 16
_MAX_FRAMES = 1 << 20
_MAX_REDUCTION = 8

#: In place of the name of a file: the one that the title names, or none.
FROM_TITLE: Literal[True] = True
NONE: Literal[False] = False


@dataclass(frozen=True)
class FrameRecipe:
    """How images are made from frames.

    Attributes
    ----------
    frames_per_image : int
        Frames that are summed to an image; 0 for all of them.
    reduce_by : int
        Factor by which sides are reduced with a Lanczos-3 filter.
    first_frame, last_frame : int
        Frames that are used, counted from 1; 0 for the last one.
    gain_reference, defects : str or bool
        Path of the file; True for the one that the title names, False for none.
    counts_per_electron : float or None
        Stored counts of an electron; None for what title and camera say.
    oscillation : tuple of float or None
        Start and width of the first image (degrees); None for a still.
    exposure_time : float or None
        Of an image (s).
    """

    frames_per_image: int = 1
    reduce_by: int = 1
    first_frame: int = 1
    last_frame: int = 0
    gain_reference: str | bool = FROM_TITLE
    defects: str | bool = FROM_TITLE
    counts_per_electron: float | None = None
    oscillation: tuple[float, float] | None = None
    exposure_time: float | None = None

    def groups(self, n_frames: int) -> list[range]:
        """Frames of each image, counted from 0; what fills no image is left out.

        Parameters
        ----------
        n_frames : int
            Frames in the stack.

        Returns
        -------
        list of range

        Raises
        ------
        ValueError
            If there are not enough frames.
        """
        first, last = self.first_frame - 1, self.last_frame or n_frames
        if last > n_frames:
            raise ValueError(f"last_frame is {last}, and there are {n_frames} frames")
        step = self.frames_per_image or last - first
        groups = [range(i, i + step) for i in range(first, last - step + 1, step)]
        if step < 1 or not groups:
            raise ValueError(
                f"frames {first + 1} to {last} are too few for an image of "
                f"{max(step, 1)} frames"
            )
        return groups


def is_recipe(path: str) -> bool:
    """Whether a file is named and begins as recipes do; never raises."""
    try:
        if not str(path).lower().endswith(SUFFIX):
            return False
        with open_regular(path) as stream:
            return f'"{_KEY}"'.encode() in stream.read(_MAX_BYTES)
    except (OSError, ValueError, TypeError):
        return False


def read_recipe(path: str) -> tuple[Path, FrameRecipe]:
    """Read a recipe.

    Parameters
    ----------
    path : str
        Its path. The files that it names are looked for from its folder.

    Returns
    -------
    Path
        The stack.
    FrameRecipe

    Raises
    ------
    ValueError
        If something in it is unknown or impossible, or names a file that the owner of
        the recipe has no right to have read, see `ReadingRights`.
    OSError
        If it cannot be read.
    """
    shown = printable(str(path))
    with open_regular(path) as stream:
        owner = os.fstat(stream.fileno()).st_uid
        text = stream.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise ValueError(f"{shown} is larger than any recipe")
    content = parse_json(text, shown, "correct it, or write it again")
    if content.pop(_KEY, None) != SCHEMA:
        raise ValueError(f'{shown}: "{_KEY}" must be {SCHEMA}')
    rights = reading_rights(str(path), owner)

    def named_file(name: str) -> str:
        try:
            found = os.path.realpath(os.path.join(rights.folder, name))
            allowed = rights.allow(found, os.stat(found))
        except (OSError, ValueError):
            raise ValueError(
                f"{shown} names {printable(name)}, and there is no such file"
            ) from None
        if not allowed:
            raise ValueError(
                f"{shown} belongs to another user and names {printable(found)}, outside "
                "its own folder: make your own copy of it if you trust it"
            )
        return found

    stack = content.pop("stack", None)
    if not isinstance(stack, str) or not stack:
        raise ValueError(f'{shown}: "stack" must name the file of frames')
    try:
        recipe = _recipe(content)
        files = {
            key: named_file(value)
            for key in ("gain_reference", "defects")
            if isinstance(value := getattr(recipe, key), str)
        }
        return Path(named_file(stack)), FrameRecipe(**{**vars(recipe), **files})
    except ValueError as error:
        message = str(error)
        raise ValueError(
            message if message.startswith(shown) else f"{shown}: {message}"
        ) from None


def _recipe(content: Mapping[str, Any]) -> FrameRecipe:
    known: dict[str, Callable[[Any], Any]] = {
        "frames_per_image": lambda v: _whole(v, 0, _MAX_FRAMES),
        "reduce_by": lambda v: _whole(v, 1, _MAX_REDUCTION),
        "first_frame": lambda v: _whole(v, 1, _MAX_FRAMES),
        "last_frame": lambda v: _whole(v, 0, _MAX_FRAMES),
        "gain_reference": _file_or_switch,
        "defects": _file_or_switch,
        "counts_per_electron": lambda v: _number(v, above=0.0),
        "oscillation": _oscillation,
        "exposure_time": lambda v: _number(v, above=0.0),
    }
    fields: dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            raise ValueError(
                f'"{printable(key[:40])}" is none of {", ".join(sorted(known))}'
            )
        try:
            fields[key] = known[key](value)
        except ValueError as error:
            raise ValueError(f'"{key}" {error}') from None
    return FrameRecipe(**fields)


def _whole(value: Any, lowest: int, highest: int) -> int:
    if type(value) is not int or not lowest <= value <= highest:
        raise ValueError(f"must be a whole number from {lowest} to {highest}")
    return value


def _number(value: Any, above: float) -> float:
    if type(value) not in (int, float) or not above < value < 1e9:
        raise ValueError(f"must be a number above {above:g}")
    return float(value)


def _oscillation(value: Any) -> tuple[float, float]:
    numbers = value if isinstance(value, list) else []
    if (
        len(numbers) != 2
        or not all(type(v) in (int, float) and math.isfinite(v) for v in numbers)
        or not all(abs(v) <= 360 for v in numbers)
        or numbers[1] == 0
    ):
        raise ValueError("must be [start, width] in degrees, and the width not 0")
    return float(numbers[0]), float(numbers[1])


def _file_or_switch(value: Any) -> str | bool:
    if isinstance(value, bool) or (isinstance(value, str) and value):
        return value
    raise ValueError("must name a file, or be true for the title's or false for none")
