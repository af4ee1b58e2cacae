"""Simulated frames of K2 and K3 as SerialEM saves them, with all that belongs to them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from dxtbx.model import Experiment

from dials_truncfix.camera.counting import CountingCamera
from dials_truncfix.camera.direct_linear import DirectLinear
from dials_truncfix.camera.gatan_modes import COUNTING, LINEAR, SUPER
from dials_truncfix.io import frame_recipe
from dials_truncfix.io.defects import Defects, write_defects
from dials_truncfix.io.frame_orientation import inverse, rotate_flip
from dials_truncfix.io.gatan import K3
from dials_truncfix.io.mdoc import (
    FRAME_SET,
    SUFFIX,
    Mdoc,
    MdocSection,
    format_date,
    write_mdoc,
)
from dials_truncfix.io.mrc import write_stack
from dials_truncfix.io.mrc_header import LABEL_CHARACTERS
from dials_truncfix.io.serialem import write_frames
from dials_truncfix.io.serialem_title import FrameTitle

GatanCamera = Union[CountingCamera, DirectLinear]

_SUFFIXES = {"mrc": ".mrc", "tiff": ".tif"}
#: Operating modes by their numbers in .mdoc files. A K3 has no third one.
_OPERATING_MODES = {LINEAR: 0, COUNTING: 1, SUPER: 2}


@dataclass(frozen=True)
class FrameNames:
    """Names of the files of one stack.

    Attributes
    ----------
    prefix : str
        Start of all names.
    image_format : {'mrc', 'tiff'}
        Format of the stack.

    Raises
    ------
    ValueError
        When a title could not hold the names.
    """

    prefix: str
    image_format: str

    def __post_init__(self) -> None:
        """Refuse names that titles would cut off."""
        if len(self.defects) + 2 > LABEL_CHARACTERS:
            raise ValueError(
                f"output.prefix={self.prefix} is too long: titles of frames hold "
                f"{LABEL_CHARACTERS} characters"
            )

    @property
    def stack(self) -> str:
        """All frames."""
        return self.prefix + _SUFFIXES[self.image_format]

    @property
    def metadata(self) -> str:
        """What SerialEM notes beside them."""
        return self.stack + SUFFIX

    @property
    def reference(self) -> str:
        """Gain reference of raw frames, as the camera reads."""
        return f"{self.prefix}_gain.mrc"

    @property
    def defects(self) -> str:
        """Defects of raw frames."""
        return f"{self.prefix}_defects.txt"

    @property
    def recipe(self) -> str:
        """What dials.import takes: how frames make images."""
        return self.prefix + frame_recipe.SUFFIX


@dataclass(frozen=True)
class FrameStorage:
    """How frames are stored.

    Attributes
    ----------
    packing : str or None
        Of raw frames in four bits, see `serialem.PACKINGS`.
    compression : str
        Of TIFF files: ``none``, ``zip`` or ``lzw``.
    rotation_flip : int
        Operation that takes frames as the camera reads to those that SerialEM shows.
    turned : bool
        Whether it is applied before frames are saved; if not, titles say it is needed.
    """

    packing: str | None = None
    compression: str = "lzw"
    rotation_flip: int = 0
    turned: bool = True

    def stored(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turn an image as shown to what is saved."""
        return image if self.turned else self.as_read(image)

    def as_read(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turn an image as shown to what the camera reads."""
        return rotate_flip(image, inverse(self.rotation_flip))

    @property
    def applied(self) -> int:
        """Operation that was applied to saved frames."""
        return self.rotation_flip if self.turned else 0

    @property
    def needed(self) -> int:
        """Operation that was not."""
        return 0 if self.turned else self.rotation_flip


def write_stack_files(
    folder: Path,
    names: FrameNames,
    frames: Iterator[npt.NDArray[Any]],
    pattern: Any,
    experiment: Experiment,
    camera: GatanCamera,
    storage: FrameStorage,
    *,
    frame_time: float,
    high_tension_kv: float,
    start_time: float,
) -> None:
    """Write frames with their metadata, and what normalizes them, one frame in memory.

    Parameters
    ----------
    folder : pathlib.Path
        Where to.
    names : FrameNames
        Names of the files.
    frames : iterator of ndarray
        As SerialEM shows them, top row first.
    pattern : CountingPattern or FixedPattern
        What frames have in common; the gain reference and defects of raw counts.
    experiment : dxtbx.model.Experiment
        Models; stills have no scan.
    camera : CountingCamera or DirectLinear
        What recorded them.
    storage : FrameStorage
        How they are stored.
    frame_time : float
        Exposure of a frame, s.
    high_tension_kv : float
        Acceleration voltage, kV.
    start_time : float
        Of the first frame, seconds since 1970.
    """
    raw = isinstance(camera, CountingCamera) and not camera.normalized
    bad = pattern.bad if raw else None
    title = FrameTitle(
        scaling=_scaling(camera),
        rotation_flip=storage.applied,
        needed_rotation_flip=storage.needed,
        gain_reference=names.reference if raw else None,
        defects=names.defects if bad is not None else None,
    )
    mean = _Mean(frames)
    n_frames = write_frames(
        folder / names.stack,
        (np.ascontiguousarray(storage.stored(frame)) for frame in mean),
        title,
        packing=storage.packing,
        compression=storage.compression,
        date=format_date(start_time),
    )
    if raw:
        reference = storage.as_read(pattern.reference)
        write_stack(folder / names.reference, [np.ascontiguousarray(reference[::-1])])
    if bad is not None:
        write_defects(
            folder / names.defects,
            _defects(storage.stored(bad), storage.applied, names.defects),
        )
    dose = mean.value / camera.adu_per_electron
    entries = _metadata(names, experiment, camera, storage, raw)
    entries |= {
        "ExposureTime": f"{n_frames * frame_time:.6g}",
        "NumSubFrames": str(n_frames),
        # of a pixel of the camera, as a diffraction pattern has none at the specimen
        "FrameDosesAndNumber": f"{dose:.5f} {n_frames}",
        "DateTime": format_date(start_time),
    }
    write_mdoc(
        folder / names.metadata,
        Mdoc(
            {"Voltage": f"{high_tension_kv:g}"},
            ("dials.truncfix_simulate",),
            (MdocSection(FRAME_SET, "0", entries),),
        ),
    )
    (folder / names.recipe).write_text(_recipe(names, experiment, camera, frame_time))


class _Mean:
    """Passes frames on, and takes the mean of their pixels."""

    def __init__(self, frames: Iterator[npt.NDArray[Any]]) -> None:
        self._frames = frames
        self._sum, self._n = 0.0, 0

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        for frame in self._frames:
            self._sum += float(frame.mean(dtype=float))
            self._n += 1
            yield frame

    @property
    def value(self) -> float:
        """Mean of all pixels so far."""
        return self._sum / self._n if self._n else 0.0


def _scaling(camera: GatanCamera) -> float:
    """Factor between what the camera's software hands out and what is stored."""
    if isinstance(camera, DirectLinear) or camera.mode.sensor is K3:
        # a K3's normalized bytes come scaled already
        return 1.0
    return camera.counts_per_electron


def _metadata(
    names: FrameNames,
    experiment: Experiment,
    camera: GatanCamera,
    storage: FrameStorage,
    raw: bool,
) -> dict[str, str]:
    panel = experiment.detector[0]
    mode = _OPERATING_MODES[camera.mode.name]
    values = {"GainReference": names.reference} if raw else {}
    if experiment.scan is not None:
        values["TiltAngle"] = f"{experiment.scan.get_oscillation()[0]:.6g}"
        x, y, _ = experiment.goniometer.get_rotation_axis()
        values["RotationAngle"] = f"{math.degrees(math.atan2(y, x)):.6g}"
    return values | {
        "CameraLength": f"{panel.get_distance():.6g}",
        "CameraPixelSize": f"{1e3 * camera.pixel_size:g}",
        "Binning": f"{float(camera.mode.binning):g}",
        "DividedBy2": "0",
        "OperatingMode": str(min(mode, 1) if camera.mode.sensor is K3 else mode),
        "CountsPerElectron": f"{camera.counts_per_electron:g}",
        "RotationAndFlip": str(storage.rotation_flip),
        "SubFramePath": names.stack,
    }


def _recipe(
    names: FrameNames, experiment: Experiment, camera: GatanCamera, frame_time: float
) -> str:
    n_frames = camera.frames_per_image
    fields: dict[str, Any] = {
        "serialem_frames": frame_recipe.SCHEMA,
        "stack": names.stack,
        "frames_per_image": n_frames,
        "counts_per_electron": camera.counts_per_electron,
        "exposure_time": round(n_frames * frame_time, 9),
    }
    if experiment.scan is not None:
        fields["oscillation"] = list(experiment.scan.get_oscillation())
    return json.dumps(fields, indent=2) + "\n"


def _defects(bad: npt.NDArray[np.bool_], rotation_flip: int, name: str) -> Defects:
    """List the bad pixels of stored frames: whole columns and rows, and single ones."""
    rows, columns = bad.all(axis=1), bad.all(axis=0)
    single = bad & ~rows[:, None] & ~columns[None, :]
    y, x = np.nonzero(single)
    return Defects(
        camera_size=(bad.shape[1], bad.shape[0]),
        rotation_flip=rotation_flip,
        k2_type=1,
        pixels=tuple(zip(x.tolist(), y.tolist())),
        columns=tuple(np.flatnonzero(columns).tolist()),
        rows=tuple(np.flatnonzero(rows).tolist()),
        comments=(name,),
    )
