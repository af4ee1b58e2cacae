"""The figures of a comparison as plain values, for JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from dials_truncfix import __version__
from dials_truncfix.compare.comparison import TruthFigures
from dials_truncfix.compare.files import Integrated
from dials_truncfix.compare.results import Compared
from dials_truncfix.compare.words import findings, warnings

#: Changes when the meaning of an entry does.
SCHEMA = "dials.truncfix_compare/1"


def comparison_record(compared: Compared) -> dict[str, Any]:
    """Describe a comparison by plain values; what is not a number becomes None."""
    comparison = compared.comparison
    record = {
        "schema": SCHEMA,
        "version": __version__,
        "before": _files(compared.before),
        "after": _files(compared.after),
        "truth": None if compared.truth is None else str(compared.truth),
        "intensity": compared.intensity,
        "unit": compared.unit,
        "truth_unit": comparison.truth_unit if compared.truth else None,
        "options": asdict(compared.options),
        "scale_of_after": comparison.scale,
        "shell_limits": comparison.limits.tolist(),
        "changes": [asdict(c) for c in comparison.changes],
        "merged_before": [asdict(m) for m in comparison.merged_before],
        "merged_after": [asdict(m) for m in comparison.merged_after],
        "truth_before": _figures(comparison.truth_before),
        "truth_after": _figures(comparison.truth_after),
        "findings": findings(compared),
        "warnings": warnings(compared),
    }
    return dict(finite_values(record))


def as_json(record: dict[str, Any]) -> bytes:
    """Text of a record."""
    return json.dumps(record, indent=1, allow_nan=False).encode() + b"\n"


def _files(side: Integrated) -> dict[str, str]:
    return {
        "reflections": str(side.path),
        "experiments": str(side.experiments_path),
    }


def _figures(figures: TruthFigures | None) -> dict[str, Any] | None:
    return None if figures is None else asdict(figures)


def finite_values(value: Any) -> Any:
    """Turn numbers that are not finite into None, in lists and dictionaries too."""
    if isinstance(value, dict):
        return {key: finite_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite_values(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
