"""Experiments and reflections after a calibration by reflections."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import Crystal, ExperimentList

from dials_truncfix.calibrate.distortion_maps import (
    DistortionMaps,
    linear_maps,
    set_maps,
)
from dials_truncfix.calibrate.ellipse import strain_matrix
from dials_truncfix.calibrate.geometry import with_geometry
from dials_truncfix.calibrate.spots.spots import SpotCalibration
from dials_truncfix.compare.files import Integrated


def _centre(result: SpotCalibration, number: int) -> tuple[float, float]:
    """Beam centre of a crystal, mm."""
    x, y = result.sets[number].centre + result.fit.poses[number].shift
    return float(x), float(y)


def _undo(result: SpotCalibration, number: int) -> npt.NDArray[np.float64]:
    p, q = result.fit.magnifications[result.sets[number].group].strain
    return strain_matrix(-p, -q)


def group_maps(
    files: Sequence[Integrated], result: SpotCalibration
) -> list[DistortionMaps]:
    """Make the maps of each exposure group, about the mean beam centre of its crystals.

    Parameters
    ----------
    files : sequence of Integrated
        As calibrated.
    result : SpotCalibration
        The calibration.
    """
    experiments = [e for part in files for e in part.experiments]
    maps = []
    for group in range(result.n_groups):
        members = [k for k, s in enumerate(result.sets) if s.group == group]
        panel = experiments[members[0]].detector[0]
        fast, slow = panel.get_image_size()
        centre = np.mean([_centre(result, k) for k in members], axis=0)
        x, y = centre / result.sets[members[0]].pixel_size
        maps.append(linear_maps((slow, fast), (x, y), _undo(result, members[0])))
    return maps


def calibrated_experiments(
    files: Sequence[Integrated],
    result: SpotCalibration,
    maps: Sequence[DistortionMaps],
    paths: Sequence[tuple[Path, Path]],
) -> ExperimentList:
    """Put camera lengths, beam centres, crystals and maps into the experiments.

    Parameters
    ----------
    files : sequence of Integrated
        As calibrated; not changed.
    result : SpotCalibration
        The calibration.
    maps : sequence of DistortionMaps
        Of each group; none if they are not wanted.
    paths : sequence of tuple of pathlib.Path
        Names of their files.

    Returns
    -------
    dxtbx.model.ExperimentList
        All experiments, one after the other.
    """
    everything = ExperimentList()
    experiments = [e for part in files for e in part.experiments]
    for number, experiment in enumerate(experiments):
        single = ExperimentList([experiment])
        moved = with_geometry(single, result.distance(number), _centre(result, number))[
            0
        ]
        pose, spots = result.fit.poses[number], result.sets[number]
        a_matrix = pose.orientation(spots) @ result.fit.b_matrix
        axes = np.linalg.inv(a_matrix)
        moved.crystal = Crystal(
            *(tuple(axis) for axis in axes),
            space_group=experiment.crystal.get_space_group(),
        )
        if maps and experiment.imageset is not None:
            moved.imageset = copy.copy(experiment.imageset)
            set_maps(moved.imageset, maps[spots.group], *paths[spots.group])
        everything.append(moved)
    return everything


def undistorted_table(
    files: Sequence[Integrated], result: SpotCalibration
) -> flex.reflection_table:
    """Reflections at the positions that a camera without distortion would give.

    Parameters
    ----------
    files : sequence of Integrated
        As calibrated; not changed.
    result : SpotCalibration
        The calibration.

    Returns
    -------
    dials.array_family.flex.reflection_table
        Those with an index, the one that they have with the ellipses; without shoeboxes
        and predictions. Experiments are counted through all files.
    """
    tables = []
    experiments = [(data, e) for data in files for e in data.experiments]
    for number, (data, experiment) in enumerate(experiments):
        spots = result.sets[number]
        table = data.table.select(flex.size_t(spots.rows.tolist()))
        for name in ("shoebox", "xyzcal.mm", "xyzcal.px", "s1", "rlp"):
            if name in table:
                del table[name]
        for key in list(table.experiment_identifiers().keys()):
            del table.experiment_identifiers()[key]
        table["id"] = flex.int(len(table), number)
        table.experiment_identifiers()[number] = experiment.identifier
        index = spots.miller_index.astype(int).tolist()
        table["miller_index"] = flex.miller_index([tuple(h) for h in index])
        table.set_flags(flex.bool(len(table), True), table.flags.indexed)
        centre = np.array(_centre(result, number))
        mm = flumpy.to_numpy(table["xyzobs.px.value"]).copy()
        mm[:, :2] = centre + (spots.position - centre) @ _undo(result, number).T
        place = mm.copy()
        place[:, :2] /= spots.pixel_size
        scan = experiment.scan
        if scan is not None:
            start, width = scan.get_oscillation(deg=False)
            first = scan.get_array_range()[0]
            mm[:, 2] = start + (place[:, 2] - first) * width
        table["xyzobs.px.value"] = flumpy.vec_from_numpy(place)
        table["xyzobs.mm.value"] = flumpy.vec_from_numpy(mm)
        # dials.refine wants the column, and fills it where it is zero
        table["s1"] = flex.vec3_double(len(table), (0.0, 0.0, 0.0))
        tables.append(table)
    return flex.reflection_table.concat(tables)
