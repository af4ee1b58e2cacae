"""Stills of dials.truncfix_simulate: from parameters to files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import libtbx
from dials.util import Sorry, progress

from dials_truncfix.command_line.program import plain_values
from dials_truncfix.command_line.simulate_options import (
    make_sample,
    stills_model,
)
from dials_truncfix.io.staging import staging_folder
from dials_truncfix.simulate.build import sample_intensities
from dials_truncfix.simulate.stills import all_reflections, simulate_stills
from dials_truncfix.simulate.stills_output import (
    save_stills_truth,
    stills_experiments,
    stills_reflections,
    stills_truth,
)

logger = logging.getLogger("dials.truncfix.simulate")

_DEFAULT_D_MIN = 2.0
EXPERIMENTS, REFLECTIONS = "integrated.expt", "integrated.refl"
TRUTH, TRUE_INTENSITIES = "truth.npz", "truth.mtz"


def write_stills(params: Any) -> None:
    """Simulate stills and write their tables and the truth, all or none.

    Raises
    ------
    ValueError
        If a parameter is impossible or a file unusable.
    OSError
        If the folder cannot be written.
    """
    directory = Path(params.output.directory)
    for name in (EXPERIMENTS, REFLECTIONS, TRUTH, TRUE_INTENSITIES):
        if (directory / name).exists():
            raise Sorry(
                f"{directory} already holds {name}: give another output.directory"
            )
    limit = _DEFAULT_D_MIN if params.d_min is libtbx.Auto else params.d_min
    intensities, d_min = sample_intensities(make_sample(params), limit, params.seed)
    model = stills_model(params, d_min)
    sphere = all_reflections(intensities, d_min, model.mean_intensity)
    stills = list(
        progress(
            simulate_stills(sphere, model, params.seed),
            desc="Simulating stills",
            total=model.n_lattices,
        )
    )
    empty = [number for number, still in enumerate(stills) if not len(still.intensity)]
    if empty:
        raise ValueError(
            f"still {empty[0]} has no reflection: give a larger stills.rs, a larger "
            "stills.reach, or a smaller d_min"
        )
    experiments = stills_experiments(stills, model, intensities.space_group())
    table = stills_reflections(stills, experiments)
    with staging_folder(directory) as folder:
        experiments.as_file(str(folder / EXPERIMENTS))
        table.as_file(str(folder / REFLECTIONS))
        save_stills_truth(folder / TRUTH, stills_truth(stills, plain_values(params)))
        # on the scale of the counts
        factor = sphere.scale
        scaled = intensities.customized_copy(data=intensities.data() * factor)
        scaled.set_observation_type_xray_intensity().as_mtz_dataset(
            column_root_label="I"
        ).mtz_object().write(str(folder / TRUE_INTENSITIES))
    logger.info(
        "%d stills with %.0f reflections on average",
        len(stills),
        len(table) / len(stills),
    )
    for what, name in (
        ("experiments", EXPERIMENTS),
        ("reflections", REFLECTIONS),
        ("true parameters", TRUTH),
        ("true intensities", TRUE_INTENSITIES),
    ):
        logger.info("Saving %s to %s", what, directory / name)
