"""What NXmx says of an experiment, from the models of a corrected sweep.

The coordinates of NeXus have z along the beam and y upwards; dxtbx has z from the
sample to the source. Readers expect a beam along the axis, so a tilted one is brought
there together with the detector and the rotation axis.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dials_truncfix.io.corrected_header import (
    CorrectedHeader,
    beam_centre_mm,
    distance_mm,
)

FloatArray = npt.NDArray[np.float64]

_TO_NEXUS = np.diag([-1.0, 1.0, -1.0])
# What dxtbx can look up the absorption of; it refuses files that name another.
_KNOWN_MATERIALS = ("Si", "CdTe", "GaAs")
# Other classes of dxtbx want a thickness, from which they take efficiency and parallax.
# That of a scintillator, mm, shifts the spots of electrons by a few micrometres.
_THICKNESS = 0.1
_DETECTOR = "/entry/instrument/detector"


def write_nxmx(
    entry: Any,
    header: CorrectedHeader,
    *,
    n_images: int,
    rotation_axis: Sequence[float] | None,
    electrons: bool,
    bad_pixels: npt.NDArray[np.bool_] | None = None,
) -> None:
    """Describe an experiment; the images themselves are written by the caller.

    Parameters
    ----------
    entry : h5py.Group
        ``/entry`` of an empty file.
    header : CorrectedHeader
        Models; the scan is that of the sweep, or None.
    n_images : int
        Images in the virtual data set.
    rotation_axis : sequence of float or None
        Axis of the rotation in the laboratory, in the coordinates of dxtbx.
    electrons : bool
        Whether the beam is one of electrons.
    bad_pixels : ndarray of bool, shape (ny, nx), optional
        Pixels that measure nothing in any image.

    Raises
    ------
    ValueError
        If the beam has no single wavelength or does not meet the detector.
    """
    beam = header.models["beam"]
    if "wavelength" not in beam:
        raise ValueError("NeXus images need a beam with one wavelength")
    to_nexus = _TO_NEXUS @ _to_axis(np.asarray(beam["direction"], dtype=float))
    scan = header.models.get("scan")

    entry.attrs["NX_class"] = "NXentry"
    entry.attrs["default"] = "data"
    entry["definition"] = "NXmx"
    start = 0.0 if scan is None else scan["epochs"][0]
    end = 0.0 if scan is None else scan["epochs"][-1] + scan["exposure_times"][-1]
    entry["start_time"] = _time(start)
    entry["end_time_estimated"] = _time(end)

    source = _group(entry, "source", "NXsource")
    source["name"] = "electron microscope" if electrons else "X-ray source"
    source["probe"] = "electron" if electrons else "x-ray"

    data = _group(entry, "data", "NXdata")
    data.attrs["signal"] = "data"
    data["data_scaling_factor"] = 1.0 / header.panel["gain"]
    # the name by which the readers of DIALS look for it
    data["data_scale_factor"] = 1.0 / header.panel["gain"]
    data["data_offset"] = -float(header.panel["pedestal"])

    instrument = _group(entry, "instrument", "NXinstrument")
    instrument["name"] = "transmission electron microscope" if electrons else "unknown"
    _quantity(
        _group(instrument, "beam", "NXbeam"),
        "incident_wavelength",
        beam["wavelength"],
        "angstrom",
    )
    _write_detector(_group(instrument, "detector", "NXdetector"), header, to_nexus)
    if scan is not None:
        _write_times(instrument["detector"], scan)
    if bad_pixels is not None:
        instrument["detector"].create_dataset(
            "pixel_mask", data=bad_pixels.astype("<u4"), compression="gzip"
        )
    sample = _group(entry, "sample", "NXsample")
    sample["name"] = "unknown"
    if scan is not None and rotation_axis is not None:
        _write_rotation(
            sample, scan, n_images, to_nexus @ np.asarray(rotation_axis, dtype=float)
        )


def _to_axis(direction: FloatArray) -> FloatArray:
    """Rotation matrix that brings the direction to the source to z."""
    x, y, z = direction / np.linalg.norm(direction)
    if z < -1 + 1e-12:
        return np.diag([1.0, -1.0, -1.0])
    # the shortest rotation: about (y, -x, 0)
    cross = np.array([[0.0, 0.0, -x], [0.0, 0.0, -y], [x, y, 0.0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1.0 + z))


def _write_detector(
    detector: Any, header: CorrectedHeader, to_nexus: FloatArray
) -> None:
    panel = header.panel
    fast, slow, origin = (
        to_nexus @ np.asarray(panel[name], dtype=float)
        for name in ("fast_axis", "slow_axis", "origin")
    )
    n_fast, n_slow = panel["image_size"]
    pixel_fast, pixel_slow = panel["pixel_size"]
    low, high = panel["trusted_range"]
    centre_fast, centre_slow = beam_centre_mm(header)
    material = panel.get("material")
    known = material in _KNOWN_MATERIALS

    detector["description"] = panel.get("identifier") or "camera"
    detector["type"] = "CMOS"
    _quantity(detector, "distance", distance_mm(header) * 1e-3, "m")
    _quantity(detector, "beam_center_x", centre_fast / pixel_fast, "pixel")
    _quantity(detector, "beam_center_y", centre_slow / pixel_slow, "pixel")
    _quantity(detector, "x_pixel_size", pixel_fast * 1e-3, "m")
    _quantity(detector, "y_pixel_size", pixel_slow * 1e-3, "m")
    detector["underload_value"] = np.int64(math.ceil(low))
    detector["saturation_value"] = np.int64(math.floor(high))
    detector["sensor_material"] = material if known else _KNOWN_MATERIALS[0]
    thickness = float(panel.get("thickness", 0.0)) if known else 0.0
    thickness = thickness if thickness > 0 else _THICKNESS
    _quantity(detector, "sensor_thickness", thickness * 1e-3, "m")
    detector["depends_on"] = f"{_DETECTOR}/transformations/distance"

    transformations = _group(detector, "transformations", "NXtransformations")
    _axis(transformations, "distance", origin[2], "mm", (0, 0, 1), ".", "translation")
    module = _group(detector, "module", "NXdetector_module")
    module["data_origin"] = np.array([0, 0])
    module["data_size"] = np.array([n_slow, n_fast])
    aside = float(np.hypot(*origin[:2]))
    direction = (origin[0] / aside, origin[1] / aside, 0) if aside else (1, 0, 0)
    above = f"{_DETECTOR}/transformations/distance"
    _axis(module, "module_offset", aside, "mm", direction, above, "translation")
    above = f"{_DETECTOR}/module/module_offset"
    for name, size, vector in (
        ("fast_pixel_direction", pixel_fast, fast),
        ("slow_pixel_direction", pixel_slow, slow),
    ):
        _axis(module, name, size, "mm", vector, above, "translation")
        module[name].attrs["offset"] = np.zeros(3)
        module[name].attrs["offset_units"] = "mm"


def _write_times(detector: Any, scan: Mapping[str, Any]) -> None:
    times = np.asarray(scan["exposure_times"], dtype=float)
    equal = bool(np.all(times == times[0]))
    _quantity(detector, "count_time", times[0] if equal else times, "s")
    _quantity(detector, "frame_time", float(np.median(times)), "s")


def _write_rotation(
    sample: Any, scan: Mapping[str, Any], n_images: int, axis: FloatArray
) -> None:
    """Describe the rotation, as if the images before the first had been taken too."""
    first, _ = scan["image_range"]
    start, width = scan["oscillation"]
    angles = start + width * (np.arange(1, n_images + 1) - first)
    transformations = _group(sample, "transformations", "NXtransformations")
    _axis(transformations, "omega", angles, "deg", axis, ".", "rotation")
    _quantity(transformations, "omega_end", angles + width, "deg")
    sample["depends_on"] = "/entry/sample/transformations/omega"


def _group(parent: Any, name: str, nx_class: str) -> Any:
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group


def _quantity(group: Any, name: str, value: Any, units: str) -> None:
    group[name] = value
    group[name].attrs["units"] = units


def _axis(
    group: Any,
    name: str,
    value: Any,
    units: str,
    vector: Any,
    depends_on: str,
    kind: str,
) -> None:
    _quantity(group, name, np.atleast_1d(value), units)
    group[name].attrs["transformation_type"] = kind
    group[name].attrs["vector"] = np.asarray(vector, dtype=float)
    group[name].attrs["depends_on"] = depends_on


def _time(epoch: float) -> str:
    moment = datetime.datetime.fromtimestamp(max(0.0, epoch), datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
