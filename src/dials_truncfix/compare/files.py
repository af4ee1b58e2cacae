"""Reflection files with the experiments that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import ExperimentList

from dials_truncfix import compat
from dials_truncfix.io.reflection_file import layout_version

REFLECTIONS, EXPERIMENTS = ".refl", ".expt"


@dataclass(frozen=True)
class Integrated:
    """A reflection file and its experiments.

    Attributes
    ----------
    path, experiments_path : pathlib.Path
        Where they were read from.
    table : dials.array_family.flex.reflection_table
        The reflections; `positions` tells where their experiments are.
    experiments : dxtbx.model.ExperimentList
        With crystals; images need not be there.
    """

    path: Path
    experiments_path: Path
    table: flex.reflection_table
    experiments: ExperimentList

    def positions(self) -> npt.NDArray[np.int64]:
        """Position in `experiments` of each reflection; -1 without one."""
        ids = flumpy.to_numpy(self.table["id"])
        place = np.arange(len(self.experiments))
        known = {name: at for at, name in enumerate(self.experiments.identifiers())}
        for number, name in dict(self.table.experiment_identifiers()).items():
            # tables may name their experiments in another order
            if number < len(place) and name and name in known:
                place[number] = known[name]
        return np.where(ids >= 0, place[ids], -1)

    def load(self) -> Integrated:
        """Return itself, as it is in memory."""
        return self


def read_table(path: Path) -> flex.reflection_table:
    """Read a reflection file.

    Parameters
    ----------
    path : pathlib.Path
        File to read.

    Returns
    -------
    dials.array_family.flex.reflection_table

    Raises
    ------
    ValueError
        If the file is damaged, no reflection file, or of a layout that this DIALS does
        not know.
    OSError
        If the file cannot be read.
    """
    version = layout_version(path)
    try:
        # DIALS' own reader falls back to pickle, which can run any program
        return flex.reflection_table.from_msgpack_file(str(path))
    except (RuntimeError, ValueError, MemoryError) as error:
        if version > compat.reflection_layout_version():
            raise ValueError(
                f"{path}: this DIALS cannot read reflection files of version "
                f"{version}: use the DIALS that wrote it, or a newer one"
            ) from None
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path}: the file is damaged ({reason}): write it again"
        ) from None


def read_experiments(path: Path) -> ExperimentList:
    """Read experiments without their images.

    Raises
    ------
    ValueError
        If the file holds no experiments.
    OSError
        If the file cannot be read.
    """
    with path.open("rb"):
        pass
    try:
        experiments = ExperimentList.from_file(str(path), check_format=False)
    # whatever dxtbx makes of a file that holds no experiments
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: no experiments can be read ({reason})") from None
    if not len(experiments):
        raise ValueError(f"{path}: it holds no experiments")
    return experiments


def load_integrated(
    reflections: Sequence[Path], experiments: Sequence[Path]
) -> list[Integrated]:
    """Read reflection files and find the experiments of each.

    Parameters
    ----------
    reflections : sequence of pathlib.Path
        Reflection files.
    experiments : sequence of pathlib.Path
        As many files of experiments, in any order. Without any, the experiments are
        looked for beside the reflections under the same name.

    Returns
    -------
    list of Integrated
        In the order of the reflection files.

    Raises
    ------
    ValueError
        If experiments are missing or do not belong to the reflections.
    OSError
        If a file cannot be read.
    """
    if not experiments:
        experiments = [_beside(path) for path in reflections]
    elif len(experiments) != len(reflections):
        raise ValueError(
            f"{len(reflections)} reflection files and {len(experiments)} of experiments "
            "were given: give one .expt for each .refl, or none where they lie beside "
            "each other under the same name"
        )
    tables = [read_table(path) for path in reflections]
    models = [read_experiments(path) for path in experiments]
    result = []
    for place, (path, table) in enumerate(zip(reflections, tables)):
        own = _own(table, models, place)
        _check(path, table, experiments[own], models[own])
        result.append(Integrated(path, experiments[own], table, models[own]))
    return result


def _beside(path: Path) -> Path:
    """Experiments of the same name as a reflection file."""
    experiments = path.with_suffix(EXPERIMENTS)
    if not experiments.is_file():
        raise ValueError(
            f"{path}: its experiments are missing: there is no {experiments}; name "
            "those with which it was written"
        )
    return experiments


def _own(
    table: flex.reflection_table, models: Sequence[ExperimentList], place: int
) -> int:
    """Position of the experiments of a table: by identifiers, else by order."""
    wanted = set(table.experiment_identifiers().values())
    if wanted and not wanted <= set(models[place].identifiers()):
        for other, experiments in enumerate(models):
            if wanted <= set(experiments.identifiers()):
                return other
    return place


def _check(path: Path, table: Any, experiments_path: Path, experiments: Any) -> None:
    """Raise a ValueError when the experiments are not those of the table."""
    wanted = set(table.experiment_identifiers().values())
    if wanted and not wanted <= set(experiments.identifiers()):
        raise ValueError(
            f"{path} and {experiments_path} do not belong together: their experiments "
            "have other identifiers"
        )
    if "id" not in table or not len(table):
        raise ValueError(f"{path}: it holds no reflections")
    if flex.max(table["id"]) >= len(experiments):
        raise ValueError(
            f"{path} refers to experiment {flex.max(table['id'])}, and "
            f"{experiments_path} holds {len(experiments)} (counted from 0)"
        )
    for number, experiment in enumerate(experiments):
        if experiment.crystal is None:
            raise ValueError(
                f"{experiments_path}: experiment {number} has no crystal: give the "
                "experiments that dials.integrate or dials.scale wrote"
            )
        if experiment.detector is None:
            raise ValueError(f"{experiments_path}: experiment {number} has no detector")
