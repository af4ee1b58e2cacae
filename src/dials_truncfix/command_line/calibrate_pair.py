"""dials.truncfix_calibrate mode=pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dials.util import Sorry

from dials_truncfix.calibrate.pairs import magnification_words, shift_words
from dials_truncfix.calibrate.pairs.magnification_pair import measure_magnification
from dials_truncfix.calibrate.pairs.recorded_shifts import (
    RecordedShifts,
    montage_pieces,
    shifts_of_csv,
    shifts_of_mdoc,
)
from dials_truncfix.calibrate.pairs.shift_series import (
    ShiftCalibration,
    calibrate_montage,
    calibrate_shifts,
)
from dials_truncfix.command_line.calibrate_images import read_images
from dials_truncfix.command_line.calibrate_output import (
    log_tables,
    log_words,
    results,
    write_files,
)
from dials_truncfix.io.mdoc import SUFFIX, find_mdoc
from dials_truncfix.report.magnification_page import magnification_page
from dials_truncfix.report.shifts_page import shifts_page

Array = npt.NDArray[np.float64]


def pair(params: Any, files: Sequence[str]) -> None:
    """Compare images with each other and write the results.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        Of dials.truncfix_calibrate.
    files : sequence of str
        Images, or the .mdoc file of an aligned montage.

    Raises
    ------
    ValueError
        When something cannot be measured.
    OSError
        When a file cannot be read or written.
    """
    if params.pair.measure == "magnification":
        _magnification(params, files)
    else:
        _shifts(params, files)


def _magnification(params: Any, files: Sequence[str]) -> None:
    own = params.pair
    images, names = read_images(files)
    if len(images) != 2:
        raise Sorry(
            f"{len(images)} image{'s were' if len(images) > 1 else ' was'} given: give two to compare, or "
            "pair.measure=image_shift or stage for a series"
        )
    result = measure_magnification(
        images[0],
        images[1],
        (names[0], names[1]),
        magnification=(own.magnification, own.magnification_range),
        rotation=(math.radians(own.rotation), math.radians(own.rotation_range)),
        largest_shift=own.largest_shift,
    )
    words = magnification_words
    log_tables([words.magnification_table(result)])
    log_words(words.findings(result), words.warnings(result))
    record = words.magnification_record(result)
    write_files(
        results(
            params, record, lambda: magnification_page(result, images[0], images[1])
        )
    )


def _shifts(params: Any, files: Sequence[str]) -> None:
    own = params.pair
    images: list[Array] = []
    if files[0].lower().endswith(SUFFIX):
        if len(files) > 1:
            raise Sorry(f"{files[0]} describes images: give it alone, or as pair.mdoc")
        result = calibrate_montage(
            montage_pieces(Path(files[0]), own.measure), own.measure
        )
    else:
        images, names = read_images(files)
        recorded = _recorded(own, files, names)
        result = calibrate_shifts(
            images,
            names,
            recorded,
            own.measure,
            to_previous=own.compare_with == "previous",
            largest_shift=own.largest_shift,
        )
    if own.pixel_size is not None:
        recorded = replace(result.recorded, pixel_size=own.pixel_size)
        result = replace(result, recorded=recorded)
    _finish(params, result, images)


def _finish(params: Any, result: ShiftCalibration, images: Sequence[Array]) -> None:
    words = shift_words
    log_tables(words.shift_tables(result))
    log_words(words.findings(result), words.warnings(result))
    record = words.shift_record(result)
    write_files(results(params, record, lambda: shifts_page(result, images)))


def _recorded(own: Any, files: Sequence[str], names: Sequence[str]) -> RecordedShifts:
    """Shifts of a series, from where the user says, else the .mdoc beside it."""
    if own.shift is not None:
        if len(own.shift) != 2 * len(names):
            raise Sorry(
                f"pair.shift has {len(own.shift)} numbers for {len(names)} images: give x "
                "and y of each"
            )
        shifts = np.array(own.shift).reshape(-1, 2)
        return RecordedShifts(shifts, None, None, None, "pair.shift")
    if own.shifts is not None:
        return shifts_of_csv(Path(own.shifts), len(names))
    path = Path(own.mdoc) if own.mdoc is not None else find_mdoc(files[0])
    if path is None:
        raise Sorry(
            f"{files[0]} has no .mdoc file beside it: give the shifts as pair.mdoc, "
            "pair.shifts or pair.shift"
        )
    return shifts_of_mdoc(path, own.measure, names)
