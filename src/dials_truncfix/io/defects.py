"""Defects files, as SerialEM saves them beside frames: read, write, and make masks.

Coordinates count from 0 at the top left corner. Keywords may be shortened to what
they begin with, lists go on over as many lines as they need, and lines that begin with
``#`` are comments, the first of which is the name of the file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.atomic import PathLike, atomic_write
from dials_truncfix.io.frame_orientation import inverse, rotate_flip, swaps_sides
from dials_truncfix.io.source_files import read_up_to

#: In the order in which shortened keywords are looked up.
_KEYWORDS = (
    "CameraSizeX",
    "CameraSizeY",
    "RotationAndFlip",
    "WasScaled",
    "K2Type",
    "FalconType",
    "NumToAvgSuperRes",
    "UsableArea",
    "PartialBadColumn",
    "PartialBadRow",
    "BadPixels",
    "BadColumns",
    "BadRows",
)
_PIXELS_A_LINE = 10
_LINES_A_LINE = 20
_MAX_SIDE = 65536
_MAX_BYTES = 1 << 26
_FACTORS = (Fraction(2), Fraction(1), Fraction(1, 2), Fraction(1, 4))


@dataclass(frozen=True)
class PartialLine:
    """A part of some neighbouring columns, or rows.

    Attributes
    ----------
    index : int
        First column (row).
    width : int
        How many.
    start, end : int
        First and last row (column), both bad.
    """

    index: int
    width: int
    start: int
    end: int


@dataclass(frozen=True)
class Defects:
    """What is wrong with a camera.

    Attributes
    ----------
    camera_size : tuple of int
        Columns and rows to which the coordinates refer.
    rotation_flip : int or None
        Operation by which the coordinates were turned, see `frame_orientation`; None
        where the file does not say.
    was_scaled : int
        1 where coordinates of a sensor were doubled for super-resolution, so that a bad
        pixel stands for 2 x 2 of them; 2 for 4 x 4; 0 or -1 otherwise.
    k2_type, falcon_type, average_super_resolution : int
        Kind of camera, and a setting of SerialEM's own correction.
    usable_area : tuple of int
        First and last good row and column: top, left, bottom, right; 0 for no limit.
    partial_columns, partial_rows : tuple of PartialLine
        Columns and rows that are bad in part.
    pixels : tuple of (int, int)
        Bad pixels, column first.
    columns, rows : tuple of int
        Columns and rows that are bad all along.
    comments : tuple of str
        Lines of comment, without their ``#``.
    """

    camera_size: tuple[int, int]
    rotation_flip: int | None = None
    was_scaled: int = 0
    k2_type: int = 0
    falcon_type: int = 0
    average_super_resolution: int = 0
    usable_area: tuple[int, int, int, int] = (0, 0, 0, 0)
    partial_columns: tuple[PartialLine, ...] = ()
    partial_rows: tuple[PartialLine, ...] = ()
    pixels: tuple[tuple[int, int], ...] = ()
    columns: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    comments: tuple[str, ...] = ()


def parse_defects(text: str) -> Defects:
    """Read the text of a defects file.

    Parameters
    ----------
    text : str
        Lines.

    Returns
    -------
    Defects

    Raises
    ------
    ValueError
        If an entry has no numbers, too few, or impossible ones, or if the camera size is
        missing.
    """
    single: dict[str, int] = {}
    area = (0, 0, 0, 0)
    partial: dict[str, list[PartialLine]] = {
        "PartialBadColumn": [],
        "PartialBadRow": [],
    }
    lists: dict[str, list[int]] = {"BadPixels": [], "BadColumns": [], "BadRows": []}
    comments: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            comments.append(line[1:].rstrip())
            continue
        word, *rest = line.split()[:1] + line.split()[1:] or [""]
        keyword = next((k for k in _KEYWORDS if word and k.startswith(word)), None)
        if keyword is None or not rest:
            continue
        values = _integers(rest, line)
        if keyword in lists:
            if keyword == "BadPixels" and len(values) % 2:
                raise ValueError(f"{line[:60]!r}: pixels have two coordinates each")
            lists[keyword] += values
        elif keyword in partial or keyword == "UsableArea":
            if len(values) < 4:
                raise ValueError(f"{line[:60]!r}: four numbers are needed")
            if keyword == "UsableArea":
                area = (values[0], values[1], values[2], values[3])
            else:
                partial[keyword].append(PartialLine(*values[:4]))
        else:
            single[keyword] = values[0]
    size = (single.get("CameraSizeX", 0), single.get("CameraSizeY", 0))
    if not all(0 < side <= _MAX_SIDE for side in size):
        raise ValueError(f"CameraSizeX and CameraSizeY are needed, found {size}")
    rotation_flip = single.get("RotationAndFlip")
    if rotation_flip is not None and not 0 <= rotation_flip <= 7:
        raise ValueError(f"RotationAndFlip is {rotation_flip}, not from 0 to 7")
    pixels = lists["BadPixels"]
    return Defects(
        camera_size=size,
        rotation_flip=rotation_flip,
        was_scaled=single.get("WasScaled", 0),
        k2_type=single.get("K2Type", 0),
        falcon_type=single.get("FalconType", 0),
        average_super_resolution=single.get("NumToAvgSuperRes", 0),
        usable_area=area,
        partial_columns=tuple(partial["PartialBadColumn"]),
        partial_rows=tuple(partial["PartialBadRow"]),
        pixels=tuple(zip(pixels[::2], pixels[1::2])),
        columns=tuple(lists["BadColumns"]),
        rows=tuple(lists["BadRows"]),
        comments=tuple(comments),
    )


def format_defects(defects: Defects) -> str:
    """Inverse of `parse_defects`, in the order in which SerialEM writes.

    Parameters
    ----------
    defects : Defects
        What to write.

    Returns
    -------
    str
    """
    lines = [f"#{comment}" for comment in defects.comments]
    lines += [
        f"CameraSizeX {defects.camera_size[0]}",
        f"CameraSizeY {defects.camera_size[1]}",
    ]
    if defects.rotation_flip is not None:
        lines.append(f"RotationAndFlip {defects.rotation_flip}")
    lines += [
        f"WasScaled {defects.was_scaled}",
        f"K2Type {defects.k2_type}",
        f"FalconType {defects.falcon_type}",
        f"NumToAvgSuperRes {defects.average_super_resolution}",
        "UsableArea " + " ".join(map(str, defects.usable_area)),
    ]
    for keyword, parts in (
        ("PartialBadColumn", defects.partial_columns),
        ("PartialBadRow", defects.partial_rows),
    ):
        lines += [f"{keyword} {p.index} {p.width} {p.start} {p.end}" for p in parts]
    pairs = [f"{x} {y}" for x, y in defects.pixels]
    lines += _wrapped("BadPixels", pairs, _PIXELS_A_LINE)
    lines += _wrapped("BadColumns", list(map(str, defects.columns)), _LINES_A_LINE)
    lines += _wrapped("BadRows", list(map(str, defects.rows)), _LINES_A_LINE)
    return "\n".join(lines) + "\n"


def read_defects(path: PathLike) -> Defects:
    """Read a defects file.

    Raises
    ------
    ValueError
        If it is none, see `parse_defects`.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as stream:
        data = read_up_to(stream, _MAX_BYTES + 1)
    try:
        if len(data) > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        return parse_defects(data.decode("latin-1"))
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} is no defects file: {error}") from None


