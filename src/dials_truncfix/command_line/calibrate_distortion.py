"""dials.truncfix_calibrate mode=distortion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dials_truncfix.calibrate.distortion.distortion_words import (
    distortion_record,
    findings,
    is_significant,
    pair_table,
    parameter_table,
    warnings,
)
from dials_truncfix.calibrate.distortion.overlaps import calibrate_distortion
from dials_truncfix.calibrate.distortion_maps import map_bytes
from dials_truncfix.command_line.calibrate_images import read_images
from dials_truncfix.command_line.calibrate_output import (
    Output,
    log_tables,
    log_words,
    results,
    write_files,
)
from dials_truncfix.report.distortion_page import distortion_page


def distortion(params: Any, files: Sequence[str]) -> None:
    """Measure a distortion field and write the results.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        Of dials.truncfix_calibrate.
    files : sequence of str
        Images that overlap.

    Raises
    ------
    ValueError
        When something cannot be measured.
    OSError
        When a file cannot be read or written.
    """
    images, names = read_images(files)
    result = calibrate_distortion(images, names, params.distortion.model)
    field = result.distortion
    log_tables([parameter_table(field), pair_table(result)])
    log_words(findings(result), warnings(result))
    outputs = results(
        params, distortion_record(result), lambda: distortion_page(result)
    )
    if params.output.x_map is not None and is_significant(field):
        maps = field.maps()
        outputs += [
            Output(path, f"the offsets along {axis}", map_bytes(values))
            for path, axis, values in (
                (params.output.x_map, "fast", maps.dx),
                (params.output.y_map, "slow", maps.dy),
            )
        ]
    write_files(outputs)
