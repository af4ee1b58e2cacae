"""Reflections of DIALS as arrays, crystal by crystal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dials.array_family import flex
from dxtbx import flumpy

from dials_truncfix.calibrate.geometry import across_the_beam
from dials_truncfix.calibrate.spots.spot_index import FEWEST
from dials_truncfix.calibrate.spots.spot_model import (
    SpotSet,
    scattering_vectors,
    slowness,
)
from dials_truncfix.compare.files import Integrated

Array = npt.NDArray[np.float64]

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
        In the order of files and experiments; with those spots that have no index.

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
    """Rows with an observed position that may be reflections of an experiment.

    Also those that refinement left out, or indexing: without an ellipse they take the
    reflections that tell of one for outliers. Spots without an index belong to a
    crystal that is alone on its images.

    Raises
    ------
    ValueError
        If too few have an index.
    """
    table = data.table
    for name in ("miller_index", "xyzobs.px.value", "id", "flags"):
        if name not in table:
            raise ValueError(
                f"{data.path}: it has no {name}: give indexed, refined or integrated "
                "reflections"
            )
    of = flumpy.to_numpy(table["id"])
    own = of == place
    index = flumpy.to_numpy(table["miller_index"].as_vec3_double())
    n_indexed = int((own & np.any(index != 0, axis=1)).sum())
    if n_indexed < FEWEST:
        raise ValueError(
            f"{data.path}: experiment {place} has {n_indexed} indexed reflections, and "
            f"{FEWEST} are needed: leave it out"
        )
    return np.flatnonzero(own | ((of < 0) & _on_images_of(data, place)))


def _on_images_of(data: Integrated, place: int) -> npt.NDArray[np.bool_]:
    """Rows on the images of an experiment, if no other crystal is on them."""
    none = np.zeros(len(data.table), dtype=bool)
    if len(data.experiments) == 1:
        return ~none
    images = [e.imageset for e in data.experiments]
    if None in images or images.count(images[place]) > 1:
        return none
    if "imageset_id" not in data.table:
        return none
    number = data.experiments.imagesets().index(images[place])
    return np.asarray(flumpy.to_numpy(data.table["imageset_id"]) == number)


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
    flags = data.table["flags"].select(chosen)
    integrated = flumpy.to_numpy(flags) & int(data.table.flags.integrated)
    spots = SpotSet(
        name=name,
        group=group,
        rows=rows,
        integrated=bool(np.any(integrated)),
        miller_index=index,
        position=observed[:, :2] * np.array(panel.get_pixel_size()),
        turn=turn,
        slowness=np.zeros(len(rows)),
        orientation=np.reshape(experiment.crystal.get_U(), (3, 3)),
        fast=np.array(panel.get_fast_axis()),
        slow=np.array(panel.get_slow_axis()),
        normal=normal,
        s0=s0,
        centre=np.array(panel.get_beam_centre(beam.get_s0())),
        distance=distance,
        pixel_size=float(panel.get_pixel_size()[0]),
    )
    if axis is None:
        return spots
    r = scattering_vectors(spots, spots.centre, np.eye(2))
    return replace(spots, slowness=slowness(r, axis, s0))


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
