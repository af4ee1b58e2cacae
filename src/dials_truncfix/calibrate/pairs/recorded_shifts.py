"""Shifts of image or stage as they were recorded with a series of images."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.mdoc import FRAME_SET, Mdoc, MdocSection, read_mdoc

Array = npt.NDArray[np.float64]

#: Entries of .mdoc files that say what was moved.
KEYS = {"image_shift": "ImageShift", "stage": "StagePosition"}
_NM_PER_ANGSTROM = 0.1
_IMAGES = ("ZValue", "Image", FRAME_SET)
_SAME = ("Magnification", "Binning", "CameraIndex")
#: Where pieces of a montage came to lie, the better alignment first.
_ALIGNED = ("AlignedPieceCoordsVS", "AlignedPieceCoords")


@dataclass(frozen=True)
class RecordedShifts:
    """Shifts of a series.

    Attributes
    ----------
    shifts : ndarray, shape (n, 2)
        (x, y), µm.
    minutes : ndarray, shape (n,), or None
        Since the first image, where times were recorded.
    pixel_size : float or None
        On the specimen as recorded, nm.
    rotation : float or None
        Of the image as recorded, degrees.
    source : str
        Where they come from.
    """

    shifts: Array
    minutes: Array | None
    pixel_size: float | None
    rotation: float | None
    source: str


def shifts_of_mdoc(path: Path, what: str, names: Sequence[str]) -> RecordedShifts:
    """Take shifts from the .mdoc file of a series.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    what : str
        One of `KEYS`.
    names : sequence of str
        Of the images; sections that name one of them are taken for it, otherwise there
        has to be one section for each, in order.

    Returns
    -------
    RecordedShifts

    Raises
    ------
    ValueError
        If shifts are missing, or the images differ in what they were recorded with.
    OSError
        If it cannot be read.
    """
    mdoc = read_mdoc(path)
    sections = [section for section in mdoc.sections if section.kind in _IMAGES]
    if len(sections) != len(names):
        raise ValueError(
            f"{path} describes {len(sections)} images, and {len(names)} were given: "
            "give the .mdoc file of this series as pair.mdoc"
        )
    return _recorded(path, mdoc, sections, what)


def _recorded(
    path: Path, mdoc: Mdoc, sections: Sequence[MdocSection], what: str
) -> RecordedShifts:
    key = KEYS[what]
    shifts = []
    for section in sections:
        numbers = section.numbers(key)
        if len(numbers) != 2:
            raise ValueError(
                f"{path} has no {key} for [{section.kind} = {section.name}]: give the "
                "shifts as pair.shifts"
            )
        shifts.append(numbers)
    for name in _SAME:
        found = {
            section.values.get(name, mdoc.values.get(name)) for section in sections
        }
        if len(found) > 1:
            values = ", ".join(sorted(map(str, found)))
            raise ValueError(
                f"{path}: {name} differs between the images ({values}): give images "
                "recorded alike"
            )
    times = [section.timestamp for section in sections]
    minutes = None
    known = [time for time in times if time is not None]
    if len(known) == len(times):
        minutes = (np.array(known) - known[0]) / 60.0
    spacing = sections[0].number("PixelSpacing")
    return RecordedShifts(
        shifts=np.array(shifts),
        minutes=minutes,
        pixel_size=_NM_PER_ANGSTROM * spacing if spacing else None,
        rotation=sections[0].number("RotationAngle"),
        source=f"{key} of {path}",
    )


@dataclass(frozen=True)
class MontagePieces:
    """Where the pieces of a montage were recorded, and where they came to lie.

    Attributes
    ----------
    recorded : RecordedShifts
        Of all pieces.
    places : ndarray, shape (n, 2)
        Of what is imaged in them, relative to a fixed place of the montage (fast, slow),
        pixels.
    montages : ndarray, shape (n,), int
        Which montage of the file each belongs to.
    """

    recorded: RecordedShifts
    places: Array
    montages: npt.NDArray[np.int64]


def montage_pieces(path: Path, what: str) -> MontagePieces:
    """Take positions that SerialEM found when it aligned a montage.

    Parameters
    ----------
    path : pathlib.Path
        Its .mdoc file.
    what : str
        One of `KEYS`.

    Returns
    -------
    MontagePieces

    Raises
    ------
    ValueError
        If it is no aligned montage.
    OSError
        If it cannot be read.
    """
    mdoc = read_mdoc(path)
    for key in _ALIGNED:
        sections = [s for s in mdoc.sections if len(s.numbers(key)) == 3]
        if len(sections) >= 3:
            break
    else:
        raise ValueError(
            f"{path} holds no positions of aligned pieces of a montage: give the images, "
            "too"
        )
    corners = np.array([section.numbers(key) for section in sections])
    # what is imaged lies further left in a piece further right; slow runs downwards
    places = corners[:, :2] * [-1.0, 1.0]
    recorded = _recorded(path, mdoc, sections, what)
    return MontagePieces(recorded, places, corners[:, 2].astype(np.int64))


def shifts_of_csv(path: Path, n_images: int) -> RecordedShifts:
    """Take shifts from a table with columns x and y (µm), and minutes where known.

    Raises
    ------
    ValueError
        If a column, a row or a number is missing.
    OSError
        If it cannot be read.
    """
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        reader = csv.DictReader(stream, skipinitialspace=True)
        columns = [name.strip().lower() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        rows = list(reader)
    if not {"x", "y"} <= set(columns):
        raise ValueError(
            f"{path} has no columns x and y: its first line has to be x,y or x,y,minutes"
        )
    if len(rows) != n_images:
        raise ValueError(
            f"{path} has {len(rows)} rows, and there are {n_images} images"
        )
    wanted = ["x", "y"] + (["minutes"] if "minutes" in columns else [])
    values = []
    for number, row in enumerate(rows, 2):
        try:
            values.append([float(row[name]) for name in wanted])
        except (TypeError, ValueError):
            raise ValueError(f"{path}, line {number}: not numbers") from None
        if not all(map(math.isfinite, values[-1])):
            raise ValueError(f"{path}, line {number}: not finite")
    table = np.array(values)
    minutes = table[:, 2] - table[0, 2] if "minutes" in columns else None
    return RecordedShifts(table[:, :2], minutes, None, None, str(path))
