"""Whether a reflection file and its experiments can be refined at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dxtbx import flumpy

from dials_truncfix.compare.files import Integrated

#: Integration adds these, and other programs of DIALS want them.
_PREDICTED = ("s1", "xyzcal.px", "xyzobs.px.value")
#: Rays of other lattices miss by more than any refinement leaves, degrees.
_LARGEST_MISS = 1.0
#: As many reflections of a file tell.
_MOST_COMPARED = 10_000


def check_file(given: Integrated, columns: Sequence[str]) -> None:
    """Refuse a file that cannot be refined.

    Parameters
    ----------
    given : Integrated
        Reflections and experiments.
    columns : sequence of str
        The intensities wanted and their variances.

    Raises
    ------
    ValueError
        In one sentence.
    """
    if "miller_index" not in given.table:
        raise ValueError(
            f"{given.path}: the reflections have no indices: give those that "
            "dials.integrate or dials.ssx_integrate wrote"
        )
    for column in columns:
        if column not in given.table:
            raise ValueError(
                f"{given.path}: there is no column {column}: integrate first, or choose "
                "another intensity="
            )
    for column in _PREDICTED:
        if column not in given.table:
            raise ValueError(
                f"{given.path}: there is no column {column}: give reflections as "
                "integration wrote them, dials.ssx_integrate or dials.stills_process"
            )
    for number, experiment in enumerate(given.experiments):
        _check_experiment(f"{given.experiments_path}: experiment {number}", experiment)


def check_rays(path: Path, experiments_path: Path, miss: float) -> None:
    """Refuse reflections that other crystals gave.

    Parameters
    ----------
    path, experiments_path : pathlib.Path
        Reflections and experiments.
    miss : float
        From `median_miss`, degrees.

    Raises
    ------
    ValueError
        If the rays of half of the reflections are far from those of the crystals.
    """
    if miss > _LARGEST_MISS:
        raise ValueError(
            f"{path} and {experiments_path} do not belong together: the rays "
            f"(s1) of the reflections are {miss:.1f}° from those of the crystals"
        )


def _check_experiment(name: str, experiment: Any) -> None:
    if experiment.beam is None:
        raise ValueError(
            f"{name} has no beam: give experiments as integration wrote them"
        )
    numbers = (*experiment.crystal.get_A(), *experiment.beam.get_s0())
    if not np.all(np.isfinite(numbers)):
        raise ValueError(f"{name}: A or the beam is not a number: index again")
    scan = experiment.scan
    if scan is not None and scan.get_oscillation()[1] > 0:
        raise ValueError(
            f"{name} is a rotation, and only stills can be postrefined: use dials.scale "
            "for rotations"
        )


def median_miss(given: Integrated) -> float:
    """Angle between the rays stated and those that the crystals give.

    Parameters
    ----------
    given : Integrated
        Reflections and experiments; column ``s1``.

    Returns
    -------
    float
        Median over reflections, degrees; 0 if none is indexed.
    """
    table = given.table
    every = max(1, len(table) // _MOST_COMPARED)
    part = slice(None, None, every)
    hkl = flumpy.to_numpy(table["miller_index"].as_vec3_double())[part]
    ids = given.positions()[part]
    s1 = flumpy.to_numpy(table["s1"])[part]
    known = (ids >= 0) & np.any(hkl != 0, axis=1)
    if not known.any():
        return 0.0
    ids, numbers = np.unique(ids[known], return_inverse=True)
    models = [given.experiments[int(i)] for i in ids]
    setting = np.array([np.reshape(m.crystal.get_A(), (3, 3)) for m in models])
    s0 = np.array([m.beam.get_s0() for m in models])
    rays = np.einsum("nij,nj->ni", setting[numbers], hkl[known]) + s0[numbers]
    return float(np.median(_angles(rays, s1[known])))


def _angles(
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    across = np.linalg.norm(np.cross(a, b), axis=1)
    return np.asarray(np.degrees(np.arctan2(across, np.sum(a * b, axis=1))))
