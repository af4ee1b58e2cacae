"""Stills of dials.truncfix_simulate: from parameters to files."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import libtbx
from dials.util import progress

from dials_truncfix.command_line.mp_phil import workers
from dials_truncfix.command_line.simulate_options import (
    description,
    make_sample,
    stills_model,
)
from dials_truncfix.command_line.simulate_still_images import (
    TRUE_INTENSITIES,
    TRUTH,
    refuse_empty,
    refuse_to_overwrite,
    write_still_images,
    write_true_intensities,
)
from dials_truncfix.io.staging import staging_folder
from dials_truncfix.parallel import task_map
from dials_truncfix.simulate.build import sample_intensities
from dials_truncfix.simulate.output import write_experiments
from dials_truncfix.simulate.sphere import all_reflections
from dials_truncfix.simulate.stills_output import (
    save_stills_truth,
    stills_experiments,
    stills_reflections,
    stills_truth,
)
from dials_truncfix.simulate.tasks import simulate_crystals

logger = logging.getLogger("dials.truncfix.simulate")

_DEFAULT_D_MIN = 2.0
#: Crystals that a process simulates in the time that it takes to start.
WORTH_A_PROCESS = 500
EXPERIMENTS, REFLECTIONS = "integrated.expt", "integrated.refl"
_IN_BATCHES = (EXPERIMENTS, REFLECTIONS, TRUTH)


@dataclass(frozen=True)
class _Batch:
    """Stills of one pair of files."""

    names: dict[str, str]
    numbers: range


def _batches(n_lattices: int, size: int | None) -> list[_Batch]:
    """All in one pair of files, or so many in each of numbered ones."""
    if size is None:
        return [_Batch({name: name for name in _IN_BATCHES}, range(n_lattices))]
    firsts = range(0, n_lattices, size)
    digits = max(3, len(str(len(firsts) - 1)))
    result = []
    for number, first in enumerate(firsts):
        names = {}
        for name in _IN_BATCHES:
            stem, suffix = name.split(".")
            names[name] = f"{stem}_{number:0{digits}d}.{suffix}"
        result.append(_Batch(names, range(first, min(first + size, n_lattices))))
    return result


def write_stills(params: Any) -> None:
    """Simulate stills and write their tables, or images, and the truth, all or none.

    Raises
    ------
    ValueError
        If a parameter is impossible or a file unusable.
    OSError
        If the folder cannot be written.
    """
    if params.stills.output == "images":
        write_still_images(params)
    else:
        _write_tables(params)


def _write_tables(params: Any) -> None:
    directory = Path(params.output.directory)
    batches = _batches(params.stills.n_lattices, params.stills.batch)
    names = [name for batch in batches for name in batch.names.values()]
    refuse_to_overwrite(directory, [*names, TRUE_INTENSITIES])
    limit = _DEFAULT_D_MIN if params.d_min is libtbx.Auto else params.d_min
    intensities, d_min = sample_intensities(make_sample(params), limit, params.seed)
    model = stills_model(params, d_min)
    sphere = all_reflections(intensities, d_min, model.mean_intensity)
    n_reflections = 0
    processes = workers(params).at_most(model.n_lattices // WORTH_A_PROCESS)
    with staging_folder(directory) as folder, task_map(processes) as tasks:
        stills = iter(
            progress(
                simulate_crystals(sphere, model, params.seed, tasks),
                desc="Simulating stills",
                total=model.n_lattices,
            )
        )
        for batch in batches:
            mine = list(islice(stills, len(batch.numbers)))
            refuse_empty(mine, batch.numbers.start)
            experiments = stills_experiments(
                mine, model, intensities.space_group(), batch.numbers.start
            )
            table = stills_reflections(mine, experiments)
            n_reflections += len(table)
            write_experiments(folder / batch.names[EXPERIMENTS], experiments)
            table.as_file(str(folder / batch.names[REFLECTIONS]))
            truth = stills_truth(mine, description(params))
            save_stills_truth(folder / batch.names[TRUTH], truth)
        # on the scale of the counts
        scaled = intensities.customized_copy(data=intensities.data() * sphere.scale)
        write_true_intensities(folder, scaled)
    logger.info(
        "%d stills with %.0f reflections on average",
        model.n_lattices,
        n_reflections / model.n_lattices,
    )
    for what, name in (
        ("experiments", EXPERIMENTS),
        ("reflections", REFLECTIONS),
        ("true parameters", TRUTH),
    ):
        first, last = batches[0].names[name], batches[-1].names[name]
        through = "" if len(batches) == 1 else f" to {last}"
        logger.info("Saving %s to %s%s", what, directory / first, through)
    logger.info("Saving true intensities to %s", directory / TRUE_INTENSITIES)
