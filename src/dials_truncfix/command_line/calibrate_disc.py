"""dials.truncfix_calibrate mode=disc."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dials_truncfix.calibrate.disc.disc import measure_disc
from dials_truncfix.calibrate.disc.disc_words import (
    disc_record,
    disc_table,
    findings,
    warnings,
)
from dials_truncfix.command_line.calibrate_images import read_images
from dials_truncfix.command_line.calibrate_output import (
    log_tables,
    log_words,
    results,
    write_files,
)
from dials_truncfix.report.disc_page import disc_page


def disc(params: Any, files: Sequence[str]) -> None:
    """Measure the beam in each image and write the results.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        Of dials.truncfix_calibrate.
    files : sequence of str
        Images of the beam without a specimen.

    Raises
    ------
    ValueError
        When something cannot be measured.
    OSError
        When a file cannot be read or written.
    """
    images, names = read_images(files)
    discs = [measure_disc(image, name) for image, name in zip(images, names)]
    pixel_nm = params.disc.pixel_size
    log_tables([disc_table(discs)])
    log_words(findings(discs, pixel_nm), warnings(discs))
    record = disc_record(discs, pixel_nm)
    write_files(results(params, record, lambda: disc_page(discs, images, pixel_nm)))
