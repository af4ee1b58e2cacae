"""Simulated stills as experiments and reflections, and the truth beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cctbx import sgtbx
from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import (
    Beam,
    Crystal,
    DetectorFactory,
    Experiment,
    ExperimentList,
)

from dials_truncfix import compat
from dials_truncfix.io.atomic import atomic_write
from dials_truncfix.io.numpy_archive import read_arrays
from dials_truncfix.postrefine.lattice.geometry import beam_frames
from dials_truncfix.simulate.stills import Still, StillsModel

FloatArray = npt.NDArray[np.float64]

_FORMAT = 1
#: Distance of the detector, mm, and pixels from its middle to its edge.
_DISTANCE, _HALF_SIZE = 200.0, 1000
#: Rays at larger angles would miss any flat detector.
_LARGEST_TWO_THETA = math.radians(80.0)


@dataclass(frozen=True)
class StillsTruth:
    """What simulated stills really contain.

    Attributes
    ----------
    parameters : ndarray, shape (n_lattices, 5)
        log G, B (Å²), θx, θy (rad, from the A reported to the true one), log rs (Å⁻¹).
    offsets : ndarray, shape (n_lattices + 1,)
        Where the reflections of each lattice begin, in the order of the table.
    miller_index : ndarray, shape (n, 3), int32
        h, k, l.
    partiality : ndarray, shape (n,)
        Part of each reflection that was recorded.
    full : ndarray, shape (n,)
        Intensity of the full reflection at G = 1 and B = 0, counts.
    description : mapping
        Everything needed to make the data again.
    """

    parameters: FloatArray
    offsets: npt.NDArray[np.int64]
    miller_index: npt.NDArray[np.int32]
    partiality: FloatArray
    full: FloatArray
    description: Mapping[str, Any]


def stills_truth(
    stills: Sequence[Still], description: Mapping[str, Any]
) -> StillsTruth:
    """Put the truth of stills together."""

    def joined(name: str) -> Any:
        return np.concatenate([getattr(still, name) for still in stills])

    sizes = [len(still.intensity) for still in stills]
    return StillsTruth(
        parameters=np.array([still.parameters for still in stills]),
        offsets=np.cumsum([0, *sizes]),
        miller_index=joined("miller_index"),
        partiality=joined("partiality"),
        full=joined("full"),
        description=description,
    )


_ARRAYS = ("parameters", "offsets", "miller_index", "partiality", "full")


def save_stills_truth(path: Path, truth: StillsTruth) -> None:
    """Write the truth as a compressed ``.npz`` file with the names of its arrays."""
    description = {"format": _FORMAT, "parameters": dict(truth.description)}
    with atomic_write(path) as stream:
        np.savez_compressed(
            stream,
            description=np.array(json.dumps(description)),
            **{name: getattr(truth, name) for name in _ARRAYS},
        )


def load_stills_truth(path: Path) -> StillsTruth:
    """Read what `save_stills_truth` wrote.

    Raises
    ------
    ValueError
        If the file is not the truth of stills.
    """
    try:
        arrays = read_arrays(path, [*_ARRAYS, "description"])
        description = json.loads(str(arrays.pop("description")))["parameters"]
    except (LookupError, OSError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: not the truth of simulated stills ({error})"
        ) from None
    return StillsTruth(**arrays, description=description)


def stills_experiments(
    stills: Sequence[Still],
    model: StillsModel,
    space_group: sgtbx.space_group,
    first: int = 0,
) -> ExperimentList:
    """Experiments with the crystals reported, one to a still.

    Parameters
    ----------
    stills : sequence of Still
        Crystals.
    model : StillsModel
        For the beam and the size of the detector.
    space_group : cctbx.sgtbx.space_group
        Of the crystals.
    first : int
        Number of the first, for its name.

    Returns
    -------
    dxtbx.model.ExperimentList
        They share beam and detector, a flat one at right angles to the beam.

    Raises
    ------
    ValueError
        If no flat detector records the resolution.
    """
    beam, detector = _beam(model.s0), _detector(model)
    result = ExperimentList()
    for number, still in enumerate(stills, first):
        # rows of the inverse are the direct axes
        a, b, c = (tuple(axis) for axis in np.linalg.inv(still.setting))
        result.append(
            Experiment(
                beam=beam,
                detector=detector,
                crystal=Crystal(a, b, c, space_group=space_group),
                identifier=f"still-{number:06d}",
            )
        )
    return result


def _beam(s0: Sequence[float]) -> Any:
    made = Beam(tuple(s0))
    if compat.is_electron_beam(made):
        made = compat.make_electron_beam(made.get_wavelength())
        made.set_s0(tuple(s0))
    return made


def _detector(model: StillsModel) -> Any:
    half = _DISTANCE * math.tan(_two_theta(model))
    pixel = 1.02 * half / _HALF_SIZE
    frame = beam_frames(model.s0)[0]
    fast, slow, along = frame[:, 0], -frame[:, 1], -frame[:, 2]
    origin = _DISTANCE * along - _HALF_SIZE * pixel * (fast + slow)
    return DetectorFactory.make_detector(
        "SENSOR_PAD",
        tuple(fast),
        tuple(slow),
        tuple(origin),
        (pixel, pixel),
        (2 * _HALF_SIZE, 2 * _HALF_SIZE),
        compat.safe_trusted_range(0, 2**31 - 2),
        name="simulated",
    )


def _two_theta(model: StillsModel) -> float:
    sine = 0.5 / (float(np.linalg.norm(model.s0)) * model.d_min)
    two_theta = 2 * math.asin(sine) if sine < 1 else math.pi
    if two_theta > _LARGEST_TWO_THETA:
        raise ValueError(
            f"reflections to {model.d_min:g} Å leave the crystal at more than 80°: give a "
            "larger d_min, or a shorter wavelength"
        )
    return two_theta


def stills_reflections(
    stills: Sequence[Still], experiments: ExperimentList
) -> flex.reflection_table:
    """Reflections as integration by summation would have left them.

    Parameters
    ----------
    stills : sequence of Still
        Crystals.
    experiments : dxtbx.model.ExperimentList
        From `stills_experiments`.

    Returns
    -------
    dials.array_family.flex.reflection_table
        Sorted by still.
    """
    hkl = np.concatenate([still.miller_index for still in stills])
    sizes = [len(still.intensity) for still in stills]
    number = np.repeat(np.arange(len(stills), dtype=np.int32), sizes)
    s0 = np.array(experiments[0].beam.get_s0())
    q = np.concatenate([still.miller_index @ still.setting.T for still in stills])
    s1 = q + s0
    # rays end on the Ewald sphere, reciprocal lattice points beside it
    s1 *= np.linalg.norm(s0) / np.linalg.norm(s1, axis=1, keepdims=True)

    panel = experiments[0].detector[0]
    fast, slow = np.array(panel.get_fast_axis()), np.array(panel.get_slow_axis())
    along, middle = s0 / np.linalg.norm(s0), _HALF_SIZE * panel.get_pixel_size()[0]
    reach = _DISTANCE / (s1 @ along)
    mm = np.stack([reach * (s1 @ fast), reach * (s1 @ slow), 0 * reach], 1)
    mm[:, :2] += middle
    px = mm / (*panel.get_pixel_size(), 1.0)

    table = flex.reflection_table()
    table["miller_index"] = flex.miller_index(
        *(flumpy.from_numpy(np.ascontiguousarray(column)) for column in hkl.T)
    )
    table["id"] = flumpy.from_numpy(number)
    table["panel"] = flex.size_t(len(number), 0)
    for name, values in (
        ("s1", s1),
        ("xyzcal.px", px),
        ("xyzcal.mm", mm),
        ("xyzobs.px.value", px),
        ("xyzobs.mm.value", mm),
    ):
        table[name] = flumpy.vec_from_numpy(np.ascontiguousarray(values))
    for name in ("intensity", "variance"):
        values = np.concatenate([getattr(still, name) for still in stills])
        column = "value" if name == "intensity" else name
        table[f"intensity.sum.{column}"] = flumpy.from_numpy(values)
    table["d"] = flumpy.from_numpy(1.0 / np.linalg.norm(q, axis=1))
    flags = table.flags
    table["flags"] = flex.size_t(
        len(table),
        int(flags.predicted) | int(flags.indexed) | int(flags.integrated_sum),
    )
    for position, experiment in enumerate(experiments):
        table.experiment_identifiers()[position] = experiment.identifier
    return table
