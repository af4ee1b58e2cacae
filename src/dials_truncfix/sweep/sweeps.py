"""Several sweeps in one run: where each of them goes, and the experiments of all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.sweep.options import OutputOptions
from dials_truncfix.sweep.source import image_files


@dataclass(frozen=True)
class Sweep:
    """One of the sweeps given.

    Attributes
    ----------
    name : str
        Path of its images, with ``#`` for the image number.
    positions : tuple of int
        Places of its experiments among those given.
    experiments : dxtbx.model.ExperimentList
        All of one imageset.
    output : OutputOptions
        Where its output goes.
    """

    name: str
    positions: tuple[int, ...]
    experiments: Any
    output: OutputOptions

    @property
    def n_images(self) -> int:
        """Number of its images."""
        return len(self.experiments.imagesets()[0])

    @property
    def files(self) -> list[Path]:
        """The files that hold its images."""
        return image_files(self.experiments.imagesets()[0])


def plan_sweeps(experiments: Any, output: OutputOptions) -> tuple[Sweep, ...]:
    """Give each sweep a folder of its own.

    Their numbers are not padded with zeros: sweeps that are added at the end leave the
    folders of the others as they are.

    Parameters
    ----------
    experiments : dxtbx.model.ExperimentList
        Of any number of imagesets.
    output : OutputOptions
        What the user asked for.

    Returns
    -------
    tuple of Sweep
        In the order given. A single one goes where the user said; of several, images,
        experiments, record and report go to ``sweep_1``, ``sweep_2``, … below the
        output folder.

    Raises
    ------
    ValueError
        When experiments refer to no images, or two sweeps are the same.
    """
    imagesets = experiments.imagesets()
    if not imagesets or any(imageset is None for imageset in imagesets):
        raise ValueError(
            "the experiments refer to no images: give the experiments that "
            "dials.import wrote"
        )
    sweeps = []
    seen = set()
    for number, imageset in enumerate(imagesets, 1):
        positions = tuple(int(i) for i in experiments.indices(imageset))
        same = (tuple(imageset.paths()), tuple(imageset.indices()))
        if same in seen:
            raise ValueError(
                f"{sweep_name(imageset)} is given twice: give each sweep once"
            )
        seen.add(same)
        of_sweep = ExperimentList([experiments[i] for i in positions])
        where = output if len(imagesets) == 1 else _in_folder(output, number)
        sweeps.append(Sweep(sweep_name(imageset), positions, of_sweep, where))
    return tuple(sweeps)


def sweep_name(imageset: Any) -> str:
    """Return the path of the images of a sweep, with ``#`` for the image number."""
    return str(getattr(imageset, "get_template", lambda: imageset.get_path(0))())


def _in_folder(output: OutputOptions, number: int) -> OutputOptions:
    folder = os.path.normpath(os.path.join(output.directory, f"sweep_{number}"))

    def inside(path: str | None) -> str | None:
        return None if path is None else os.path.join(folder, os.path.basename(path))

    return replace(
        output,
        directory=folder,
        experiments=inside(output.experiments),
        json=inside(output.json),
        html=inside(output.html),
    )


def without_report(sweep: Sweep) -> Sweep:
    """Leave the report out."""
    return replace(sweep, output=replace(sweep.output, html=None))


def refuse_folders_of_inputs(sweeps: Sequence[Sweep]) -> None:
    """Raise a ValueError when a sweep would go to a folder that holds images of another.

    Parameters
    ----------
    sweeps : sequence of Sweep
        Each is compared with the others; see `repair.refuse_folder_of_inputs` for itself.
    """
    targets = {Path(sweep.output.directory).resolve(): sweep for sweep in sweeps}
    for sweep in sweeps:
        for path in sweep.files:
            # where the file is, and where a link to it is
            for folder in (path.resolve().parent, path.parent.resolve()):
                if folder in targets and targets[folder] is not sweep:
                    raise ValueError(
                        f"the folder {folder} holds images to be corrected, of "
                        f"{sweep.name}: give another output.directory"
                    )


def all_experiments(
    given: Any, corrected: Sequence[tuple[Sequence[int], Any]]
) -> ExperimentList:
    """Put the experiments of several sweeps together, in the order given.

    Parameters
    ----------
    given : dxtbx.model.ExperimentList
        Experiments before the correction.
    corrected : sequence of (sequence of int, dxtbx.model.ExperimentList)
        Of each sweep the places of its experiments among those given, and what they
        became. Sweeps that could not be corrected are left out.

    Returns
    -------
    dxtbx.model.ExperimentList
        Models that sweeps shared they share still, but for detectors that now differ
        in gain, pedestal or trusted range.
    """
    placed = {
        position: experiment
        for positions, experiments in corrected
        for position, experiment in zip(positions, experiments)
    }
    together = ExperimentList([placed[position] for position in sorted(placed)])
    for one, other in _shared_detectors(given, placed):
        together.replace(other, one)
    return together


def _shared_detectors(given: Any, placed: dict[int, Any]) -> Iterator[tuple[Any, Any]]:
    """Detectors that were one and came out the same: the first, and each other."""
    for detector in given.detectors():
        first: list[tuple[Any, Any]] = []
        for position in map(int, given.indices(detector)):
            if position not in placed:
                continue
            other = placed[position].detector
            values = other.to_dict()
            same = next((one for one, known in first if known == values), None)
            if same is None:
                first.append((other, values))
            else:
                yield same, other
