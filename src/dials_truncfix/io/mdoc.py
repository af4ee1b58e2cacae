"""SerialEM's metadata files (.mdoc): read and write.

Lines are ``Key = value``. Those before the first section hold for the file; a section
begins with ``[Kind = name]``, such as ``[FrameSet = 0]`` or ``[ZValue = 12]``, and
titles stand alone as ``[T = ...]``, or without brackets in files for frames.
"""

from __future__ import annotations

import calendar
import math
import ntpath
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dials_truncfix.io.atomic import PathLike, atomic_write
from dials_truncfix.io.source_files import read_up_to

SUFFIX = ".mdoc"
FRAME_SET = "FrameSet"
_TITLE = "T"
_KIND = re.compile(r"\w+")
# Of a session of many hours; much more is no text that SerialEM wrote.
_MAX_BYTES = 1 << 28
# Month names whatever the language of the machine.
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DATE = re.compile(r"(\d{1,2})-(\w{3})-(\d{2,4})\s+(\d{1,2}):(\d{2}):(\d{2})", re.ASCII)


@dataclass(frozen=True)
class MdocSection:
    """One section.

    Attributes
    ----------
    kind : str
        ``FrameSet``, ``ZValue``, ``Image``, ``MontSection``, ...
    name : str
        Its number, or a file.
    values : mapping of str to str
        Entries as written.
    """

    kind: str
    name: str
    values: Mapping[str, str]

    def number(self, key: str) -> float | None:
        """Return an entry that holds one finite number, None where it does not."""
        numbers = self.numbers(key)
        return numbers[0] if len(numbers) == 1 else None

    def numbers(self, key: str) -> list[float]:
        """Return the finite numbers of an entry; empty where it holds something else."""
        try:
            numbers = [float(word) for word in self.values.get(key, "").split()]
        except ValueError:
            return []
        return numbers if all(map(math.isfinite, numbers)) else []

    @property
    def frame_doses(self) -> list[tuple[float, int]]:
        """Dose of a frame (e⁻/Å²) and number of frames that had it, in their order."""
        numbers = self.numbers("FrameDosesAndNumber")
        if len(numbers) % 2:
            return []
        return [(dose, round(n)) for dose, n in zip(numbers[::2], numbers[1::2])]

    @property
    def timestamp(self) -> float | None:
        """Local time of ``DateTime``, in seconds since 1970-01-01."""
        return parse_date(self.values.get("DateTime", ""))


