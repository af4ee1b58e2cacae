"""From pieces of reflections and experiments to the observations of a run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dials_truncfix.compare.files import Integrated
from dials_truncfix.parallel import Map
from dials_truncfix.postrefine.input.columns import Column, MemoryColumn, make_column
from dials_truncfix.postrefine.input.common import (
    PieceHead,
    check_alike,
    common_symmetry,
)
from dials_truncfix.postrefine.input.input_checks import check_rays
from dials_truncfix.postrefine.input.observations import (
    LatticeSource,
    StoredObservations,
)
from dials_truncfix.postrefine.input.tables import (
    REASONS,
    InputOptions,
    Taken,
    take,
    unpack_indices,
)
from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray, IntArray

#: Observations that are moved at a time.
_CHUNK = 500_000
OTHER_CELL = "of lattices with another cell"
OUTSIDE = "outside the resolution limits"


class Piece(Protocol):
    """Reflections with their experiments, which can be read more than once."""

    def load(self) -> Integrated:
        """Read them."""
        ...


@dataclass(frozen=True)
class DataSet:
    """Observations, and where each came from.

    Attributes
    ----------
    observations : LatticeSource
        What can be used.
    symmetry : cctbx.crystal.symmetry
        Median cell and common space group.
    electrons : bool
        Whether the radiation is electrons.
    pieces : list of Piece
        What was read.
    piece_ends : ndarray, shape (n_pieces + 1,), int64
        Where the experiments of each piece begin.
    identifiers : list of str
        Of all experiments.
    lattice_experiment : ndarray, shape (n_lattices,), int64
        Which experiment each lattice with observations is.
    table_row : Column
        Row of the table of its piece of each observation.
    left_out : dict
        Reflections that are not used, by reason.
    deviant : ndarray, shape (n_experiments,), bool
        Lattices whose cell differs too much from the median.
    corrections : tuple of str
        What intensities were corrected for.
    reindexed : list of str or None
        New indices of each experiment in terms of those given, where an ambiguity was
        resolved.
    """

    observations: LatticeSource
    symmetry: Any
    electrons: bool
    pieces: Sequence[Piece]
    piece_ends: IntArray
    identifiers: list[str]
    lattice_experiment: IntArray
    table_row: Column
    left_out: dict[str, int]
    deviant: BoolArray
    corrections: tuple[str, ...]
    reindexed: list[str] | None = None

    @property
    def n_experiments(self) -> int:
        """Number of experiments, those without observations too."""
        return len(self.identifiers)


@dataclass
class _Gathered:
    """What pieces add up to."""

    heads: list[PieceHead]
    identifiers: list[str]
    cells: list[FloatArray]
    setting: list[FloatArray]
    s0: list[FloatArray]
    sweep: list[FloatArray]
    left_out: list[dict[str, IntArray]]
    n_kept: list[IntArray]
    unique: IntArray
    electrons: bool


@dataclass(frozen=True)
class _Columns:
    """What is as long as the observations."""

    miller_index: Column
    key: Column
    group: Column
    intensity: Column
    variance: Column
    table_row: Column


def load_data_set(loaded: Sequence[Integrated], options: InputOptions) -> DataSet:
    """Put reflections that are in memory into one set of observations.

    Parameters
    ----------
    loaded : sequence of Integrated
        Reflection files with their experiments.
    options : InputOptions
        What to take.

    Returns
    -------
    DataSet
        In memory.

    Raises
    ------
    ValueError
        In one sentence, if the files cannot be refined together, or hold nothing to refine.
    """
    with tempfile.TemporaryDirectory(prefix="truncfix-") as folder:
        data = gather(loaded, options, Path(folder), map)
        assert isinstance(data.observations, StoredObservations)
        n = len(data.observations)
        values = vars(data)
        return DataSet(
            **{
                **values,
                "observations": data.observations.whole(),
                "table_row": MemoryColumn(data.table_row.read(0, n)),
            }
        )


def gather(
    pieces: Sequence[Piece], options: InputOptions, folder: Path, apply: Map
) -> DataSet:
    """Put the reflections of all pieces into one set of observations.

    Parameters
    ----------
    pieces : sequence of Piece
        What to read.
    options : InputOptions
        What to take.
    folder : pathlib.Path
        For the observations.
    apply : callable
        Applies a function to tasks, on any number of processes, and keeps their order.

    Returns
    -------
    DataSet

    Raises
    ------
    ValueError
        In one sentence, if the files cannot be refined together, or hold nothing to refine.
    OSError
        If a file cannot be read, or the folder cannot be written.
    """
    columns = _Columns(
        make_column(folder, "miller_index", 0, np.int32, 3),
        make_column(folder, "key", 0, np.int64),
        make_column(folder, "group", 0, np.int32),
        make_column(folder, "intensity", 0, np.float64),
        make_column(folder, "variance", 0, np.float64),
        make_column(folder, "table_row", 0, np.int32),
    )
    tasks = ((piece, options) for piece in pieces)
    gathered = _collect(apply(take_piece, tasks), columns)
    symmetry, deviant = common_symmetry(
        gathered.heads, np.concatenate(gathered.cells), options.cell_tolerance
    )
    for head in gathered.heads:
        check_rays(head.path, head.experiments_path, head.miss)
    ends = np.cumsum([0, *(head.n_experiments for head in gathered.heads)])
    d = _resolution(gathered.unique, symmetry)
    inside = np.ones(len(d), dtype=bool)
    if options.d_min is not None:
        inside &= d >= options.d_min
    if options.d_max is not None:
        inside &= d <= options.d_max
    n_kept = np.concatenate(gathered.n_kept)
    kept = _select(columns, gathered.unique, inside, n_kept, deviant)
    left_out = _left_out(gathered, deviant, int(n_kept[~deviant].sum() - kept.sum()))
    if not kept.any():
        reasons = ", ".join(f"{n} {reason}" for reason, n in left_out.items() if n)
        raise ValueError(
            f"{gathered.heads[0].path}: no reflection can be used ({reasons}): integrate "
            "again, or change the limits"
        )
    present = np.flatnonzero(kept)
    setting, s0, sweep = (
        np.concatenate(getattr(gathered, name)) for name in ("setting", "s0", "sweep")
    )
    observations = StoredObservations(
        columns.miller_index,
        columns.group,
        columns.intensity,
        columns.variance,
        np.concatenate([[0], np.cumsum(kept[present])]),
        setting[present],
        s0[present],
        sweep[present],
        unpack_indices(gathered.unique[inside]),
        d[inside],
    )
    return DataSet(
        observations,
        symmetry,
        gathered.electrons,
        pieces,
        ends,
        _distinct(gathered.identifiers),
        present,
        columns.table_row,
        left_out,
        deviant,
        gathered.heads[0].corrections,
    )


def take_piece(task: tuple[Piece, InputOptions]) -> Taken:
    """Read a piece and take what can be used."""
    piece, options = task
    return take(piece.load(), options)


def _collect(taken: Iterable[Taken], columns: _Columns) -> _Gathered:
    """Put observations one after the other into the columns."""
    result: _Gathered | None = None
    at, keys = 0, []
    for part in taken:
        if result is None:
            nothing = np.empty(0, dtype=np.int64)
            result = _Gathered([], [], [], [], [], [], [], [], nothing, part.electrons)
        head = PieceHead(
            part.path,
            part.experiments_path,
            part.miss,
            len(part.identifiers),
            part.space_groups,
            part.corrections,
        )
        check_alike(result.heads, head)
        result.heads.append(head)
        result.identifiers += part.identifiers
        for name in ("cells", "setting", "s0", "sweep", "left_out", "n_kept"):
            getattr(result, name).append(getattr(part, name))
        for name in ("miller_index", "key", "intensity", "variance", "table_row"):
            getattr(columns, name).write(at, getattr(part, name))
        at += len(part.key)
        keys.append(np.unique(part.key))
        if len(keys) == _KEYS_AT_ONCE:
            keys = [np.unique(np.concatenate(keys))]
    if result is None:
        raise ValueError("there are no reflections")
    result.unique = np.unique(np.concatenate(keys))
    return result


#: Lists of unique reflections that are put together at a time.
_KEYS_AT_ONCE = 20


def _resolution(unique: IntArray, symmetry: Any) -> FloatArray:
    """Resolution of packed indices, Å."""
    reciprocal = np.reshape(symmetry.unit_cell().fractionalization_matrix(), (3, 3))
    return np.asarray(1.0 / np.linalg.norm(unpack_indices(unique) @ reciprocal, axis=1))


def _select(
    columns: _Columns,
    unique: IntArray,
    inside: BoolArray,
    n_kept: IntArray,
    deviant: BoolArray,
) -> IntArray:
    """Move observations together that are used; count them for each experiment."""
    new_group = np.cumsum(inside) - 1
    ends = np.concatenate([[0], np.cumsum(n_kept)])
    counts = np.zeros(len(n_kept), dtype=np.int64)
    at = 0
    for first, last in _ranges(int(ends[-1])):
        group = np.searchsorted(unique, columns.key.read(first, last))
        experiment = np.searchsorted(ends, np.arange(first, last), side="right") - 1
        good = inside[group] & ~deviant[experiment]
        counts += np.bincount(experiment[good], minlength=len(counts))
        columns.group.write(at, new_group[group[good]])
        if at < first or not good.all():
            for name in ("miller_index", "intensity", "variance", "table_row"):
                column: Column = getattr(columns, name)
                column.write(at, column.read(first, last)[good])
        at += int(good.sum())
    return counts


def _ranges(n: int) -> Iterator[tuple[int, int]]:
    for first in range(0, n, _CHUNK):
        yield first, min(first + _CHUNK, n)


def _left_out(
    gathered: _Gathered, deviant: BoolArray, n_outside: int
) -> dict[str, int]:
    """Count what is not used, by the first reason that holds."""
    counts = {
        reason: np.concatenate([part[reason][:-1] for part in gathered.left_out])
        for reason in REASONS
    }
    result = {}
    foreign = int(np.concatenate(gathered.n_kept)[deviant].sum())
    for reason in REASONS:
        # a lattice of another cell is left out as a whole, but for what is no reflection
        known = reason in REASONS[:2]
        result[reason] = int(
            counts[reason].sum() if known else counts[reason][~deviant].sum()
        )
        foreign += 0 if known else int(counts[reason][deviant].sum())
    result[REASONS[0]] = sum(int(part[REASONS[0]][-1]) for part in gathered.left_out)
    result[OTHER_CELL] = foreign
    result[OUTSIDE] = n_outside
    return result


def _distinct(identifiers: list[str]) -> list[str]:
    """Names that differ: those given, if they do."""
    if "" in identifiers or len(set(identifiers)) < len(identifiers):
        return [f"lattice-{number}" for number in range(len(identifiers))]
    return identifiers
