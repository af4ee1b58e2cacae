"""Measurements for the table out of the results of other modes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from dials_truncfix.calibrate.magnifications.magnification_table import Magnification
from dials_truncfix.calibrate.pairs import magnification_words
from dials_truncfix.calibrate.pixel_size import pixel_size_words
from dials_truncfix.io.json_object import parse_json
from dials_truncfix.io.source_files import printable

_REMEDY = "measure again"


def measurement_of(
    path: Path, camera: str, magnification: float, reference: float | None
) -> Magnification:
    """Read the result of mode=pixel_size or of mode=pair.

    Parameters
    ----------
    path : pathlib.Path
        Its JSON file.
    camera : str
        Where it belongs.
    magnification : float
        Of the image; of a pair, of the second one.
    reference : float, optional
        Magnification of the first image of a pair.

    Returns
    -------
    Magnification

    Raises
    ------
    ValueError
        If it is no such result.
    OSError
        If it cannot be read.
    """
    record = parse_json(path.read_bytes(), printable(str(path)), _REMEDY)
    schema = record.get("schema")
    try:
        if schema == pixel_size_words.SCHEMA:
            return _pixel_size(record, camera, magnification, str(path))
        if schema == magnification_words.SCHEMA:
            if reference is None:
                raise ValueError(
                    f"{path} compares two images: give the magnification of the first as "
                    "table.reference"
                )
            return _pair(record, camera, magnification, reference, str(path))
    except (ArithmeticError, LookupError, TypeError):
        raise ValueError(f"{path} is damaged: {_REMEDY}") from None
    raise ValueError(
        f"{path} is no result of mode=pixel_size, or of mode=pair with "
        "pair.measure=magnification"
    )


def _pixel_size(
    record: dict[str, Any], camera: str, magnification: float, source: str
) -> Magnification:
    axis = np.array(record["axes_px"][0], float)
    covariance = np.array(record["covariance_of_axes_px2"], float)[:2, :2]
    length = float(np.linalg.norm(axis))
    across = np.array([-axis[1], axis[0]]) / length
    error = math.degrees(math.sqrt(float(across @ covariance @ across)) / length)
    return Magnification(
        camera,
        magnification,
        pixel_size_nm=float(record["pixel_size_nm"]),
        pixel_size_error_nm=float(record["pixel_size_error_nm"]),
        axis_deg=float(record["rotation_deg"]),
        axis_error_deg=error,
        source=source,
    )


def _pair(
    record: dict[str, Any],
    camera: str,
    magnification: float,
    reference: float,
    source: str,
) -> Magnification:
    return Magnification(
        camera,
        magnification,
        reference=reference,
        ratio=float(record["magnification"]),
        ratio_error=float(record["magnification_error"]),
        turn_deg=float(record["rotation_deg"]),
        turn_error_deg=float(record["rotation_error_deg"]),
        source=source,
    )
