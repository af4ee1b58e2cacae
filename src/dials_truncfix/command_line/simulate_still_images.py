"""Stills of dials.truncfix_simulate as images, with their orientations for DIALS."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dials.util import Sorry, progress

from dials_truncfix.camera.recording import Recording
from dials_truncfix.command_line.simulate_images import (
    check_unclipped,
    image_files,
    image_workers,
    write_all,
)
from dials_truncfix.command_line.simulate_options import description, stills_images
from dials_truncfix.io.staging import staging_folder
from dials_truncfix.parallel import TaskMap, task_map
from dials_truncfix.simulate import output
from dials_truncfix.simulate.stills import Still
from dials_truncfix.simulate.stills_images import SimulatedStills, known_experiments
from dials_truncfix.simulate.stills_output import save_stills_truth, stills_truth
from dials_truncfix.simulate.tasks import record_stills

logger = logging.getLogger("dials.truncfix.simulate")

KNOWN = "known.expt"
TRUTH, TRUE_INTENSITIES = "truth.npz", "truth.mtz"


def write_still_images(params: Any) -> None:
    """Record stills and write images, known orientations and the truth, all or none.

    Raises
    ------
    ValueError
        If a parameter is impossible or a file unusable.
    OSError
        If the folder cannot be written.
    """
    directory = Path(params.output.directory)
    files = image_files(params)
    names = files.names
    taken = [path.name for path in files.images_in(directory)]
    refuse_to_overwrite(directory, (*taken, KNOWN, TRUTH, TRUE_INTENSITIES))
    simulated, intensities = stills_images(params)
    unclipped = params.output.unclipped is True
    if unclipped:
        check_unclipped(simulated)
    stills: list[Still] = []
    processes = image_workers(params, simulated)
    with staging_folder(directory) as folder, task_map(processes) as tasks:
        write_all(
            folder,
            files,
            params,
            simulated,
            _recordings(simulated, tasks, stills),
            unclipped=unclipped,
            high_tension_kv=params.beam.high_tension,
        )
        refuse_empty(stills)
        save_stills_truth(folder / TRUTH, stills_truth(stills, description(params)))
        write_true_intensities(folder, intensities)
        images = []
        for number in range(1, simulated.n_images + 1):
            name, position = files.image(number)
            if unclipped:
                name, position = names.unclipped(number), 0
            images.append((directory.absolute() / name, position))
        known = known_experiments(
            simulated.experiment, images, stills, intensities.space_group()
        )
        output.write_experiments(folder / KNOWN, known)
    for what, name in (
        ("the crystals reported", KNOWN),
        ("true parameters", TRUTH),
        ("true intensities", TRUE_INTENSITIES),
    ):
        logger.info("Saving %s to %s", what, directory / name)
    first = files.first
    logger.info(
        "Saving %s to %s",
        "truncated images" if files.frames is None else "frames",
        directory / (first if files.frames is None else files.frames.stack),
    )
    gain = simulated.camera.variance_slope
    weights = [
        f"spotfinder.threshold.dispersion.gain={gain:g}",
        f"integration.summation.detector_gain={gain:g}",
    ]
    if unclipped:
        # these images know gain and geometry
        first, weights = f"{names.prefix}_unclipped_*.cbf", []
        logger.info("Saving images before truncation to %s", directory / first)
    arguments = [
        str(directory / first),
        *(() if unclipped else output.import_arguments(simulated.experiment)),
    ]
    _log_command("Import them by", ["dials.import", *arguments])
    orientations = [
        f"known_orientations={directory / KNOWN}",
        "require_known_orientation=True",
        # one still of electrons hardly tells the cell along the beam
        "refinement.parameterisation.crystal.fix=cell",
        f"prediction.d_min={simulated.model.d_min:.4g}",
    ]
    _log_command(
        "Integrate them from the orientations reported by",
        ["dials.stills_process", *arguments, *orientations, *weights],
    )


def _log_command(what: str, words: Sequence[str]) -> None:
    command = " \\\n    ".join([" ".join(words[:2]), *words[2:]])
    logger.info("%s\n  %s", what, command)


def _recordings(
    simulated: SimulatedStills, tasks: TaskMap, stills: list[Still]
) -> Iterator[Recording]:
    n_frames = simulated.camera.frames_per_image
    recorded = progress(
        record_stills(simulated, tasks),
        desc="Recording images",
        total=simulated.n_images * n_frames,
    )
    for number, (still, recording) in enumerate(recorded):
        if number % n_frames == 0:
            stills.append(still)
        yield recording


def refuse_to_overwrite(directory: Path, names: Sequence[str]) -> None:
    """Raise a Sorry about the first of the files that is there."""
    for name in names:
        if (directory / name).exists():
            raise Sorry(
                f"{directory} already holds {name}: give another output.directory"
            )


def refuse_empty(stills: Sequence[Still], first: int = 0) -> None:
    """Raise a ValueError about the first still without reflections."""
    for number, still in enumerate(stills, first):
        if not len(still.intensity):
            raise ValueError(
                f"still {number} has no reflection: give a larger stills.rs, a larger "
                "stills.reach, or a smaller d_min"
            )


def write_true_intensities(folder: Path, intensities: Any) -> None:
    """Write full intensities on the scale of the counts."""
    intensities.set_observation_type_xray_intensity().as_mtz_dataset(
        column_root_label="I"
    ).mtz_object().write(str(folder / TRUE_INTENSITIES))
