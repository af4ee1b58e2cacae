"""Images of dials.truncfix_simulate: which files hold them, and writing these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dials_truncfix.camera.ccd import CCD
from dials_truncfix.camera.counting import CountingCamera
from dials_truncfix.camera.f416 import F416
from dials_truncfix.camera.recording import Camera, Recording
from dials_truncfix.command_line.mp_phil import workers
from dials_truncfix.command_line.simulate_camera import (
    frame_storage,
    frame_time,
    image_format,
    is_gatan,
)
from dials_truncfix.executors import Workers
from dials_truncfix.simulate import output
from dials_truncfix.simulate.frame_output import FrameNames, write_stack_files

#: Pixels that a process records in the time that it takes to start.
WORTH_A_PROCESS = 2**23


@dataclass(frozen=True)
class ImageFiles:
    """Files of the images that the parameters ask for.

    Attributes
    ----------
    names : output.OutputNames
        Names of single images and series.
    frames : FrameNames or None
        Names of a stack of frames and of what belongs to it.
    image_format : str
        ``tvips``, ``smv``, ``mrc`` or ``tiff``.
    """

    names: output.OutputNames
    frames: FrameNames | None
    image_format: str

    @property
    def first(self) -> str:
        """What dials.import takes, maybe with wildcards."""
        if self.frames is not None:
            return self.frames.recipe
        if self.image_format == "tvips":
            return self.names.series
        return f"{self.names.prefix}_*.img"

    def image(self, number: int) -> tuple[str, int]:
        """File of an image of this number, as dxtbx takes it, and position therein."""
        if self.frames is not None:
            return self.frames.recipe, number - 1
        return self.names.image(self.image_format, number)

    def images_in(self, folder: Path) -> list[Path]:
        """List files of this prefix in a folder."""
        old = self.names.images_in(folder)
        if self.frames is not None:
            names = (self.frames.stack, self.frames.recipe, self.frames.metadata)
            old += [folder / name for name in names if (folder / name).exists()]
        return old


def image_files(params: Any) -> ImageFiles:
    """Name the files; a ValueError is raised for a prefix that will not do."""
    names = output.OutputNames(params.output.prefix)
    kind = image_format(params)
    frames = FrameNames(params.output.prefix, kind) if is_gatan(params) else None
    return ImageFiles(names, frames, kind)


def check_unclipped(simulated: Any) -> None:
    """Raise a ValueError where no images before truncation can be written."""
    camera = simulated.camera
    if isinstance(camera, CountingCamera):
        raise ValueError("output.unclipped: a camera that counts cuts nothing off")
    if camera.frames_per_image > 1:
        raise ValueError("output.unclipped: not with camera.frames_per_image above 1")


def write_all(
    folder: Path,
    files: ImageFiles,
    params: Any,
    simulated: Any,
    recordings: Iterable[Recording],
    *,
    unclipped: bool,
    high_tension_kv: float,
) -> None:
    """Write all images, holding one at a time in memory.

    Parameters
    ----------
    folder : pathlib.Path
        Where to.
    files : ImageFiles
        Names.
    params : libtbx.phil.scope_extract
        All parameters.
    simulated : SimulatedSweep, SimulatedStills or CountedSweep
        For camera, models and what images have in common.
    recordings : iterable of Recording
        Images, or their frames, in order.
    unclipped : bool
        Whether to write the images before truncation too.
    high_tension_kv : float
        Acceleration voltage, kV; 0 if there is none.
    """
    camera, experiment = simulated.camera, simulated.experiment
    if isinstance(camera, (F416, CCD)):
        output.write_images(
            folder,
            files.names,
            recordings,
            experiment,
            camera,
            image_format=files.image_format,
            high_tension_kv=high_tension_kv,
            frames_per_part=params.output.frames_per_part,
            unclipped=unclipped,
            seed=params.seed,
        )
        return

    def each() -> Iterator[Any]:
        for number, recording in enumerate(recordings, 1):
            if unclipped:
                path = folder / files.names.unclipped(number)
                output.write_unclipped(
                    path, recording, experiment, camera, number, params.seed
                )
            yield recording.clipped

    assert files.frames is not None
    write_stack_files(
        folder,
        files.frames,
        each(),
        simulated.pattern,
        experiment,
        camera,
        frame_storage(params),
        frame_time=frame_time(params),
        high_tension_kv=high_tension_kv,
        start_time=output.START_TIME,
    )


def image_workers(params: Any, simulated: Any) -> Workers:
    """Say who records the images: no more processes than are worth their start."""
    n_frames = simulated.n_images * simulated.camera.frames_per_image
    n_pixels = n_frames * simulated.shape[0] * simulated.shape[1]
    return workers(params).at_most(min(n_frames, n_pixels // WORTH_A_PROCESS))


def zeros_in(recording: Recording) -> float:
    """Part of the pixels that are zero."""
    return float(np.mean(recording.clipped == 0))


def noise_of_image(camera: Camera) -> float:
    """Tell the standard deviation of an image without electrons, ADU."""
    return float(camera.read_noise * np.sqrt(camera.frames_per_image))
