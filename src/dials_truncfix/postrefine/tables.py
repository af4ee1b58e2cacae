"""From reflection tables and experiments to observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cctbx import crystal, uctbx
from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import ExperimentList

from dials_truncfix import compat
from dials_truncfix.compare.files import Integrated
from dials_truncfix.compare.merging import group_equivalents
from dials_truncfix.postrefine.input_checks import check_file, check_rays
from dials_truncfix.postrefine.lattices import BoolArray, FloatArray, IntArray
from dials_truncfix.postrefine.observations import Observations

_COLUMNS = {
    "sum": ("intensity.sum.value", "intensity.sum.variance"),
    "profile": ("intensity.prf.value", "intensity.prf.variance"),
}
_INTEGRATED = {"sum": "integrated_sum", "profile": "integrated_prf"}


@dataclass(frozen=True)
class InputOptions:
    """What is taken from reflection tables.

    Attributes
    ----------
    intensity : {'sum', 'profile'}
        Which integrated intensities.
    polarisation : bool or None
        Whether to multiply with column ``lp``; None: where it is, but not for electrons.
    efficiency : bool
        Whether to divide by column ``qe`` where it is.
    cell_tolerance : float
        Lattices of which a cell axis differs from the median by a larger part, or an angle by
        a larger part of 90°, are left out.
    d_max, d_min : float or None
        Resolution limits, Å.
    """

    intensity: str = "sum"
    polarisation: bool | None = None
    efficiency: bool = True
    cell_tolerance: float = 0.05
    d_max: float | None = None
    d_min: float | None = None


@dataclass(frozen=True)
class DataSet:
    """Observations, and where each came from.

    Attributes
    ----------
    observations : Observations
        What can be used.
    symmetry : cctbx.crystal.symmetry
        Median cell and common space group.
    experiments : dxtbx.model.ExperimentList
        Of all files.
    table : dials.array_family.flex.reflection_table
        All reflections; ``id`` is the position in `experiments`.
    lattice_experiment : ndarray, shape (n_lattices,), int64
        Position in `experiments` of each lattice with observations.
    table_row : ndarray, shape (n,), int64
        Row of `table` of each observation.
    left_out : dict
        Reflections that are not used, by reason.
    deviant : ndarray, shape (n_experiments,), bool
        Lattices whose cell differs too much from the median.
    corrections : tuple of str
        What intensities were corrected for.
    """

    observations: Observations
    symmetry: Any
    experiments: ExperimentList
    table: flex.reflection_table
    lattice_experiment: IntArray
    table_row: IntArray
    left_out: dict[str, int]
    deviant: BoolArray
    corrections: tuple[str, ...]


def load_data_set(loaded: Sequence[Integrated], options: InputOptions) -> DataSet:
    """Put the reflections of all files into one set of observations.

    Parameters
    ----------
    loaded : sequence of Integrated
        Reflection files with their experiments.
    options : InputOptions
        What to take.

    Returns
    -------
    DataSet

    Raises
    ------
    ValueError
        In one sentence, if the files cannot be refined together, or hold nothing to refine.
    """
    for given in loaded:
        check_file(given, _COLUMNS[options.intensity])
    experiments, table = _joined(loaded)
    symmetry, deviant = _common_symmetry(loaded, experiments, options.cell_tolerance)
    for given in loaded:
        check_rays(given)
    hkl = np.rint(flumpy.to_numpy(table["miller_index"].as_vec3_double()))
    hkl = hkl.astype(np.int64)
    value, variance, corrections = _corrected(table, experiments, options)
    with np.errstate(divide="ignore"):
        # (0, 0, 0), which stands for no index, has no resolution
        groups = group_equivalents(hkl, symmetry)
    experiment = flumpy.to_numpy(table["id"]).astype(np.int64)
    # id -1 finds the last lattice, and is left out for having none
    foreign = deviant[experiment] & (experiment >= 0)
    left_out, good = _usable(
        table, hkl, value, variance, groups.group, foreign, options.intensity
    )
    good &= _in_range(groups.d, groups.group, options, left_out)
    rows = np.flatnonzero(good)
    if len(rows) == 0:
        reasons = ", ".join(f"{n} {reason}" for reason, n in left_out.items() if n)
        raise ValueError(
            f"{loaded[0].path}: no reflection can be used ({reasons}): integrate again, "
            "or change the limits"
        )
    # equivalents of a lattice side by side
    rows = rows[np.lexsort((rows, groups.group[rows], experiment[rows]))]
    present, counts = np.unique(experiment[rows], return_counts=True)
    observations = Observations(
        miller_index=hkl[rows].astype(np.int32),
        group=groups.group[rows],
        intensity=value[rows],
        variance=variance[rows],
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        setting=np.array(
            [
                np.reshape(experiments[i].crystal.get_A(), (3, 3))
                for i in present.tolist()
            ]
        ),
        s0=np.array([experiments[i].beam.get_s0() for i in present.tolist()]),
        unique=groups.miller_index,
        d=groups.d,
    )
    return DataSet(
        observations,
        symmetry,
        experiments,
        table,
        present,
        rows,
        left_out,
        deviant,
        corrections,
    )


def _joined(
    loaded: Sequence[Integrated],
) -> tuple[ExperimentList, flex.reflection_table]:
    """Put all files together, with identifiers that differ."""
    tables: list[flex.reflection_table] = []
    models: list[Any] = []
    for given in loaded:
        table = flex.reflection_table()
        for name in given.table.keys():
            # pixels of spots are large, and nothing here needs them
            if name != "shoebox":
                table[name] = given.table[name]
        place = given.positions()
        place[place >= 0] += len(models)
        table["id"] = flumpy.from_numpy(place.astype(np.int32))
        if tables:
            for name in set(tables[0].keys()) ^ set(table.keys()):
                for each in (*tables, table):
                    if name in each:
                        del each[name]
        tables.append(table)
        models.extend(given.experiments)
    names = [experiment.identifier for experiment in models]
    if "" in names or len(set(names)) < len(names):
        for number, experiment in enumerate(models):
            experiment.identifier = f"lattice-{number}"
    experiments = ExperimentList(models)
    joined = tables[0]
    for table in tables[1:]:
        joined.extend(table)
    for key in list(joined.experiment_identifiers().keys()):
        del joined.experiment_identifiers()[key]
    for number, experiment in enumerate(experiments):
        joined.experiment_identifiers()[number] = experiment.identifier
    return experiments, joined


def _common_symmetry(
    loaded: Sequence[Integrated], experiments: ExperimentList, tolerance: float
) -> tuple[Any, BoolArray]:
    """Median cell and space group, and which lattices have another cell."""
    cells = np.array([e.crystal.get_unit_cell().parameters() for e in experiments])
    median = np.median(cells, axis=0)
    groups = [e.crystal.get_space_group().info() for e in experiments]
    for number, group in enumerate(groups):
        if str(group) != str(groups[0]):
            raise ValueError(
                f"{_file_of(loaded, number)}: {group} beside {groups[0]}: bring all "
                "lattices into one space group (dials.reindex, dials.cosym)"
            )
    scale = np.concatenate([median[:3], [90.0, 90.0, 90.0]])
    deviant = np.max(np.abs(cells - median) / scale, axis=1) > tolerance
    if 2 * np.count_nonzero(deviant) >= len(cells):
        number = int(np.flatnonzero(deviant)[0])
        raise ValueError(
            f"{_file_of(loaded, number)}: a cell of {_cell(cells[number])} beside a "
            f"median of {_cell(median)}, and {np.count_nonzero(deviant)} of {len(cells)} "
            "lattices differ as much: give lattices of one crystal form, or raise "
            "cell_tolerance"
        )
    group = experiments[0].crystal.get_space_group()
    cell = group.average_unit_cell(uctbx.unit_cell(tuple(median)))
    return crystal.symmetry(unit_cell=cell, space_group=group), deviant


def _file_of(loaded: Sequence[Integrated], number: int) -> str:
    for given in loaded:
        if number < len(given.experiments):
            return f"{given.experiments_path}, experiment {number}"
        number -= len(given.experiments)
    raise IndexError(number)


def _cell(parameters: FloatArray) -> str:
    return ", ".join(f"{value:.5g}" for value in parameters)


def _corrected(
    table: flex.reflection_table, experiments: ExperimentList, options: InputOptions
) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Intensities and variances after the corrections that belong to a reflection."""
    names = _COLUMNS[options.intensity]
    value, variance = (flumpy.to_numpy(table[name]).copy() for name in names)
    factor = np.ones(len(value))
    corrections = []
    polarised = options.polarisation
    if polarised is None:
        polarised = not compat.is_electron_beam(experiments[0].beam)
    if polarised and "lp" in table:
        factor *= flumpy.to_numpy(table["lp"])
        corrections.append("polarisation")
    if options.efficiency and "qe" in table:
        efficiency = flumpy.to_numpy(table["qe"])
        factor /= np.where(efficiency > 0, efficiency, np.nan)
        corrections.append("detector efficiency")
    return value * factor, variance * factor * factor, tuple(corrections)


