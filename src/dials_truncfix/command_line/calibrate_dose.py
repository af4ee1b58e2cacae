"""dials.truncfix_calibrate mode=dose."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from dials.util import Sorry

from dials_truncfix.calibrate.dose.dose_words import (
    dose_record,
    dose_table,
    findings,
    mdoc_findings,
    mdoc_table,
    warnings,
)
from dials_truncfix.calibrate.dose.image_dose import ImageDose, Scale, image_dose
from dials_truncfix.calibrate.dose.mdoc_dose import MdocDose, mdoc_doses
from dials_truncfix.calibrate.gain.gain_words import SCHEMA as GAIN_SCHEMA
from dials_truncfix.calibrate.recorded_images import RecordedImage
from dials_truncfix.camera.coincidence import LossCurve, loss_curve
from dials_truncfix.command_line.calibrate_output import (
    log_tables,
    log_words,
    results,
    write_files,
)
from dials_truncfix.command_line.calibrate_recordings import load_images
from dials_truncfix.io.mdoc import SUFFIX, read_mdoc
from dials_truncfix.report.dose_page import dose_page

_ANGSTROM_PER_UM = 1e4


def dose(params: Any, files: Sequence[str]) -> None:
    """Measure rates and doses, and write the results.

    Parameters
    ----------
    params : libtbx.phil.scope_extract
        Of dials.truncfix_calibrate.
    files : sequence of str
        Images, or metadata of SerialEM, or both.

    Raises
    ------
    ValueError
        When something cannot be measured.
    OSError
        When a file cannot be read or written.
    """
    own = params.dose
    metadata = [f for f in files if f.lower().endswith(SUFFIX)]
    recorded = [f for f in files if f not in metadata]
    loss = _loss(own, own.loss)
    stated = [d for file in metadata for d in _stated(file, loss)]
    images: list[ImageDose] = []
    scale: Scale | None = None
    words: list[str] = []
    warned: list[str] = []
    if recorded:
        scale = _scale(own, loss)
        found = load_images(recorded)[0]
        images = [image_dose(i, _exposure(own, i), scale) for i in found]
        words = findings(images, scale, _other_loss(own))
        warned = warnings(images, scale)
        log_tables([dose_table(images, scale)])
    if stated:
        words += mdoc_findings(stated)
        log_tables([mdoc_table(stated)])
    log_words(words, warned)
    record = dose_record(images, scale, stated, words, warned)
    write_files(
        results(params, record, lambda: dose_page(images, scale, stated, words, warned))
    )


def _stated(file: str, loss: LossCurve | None) -> list[MdocDose]:
    try:
        return mdoc_doses(read_mdoc(file), loss)
    except ValueError as error:
        message = str(error)
        raise ValueError(message if file in message else f"{file}: {message}") from None


def _loss(own: Any, source: str) -> LossCurve | None:
    if own.camera == "integrating":
        return None
    return loss_curve(own.camera, source, own.high_tension)


def _other_loss(own: Any) -> LossCurve | None:
    """Return the published curve that was not chosen."""
    other = {"manual": "serialem", "serialem": "manual"}.get(own.loss)
    return None if other is None else _loss(own, other)


def _exposure(own: Any, image: RecordedImage) -> float:
    exposure = own.exposure or image.exposure
    if not exposure > 0:
        raise Sorry(
            f"{image.name} does not say how long it was exposed: give dose.exposure"
        )
    return float(exposure)


def _scale(own: Any, loss: LossCurve | None) -> Scale:
    if loss is not None and own.counts_per_electron is None:
        raise Sorry(
            "give the stored counts of an electron that was counted as "
            "dose.counts_per_electron: 1 for raw counts, 32 for normalized frames of a K3"
        )
    if loss is None:
        per_electron, error, dark, dark_sd = _adu_per_electron(own)
    else:
        per_electron, error, dark, dark_sd = own.counts_per_electron, 0.0, 0.0, 0.0
    if own.dark_level is not None:
        dark, dark_sd = own.dark_level, 0.0
    given = [own.pixel_spacing, own.magnification, own.beam_diameter]
    if sum(value is not None for value in given) > 1:
        raise Sorry(
            "give one of dose.pixel_spacing, dose.magnification and dose.beam_diameter"
        )
    spacing = own.pixel_spacing or 0.0
    if own.magnification is not None:
        if own.pixel_size is None:
            raise Sorry(
                "dose.magnification needs the edge of a physical pixel of the camera as "
                "dose.pixel_size"
            )
        spacing = own.pixel_size * _ANGSTROM_PER_UM / own.magnification
    area = 0.0
    if own.beam_diameter is not None:
        area = math.pi / 4.0 * (own.beam_diameter * _ANGSTROM_PER_UM) ** 2
    return Scale(
        counts_per_electron=per_electron,
        counts_per_electron_sd=error,
        dark_level=dark,
        dark_level_sd=dark_sd,
        binning=own.binning,
        loss=loss,
        pixel_spacing=spacing,
        pixel_spacing_error=own.length_error,
        beam_area=area,
        beam_area_error=2.0 * own.length_error,
    )


def _adu_per_electron(own: Any) -> tuple[float, float, float, float]:
    """ADU of an electron and dark level with their uncertainties."""
    if (own.calibration is None) == (own.adu_per_electron is None):
        raise Sorry(
            "give the ADU of an electron as dose.adu_per_electron, or the file that "
            "mode=gain wrote as dose.calibration"
        )
    if own.calibration is None:
        return own.adu_per_electron, own.adu_per_electron_error or 0.0, 0.0, 0.0
    file = own.calibration
    try:
        with open(file, encoding="utf-8") as stream:
            record = json.load(stream)
    except (RecursionError, ValueError):
        record = None
    if not isinstance(record, dict) or record.get("schema") != GAIN_SCHEMA:
        raise Sorry(
            f"{file} is not what dials.truncfix_calibrate mode=gain writes: give its "
            "output.json"
        )
    numbers = [
        record.get(key)
        for key in (
            "adu_per_electron",
            "adu_per_electron_sd",
            "dark_level_adu",
            "dark_level_sd_adu",
        )
    ]
    per_electron, error, dark, dark_sd = (
        float(x) if isinstance(x, (int, float)) and math.isfinite(x) else 0.0
        for x in numbers
    )
    if not per_electron > 0:
        raise Sorry(
            f"{file} does not know the ADU of an electron: calibrate with gain.electrons, or "
            "with darker images, or give dose.adu_per_electron"
        )
    return per_electron, error, dark, dark_sd
