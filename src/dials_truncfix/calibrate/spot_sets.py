"""Reflections of DIALS as arrays, crystal by crystal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dials.array_family import flex
from dxtbx import flumpy

from dials_truncfix.calibrate.geometry import across_the_beam
from dials_truncfix.calibrate.spot_model import SpotSet, slowness
from dials_truncfix.compare.files import Integrated

Array = npt.NDArray[np.float64]

#: With fewer reflections a crystal has no orientation of its own.
_FEWEST = 12
GROUPINGS = ("all", "file", "experiment")


def spot_sets(files: Sequence[Integrated], group_by: str) -> list[SpotSet]:
    """Collect the reflections of all crystals.

    Parameters
    ----------
    files : sequence of Integrated
        Tables with their experiments.
    group_by : {'all', 'file', 'experiment'}
        What makes an exposure group.

    Returns
    -------
    list of SpotSet
        In the order of files and experiments.

    Raises
    ------
    ValueError
        If a table or model does not do.
    """
    result: list[SpotSet] = []
    for number, data in enumerate(files):
        for place, experiment in enumerate(data.experiments):
            group = {"all": 0, "file": number, "experiment": len(result)}[group_by]
            rows = usable_rows(data, place)
            result.append(_spot_set(data, place, experiment, rows, group))
    return result


def usable_rows(data: Integrated, place: int) -> npt.NDArray[np.int64]:
    """Rows of an experiment with an index and an observed position.

    Also those that refinement left out: it has no ellipse, and takes the reflections
    that tell of one for outliers.

    Raises
    ------
    ValueError
        If there are too few.
    """
    table = data.table
    for name in ("miller_index", "xyzobs.px.value", "id", "flags"):
        if name not in table:
            raise ValueError(
                f"{data.path}: it has no {name}: give indexed, refined or integrated "
                "reflections"
            )
    own = flumpy.to_numpy(table["id"]) == place
    index = flumpy.to_numpy(table["miller_index"].as_vec3_double())
    own &= np.any(index != 0, axis=1)
    rows = np.flatnonzero(own)
    if len(rows) < _FEWEST:
        raise ValueError(
            f"{data.path}: experiment {place} has {len(rows)} indexed reflections, and "
            f"{_FEWEST} are needed: leave it out"
        )
    return rows


def _spot_set(
    data: Integrated,
    place: int,
    experiment: Any,
    rows: npt.NDArray[np.int64],
    group: int,
) -> SpotSet:
    name = f"{data.path}, experiment {place}"
    if len(experiment.detector) != 1:
        raise ValueError(f"{name}: only cameras of one panel can be calibrated")
    lookup = experiment.imageset and experiment.imageset.external_lookup
    if lookup and (lookup.dx.filename or lookup.dy.filename):
        raise ValueError(
            f"{name}: its experiments refer to distortion maps already: give those "
            "from before the maps"
        )
    panel, beam = experiment.detector[0], experiment.beam
    try:
        distance = across_the_beam(panel, beam)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    chosen = flex.size_t(rows.tolist())
    index = flumpy.to_numpy(data.table["miller_index"].as_vec3_double().select(chosen))
    observed = flumpy.to_numpy(data.table["xyzobs.px.value"].select(chosen))
    s0 = np.array(beam.get_s0())
    normal = np.array(panel.get_normal())
    normal = normal * np.sign(normal @ s0)
    turn, axis = _rotations(experiment, observed[:, 2])
    speed = np.zeros(len(rows))
    if axis is not None:
        a_matrix = np.reshape(experiment.crystal.get_A(), (3, 3))
        speed = slowness(turn, axis, index, a_matrix, s0)
    return SpotSet(
        name=name,
        group=group,
        miller_index=index,
        position=observed[:, :2] * np.array(panel.get_pixel_size()),
        turn=turn,
        slowness=speed,
        orientation=np.reshape(experiment.crystal.get_U(), (3, 3)),
        fast=np.array(panel.get_fast_axis()),
        slow=np.array(panel.get_slow_axis()),
        normal=normal,
        s0=s0,
        centre=np.array(panel.get_beam_centre(beam.get_s0())),
        distance=distance,
        pixel_size=float(panel.get_pixel_size()[0]),
    )


def _rotations(experiment: Any, z: Array) -> tuple[Array, Array | None]:
    """Rotation of the crystal at each observation, and the axis; none for stills."""
    scan, goniometer = experiment.scan, experiment.goniometer
    if scan is None or goniometer is None or scan.get_oscillation()[1] == 0:
        return np.broadcast_to(np.eye(3), (len(z), 3, 3)).copy(), None
    start, width = scan.get_oscillation(deg=False)
    angle = start + (z - scan.get_array_range()[0]) * width
    setting = np.reshape(goniometer.get_setting_rotation(), (3, 3))
    fixed = np.reshape(goniometer.get_fixed_rotation(), (3, 3))
    axis = np.array(goniometer.get_rotation_axis_datum())
    turned = Rotation.from_rotvec(angle[:, None] * axis).as_matrix()
    return setting @ turned @ fixed, setting @ axis