def write_defects(path: PathLike, defects: Defects) -> None:
    """Write a defects file; an OSError is raised where that is impossible."""
    with atomic_write(path) as stream:
        stream.write(format_defects(defects).encode("latin-1", "replace"))


def bad_pixels(
    defects: Defects, shape: tuple[int, int], rotation_flip: int = 0
) -> npt.NDArray[np.bool_]:
    """Mark the pixels of a frame that are bad.

    Parameters
    ----------
    defects : Defects
        What is wrong.
    shape : tuple of int
        Rows and columns of the frame: of the camera size, twice, half or a quarter of
        it. A pixel of a binned frame is bad where any of those in it is.
    rotation_flip : int
        Operation that was applied to the frame.

    Returns
    -------
    ndarray of bool, shape `shape`
        Top row first.

    Raises
    ------
    ValueError
        If the frame has another size than the camera can give.
    """
    listed = rotation_flip if defects.rotation_flip is None else defects.rotation_flip
    columns, rows = defects.camera_size
    # the frame as the list sees it
    turned = swaps_sides(listed) != swaps_sides(rotation_flip)
    frame_rows, frame_columns = shape[::-1] if turned else shape
    factor = next(
        (
            f
            for f in _FACTORS
            if rows * f == frame_rows and columns * f == frame_columns
        ),
        None,
    )
    if factor is None:
        raise ValueError(
            f"the defects are those of a camera of {columns} x {rows} pixels, which "
            f"gives no frames of {shape[1]} x {shape[0]}"
        )
    bad = _listed_mask(defects)
    if factor > 1:
        bad = bad.repeat(int(factor), axis=0).repeat(int(factor), axis=1)
    elif factor < 1:
        step = int(1 / factor)
        bad = bad.reshape(frame_rows, step, frame_columns, step).any(axis=(1, 3))
    if listed != rotation_flip:
        bad = rotate_flip(rotate_flip(bad, inverse(listed)), rotation_flip)
    return np.ascontiguousarray(bad)


def _listed_mask(defects: Defects) -> npt.NDArray[np.bool_]:
    columns, rows = defects.camera_size
    bad = np.zeros((rows, columns), dtype=np.bool_)
    top, left, bottom, right = (max(0, edge) for edge in defects.usable_area)
    bad[:top] = True
    bad[:, :left] = True
    if bottom:
        bad[bottom + 1 :] = True
    if right:
        bad[:, right + 1 :] = True
    for across, parts in (
        (bad.T, defects.partial_columns),
        (bad, defects.partial_rows),
    ):
        for p in parts:
            first, start = max(0, p.index), max(0, p.start)
            across[first : max(0, p.index + p.width), start : max(0, p.end + 1)] = True
    for across, lines in ((bad.T, defects.columns), (bad, defects.rows)):
        across[[line for line in lines if 0 <= line < len(across)]] = True
    size = {1: 2, 2: 4}.get(defects.was_scaled, 1)
    for x, y in defects.pixels:
        if x >= 0 and y >= 0:
            bad[y : y + size, x : x + size] = True
    return bad


def _integers(words: Sequence[str], line: str) -> list[int]:
    try:
        # Lists may be separated by commas as well.
        numbers = [int(word) for word in " ".join(words).replace(",", " ").split()]
    except ValueError:
        numbers = []
    if not numbers:
        raise ValueError(f"{line[:60]!r}: whole numbers are needed")
    return numbers


def _wrapped(keyword: str, items: Sequence[str], per_line: int) -> list[str]:
    return [
        f"{keyword} {' '.join(items[first : first + per_line])}"
        for first in range(0, len(items), per_line)
    ]
