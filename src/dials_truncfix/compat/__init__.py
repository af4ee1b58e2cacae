"""The only folder that knows that DIALS and dxtbx releases differ.

Differences are found by asking for a behaviour, not for a version number.
"""

from dials_truncfix.compat.experiments import (
    experiments_as_json,
    hand_on_history,
)
from dials_truncfix.compat.models import (
    electron_probe,
    is_electron_beam,
    make_electron_beam,
    make_scan,
    models_from_dict,
    models_to_dict,
    scan_from_dict,
    scan_to_dict,
)
from dials_truncfix.compat.pixels import (
    safe_trusted_range,
    to_flex,
    trusted_limits,
    trusted_range_is_inclusive,
    uncompress_byte_offset,
)
from dials_truncfix.compat.releases import (
    dxtbx_version,
    ellipse_scales_are_axes,
    format_is_registered,
    reflection_layout_version,
)

__all__ = [
    "dxtbx_version",
    "electron_probe",
    "ellipse_scales_are_axes",
    "experiments_as_json",
    "format_is_registered",
    "hand_on_history",
    "is_electron_beam",
    "make_electron_beam",
    "make_scan",
    "models_from_dict",
    "models_to_dict",
    "reflection_layout_version",
    "safe_trusted_range",
    "scan_from_dict",
    "scan_to_dict",
    "to_flex",
    "trusted_limits",
    "trusted_range_is_inclusive",
    "uncompress_byte_offset",
]
