"""dxtbx models of a camera below an electron microscope, shared by formats."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from dxtbx.model import DetectorFactory

from dials_truncfix.compat import safe_trusted_range
from dials_truncfix.io.source_files import printable


@functools.cache
def log_once(logger_name: str, level: int, message: str) -> None:
    """Log a message once per process; formats are opened again and again."""
    logging.getLogger(logger_name).log(level, message)


def refuse(logger_name: str, error: ValueError) -> bool:
    """Say why a file that looks like one of ours cannot be read.

    Programs list files that no class understands without a reason; this is it.
    """
    log_once(logger_name, logging.WARNING, str(error))
    return False


@contextmanager
def plain_failures() -> Iterator[None]:
    """Have DIALS print what is wrong with a file, and not ask for an error report."""
    try:
        yield
    except ValueError as error:
        from libtbx.utils import Sorry

        raise Sorry(printable(str(error))) from None


def integer_trusted_range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Trusted range of pixels as a camera stores them.

    Everything but the highest value, at which the camera saturates, is
    trusted; zeros are. Signed pixels lose their lowest value as well.

    Parameters
    ----------
    dtype : numpy.dtype
        Type of the stored pixels.

    Returns
    -------
    tuple of float
        Half integers, which every dxtbx takes alike (ADU).
    """
    if not np.issubdtype(dtype, np.integer):
        return safe_trusted_range(-(2**30), 2**30)
    limits = np.iinfo(dtype)
    lowest = int(limits.min) + (1 if limits.min < 0 else 0)
    return safe_trusted_range(lowest, int(limits.max) - 1)


def make_flat_detector(
    image_size: tuple[int, int],
    pixel_size_mm: tuple[float, float],
    distance_mm: float,
    dtype: np.dtype[Any],
) -> Any:
    """Make a detector that the beam meets upright, in the middle.

    Parameters
    ----------
    image_size : tuple of int
        (fast, slow) size in pixels.
    pixel_size_mm : tuple of float
        (fast, slow) pixel size (mm).
    distance_mm : float
        Distance from the sample (mm).
    dtype : numpy.dtype
        Type of the stored pixels.

    Returns
    -------
    dxtbx.model.Detector
        One panel with gain 1 and pedestal 0.
    """
    # CCD, not PAD: a CMOS camera does not count, and DIALS picks background
    # models for counting detectors by this type.
    return DetectorFactory.simple(
        "CCD",
        distance_mm,
        (
            0.5 * image_size[0] * pixel_size_mm[0],
            0.5 * image_size[1] * pixel_size_mm[1],
        ),
        "+x",
        "-y",
        pixel_size_mm,
        image_size,
        integer_trusted_range(dtype),
        [],
    )
