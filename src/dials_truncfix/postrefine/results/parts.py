"""Experiments and reflections after postrefinement, part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import ExperimentList

from dials_truncfix import compat
from dials_truncfix.compare.files import Integrated
from dials_truncfix.postrefine.cycles.block import full_equivalents
from dials_truncfix.postrefine.cycles.outcome import Outcome
from dials_truncfix.postrefine.input.free_cells import FreeCellBlock
from dials_truncfix.postrefine.input.gather import DataSet, Piece
from dials_truncfix.postrefine.input.observations import ObservationBlock
from dials_truncfix.postrefine.input.rotations import middle_matrix, middle_rotation
from dials_truncfix.postrefine.lattice.cell import CellFreedom, b_covariance
from dials_truncfix.postrefine.lattice.fits import LatticeFits
from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray, IntArray
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.target import LOG_G, N_PARAMETERS, B
from dials_truncfix.postrefine.merge.scaling import Scaled

#: Partialities that full intensities are divided by at least; such reflections are flagged.
_LEAST_PARTIALITY = 1e-3


@dataclass(frozen=True)
class PieceResult:
    """A piece, and what became of its lattices.

    Attributes
    ----------
    piece : Piece
        What was read.
    identifiers : list of str
        Names of its lattices with observations.
    experiment : ndarray, shape (n_lattices,), int64
        Position of each among the experiments of the piece.
    accepted : ndarray, shape (n_lattices,), bool
        Those to write.
    observations : ObservationBlock
        What was measured of these lattices.
    d : ndarray, shape (n,)
        Resolution in the mean cell, Å.
    table_row : ndarray, shape (n,), int
        Row of the table of the piece of each observation.
    scaled : Scaled
        Full intensities.
    fits : LatticeFits
        Of the lattices.
    model : Model
        Partiality.
    """

    piece: Piece
    identifiers: list[str]
    experiment: IntArray
    accepted: BoolArray
    observations: ObservationBlock
    d: FloatArray
    table_row: IntArray
    scaled: Scaled
    fits: LatticeFits
    model: Model


@dataclass(frozen=True)
class Part:
    """Pieces whose lattices go to one pair of files; None for a file not wanted."""

    results: list[PieceResult]
    experiments: Path | None
    reflections: Path | None


def piece_ranges(data: DataSet, outcome: Outcome, most: int) -> list[range]:
    """Put pieces together to parts of at most so many accepted lattices, if pieces allow.

    Parameters
    ----------
    data : DataSet
        What was read.
    outcome : Outcome
        What became of it.
    most : int
        Lattices of a part. A larger piece is a part of its own.
    """
    experiments = data.lattice_experiment[outcome.accepted]
    counts = np.histogram(experiments, data.piece_ends)[0]
    result, first, held = [], 0, 0
    for number, count in enumerate(counts.tolist()):
        if held and held + count > most:
            result.append(range(first, number))
            first, held = number, 0
        held += count
    return [*result, range(first, len(counts))]


def part_names(path: Path, n_parts: int) -> list[Path]:
    """Names of parts: the one given, or that with numbers from 0.

    Parameters
    ----------
    path : pathlib.Path
        Of the only part.
    n_parts : int
        How many there are.
    """
    if n_parts == 1:
        return [path]
    digits = max(3, len(str(n_parts - 1)))
    return [
        path.with_name(f"{path.stem}_{number:0{digits}d}{path.suffix}")
        for number in range(n_parts)
    ]


def stale_parts(paths: Sequence[Path]) -> list[Path]:
    """Parts of a larger number that lie beside those written, or all beside a single one."""
    if len(paths) == 1:
        first = part_names(paths[0], 2)[0]
    else:
        stem, number = paths[-1].stem.rsplit("_", 1)
        following = f"{stem}_{int(number) + 1:0{len(number)}d}"
        first = paths[-1].with_name(following + paths[-1].suffix)
    return [first] if first.exists() else []


def piece_results(
    data: DataSet, outcome: Outcome, numbers: range
) -> Iterator[PieceResult]:
    """Collect what became of some of the pieces."""
    for number in numbers:
        first_experiment, end = data.piece_ends[number : number + 2]
        lattices = slice(
            *np.searchsorted(data.lattice_experiment, [first_experiment, end]).tolist()
        )
        if not outcome.accepted[lattices].any():
            continue
        experiment = data.lattice_experiment[lattices]
        offsets = data.observations.offsets
        block = data.observations.block(lattices)
        yield PieceResult(
            data.pieces[number],
            [data.identifiers[i] for i in experiment.tolist()],
            experiment - first_experiment,
            outcome.accepted[lattices],
            block,
            data.observations.d[block.group],
            data.table_row.read(offsets[lattices.start], offsets[lattices.stop]),
            outcome.store.read(lattices),
            outcome.fits.part(lattices),
            outcome.model,
        )


def write_part(part: Part) -> None:
    """Write the experiments and reflections of a part.

    Raises
    ------
    OSError
        If a file cannot be read or written.
    """
    experiments = ExperimentList()
    table: flex.reflection_table | None = None
    for result in part.results:
        given = result.piece.load()
        if part.reflections is not None:
            mine = refined_reflections(given, result, len(experiments))
            table = mine if table is None else _extended(table, mine)
        experiments.extend(refined_experiments(given, result))
    if part.experiments is not None:
        part.experiments.write_text(compat.experiments_as_json(experiments))
    if part.reflections is not None and table is not None:
        for number, experiment in enumerate(experiments):
            table.experiment_identifiers()[number] = experiment.identifier
        table.as_file(str(part.reflections))


def _extended(
    table: flex.reflection_table, other: flex.reflection_table
) -> flex.reflection_table:
    """Put a table behind another, with the columns that both have."""
    for name in set(table.keys()) ^ set(other.keys()):
        for each in (table, other):
            if name in each:
                del each[name]
    table.extend(other)
    return table


def refined_experiments(given: Integrated, result: PieceResult) -> ExperimentList:
    """Experiments of the accepted lattices, with their crystals turned.

    Returns
    -------
    dxtbx.model.ExperimentList
        Models are shared as they were, except for the crystals, which are turned, and
        have other cells with standard uncertainties where these were refined.
    """
    observations = result.observations
    settings = observations.refined_settings(result.fits.parameters)
    experiments = ExperimentList()
    for lattice in np.flatnonzero(result.accepted).tolist():
        experiment = given.experiments[int(result.experiment[lattice])]
        crystal = experiment.crystal
        if crystal.num_scan_points:
            # one orientation was refined; this gives up the others
            middle = middle_matrix(crystal)
            crystal.reset_scan_points()
            crystal.set_A(middle)
        a = middle_rotation(experiment).T @ settings[lattice]
        if isinstance(observations, FreeCellBlock):
            crystal.set_A(tuple(a.ravel()))
            _set_uncertainties(crystal, observations.freedom, result.fits, lattice)
        else:
            # the cell is not refined: only U changes
            u = a @ np.linalg.inv(np.reshape(crystal.get_B(), (3, 3)))
            crystal.set_U(tuple(u.ravel()))
        experiment.identifier = result.identifiers[lattice]
        experiments.append(experiment)
    return experiments


def _set_uncertainties(
    crystal: Any, freedom: CellFreedom, fits: LatticeFits, lattice: int
) -> None:
    """Tell a crystal how well its cell is known, unless nothing of it was refined."""
    if not fits.free[lattice, N_PARAMETERS:].any():
        return
    covariance = fits.covariance[lattice, N_PARAMETERS:, N_PARAMETERS:]
    b = np.reshape(crystal.get_B(), (3, 3))
    elements = b_covariance(freedom, b, covariance)
    grid = flex.double(elements.ravel())
    grid.reshape(flex.grid(9, 9))
    crystal.set_B_covariance(grid)


def refined_reflections(
    given: Integrated, result: PieceResult, first: int = 0
) -> flex.reflection_table:
    """Reflections of the accepted lattices, with intensities of full reflections.

    ``intensity.scale.value`` over ``inverse_scale_factor`` is the intensity of the full
    reflection on the common scale, as DIALS' own scaling has it. ``partiality`` is
    therefore 1; what was refined is ``partiality.calculated`` and ``excitation_error``
    (Å⁻¹). Reflections that were not merged are flagged as excluded from scaling, or as
    outliers.

    Parameters
    ----------
    given : Integrated
        The piece.
    result : PieceResult
        What became of it.
    first : int
        ``id`` of the first accepted lattice.

    Returns
    -------
    dials.array_family.flex.reflection_table
        Sorted by lattice.
    """
    observations, scaled = result.observations, result.scaled
    kept = np.flatnonzero(result.accepted[observations.row])
    row = observations.row[kept]
    # scales do not depend on a reference
    unit, nothing = np.ones(len(observations)), np.zeros(len(observations))
    lattices = observations.lattices(unit, nothing, nothing > 0)
    full = full_equivalents(lattices, result.fits, result.model)
    given_table, table = given.table, flex.reflection_table()
    rows = flumpy.from_numpy(result.table_row[kept].astype(np.uint64))
    for name in given_table.keys():
        # pixels of spots are large, and nothing here needs them
        if name != "shoebox":
            table[name] = given_table[name].select(rows)
    x = result.fits.parameters
    inverse_scale = np.exp(x[row, LOG_G] - 0.5 * x[row, B] * lattices.q_squared[kept])
    p = full.partiality[kept]
    divisor = np.maximum(p, _LEAST_PARTIALITY)
    used = scaled.used[kept]
    value = observations.intensity[kept] / divisor
    variance = observations.variance[kept] * np.square(full.spread[kept] / divisor)
    # the error model, and uncertain parameters, add to what was counted
    merged_variance = scaled.variance[kept] * np.square(inverse_scale)
    variance = np.where(used, merged_variance, variance)

    new_id = np.cumsum(result.accepted) - 1 + first
    table["id"] = flumpy.from_numpy(new_id[row].astype(np.int32))
    columns = {
        "intensity.scale.value": value,
        "intensity.scale.variance": variance,
        "inverse_scale_factor": inverse_scale,
        "inverse_scale_factor_variance": full.doubt[kept] * np.square(inverse_scale),
        "partiality": np.ones(len(kept)),
        "partiality.calculated": p,
        "excitation_error": full.r_h[kept],
        "d": result.d[kept],
    }
    for name, values in columns.items():
        table[name] = flumpy.from_numpy(np.ascontiguousarray(values, dtype=float))
    _flag(table, used, scaled.outlier[kept])
    return table


def _flag(table: flex.reflection_table, used: BoolArray, outlier: BoolArray) -> None:
    if "flags" not in table:
        table["flags"] = flex.size_t(len(table), 0)
    flags = table.flags
    everything = flex.bool(len(table), True)
    for flag in (flags.scaled, flags.excluded_for_scaling, flags.outlier_in_scaling):
        table.unset_flags(everything, flag)
    table.set_flags(flumpy.from_numpy(used), flags.scaled)
    table.set_flags(flumpy.from_numpy(outlier), flags.outlier_in_scaling)
    table.set_flags(flumpy.from_numpy(~used & ~outlier), flags.excluded_for_scaling)
