"""Headers of corrected images: how they were made, and their models.

The models travel as JSON, so that reading the images back restores them to the
last digit. Everything here is text and plain dictionaries; the dxtbx classes
are made from them by :mod:`dials_truncfix.compat`.
"""

from __future__ import annotations

import json
import math
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dials_truncfix.io.cbf import MAX_LINE

#: Detector serial written to SMV; not a number, because programs take numbers
#: for detectors they know.
SMV_SERIAL = "truncfix"

_MODEL_NAMES = ("detector", "beam", "goniometer", "scan")
_JSON_PREFIX = "Truncfix-model-"
_JSON_SMV_PREFIX = "TRUNCFIX_"
# What delimits or ends an SMV header must not occur in a value.
_SMV_SAFE = "".join(chr(i) for i in range(33, 127) if chr(i) not in "={};%") + " "


@dataclass(frozen=True)
class CorrectedHeader:
    """What the header of a corrected image says.

    Attributes
    ----------
    models : dict
        detector, beam, goniometer and scan as dictionaries of plain values
        (see :func:`dials_truncfix.compat.models_to_dict`). Gain (ADU per
        electron), pedestal (ADU) and trusted range (ADU) of the panel apply
        to the stored pixels.
    offset : int
        Constant that was added to every stored pixel (ADU).
    seed : int
        Seed of the draws.
    version : str
        Version of the program that wrote the image.
    """

    models: Mapping[str, Any]
    offset: int
    seed: int
    version: str

    @property
    def panel(self) -> Mapping[str, Any]:
        """The only panel of the detector."""
        panels = self.models["detector"]["panels"]
        if len(panels) != 1:
            raise ValueError(f"corrected images have one panel, not {len(panels)}")
        panel: Mapping[str, Any] = panels[0]
        return panel


def make_header(
    models: Mapping[str, Any],
    gain: float,
    pedestal: float,
    trusted_range: tuple[float, float],
    offset: int,
    seed: int,
    version: str,
) -> CorrectedHeader:
    """Put what the correction found into the models of one image.

    Parameters
    ----------
    models : mapping
        Models of the recorded image.
    gain : float
        Effective gain (ADU per electron).
    pedestal : float
        Pedestal of the stored pixels (ADU), so that their variance is
        gain * (value - pedestal).
    trusted_range : tuple of float
        Lowest and highest trusted stored value (ADU).
    offset : int
        Constant that was added to every stored pixel (ADU).
    seed : int
        Seed of the draws.
    version : str
        Version of the program.

    Returns
    -------
    CorrectedHeader

    Raises
    ------
    ValueError
        If the detector has several panels.
    """
    header = CorrectedHeader(dict(models), int(offset), int(seed), version)
    panel = dict(
        header.panel,
        gain=float(gain),
        pedestal=float(pedestal),
        trusted_range=[float(trusted_range[0]), float(trusted_range[1])],
        # The pixels no longer come from a counting detector; background
        # models meant for those must stay away.
        type="SENSOR_CCD",
    )
    detector = dict(models["detector"], panels=[panel])
    return CorrectedHeader(
        {**models, "detector": detector}, header.offset, header.seed, version
    )


def beam_centre_mm(header: CorrectedHeader) -> tuple[float, float]:
    """Where the beam meets the panel.

    Parameters
    ----------
    header : CorrectedHeader

    Returns
    -------
    tuple of float
        (fast, slow) from the corner of the first pixel (mm).

    Raises
    ------
    ValueError
        If the beam runs parallel to the panel.
    """
    panel = header.panel
    fast, slow, origin = (
        np.array(panel[key], dtype=float)
        for key in ("fast_axis", "slow_axis", "origin")
    )
    # The model holds the direction from the sample to the source.
    ray = -np.array(header.models["beam"]["direction"], dtype=float)
    normal = np.cross(fast, slow)
    along = float(ray @ normal)
    if abs(along) < 1e-9 * float(np.linalg.norm(ray)):
        raise ValueError("the beam does not meet the detector")
    on_panel = ray * float(origin @ normal) / along - origin
    return float(on_panel @ fast), float(on_panel @ slow)


