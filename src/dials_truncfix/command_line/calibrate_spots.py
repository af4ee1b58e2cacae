"""dials.truncfix_calibrate mode=spots."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cctbx import uctbx
from dials.util import Sorry

from dials_truncfix.calibrate.distortion_maps import map_bytes
from dials_truncfix.calibrate.spots.spot_output import (
    calibrated_experiments,
    group_maps,
    undistorted_table,
)
from dials_truncfix.calibrate.spots.spot_sets import spot_sets
from dials_truncfix.calibrate.spots.spot_words import (
    crystal_table,
    findings,
    fit_table,
    group_table,
    is_elliptical,
    spot_record,
    warnings,
)
from dials_truncfix.calibrate.spots.spots import calibrate_spots
from dials_truncfix.command_line.calibrate_output import (
    Output,
    log_tables,
    log_words,
    results,
    write_files,
)
from dials_truncfix.compare.files import EXPERIMENTS, REFLECTIONS, load_integrated
from dials_truncfix.report.spots_page import spots_page

logger = logging.getLogger("dials.truncfix.calibrate")


def spots(params: Any, files: Sequence[str]) -> None:
    """Calibrate by reflections and write the results.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        Of dials.truncfix_calibrate.
    files : sequence of str
        Reflections and, unless they lie beside them under the same names, experiments.

    Raises
    ------
    ValueError
        When something cannot be measured.
    OSError
        When a file cannot be read or written.
    """
    reflections = [Path(f) for f in files if f.lower().endswith(REFLECTIONS)]
    experiments = [Path(f) for f in files if f.lower().endswith(EXPERIMENTS)]
    if other := [f for f in files if Path(f) not in reflections + experiments]:
        raise Sorry(f"{other[0]}: expected reflections (.refl) or experiments (.expt)")
    if not reflections:
        raise Sorry("mode=spots needs indexed reflections: give .refl files of DIALS")
    data = load_integrated(reflections, experiments)
    sets = spot_sets(data, params.spots.group_by)
    crystals = [e.crystal for part in data for e in part.experiments]
    result = calibrate_spots(
        sets,
        [crystal.get_unit_cell() for crystal in crystals],
        [crystal.get_space_group() for crystal in crystals],
        _known_cell(params.spots.unit_cell),
    )
    log_tables([group_table(result), fit_table(result), crystal_table(result)])
    log_words(findings(result), warnings(result))
    out = params.output
    outputs = results(params, spot_record(result), lambda: spots_page(result))
    maps = []
    if not any(is_elliptical(result, group) for group in range(result.n_groups)):
        logger.info("No distortion maps are written, as no ellipticity was found.")
    elif out.x_map is not None:
        maps = group_maps(data, result)
    paths = [
        (_numbered(out.x_map, k, len(maps)), _numbered(out.y_map, k, len(maps)))
        for k in range(len(maps))
    ]
    for (x_path, y_path), group in zip(paths, maps):
        outputs += [
            Output(str(x_path), "a distortion map", map_bytes(group.dx)),
            Output(str(y_path), "a distortion map", map_bytes(group.dy)),
        ]
    if out.experiments is not None:
        models = calibrated_experiments(data, result, maps, paths)
        outputs.append(Output(out.experiments, "experiments", models))
    if out.reflections is not None:
        table = undistorted_table(data, result)
        outputs.append(Output(out.reflections, "positions without distortion", table))
    write_files(outputs)


def _known_cell(parameters: Sequence[float] | None) -> uctbx.unit_cell | None:
    if parameters is None:
        return None
    try:
        return uctbx.unit_cell(tuple(parameters))
    except RuntimeError:
        raise Sorry(f"spots.unit_cell={parameters}: there is no such cell") from None


def _numbered(path: str, number: int, total: int) -> Path:
    """Name of the file of a group."""
    given = Path(path)
    if total == 1:
        return given
    return given.with_name(f"{given.stem}_{number + 1}{given.suffix}")
