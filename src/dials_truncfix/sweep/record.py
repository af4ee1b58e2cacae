"""The record of a run: everything needed to judge it or to repeat it."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Container, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from dials.util.version import dials_version

import dials_truncfix
from dials_truncfix import compat
from dials_truncfix.correction.gain import GainEstimate
from dials_truncfix.correction.joint_camera.camera_fit import CameraFit
from dials_truncfix.correction.joint_camera.camera_model import NAME as CAMERA
from dials_truncfix.correction.regions.scattering import d_spacing
from dials_truncfix.correction.verdict.verdict import Verdict
from dials_truncfix.io.plain import to_plain
from dials_truncfix.sweep.close_look import CloseLook, looked_correlation
from dials_truncfix.sweep.illustrations import make_illustrations
from dials_truncfix.sweep.measure import ImageFits
from dials_truncfix.sweep.options import CorrectionOptions
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.replicates import Replicate
from dials_truncfix.sweep.source import SweepSource
from dials_truncfix.sweep.uniformity import ring_anisotropy
from dials_truncfix.sweep.work import SweepWork

#: Raised when a field changes its meaning or goes.
SCHEMA = 3


def software_versions() -> dict[str, str]:
    """Versions of what results depend on."""
    return {
        "dials_truncfix": dials_truncfix.__version__,
        "dials": dials_version(),
        "dxtbx": compat.dxtbx_version(),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def run_record(
    source: SweepSource,
    files: Sequence[dict[str, Any]],
    options: CorrectionOptions,
    verdict: Verdict,
) -> dict[str, Any]:
    """Describe the run: versions, source files, parameters and verdict."""
    return {
        "program": "dials.truncfix",
        "schema": SCHEMA,
        "versions": software_versions(),
        "source": {
            "format_class": source.format_name,
            "image_numbers": [source.numbers[0], source.numbers[-1]],
            "files": list(files),
        },
        "parameters": {
            **asdict(replace(options, labels=None)),
            "labels": None if options.labels is None else options.labels.path,
        },
        "seed": options.seed,
        "verdict": {
            "class": verdict.verdict_class.value,
            "reason": verdict.reason,
            "statistics": dict(verdict.statistics),
            "regions": [asdict(region) for region in verdict.regions],
        },
    }


def correction_record(
    images: Sequence[ImageFits],
    panel: PanelValues,
    gain: GainEstimate | None,
) -> dict[str, Any]:
    """Describe the correction: detector values, and how uniform the annuli are."""
    return {
        "gain": panel.gain,
        "pedestal": panel.pedestal,
        "offset": panel.offset,
        "gain_estimate": None if gain is None else asdict(gain),
        "anisotropy": [asdict(ring) for ring in ring_anisotropy(images)],
    }


def camera_record(
    options: CorrectionOptions, fit: CameraFit | None
) -> dict[str, Any] | None:
    """Describe the camera, if one is used, and how well it is known."""
    if options.camera is None or options.family != CAMERA:
        return None
    model = options.camera.model
    record: dict[str, Any] = {
        "gain": model.gain,
        "pulse_variance": model.pulse_variance,
        "read_noise": model.read_noise,
        "dark": model.dark,
        "dark_drift": options.camera.dark_drift,
        "effective_gain": model.effective_gain,
        "pedestal": model.pedestal,
    }
    if fit is not None:
        known = asdict(fit)
        del known["model"], known["dark_drift"], known["reason"]
        record["fit"] = known
    return record


def illustrations_record(
    looks: Sequence[CloseLook], source: SweepSource
) -> dict[str, Any]:
    """Keep what the figures of the report need beyond the fits."""
    return dict(to_plain(make_illustrations(looks, source.numbers)))


def correlation_record(looks: Sequence[CloseLook]) -> dict[str, Any] | None:
    """Describe the correlation of the noise of neighbouring pixels."""
    correlation = looked_correlation(looks)
    if correlation is None:
        return None
    return {
        **asdict(correlation),
        "significant": correlation.significant,
        "lags": correlation.lags.tolist(),
        "correlation": correlation.correlation.tolist(),
        "correlation_sd": correlation.correlation_sd.tolist(),
        "level": correlation.level.tolist(),
        "by_brightness": correlation.by_brightness.tolist(),
    }


def replicates_record(
    replicates: Sequence[Replicate], panels: Sequence[PanelValues]
) -> list[dict[str, Any]]:
    """Say which draw went where."""
    return [
        {
            "replicate": replicate.number,
            "seed": replicate.seed,
            "images": os.path.join(
                replicate.output.directory, replicate.output.images_template
            ),
            "experiments": replicate.output.experiments,
            "offset": panel.offset,
        }
        for replicate, panel in zip(replicates, panels)
    ]


def regions_record(work: SweepWork) -> dict[str, Any]:
    """Describe what the images are divided into.

    Returns
    -------
    dict
        The resolution at the limits of the annuli; with labels, their file; with
        more than annuli, the cells by whose number the regions refer to them: labels,
        azimuths in degrees from the fast towards the slow axis, first and last + 1
        pixel of tiles.
    """
    options, division = work.options, work.division
    record: dict[str, Any] = {
        "shape": options.shape,
        "d_limits": d_spacing(work.annuli.edges, work.source.wavelength).tolist(),
    }
    if options.labels is not None:
        record["labels"] = {
            "path": options.labels.path,
            "sha256": options.labels.sha256,
        }
    if division is not None:
        record["cells"] = [
            {
                **({"labels": list(labels)} if labels else {}),
                **_bounds(options.shape, bounds.tolist()),
            }
            for labels, bounds in zip(division.labels, division.bounds)
        ]
    return record


def _bounds(shape: str, bounds: list[float]) -> dict[str, Any]:
    """Describe where a sector or a tile lies."""
    if shape == "sectors":
        return {"azimuth": bounds}
    if shape == "tiles":
        return {"slow": bounds[:2], "fast": bounds[2:]}
    return {}


def plain_record(record: dict[str, Any]) -> dict[str, Any]:
    """Return the values that the JSON text of a record is read back to."""
    return dict(_finite(record))


def as_json(record: dict[str, Any], by_line: Container[str] = ()) -> bytes:
    """Write a record as JSON, to be read by people and programs.

    Parameters
    ----------
    record : dict
        Numbers in it that are not finite become null.
    by_line : container of str
        Fields that take one line; lists, one line for each item.
    """
    entries = []
    for key, value in record.items():
        if key not in by_line:
            text = json.dumps(
                _finite(value), indent=1, allow_nan=False, ensure_ascii=False
            )
            # texts hold no line breaks in JSON
            text = text.replace("\n", "\n ")
        elif isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(map(on_one_line, value)) + "\n ]"
        else:
            text = on_one_line(value)
        entries.append(f" {json.dumps(str(key))}: {text}")
    return ("{\n" + ",\n".join(entries) + "\n}\n").encode()


def on_one_line(value: Any) -> str:
    """Write any part of a record as JSON without line breaks."""
    return json.dumps(
        _finite(value), separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )


def _finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON does not know, by None."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