def distance_mm(header: CorrectedHeader) -> float:
    """Distance of the panel from the sample along its normal (mm)."""
    panel = header.panel
    normal = np.cross(panel["fast_axis"], panel["slow_axis"])
    return abs(float(np.asarray(panel["origin"], dtype=float) @ normal))


def _dump(model: Any) -> str:
    return json.dumps(model, separators=(",", ":"), ensure_ascii=True)


def format_cbf_lines(header: CorrectedHeader) -> list[str]:
    """Compose the header contents of a miniCBF file.

    Readable lines come first. Models follow, one JSON text each, cut where a
    line would exceed what CBF allows.

    Parameters
    ----------
    header : CorrectedHeader

    Returns
    -------
    list of str
        Lines without ``# ``.
    """
    panel = header.panel
    pixel_x, pixel_y = panel["pixel_size"]
    fast, slow = beam_centre_mm(header)
    lines = [
        f"Truncfix_version {header.version}",
        f"Truncfix_seed {header.seed}",
        f"Truncfix_offset {header.offset} ADU",
        f"Gain {panel['gain']!r} ADU per electron",
        f"Pedestal {panel['pedestal']!r} ADU",
        f"Trusted_range {panel['trusted_range'][0]!r} {panel['trusted_range'][1]!r} ADU",
        f"Pixel_size {pixel_x * 1e3:.6g}e-6 m x {pixel_y * 1e3:.6g}e-6 m",
        f"Distance {distance_mm(header) * 1e-3:.6f} m",
        f"Beam_xy ({fast / pixel_x:.2f}, {slow / pixel_y:.2f}) pixels",
    ]
    if "wavelength" in header.models["beam"]:
        lines.append(f"Wavelength {header.models['beam']['wavelength']:.8g} A")
    scan = header.models.get("scan")
    if scan is not None:
        lines += [
            f"Image_number {scan['image_number']}",
            f"Start_angle {scan['oscillation'][0]:.6f} deg.",
            f"Angle_increment {scan['oscillation'][1]:.6f} deg.",
            f"Exposure_time {scan['exposure_time']:.6f} s",
        ]
    for name in _MODEL_NAMES:
        prefix = f"{_JSON_PREFIX}{name} "
        text = _dump(header.models.get(name))
        room = MAX_LINE - len(prefix) - 2
        lines += [
            prefix + text[start : start + room] for start in range(0, len(text), room)
        ]
    return lines


def parse_cbf_lines(lines: Iterable[str]) -> CorrectedHeader:
    """Inverse of `format_cbf_lines`.

    Parameters
    ----------
    lines : iterable of str
        Header contents without ``# ``.

    Returns
    -------
    CorrectedHeader

    Raises
    ------
    ValueError
        If something is missing or damaged.
    """
    values: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(" ")
        # Only JSON texts continue over lines, and these must not gain blanks.
        values[key] = values.get(key, "") + value
    return _parse(
        {name: values.get(_JSON_PREFIX + name) for name in _MODEL_NAMES},
        values.get("Truncfix_offset", "").partition(" ")[0],
        values.get("Truncfix_seed"),
        values.get("Truncfix_version"),
    )


def _parse(
    models: Mapping[str, str | None],
    offset: str | None,
    seed: str | None,
    version: str | None,
) -> CorrectedHeader:
    if offset is None or seed is None or version is None:
        raise ValueError("header of a corrected image lacks version, seed or offset")
    plain: dict[str, Any] = {}
    for name, text in models.items():
        if text is None:
            raise ValueError(f"header of a corrected image lacks the {name} model")
        try:
            plain[name] = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError(f"{name} model in the header is damaged") from None
    try:
        numbers = int(offset), int(seed)
    except ValueError:
        raise ValueError("seed or offset in the header are no whole numbers") from None
    check_models(plain)
    return CorrectedHeader(plain, *numbers, version)


