"""dials.truncfix_calibrate mode=gain."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from dials.util import Sorry

from dials_truncfix.calibrate.gain.gain_calibration import calibrate_gain
from dials_truncfix.calibrate.gain.gain_words import (
    findings,
    gain_phil,
    gain_record,
    gain_table,
    image_table,
    warnings,
)
from dials_truncfix.calibrate.gain.known import GainOptions
from dials_truncfix.command_line.calibrate_output import (
    Output,
    log_tables,
    log_words,
    results,
    write_files,
)
from dials_truncfix.command_line.calibrate_recordings import load_images
from dials_truncfix.report.gain_page import gain_page

logger = logging.getLogger("dials.truncfix.calibrate")


def gain(params: Any, files: Sequence[str]) -> None:
    """Measure gain, pedestal and read noise, and write the results.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        Of dials.truncfix_calibrate.
    files : sequence of str
        Images of even light, or of a sweep.

    Raises
    ------
    ValueError
        When nothing can be measured.
    OSError
        When a file cannot be read or written.
    """
    own = params.gain
    dark_files = [file for file in own.dark if file is not None]
    if own.dark_level is not None and dark_files:
        raise Sorry("give gain.dark or gain.dark_level, not both")
    images, rotated = load_images(files)
    dark = load_images(dark_files)[0] if dark_files else []
    flat = own.images == "flat" or (own.images == "auto" and not rotated)
    logger.info(
        "%d image(s), taken for %s%s",
        len(images),
        "evenly lit ones" if flat else "a sweep of diffraction patterns",
        f", and {len(dark)} without light" if dark else "",
    )
    result = calibrate_gain(
        images,
        dark,
        GainOptions(
            flat=flat,
            truncated={"auto": None, "truncated": True, "counts": False}[own.zeros],
            dark_level=own.dark_level,
            electrons=tuple(own.electrons or ()),
            electrons_error=own.electrons_error,
            rounding=own.rounding,
        ),
    )
    log_tables([image_table(result), gain_table(result)])
    log_words(findings(result), warnings(result))
    outputs = results(params, gain_record(result), lambda: gain_page(result))
    if params.output.gain is not None:
        outputs.append(
            Output(params.output.gain, "parameters of dials.import", gain_phil(result))
        )
    write_files(outputs)
