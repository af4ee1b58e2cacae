"""What postrefinement leaves behind: experiments, reflections and merged intensities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cctbx import miller
from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import ExperimentList

from dials_truncfix.compare.observations import flex_indices
from dials_truncfix.postrefine.assemble import refined_settings
from dials_truncfix.postrefine.lattices import FloatArray, IntArray
from dials_truncfix.postrefine.merging import Merged
from dials_truncfix.postrefine.outcome import Outcome
from dials_truncfix.postrefine.record import PROGRAM
from dials_truncfix.postrefine.tables import DataSet
from dials_truncfix.postrefine.target import LOG_G, B

#: Partialities that full intensities are divided by at least; such reflections are flagged.
_LEAST_PARTIALITY = 1e-3


def refined_experiments(data: DataSet, outcome: Outcome) -> ExperimentList:
    """Experiments of the accepted lattices, with their crystals turned.

    Returns
    -------
    dxtbx.model.ExperimentList
        Models are shared as they were, except for the crystals.
    """
    observations = data.observations
    settings = refined_settings(
        observations.setting, observations.s0, outcome.fits.parameters
    )
    result = ExperimentList()
    for lattice in np.flatnonzero(outcome.accepted).tolist():
        experiment = data.experiments[int(data.lattice_experiment[lattice])]
        crystal = experiment.crystal
        # the cell is not refined: only U changes
        u = settings[lattice] @ np.linalg.inv(np.reshape(crystal.get_B(), (3, 3)))
        crystal.set_U(tuple(u.ravel()))
        result.append(experiment)
    return result


def refined_reflections(data: DataSet, outcome: Outcome) -> flex.reflection_table:
    """Reflections of the accepted lattices, with intensities of full reflections.

    ``intensity.scale.value`` over ``inverse_scale_factor`` is the intensity of the full
    reflection on the common scale, as DIALS' own scaling has it. ``partiality`` is
    therefore 1; what was refined is ``partiality.calculated`` and ``excitation_error``
    (Å⁻¹). Reflections that were not merged are flagged as excluded from scaling, or as
    outliers.

    Returns
    -------
    dials.array_family.flex.reflection_table
        Sorted by lattice.
    """
    observations, scaled = data.observations, outcome.scaled
    kept = np.flatnonzero(outcome.accepted[observations.row])
    row = observations.row[kept]
    table = data.table.select(_size_t(data.table_row[kept]))
    x = outcome.fits.parameters
    d_star_squared = observations.d[observations.group[kept]] ** -2.0
    inverse_scale = np.exp(x[row, LOG_G] - 0.5 * x[row, B] * d_star_squared)
    full = scaled.full
    p = full.partiality[kept]
    divisor = np.maximum(p, _LEAST_PARTIALITY)
    used = scaled.used[kept]
    value = observations.intensity[kept] / divisor
    variance = observations.variance[kept] * np.square(full.spread[kept] / divisor)
    # uncertain parameters add to what was counted
    merged_variance = scaled.variance[kept] * np.square(inverse_scale)
    variance = np.where(used, merged_variance, variance)

    new_id = np.cumsum(outcome.accepted) - 1
    table["id"] = flumpy.from_numpy(new_id[row].astype(np.int32))
    for key in list(table.experiment_identifiers().keys()):
        del table.experiment_identifiers()[key]
    for number, lattice in enumerate(np.flatnonzero(outcome.accepted).tolist()):
        experiment = data.experiments[int(data.lattice_experiment[lattice])]
        table.experiment_identifiers()[number] = experiment.identifier
    columns = {
        "intensity.scale.value": value,
        "intensity.scale.variance": variance,
        "inverse_scale_factor": inverse_scale,
        "inverse_scale_factor_variance": full.doubt[kept] * np.square(inverse_scale),
        "partiality": np.ones(len(kept)),
        "partiality.calculated": p,
        "excitation_error": full.r_h[kept],
        "d": observations.d[observations.group[kept]],
    }
    for name, values in columns.items():
        table[name] = flumpy.from_numpy(np.ascontiguousarray(values, dtype=float))
    _flag(table, used, scaled.outlier[kept])
    return table


def _flag(table: flex.reflection_table, used: Any, outlier: Any) -> None:
    if "flags" not in table:
        table["flags"] = flex.size_t(len(table), 0)
    flags = table.flags
    everything = flex.bool(len(table), True)
    for flag in (flags.scaled, flags.excluded_for_scaling, flags.outlier_in_scaling):
        table.unset_flags(everything, flag)
    table.set_flags(flumpy.from_numpy(used), flags.scaled)
    table.set_flags(flumpy.from_numpy(outlier), flags.outlier_in_scaling)
    table.set_flags(flumpy.from_numpy(~used & ~outlier), flags.excluded_for_scaling)


def _size_t(rows: IntArray) -> flex.size_t:
    return flumpy.from_numpy(np.ascontiguousarray(rows, dtype=np.uint64))


def write_mtz(
    path: Path, data: DataSet, merged: Merged, halves: tuple[Merged, Merged]
) -> None:
    """Write merged intensities and those of two half sets of lattices.

    Parameters
    ----------
    path : pathlib.Path
        File to write.
    data : DataSet
        For indices and symmetry.
    merged : Merged
        All accepted lattices: columns IMEAN, SIGIMEAN, and N observations.
    halves : tuple of Merged
        Columns IHALF1, SIGIHALF1, IHALF2, SIGIHALF2.
    """
    everything = merged.n_observed > 0
    dataset = _array(data, merged.intensity, merged.sigma, everything).as_mtz_dataset(
        column_root_label="IMEAN", wavelength=_wavelength(data)
    )
    numbers = miller.array(
        _miller_set(data, everything), flex.int(merged.n_observed[everything].tolist())
    )
    dataset.add_miller_array(numbers, column_root_label="N", column_types="I")
    for number, half in enumerate(halves, 1):
        present = half.n_observed > 0
        if present.any():
            array = _array(data, half.intensity, half.sigma, present)
            dataset.add_miller_array(array, column_root_label=f"IHALF{number}")
    mtz = dataset.mtz_object()
    mtz.add_history(f"{PROGRAM}: intensities of lattices of G = 1 and B = 0,")
    mtz.add_history("where I = G I0 exp(-2 B sin^2(theta)/lambda^2)")
    mtz.write(str(path))


def _wavelength(data: DataSet) -> float:
    return float(np.mean(1.0 / np.linalg.norm(data.observations.s0, axis=1)))


def _miller_set(data: DataSet, present: Any) -> miller.set:
    indices = flex_indices(data.observations.unique[present])
    return miller.set(data.symmetry, indices, anomalous_flag=False)


def _array(
    data: DataSet, intensity: FloatArray, sigma: FloatArray, present: Any
) -> miller.array:
    array = miller.array(
        _miller_set(data, present),
        flumpy.from_numpy(np.ascontiguousarray(intensity[present])),
        flumpy.from_numpy(np.ascontiguousarray(sigma[present])),
    )
    return array.set_observation_type_xray_intensity()
