"""Whether a reflection file and its experiments can be refined at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dxtbx import flumpy

from dials_truncfix.compare.files import Integrated
from dials_truncfix.postrefine.input.rotations import (
    WIDEST,
    is_rotation,
    rocking_width,
    width,
)

#: Integration adds these, and other programs of DIALS want them.
_PREDICTED = ("s1", "xyzcal.px", "xyzobs.px.value")
#: Rays of other lattices miss by more than any refinement leaves, degrees.
_LARGEST_MISS = 1.0
#: Kabsch's |ζ| of the slowest passage through the sphere that is used.
_SLOWEST = 0.1
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
    _check_rotations(given, columns)


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
    if not is_rotation(experiment):
        return
    if experiment.goniometer is None:
        raise ValueError(f"{name} is a rotation without a goniometer: import again")
    if not rocking_width(experiment) > 0:
        raise ValueError(
            f"{name} is a rotation without a model of rocking curves: integrate with "
            "dials.integrate"
        )
    if width(experiment) > WIDEST:
        raise ValueError(
            f"{name} is a rotation of {width(experiment):g}°, and only stills and rotations "
            f"up to {WIDEST:g}° can be postrefined: use dials.scale"
        )


def _check_rotations(given: Integrated, columns: Sequence[str]) -> None:
    """Refuse rotations that lack what they need, or are not alone."""
    turn = [is_rotation(experiment) for experiment in given.experiments]
    if not any(turn):
        return
    if not all(turn):
        raise ValueError(
            f"{given.experiments_path}: stills (as experiment {turn.index(False)}) beside "
            "rotations: postrefine them one by one"
        )
    if "lp" not in given.table:
        raise ValueError(
            f"{given.path}: there is no column lp, the Lorentz factor of rotations: "
            "integrate them with dials.integrate"
        )
    if any("prf" in column for column in columns):
        raise ValueError(
            f"{given.path}: profiles are fitted to whole reflections, and those of narrow "
            "rotations are partial: give intensity=sum"
        )


def slow_passages(given: Integrated) -> npt.NDArray[np.bool_]:
    """Find reflections of rotations that move along the sphere rather than through it.

    Parameters
    ----------
    given : Integrated
        Reflections and experiments.

    Returns
    -------
    ndarray, shape (n,), bool
        Where Kabsch's |ζ| is less than 0.1; nowhere for stills.
    """
    result = np.zeros(len(given.table), dtype=bool)
    if not is_rotation(given.experiments[0]):
        return result
    s1, ids = flumpy.to_numpy(given.table["s1"]), given.positions()
    for number, experiment in enumerate(given.experiments):
        mine = ids == number
        across = np.cross(s1[mine], experiment.beam.get_s0())
        along = across @ np.array(experiment.goniometer.get_rotation_axis())
        result[mine] = np.abs(along) < _SLOWEST * np.linalg.norm(across, axis=1)
    return result


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
    # rays of rotations belong to many orientations
    if not known.any() or is_rotation(given.experiments[0]):
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
