"""dials.truncfix_calibrate mode=pixel_size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dials.util import Sorry

from dials_truncfix.calibrate.images import mean_image
from dials_truncfix.calibrate.pixel_size.pixel_size import (
    CATALASE,
    Specimen,
    cross_grating,
    grid_bars,
    measure_pixel_size,
)
from dials_truncfix.calibrate.pixel_size.pixel_size_words import (
    findings,
    pixel_size_record,
    pixel_size_table,
    warnings,
)
from dials_truncfix.calibrate.pixel_size.specimen_images import (
    is_specimen_file,
    read_specimen_image,
)
from dials_truncfix.command_line.calibrate_output import (
    log_tables,
    log_words,
    results,
    write_files,
)
from dials_truncfix.command_line.calibrate_rings import load_experiments
from dials_truncfix.report.pixel_size_page import pixel_size_page


def pixel_size(params: Any, files: Sequence[str]) -> None:
    """Measure a pixel size and write the results.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        Of dials.truncfix_calibrate.
    files : sequence of str
        One image.

    Raises
    ------
    ValueError
        When something cannot be measured.
    OSError
        When a file cannot be read or written.
    """
    if len(files) != 1:
        raise Sorry(f"{len(files)} files were given: give one image of the specimen")
    own = params.pixel_size
    if is_specimen_file(Path(files[0])):
        image = read_specimen_image(Path(files[0]), own.image)
    else:
        imageset = load_experiments(files).imagesets()[0]
        image = mean_image(imageset, (own.image, own.image)).mean
    try:
        result = measure_pixel_size(
            image, _specimen(own), own.start_peak and tuple(own.start_peak)
        )
    except ValueError as error:
        raise ValueError(f"{files[0]}: {error}") from None
    log_tables([pixel_size_table(result)])
    log_words(findings(result), warnings(result))
    record = pixel_size_record(result, files[0])
    write_files(results(params, record, lambda: pixel_size_page(result, image)))


def _specimen(own: Any) -> Specimen:
    if own.repeats is not None:
        return Specimen("specimen of given repeats", tuple(own.repeats))
    if own.specimen == "catalase":
        return Specimen("catalase crystal", CATALASE)
    if own.specimen == "grid_bars":
        return grid_bars(own.mesh)
    return cross_grating(own.lines_per_mm)
