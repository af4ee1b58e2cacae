"""Merged intensities in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cctbx import miller
from dials.array_family import flex
from dxtbx import flumpy

from dials_truncfix.compare.observations import flex_indices
from dials_truncfix.postrefine.input.gather import DataSet
from dials_truncfix.postrefine.lattice.lattices import FloatArray
from dials_truncfix.postrefine.merge.merging import Merged
from dials_truncfix.postrefine.results.record import PROGRAM


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