@dataclass(frozen=True)
class Mdoc:
    """A whole file.

    Attributes
    ----------
    values : mapping of str to str
        Entries before the first section.
    titles : tuple of str
        Lines of title.
    sections : tuple of MdocSection
        In their order.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    titles: tuple[str, ...] = ()
    sections: tuple[MdocSection, ...] = ()

    def frame_set(self, stack_name: str) -> MdocSection | None:
        """Find the section that describes a stack of frames.

        Parameters
        ----------
        stack_name : str
            Name of the stack, without its folder.

        Returns
        -------
        MdocSection or None
            The section whose SubFramePath ends in the name, or the only FrameSet, with
            the entries of the whole file where it has none itself.
        """
        named = [
            section
            for section in self.sections
            if ntpath.basename(section.values.get("SubFramePath", "")).lower()
            == stack_name.lower()
        ]
        sets = [section for section in self.sections if section.kind == FRAME_SET]
        found = named[0] if named else sets[0] if len(sets) == 1 else None
        if found is None:
            return None
        return MdocSection(found.kind, found.name, {**self.values, **found.values})


def parse_mdoc(text: str) -> Mdoc:
    """Read the text of a file; lines that are no entries are passed over.

    Parameters
    ----------
    text : str
        Lines.

    Returns
    -------
    Mdoc
    """
    values: dict[str, str] = {}
    titles: list[str] = []
    sections: list[MdocSection] = []
    entries = values
    for line in text.splitlines():
        line = line.strip()
        bracketed = line.startswith("[") and line.endswith("]")
        # not by one expression: those that fit take quadratic time over long blanks
        key, equals, value = (line[1:-1] if bracketed else line).partition("=")
        key, value = key.strip(), value.strip()
        if not equals:
            continue
        if bracketed and _KIND.fullmatch(key):
            if key == _TITLE:
                titles.append(value)
            else:
                entries = {}
                sections.append(MdocSection(key, value, entries))
        elif not bracketed and key and not {"[", "]"} & set(key):
            if key == _TITLE and entries is values:
                titles.append(value)
            else:
                entries[key] = value
    return Mdoc(values, tuple(titles), tuple(sections))


def format_mdoc(mdoc: Mdoc) -> str:
    """Inverse of `parse_mdoc`.

    Parameters
    ----------
    mdoc : Mdoc
        What to write; titles come without brackets where all sections are of frames.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If a text would read back as something else.
    """
    plain = all(section.kind == FRAME_SET for section in mdoc.sections)
    title = "T = {}" if plain else "\n[T = {}]"
    lines = [title.format(text) for text in mdoc.titles] if plain else []
    lines += [f"{key} = {value}" for key, value in mdoc.values.items()]
    if not plain:
        lines += [title.format(text) for text in mdoc.titles]
    for section in mdoc.sections:
        lines += ["", f"[{section.kind} = {section.name}]"]
        lines += [f"{key} = {value}" for key, value in section.values.items()]
    text = "\n".join(lines) + "\n"
    if parse_mdoc(text) != mdoc:
        raise ValueError("an entry cannot be written: it would read back differently")
    return text


def read_mdoc(path: PathLike) -> Mdoc:
    """Read a file.

    Raises
    ------
    ValueError
        If it is no text, or far too long to be one of SerialEM's.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as stream:
        data = read_up_to(stream, _MAX_BYTES + 1)
    if len(data) > _MAX_BYTES or b"\0" in data[:4096]:
        raise ValueError(f"{os.fspath(path)} is no .mdoc file")
    # SerialEM writes in the code page of its machine.
    return parse_mdoc(data.decode("latin-1"))


def write_mdoc(path: PathLike, mdoc: Mdoc) -> None:
    """Write a file.

    Raises
    ------
    ValueError
        If a text would read back as something else.
    OSError
        If the file cannot be written.
    """
    text = format_mdoc(mdoc)
    with atomic_write(path) as stream:
        stream.write(text.encode("latin-1", "replace"))


def find_mdoc(path: PathLike) -> Path | None:
    """Find the file beside a stack, or beside the folder of frames saved one to a file.

    It is called ``NAME.tif.mdoc``, or ``NAME.mdoc``.
    """
    stack = Path(path).absolute()
    for candidate in (
        Path(f"{stack}{SUFFIX}"),
        stack.with_suffix(SUFFIX),
        Path(f"{stack.parent}{SUFFIX}"),
    ):
        if candidate.is_file():
            return candidate
    return None


def parse_date(text: str) -> float | None:
    """Seconds since 1970-01-01 of a local time such as ``08-Oct-21  07:39:08``."""
    match = _DATE.fullmatch(text.strip())
    if match is None or match[2].lower() not in _MONTHS:
        return None
    day, year, *clock = (int(match[i]) for i in (1, 3, 4, 5, 6))
    year += 2000 if year < 100 else 0
    month = _MONTHS.index(match[2].lower()) + 1
    if not (1970 <= year < 2200 and 1 <= day <= 31):
        return None
    return float(calendar.timegm((year, month, day, *clock)))


def format_date(timestamp: float) -> str:
    """Inverse of `parse_date`."""
    moment = time.gmtime(timestamp)
    month = _MONTHS[moment.tm_mon - 1].capitalize()
    return f"{moment.tm_mday:02d}-{month}-{moment.tm_year % 100:02d}  " + time.strftime(
        "%H:%M:%S", moment
    )
