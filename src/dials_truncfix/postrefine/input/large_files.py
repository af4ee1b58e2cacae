"""Large reflection files, read some lattices at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dials.array_family import flex
from dxtbx import flumpy

from dials_truncfix.compare.files import Integrated, read_experiments
from dials_truncfix.io.reflection_columns import (
    ReflectionColumns,
    numbers,
    read_columns,
)
from dials_truncfix.postrefine.input.pieces import FilePiece

#: Reflections of a file that is read as a whole.
LARGE = 1_000_000
#: Lattices that are read at a time from a larger one.
AT_ONCE = 1000


@dataclass(frozen=True)
class PartOfFile:
    """Some lattices of a pair of files.

    Attributes
    ----------
    path, experiments_path : pathlib.Path
        The files.
    part_path : pathlib.Path
        Experiments of these lattices alone.
    rows_path : pathlib.Path
        Rows of their reflections, and the positions of their experiments in the part.
    """

    path: Path
    experiments_path: Path
    part_path: Path
    rows_path: Path

    def load(self) -> Integrated:
        """Read them.

        Raises
        ------
        ValueError
            If a file is damaged.
        OSError
            If it cannot be read.
        """
        with np.load(self.rows_path) as stored:
            rows, positions = stored["rows"], stored["positions"]
        chosen = rows
        if (
            len(rows)
            and rows[-1] - rows[0] == len(rows) - 1
            and np.all(np.diff(rows) > 0)
        ):
            chosen = slice(int(rows[0]), int(rows[-1]) + 1)
        packed = read_columns(self.path).packed(chosen)
        table = flex.reflection_table.from_msgpack(packed)
        table["id"] = flumpy.from_numpy(positions.astype(np.int32))
        return Integrated(
            self.path, self.experiments_path, table, read_experiments(self.part_path)
        )


def cut_large_files(
    pieces: Sequence[FilePiece], folder: Path
) -> Iterator[FilePiece | PartOfFile]:
    """Cut pairs of files that are too large to be read as a whole.

    Parameters
    ----------
    pieces : sequence of FilePiece
        Pairs of files.
    folder : pathlib.Path
        For experiments in parts.

    Yields
    ------
    FilePiece or PartOfFile
        Small pairs as they are, in the order given.

    Raises
    ------
    ValueError
        If a file is damaged.
    OSError
        If a file cannot be read, or the folder cannot be written.
    """
    for number, piece in enumerate(pieces):
        columns = _large(piece)
        if columns is None:
            yield piece
        else:
            yield from _cut(piece, columns, folder / f"input_{number}")


def _large(piece: FilePiece) -> ReflectionColumns | None:
    """Heads of a large file whose rows can be told apart."""
    try:
        columns = read_columns(piece.path)
    except ValueError:
        # reading it as a whole tells what is wrong with it
        return None
    return columns if columns.n_rows > LARGE and "id" in columns.columns else None


def _cut(
    piece: FilePiece, columns: ReflectionColumns, folder: Path
) -> Iterator[FilePiece | PartOfFile]:
    models = _experiments(piece.experiments_path)
    if models is None or len(models["experiment"]) <= AT_ONCE:
        yield piece
        return
    folder.mkdir()
    names = [entry.get("identifier", "") for entry in models["experiment"]]
    positions = _positions(columns, names)
    if positions is None:
        # reading it as a whole tells what is wrong with it
        yield piece
        return
    in_order = bool(np.all(positions[1:] >= positions[:-1]))
    order = None if in_order else np.argsort(positions, kind="stable")
    ends = np.searchsorted(
        positions if order is None else positions[order], np.arange(len(names) + 1)
    )
    for first in range(0, len(names), AT_ONCE):
        last = min(first + AT_ONCE, len(names))
        # those without an experiment are counted with the first lattices
        begin, end = 0 if first == 0 else ends[first], ends[last]
        rows = np.arange(begin, end) if order is None else order[begin:end]
        part = PartOfFile(
            piece.path,
            piece.experiments_path,
            folder / f"{first}.expt",
            folder / f"{first}.npz",
        )
        part.part_path.write_text(json.dumps(_part_of_experiments(models, first, last)))
        mine = positions[rows]
        np.savez(
            part.rows_path,
            rows=rows,
            positions=np.where(mine < 0, -1, mine - np.int32(first)),
        )
        yield part


def _experiments(path: Path) -> dict[str, Any] | None:
    """Read experiments as plain values; None if they are not such."""
    try:
        models = json.loads(path.read_bytes())
    except (json.JSONDecodeError, RecursionError, UnicodeDecodeError):
        return None
    if not isinstance(models, dict) or not isinstance(models.get("experiment"), list):
        return None
    return models


def _positions(
    columns: ReflectionColumns, names: list[str]
) -> npt.NDArray[np.int32] | None:
    """Position of the experiment of each reflection; -1 without one."""
    ids = numbers(columns.rows("id"), "<i4")
    known = {name: at for at, name in enumerate(names) if name}
    wanted = {name for name in columns.identifiers.values() if name}
    if ids.max() >= len(names) or not wanted <= set(known):
        return None
    place = np.arange(len(names), dtype=np.int32)
    for number, name in columns.identifiers.items():
        if number < len(place) and name in known:
            place[number] = known[name]
    return np.where(ids >= 0, place[ids], np.int32(-1))


def _part_of_experiments(
    models: dict[str, Any], first: int, last: int
) -> dict[str, Any]:
    """Take some of the experiments, with the models that they refer to by position."""
    result = {
        key: [] if isinstance(value, list) else value for key, value in models.items()
    }
    moved: dict[tuple[str, int], int] = {}
    for entry in models["experiment"][first:last]:
        own = dict(entry)
        for key, value in entry.items():
            if isinstance(value, int) and isinstance(models.get(key), list):
                if (key, value) not in moved:
                    moved[key, value] = len(result[key])
                    result[key].append(models[key][value])
                own[key] = moved[key, value]
        result["experiment"].append(own)
    return result
