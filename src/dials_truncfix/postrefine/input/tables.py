"""What can be used of a reflection table and its experiments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cctbx import crystal
from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import ExperimentList

from dials_truncfix import compat
from dials_truncfix.compare.equivalents import asymmetric_indices
from dials_truncfix.compare.files import Integrated
from dials_truncfix.postrefine.input.common import LORENTZ
from dials_truncfix.postrefine.input.input_checks import (
    check_file,
    median_miss,
    slow_passages,
)
from dials_truncfix.postrefine.input.rotations import (
    is_rotation,
    middle_setting,
    sweep_of,
)
from dials_truncfix.postrefine.lattice.lattices import BoolArray, FloatArray, IntArray

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
class Taken:
    """What the reflections and experiments of a piece give.

    Attributes
    ----------
    path, experiments_path : pathlib.Path
        Where they were read from.
    miss : float
        Median angle between the rays stated and those of the crystals, degrees.
    identifiers : list of str
        Of the experiments.
    cells : ndarray, shape (n_experiments, 6)
        Å and degrees.
    setting : ndarray, shape (n_experiments, 3, 3)
        A, Å⁻¹.
    s0 : ndarray, shape (n_experiments, 3)
        Beam vectors, Å⁻¹.
    sweep : ndarray, shape (n_experiments, 4)
        From `rotations.sweep_of`.
    space_groups : dict
        Hall symbols, and the first experiment that has each.
    electrons : bool
        Whether the radiation is electrons.
    corrections : tuple of str
        What intensities were corrected for.
    left_out : dict
        Reflections of each experiment that are not used, by reason, shape (n_experiments,);
        those without an experiment are counted in a last entry.
    n_kept : ndarray, shape (n_experiments,), int64
        Those that are.
    miller_index : ndarray, shape (n, 3), int32
        h, k, l of these, sorted by experiment and equivalents.
    key : ndarray, shape (n,), int64
        Their equivalents in the asymmetric unit, packed.
    intensity, variance : ndarray, shape (n,)
        Corrected.
    table_row : ndarray, shape (n,), int32
        Row of the table of each.
    """

    path: Path
    experiments_path: Path
    miss: float
    identifiers: list[str]
    cells: FloatArray
    setting: FloatArray
    s0: FloatArray
    sweep: FloatArray
    space_groups: dict[str, int]
    electrons: bool
    corrections: tuple[str, ...]
    left_out: dict[str, IntArray]
    n_kept: IntArray
    miller_index: npt.NDArray[np.int32]
    key: IntArray
    intensity: FloatArray
    variance: FloatArray
    table_row: npt.NDArray[np.int32]


def take(given: Integrated, options: InputOptions) -> Taken:
    """Take the observations of a reflection table that can be used.

    Parameters
    ----------
    given : Integrated
        Reflections with their experiments.
    options : InputOptions
        What to take. Cells and resolution limits are for all pieces together to judge.

    Raises
    ------
    ValueError
        In one sentence, if the table or the experiments lack what is needed.
    """
    check_file(given, _COLUMNS[options.intensity])
    experiments, table = given.experiments, given.table
    hkl = np.rint(flumpy.to_numpy(table["miller_index"].as_vec3_double()))
    hkl = hkl.astype(np.int64)
    value, variance, corrections = _corrected(table, experiments, options)
    group = experiments[0].crystal.get_space_group()
    # refined cells may not have the symmetry to the last digit
    cell = group.average_unit_cell(experiments[0].crystal.get_unit_cell())
    symmetry = crystal.symmetry(unit_cell=cell, space_group=group)
    in_unit, absent = asymmetric_indices(hkl, symmetry)
    experiment = given.positions()
    reason_of = _reasons(
        table,
        hkl,
        value,
        variance,
        absent,
        experiment,
        slow_passages(given),
        options.intensity,
    )
    rows = np.flatnonzero(reason_of < 0)
    key = pack_indices(in_unit[rows])
    # equivalents of a lattice side by side
    order = np.lexsort((rows, key, experiment[rows]))
    rows, key = rows[order], key[order]
    n = len(experiments)
    return Taken(
        path=given.path,
        experiments_path=given.experiments_path,
        miss=median_miss(given),
        identifiers=[each.identifier for each in experiments],
        cells=np.array([e.crystal.get_unit_cell().parameters() for e in experiments]),
        setting=np.array([middle_setting(e) for e in experiments]),
        s0=np.array([e.beam.get_s0() for e in experiments]),
        sweep=np.array([sweep_of(e) for e in experiments]),
        space_groups=_space_groups(experiments),
        electrons=compat.is_electron_beam(experiments[0].beam),
        corrections=corrections,
        left_out={
            reason: np.bincount(
                experiment[reason_of == number] % (n + 1), minlength=n + 1
            )
            for number, reason in enumerate(REASONS)
        },
        n_kept=np.bincount(experiment[rows], minlength=n),
        miller_index=hkl[rows].astype(np.int32),
        key=key,
        intensity=value[rows],
        variance=variance[rows],
        table_row=rows.astype(np.int32),
    )


def _space_groups(experiments: ExperimentList) -> dict[str, int]:
    """Hall symbols, and the first experiment that has each."""
    found: list[Any] = []
    result = {}
    for number, experiment in enumerate(experiments):
        group = experiment.crystal.get_space_group()
        # equality is quickly told, a symbol is not
        if not any(group == other for other in found):
            found.append(group)
            result[group.type().hall_symbol().strip()] = number
    return result


#: Bits of an index in a packed one.
_BITS = 21
_HALF = 1 << (_BITS - 1)


def pack_indices(hkl: IntArray) -> IntArray:
    """Pack h, k, l into one number that sorts as they do.

    Parameters
    ----------
    hkl : ndarray, shape (n, 3), int64
        Between -2²⁰ and 2²⁰.
    """
    first, second, third = (hkl + _HALF).T
    return np.asarray((first << (2 * _BITS)) | (second << _BITS) | third)


def unpack_indices(key: IntArray) -> IntArray:
    """Undo `pack_indices`."""
    mask = (1 << _BITS) - 1
    parts = (key >> (2 * _BITS), (key >> _BITS) & mask, key & mask)
    return np.asarray(np.stack(parts, axis=1) - _HALF)


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
    turns = is_rotation(experiments[0])
    if turns or (polarised and "lp" in table):
        factor *= flumpy.to_numpy(table["lp"])
        corrections.append(LORENTZ if turns else "polarisation")
    if options.efficiency and "qe" in table:
        efficiency = flumpy.to_numpy(table["qe"])
        factor /= np.where(efficiency > 0, efficiency, np.nan)
        corrections.append("detector efficiency")
    return value * factor, variance * factor * factor, tuple(corrections)


#: Why reflections are not used, in the order in which it is found out.
REASONS = (
    "without an experiment",
    "not indexed",
    "not integrated",
    "systematically absent",
    "with intensities that are not numbers",
    "without a positive variance",
    "that pass the sphere slowly, near the rotation axis",
)


def _reasons(
    table: flex.reflection_table,
    hkl: IntArray,
    value: FloatArray,
    variance: FloatArray,
    absent: BoolArray,
    experiment: IntArray,
    slow: BoolArray,
    intensity: str,
) -> IntArray:
    """Position in `REASONS` of the first that holds for each reflection; -1 for none."""
    everything = np.ones(len(value), dtype=bool)
    integrated = everything
    if "flags" in table:
        flags = table.flags
        done = flumpy.to_numpy(table.get_flags(getattr(flags, _INTEGRATED[intensity])))
        # spots that were only found have intensities too
        integrated = done if done.any() else everything
    result = np.full(len(value), -1, dtype=np.int64)
    tests = (
        experiment < 0,
        np.all(hkl == 0, axis=1),
        ~integrated,
        absent,
        ~np.isfinite(value),
        ~(np.isfinite(variance) & (variance > 0)),
        slow,
    )
    for number in reversed(range(len(tests))):
        result[tests[number]] = number
    return result