def check_models(models: Any) -> None:
    """Raise a ValueError where models from a file are not what `make_header` makes."""
    try:
        (panel,) = models["detector"]["panels"]
        vectors = [panel[key] for key in ("fast_axis", "slow_axis", "origin")]
        vectors.append(models["beam"]["direction"])
        sizes = [*map(int, panel["image_size"])], [*map(float, panel["pixel_size"])]
        whole = (
            all(len(vector) == 3 for vector in vectors)
            and all(len(size) == 2 for size in sizes)
            and all(math.isfinite(float(x)) for vector in vectors for x in vector)
            and all(
                isinstance(models[name], (Mapping, type(None)))
                for name in ("goniometer", "scan")
            )
        )
    except (LookupError, TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        raise ValueError("the models in the header are damaged")


def format_smv_header(header: CorrectedHeader) -> dict[str, str]:
    """Compose the header of an SMV file.

    Keys that other programs know come first, within the first 512 bytes. The
    beam centre is written as MOSFLM and dxtbx read it from ADSC images: X is
    the slow and Y the fast coordinate.

    Parameters
    ----------
    header : CorrectedHeader

    Returns
    -------
    dict of str to str
        For :func:`dials_truncfix.io.smv.write`.

    Raises
    ------
    ValueError
        If the beam has no single wavelength.
    """
    panel = header.panel
    if "wavelength" not in header.models["beam"]:
        raise ValueError("SMV images need a beam with one wavelength")
    fast, slow = beam_centre_mm(header)
    scan = header.models.get("scan") or {
        "oscillation": (0.0, 0.0),
        "exposure_time": 0.0,
        "epoch": 0.0,
    }
    start, width = scan["oscillation"]
    # asctime uses English names whatever the locale, as readers expect.
    date = time.asctime(time.gmtime(max(0.0, math.floor(scan["epoch"]))))
    values = {
        "PIXEL_SIZE": f"{panel['pixel_size'][0]:.7g}",
        "BIN": "1x1",
        "BEAMLINE": "TRUNCFIX",
        "DETECTOR_SN": SMV_SERIAL,
        "DATE": date,
        "TIME": f"{scan['exposure_time']:.6g}",
        "DISTANCE": f"{distance_mm(header):.8g}",
        "TWOTHETA": "0.0",
        "PHI": f"{start:.8g}",
        "OSC_START": f"{start:.8g}",
        "OSC_RANGE": f"{width:.8g}",
        "WAVELENGTH": f"{header.models['beam']['wavelength']:.8g}",
        "BEAM_CENTER_X": f"{slow:.8g}",
        "BEAM_CENTER_Y": f"{fast:.8g}",
        "GAIN": f"{panel['gain']:.8g}",
        # What was added to every pixel, as programs understand this key. The panel's
        # own pedestal, which also carries the read noise, is in the detector model.
        "IMAGE_PEDESTAL": str(header.offset),
        _JSON_SMV_PREFIX + "OFFSET": str(header.offset),
        _JSON_SMV_PREFIX + "SEED": str(header.seed),
        _JSON_SMV_PREFIX + "VERSION": header.version,
    }
    for name in _MODEL_NAMES:
        values[_JSON_SMV_PREFIX + name.upper()] = urllib.parse.quote(
            _dump(header.models.get(name)), safe=_SMV_SAFE
        )
    return values


def parse_smv_header(header: Mapping[str, str]) -> CorrectedHeader:
    """Inverse of `format_smv_header`.

    Parameters
    ----------
    header : mapping of str to str
        From :func:`dials_truncfix.io.smv.read_header`.

    Returns
    -------
    CorrectedHeader

    Raises
    ------
    ValueError
        If something is missing or damaged.
    """
    quoted = {
        name: header.get(_JSON_SMV_PREFIX + name.upper()) for name in _MODEL_NAMES
    }
    return _parse(
        {k: None if v is None else urllib.parse.unquote(v) for k, v in quoted.items()},
        header.get(_JSON_SMV_PREFIX + "OFFSET"),
        header.get(_JSON_SMV_PREFIX + "SEED"),
        header.get(_JSON_SMV_PREFIX + "VERSION"),
    )
