"""CrystFEL stream files: crystals and their integrated reflections, one after the other.

A stream is text: a line with the version of the format, the geometry of the detector, and
one chunk for each image with any number of crystals. Vectors are in CrystFEL's laboratory
frame: z along the beam, y upwards, x to the left of somebody who looks along the beam.
Reciprocal axes are in nm⁻¹, and become Å⁻¹ here.

References
----------
White, T. A. et al. (2012). J. Appl. Cryst. 45, 335-341.
https://doi.org/10.1107/S0021889812002312
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, TypeVar

from dials_truncfix.io.crystfel_geometry import StreamPanel, parse_panels
from dials_truncfix.io.stream_crystal import (
    CrystalText,
    ReflectionText,
    StreamCrystal,
    make_crystal,
    read_numbers,
)

T = TypeVar("T")

_MAGIC = "CrystFEL stream format "
_VERSIONS = ("2.2", "2.3")
_GEOMETRY = ("----- Begin geometry file -----", "----- End geometry file -----")
_CHUNK = ("----- Begin chunk -----", "----- End chunk -----")
_CRYSTAL = ("--- Begin crystal", "--- End crystal")
_REFLECTIONS = ("Reflections measured after indexing", "End of reflections")
#: How lines begin that part a stream.
_MARKS = ("---", _REFLECTIONS[0], _MAGIC)
#: More text than any line of a stream; a file without line ends is none.
_LONGEST_LINE = 1 << 16


class _Lines:
    """Lines of a file, counted; the last one may be put back."""

    def __init__(self, stream: BinaryIO, number: int = 0) -> None:
        self._stream = stream
        self._back: str | None = None
        self.number = number
        self.begin = stream.tell()
        self._end = self.begin

    def __iter__(self) -> Iterator[str]:
        while True:
            if self._back is not None:
                line, self._back = self._back, None
            else:
                raw = self._stream.readline(_LONGEST_LINE)
                if not raw:
                    return
                self.number += 1
                self.begin, self._end = self._end, self._end + len(raw)
                line = raw.decode("utf-8", "replace").rstrip()
            yield line

    def put_back(self, line: str) -> None:
        self._back = line


@dataclass(frozen=True)
class StreamPart:
    """Some images of a stream, one after the other.

    Attributes
    ----------
    offset, line : int
        Byte and number of the line where the first begins.
    version : str
        Of the format.
    n_images, n_crystals : int
        Complete images, and the crystals in them.
    first_crystal : int
        Crystals in the stream before them.
    """

    offset: int
    line: int
    version: str
    n_images: int
    n_crystals: int
    first_crystal: int


class StreamFile:
    """A stream, of which no more than one image is in memory at a time.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Attributes
    ----------
    panels : tuple of StreamPanel
        Known after the first crystal, or a scan; empty if the stream holds none.
    n_images, n_crystals, n_lists : int
        Complete images, crystals and lists of reflections met so far.
    n_incomplete : int
        Images without an end, as when a program was stopped. Their crystals are left out.
    """

    def __init__(self, path: Path, panels: tuple[StreamPanel, ...] = ()) -> None:
        self.path = path
        self.panels = panels
        self.n_images = self.n_crystals = self.n_lists = self.n_incomplete = 0
        self._version = ""

    def crystals(self) -> Iterator[StreamCrystal]:
        """Read one image after the other.

        Yields
        ------
        StreamCrystal
            In the order of the file.

        Raises
        ------
        ValueError
            If the file is no stream, of a version that is not known, or damaged in a
            place other than its end.
        OSError
            If the file cannot be read.
        """
        with self.path.open("rb") as stream:
            lines = _Lines(stream)
            self._read_version(next(iter(lines), ""))
            for crystals, _, _ in self._images(lines, self._read_chunk):
                yield from crystals

    def scan(self, n_crystals: int) -> Iterator[StreamPart]:
        """Find parts that can be read by themselves, without reading them.

        Parameters
        ----------
        n_crystals : int
            A part ends with the image that reaches this many.

        Yields
        ------
        StreamPart
            All crystals, in order.

        Raises
        ------
        ValueError, OSError
            As for `crystals`, but for damage within crystals.
        """
        part: StreamPart | None = None
        first = 0
        with self.path.open("rb") as stream:
            lines = _Lines(stream)
            self._read_version(next(iter(lines), ""))
            for found, offset, line in self._images(lines, self._skip_chunk):
                if part is not None and (
                    part.n_crystals >= n_crystals or part.version != self._version
                ):
                    yield part
                    part = None
                if part is None:
                    part = StreamPart(offset, line, self._version, 0, 0, first)
                part = replace(
                    part,
                    n_images=part.n_images + 1,
                    n_crystals=part.n_crystals + len(found),
                )
                first += len(found)
        if part is not None:
            yield part

    def read(self, part: StreamPart) -> Iterator[StreamCrystal]:
        """Read the crystals of a part.

        Raises
        ------
        ValueError
            If they are damaged.
        OSError
            If the file cannot be read.
        """
        self._version = part.version
        with self.path.open("rb") as stream:
            stream.seek(part.offset)
            images = self._images(_Lines(stream, part.line - 1), self._read_chunk)
            for crystals, _, _ in itertools.islice(images, part.n_images):
                yield from crystals

    def _images(
        self, lines: _Lines, take: Callable[[_Lines], list[T] | None]
    ) -> Iterator[tuple[list[T], int, int]]:
        """Take complete images; with each its first byte and line."""
        for line in lines:
            if line == _CHUNK[0]:
                offset, number = lines.begin, lines.number
                found = take(lines)
                if found is None:
                    self.n_incomplete += 1
                else:
                    self.n_images += 1
                    self.n_crystals += len(found)
                    yield found, offset, number
            elif line == _GEOMETRY[0]:
                self._read_geometry(lines)
            elif line.startswith(_MAGIC):
                # streams may be put one after the other
                self._read_version(line)

    def _skip_chunk(self, lines: _Lines) -> list[int] | None:
        """Find the lines of the crystals of an image; None if its end is missing."""
        found: list[int] = []
        for line in lines:
            # most lines are reflections
            if not line.startswith(_MARKS):
                continue
            if line == _CHUNK[1]:
                return found
            if _begins_anew(line):
                lines.put_back(line)
                return None
            if line == _CRYSTAL[0]:
                found.append(lines.number)
            elif line == _REFLECTIONS[0]:
                self.n_lists += 1
        return None

    def _failure(self, line_number: int, reason: str) -> ValueError:
        return ValueError(f"{self.path}, line {line_number}: {reason}")

    def _read_version(self, line: str) -> None:
        if not line.startswith(_MAGIC):
            raise ValueError(
                f"{self.path}: not a CrystFEL stream: give one that indexamajig wrote"
            )
        self._version = line[len(_MAGIC) :].strip()
        if self._version not in _VERSIONS:
            raise ValueError(
                f"{self.path}: streams of version {self._version} cannot be read, only "
                f"{' and '.join(_VERSIONS)}: integrate again with another CrystFEL"
            )

    def _read_geometry(self, lines: _Lines) -> None:
        block = list(itertools.takewhile(lambda line: line != _GEOMETRY[1], lines))
        if self.panels:
            return
        try:
            self.panels = parse_panels(block)
        except ValueError as error:
            raise ValueError(f"{self.path}, detector geometry: {error}") from None

    def _read_chunk(self, lines: _Lines) -> list[StreamCrystal] | None:
        """Read the crystals of an image; None if its end is missing."""
        values: dict[str, str] = {}
        found: list[CrystalText] = []
        current: CrystalText | None = None
        for line in lines:
            if line == _CHUNK[1]:
                return [self._crystal(values, each, i) for i, each in enumerate(found)]
            if _begins_anew(line):
                lines.put_back(line)
                return None
            if line == _CRYSTAL[0]:
                current = CrystalText(lines.number)
                found.append(current)
            elif line == _CRYSTAL[1]:
                current = None
            elif line == _REFLECTIONS[0] and current is not None:
                current.table = self._read_reflections(lines)
                if current.table is None:
                    return None
            else:
                target = values if current is None else current.values
                # names of images may hold anything
                colon = line.startswith(("Image filename:", "Event:"))
                name, mark, value = line.partition(":" if colon else "=")
                if mark:
                    target.setdefault(name.strip(), value.strip())
        return None

    def _read_reflections(self, lines: _Lines) -> ReflectionText | None:
        """Read a list of reflections; None if its end is missing."""
        rows = []
        for line in lines:
            if line == _REFLECTIONS[1]:
                break
            if _begins_anew(line):
                lines.put_back(line)
                return None
            rows.append(line)
        else:
            return None
        first = lines.number - len(rows)
        if not rows or not rows[0].lstrip().startswith("h "):
            raise self._failure(first, "a list of reflections without a heading")
        del rows[0]
        panels: list[str] = []
        if self._version != "2.2":
            parts = [row.rsplit(None, 1) or [""] for row in rows]
            rows = [part[0] for part in parts]
            panels = [part[-1] for part in parts]
        return ReflectionText(read_numbers(rows, self.path, first + 1), panels)

    def _crystal(
        self, values: dict[str, str], found: CrystalText, number: int
    ) -> StreamCrystal:
        try:
            return make_crystal(values, found, number, self.panels)
        except ValueError as error:
            raise self._failure(found.line, str(error)) from None


def _begins_anew(line: str) -> bool:
    """Whether an image, or another stream, begins."""
    return line == _CHUNK[0] or line.startswith(_MAGIC)
