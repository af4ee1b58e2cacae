"""What the installed releases are, and how they go about things."""

from __future__ import annotations

import functools
import importlib.metadata
from typing import Any

from dxtbx.model import (
    DetectorFactory,
)

from dials_truncfix.io.reflection_file import version_in


def dxtbx_version() -> str:
    """Return the version that dxtbx's packaging states."""
    try:
        return importlib.metadata.version("dxtbx")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def format_is_registered(name: str) -> bool:
    """Whether a format class of this name is installed."""
    from dxtbx.format.Registry import get_format_class_index

    return name in get_format_class_index()


@functools.cache
def reflection_layout_version() -> int:
    """Version of the layout in which this DIALS writes reflections."""
    from dials.array_family import flex as dials_flex

    version = version_in(bytes(dials_flex.reflection_table().as_msgpack()))
    if version is None:
        raise RuntimeError("this DIALS writes reflections in an unknown layout")
    return version


@functools.cache
def ellipse_scales_are_axes() -> bool:
    """Whether dials.generate_distortion_maps takes the axes of the ellipse that is seen.

    Earlier releases take the factors that undo it, and call both l1 and l2.
    """
    from dials.command_line.generate_distortion_maps import make_dx_dy_ellipse

    detector = DetectorFactory.simple(
        "CCD", 100.0, (1.0, 1.0), "+x", "-y", (1.0, 1.0), (2, 2), (0, 1)
    )

    class Images:
        @staticmethod
        def get_detector() -> Any:
            return detector

    dx, _ = make_dx_dy_ellipse(Images, phi=0.0, l1=2.0, l2=1.0, centre_xy=(0.0, 0.0))
    return bool(dx[0][0] > 0)