def _usable(
    table: flex.reflection_table,
    hkl: IntArray,
    value: FloatArray,
    variance: FloatArray,
    group: IntArray,
    foreign: BoolArray,
    intensity: str,
) -> tuple[dict[str, int], BoolArray]:
    """Reflections with an index, a number and an uncertainty."""
    everything = np.ones(len(value), dtype=bool)
    integrated = everything
    if "flags" in table:
        flags = table.flags
        done = flumpy.to_numpy(table.get_flags(getattr(flags, _INTEGRATED[intensity])))
        # spots that were only found have intensities too
        integrated = done if done.any() else everything
    tests: list[tuple[str, npt.NDArray[np.bool_]]] = [
        ("without an experiment", flumpy.to_numpy(table["id"]) < 0),
        ("not indexed", np.all(hkl == 0, axis=1)),
        ("of lattices with another cell", foreign),
        ("not integrated", ~integrated),
        ("systematically absent", group < 0),
        ("with intensities that are not numbers", ~np.isfinite(value)),
        ("without a positive variance", ~(np.isfinite(variance) & (variance > 0))),
    ]
    good = everything.copy()
    left_out = {}
    for reason, bad in tests:
        left_out[reason] = int(np.count_nonzero(good & bad))
        good &= ~bad
    return left_out, good


def _in_range(
    d: FloatArray, group: IntArray, options: InputOptions, left_out: dict[str, int]
) -> BoolArray:
    inside = np.ones(len(d) + 1, dtype=bool)
    if options.d_min is not None:
        inside[:-1] &= d >= options.d_min
    if options.d_max is not None:
        inside[:-1] &= d <= options.d_max
    # absences, group -1, have been counted
    result = inside[group]
    left_out["outside the resolution limits"] = int(np.count_nonzero(~result))
    return np.asarray(result)
