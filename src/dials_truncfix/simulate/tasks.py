"""Simulation on any number of processes: every frame and every crystal is made alone.

A task carries what is simulated as pickled bytes. Each process unpacks them once and keeps
what all images share.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dials_truncfix.camera.recording import Recording
from dials_truncfix.parallel import TaskMap
from dials_truncfix.simulate.from_images import CountedSweep
from dials_truncfix.simulate.sphere import Sphere
from dials_truncfix.simulate.stills import Still, StillsModel, simulate_still
from dials_truncfix.simulate.stills_images import SimulatedStills
from dials_truncfix.simulate.sweep import SimulatedSweep

#: Crystals of a task without images, each of which takes some milliseconds.
_CRYSTALS = 25


@dataclass(frozen=True)
class _Task:
    packed: bytes
    numbers: tuple[int, ...]


@lru_cache(maxsize=1)
def _unpack(packed: bytes) -> Any:
    return pickle.loads(packed)


def _frame_tasks(
    simulated: SimulatedSweep | CountedSweep | SimulatedStills,
) -> Iterator[_Task]:
    packed = pickle.dumps(simulated)
    for image in range(simulated.n_images):
        for frame in range(simulated.camera.frames_per_image):
            yield _Task(packed, (image, frame))


def _record(task: _Task) -> Recording:
    recording: Recording = _unpack(task.packed).record(*task.numbers)
    return recording


def _record_still(task: _Task) -> tuple[Still, Recording]:
    simulated = _unpack(task.packed)
    image, frame = task.numbers
    pattern = simulated.excite(image)
    return pattern.still, simulated.record(image, pattern, frame)


def _crystals(task: _Task) -> list[Still]:
    sphere, model, seed = _unpack(task.packed)
    return [simulate_still(sphere, model, seed, number) for number in task.numbers]


def record_sweep(
    sweep: SimulatedSweep | CountedSweep, apply: TaskMap
) -> Iterator[Recording]:
    """Record the images of a sweep, in the frames that its camera makes of them.

    Parameters
    ----------
    sweep : SimulatedSweep or CountedSweep
        The sweep.
    apply : TaskMap
        Processes.

    Yields
    ------
    Recording
        In the order of images and frames.
    """
    return apply(_record, _frame_tasks(sweep))


def record_stills(
    stills: SimulatedStills, apply: TaskMap
) -> Iterator[tuple[Still, Recording]]:
    """Record stills, in the frames that their camera makes of them.

    Parameters
    ----------
    stills : SimulatedStills
        Crystals and camera.
    apply : TaskMap
        Processes.

    Yields
    ------
    still : Still
        What is in the image, whichever frame it is.
    recording : Recording
        In the order of images and frames.
    """
    return apply(_record_still, _frame_tasks(stills))


def simulate_crystals(
    sphere: Sphere, model: StillsModel, seed: int, apply: TaskMap
) -> Iterator[Still]:
    """Simulate crystals as integration would leave them.

    Parameters
    ----------
    sphere, model, seed
        As for `dials_truncfix.simulate.stills.simulate_still`.
    apply : TaskMap
        Processes.

    Yields
    ------
    Still
        In the order of their numbers.
    """
    packed = pickle.dumps((sphere, model, seed))
    numbers = range(model.n_lattices)
    tasks = (
        _Task(packed, tuple(numbers[first : first + _CRYSTALS]))
        for first in range(0, len(numbers), _CRYSTALS)
    )
    for several in apply(_crystals, tasks):
        yield from several
