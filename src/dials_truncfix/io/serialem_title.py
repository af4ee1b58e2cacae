"""The titles that SerialEM's plugin writes into files of frames.

Label 0 of an MRC file, and the first line of a TIFF file's ImageDescription, read like
one of ::

    SerialEMCCD: Frames . ., scaled by 16.00  r/f 3
    SerialEMCCD: Frames . ., 4 bits packed  r/f 0 need 3

Lines indented by two blanks follow with the names of the gain reference, if the frames
were saved without normalization, and of the defects file; then what the user asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dials_truncfix.io.mrc_header import LABEL_CHARACTERS, MAX_LABELS

_START = "SerialEMCCD:"
_PACKED = "4 bits packed"
_SCALED = re.compile(r"scaled by\s+([0-9.eE+-]+)")
_ROTATION = re.compile(r"r/f\s+([0-7])(?![0-9])(?:\s+need\s+([0-7])(?![0-9]))?")
_DATED = re.compile(r"\d\d-[A-Z][a-z]{2}-\d\d\s+\d\d:\d\d:\d\d\s*$", re.ASCII)
_REFERENCE_SUFFIXES = (".dm4", ".dm3", ".mrc", ".tif", ".tiff", ".gain")
_DEFECTS_SUFFIX = ".txt"
# IMOD's labels: the text, cut or padded, and a date in the remaining columns.
_TEXT_CHARACTERS = 55


@dataclass(frozen=True)
class FrameTitle:
    """What SerialEM says of frames.

    Attributes
    ----------
    scaling : float
        Factor between electron counts, as the camera software counts them, and stored
        values. 1 where the counts were stored as they are.
    packed : bool
        Whether the title says that two pixels share a byte.
    rotation_flip : int
        Operation that was applied to the frames, see `frame_orientation`. It takes the
        gain reference, which is kept as the camera reads, to their orientation.
    needed_rotation_flip : int
        Operation that was not applied, and that takes the frames to the orientation
        of all other images; 0 for none.
    gain_reference : str or None
        Name of the gain reference; None for normalized frames.
    defects : str or None
        Name of the defects file.
    notes : tuple of str
        Remaining lines.
    """

    scaling: float = 1.0
    packed: bool = False
    rotation_flip: int = 0
    needed_rotation_flip: int = 0
    gain_reference: str | None = None
    defects: str | None = None
    notes: tuple[str, ...] = ()


def is_serialem_title(lines: Sequence[str]) -> bool:
    """Whether the first line is one of SerialEM's plugin."""
    return bool(lines) and lines[0].lstrip().startswith(_START)


def was_processed(lines: Sequence[str]) -> bool:
    """Whether another program left a label, so that nobody knows what still holds.

    Only the first line of SerialEM's own is dated, as all of IMOD's are.
    """
    return any(_DATED.search(line) for line in lines[1:])


def parse_title(lines: Sequence[str]) -> FrameTitle:
    """Read a title.

    Parameters
    ----------
    lines : sequence of str
        Labels of an MRC file, or lines of an ImageDescription.

    Returns
    -------
    FrameTitle

    Raises
    ------
    ValueError
        If the first line is none of SerialEM's plugin, or a number in it is impossible.
    """
    if not is_serialem_title(lines):
        raise ValueError("no title of SerialEM's plugin")
    first = lines[0]
    packed = _PACKED in first
    scaled = _SCALED.search(first)
    scaling = 1.0
    if scaled and not packed:
        try:
            scaling = float(scaled[1])
        except ValueError:
            scaling = math.nan
        if not (math.isfinite(scaling) and scaling > 0):
            raise ValueError(f"the title says {scaled[0]!r}, which is impossible")
    rotation = _ROTATION.search(first)
    gain_reference = defects = None
    notes: list[str] = []
    for line in lines[1:]:
        name = line.strip()
        indented = line.startswith("  ") and not notes
        if indented and gain_reference is None and _names_reference(name):
            gain_reference = name
        elif indented and defects is None and name.lower().endswith(_DEFECTS_SUFFIX):
            defects = name
        elif name:
            notes.append(line.rstrip())
    return FrameTitle(
        scaling=scaling,
        packed=packed,
        rotation_flip=int(rotation[1]) if rotation else 0,
        needed_rotation_flip=int(rotation[2] or 0) if rotation else 0,
        gain_reference=gain_reference,
        defects=defects,
        notes=tuple(notes),
    )


def format_title(title: FrameTitle) -> list[str]:
    """Inverse of `parse_title`: the lines as SerialEM writes them.

    Parameters
    ----------
    title : FrameTitle
        What to say.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If the frames would have been turned and not turned at once.
    """
    if title.rotation_flip and title.needed_rotation_flip:
        raise ValueError(
            f"frames cannot have r/f {title.rotation_flip} and need "
            f"{title.needed_rotation_flip} as well"
        )
    counts = _PACKED if title.packed else f"scaled by {title.scaling:.2f}"
    turned = f"r/f {title.rotation_flip}"
    if title.needed_rotation_flip:
        turned = f"r/f 0 need {title.needed_rotation_flip}"
    lines = [f"{_START} Frames . ., {counts}  {turned}"]
    lines += [f"  {name}" for name in (title.gain_reference, title.defects) if name]
    return [*lines, *title.notes]


def mrc_labels(title: FrameTitle, date: str = "") -> list[str]:
    """Labels of an MRC file: the lines, cut as SerialEM cuts them, the first dated.

    Parameters
    ----------
    title : FrameTitle
        What to say.
    date : str
        Such as ``08-Oct-21  07:47:29``.

    Returns
    -------
    list of str
        At most ten, of at most 80 characters.
    """
    first, *others = format_title(title)
    dated = f"{first[:_TEXT_CHARACTERS]:<{_TEXT_CHARACTERS}} {date}".rstrip()
    return [line[:LABEL_CHARACTERS] for line in (dated, *others)][:MAX_LABELS]


def _names_reference(name: str) -> bool:
    return name.lower().endswith(_REFERENCE_SUFFIXES)
