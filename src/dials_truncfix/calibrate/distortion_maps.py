"""Distortion as DIALS takes it: maps of offsets, and the parameters that make them.

DIALS subtracts the maps from the position of a pixel on the image to get the one without
distortion, and adds them, taken at the pixel without distortion, to go back.
"""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dxtbx import flumpy
from dxtbx.format.image import ImageDouble

from dials_truncfix import compat
from dials_truncfix.calibrate.ellipse import Ellipse

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DistortionMaps:
    """Position on the image minus position without distortion.

    Attributes
    ----------
    dx, dy : ndarray, shape (slow, fast)
        At the centre of each pixel, pixels along fast and slow.
    """

    dx: Array
    dy: Array

    @property
    def largest(self) -> float:
        """Largest offset, pixels."""
        return float(np.hypot(self.dx, self.dy).max())


def pixel_positions(
    shape: tuple[int, ...], known: DistortionMaps | None = None
) -> tuple[Array, Array]:
    """Positions of the centres of pixels without the distortion known so far.

    Parameters
    ----------
    shape : tuple of int
        (slow, fast).
    known : DistortionMaps, optional
        None where nothing is known.

    Returns
    -------
    x, y : ndarray, shape (slow, fast)
        Pixels along fast and slow; the first pixel reaches from 0 to 1.
    """
    slow, fast = np.indices(shape, dtype=float)
    x, y = fast + 0.5, slow + 0.5
    return (x, y) if known is None else (x - known.dx, y - known.dy)


def linear_maps(
    shape: tuple[int, ...],
    centre: tuple[float, float],
    undo: Array,
    known: DistortionMaps | None = None,
) -> DistortionMaps:
    """Make maps of a linear distortion about a centre.

    Parameters
    ----------
    shape : tuple of int
        (slow, fast).
    centre : tuple of float
        What stays in place, pixels (fast, slow).
    undo : ndarray, shape (2, 2)
        Inverse of the magnification matrix, in pixels.
    known : DistortionMaps, optional
        Maps through which the distortion was measured; the result replaces them.

    Returns
    -------
    DistortionMaps
    """
    x, y = pixel_positions(shape, known)
    raw_x, raw_y = pixel_positions(shape)
    u, v = x - centre[0], y - centre[1]
    return DistortionMaps(
        raw_x - (centre[0] + undo[0, 0] * u + undo[0, 1] * v),
        raw_y - (centre[1] + undo[1, 0] * u + undo[1, 1] * v),
    )


def map_bytes(offsets: Array) -> bytes:
    """Content of a file for lookup.dx or lookup.dy of dials.import."""
    return pickle.dumps((flumpy.from_numpy(np.ascontiguousarray(offsets)),), 2)


def read_maps(imageset: Any) -> DistortionMaps | None:
    """Return the maps of an imageset, None where it has none."""
    lookup = imageset.external_lookup
    if lookup.dx.data.empty() or lookup.dy.data.empty():
        return None
    dx, dy = (
        flumpy.to_numpy(item.data.tile(0).data()).copy()
        for item in (lookup.dx, lookup.dy)
    )
    return DistortionMaps(dx, dy)


def set_maps(imageset: Any, maps: DistortionMaps, x_path: Path, y_path: Path) -> None:
    """Let an imageset refer to maps, under the names they will have."""
    lookup = imageset.external_lookup
    for item, values, path in (
        (lookup.dx, maps.dx, x_path),
        (lookup.dy, maps.dy, y_path),
    ):
        item.data = ImageDouble((flumpy.from_numpy(np.ascontiguousarray(values)),))
        item.filename = str(path.absolute())


@dataclass(frozen=True)
class DialsEllipse:
    """Parameters of dials.generate_distortion_maps mode=ellipse.

    Attributes
    ----------
    phi : float
        Degrees.
    l1, l2 : float
        Scale factors.
    centre_xy : tuple of float
        mm (fast, slow).
    """

    phi: float
    l1: float
    l2: float
    centre_xy: tuple[float, float]

    def as_phil(self) -> str:
        """Parameter file."""
        x, y = self.centre_xy
        return (
            "mode = ellipse\n"
            "ellipse {\n"
            f"  phi = {self.phi:.6f}\n"
            f"  l1 = {self.l1:.8f}\n"
            f"  l2 = {self.l2:.8f}\n"
            f"  centre_xy = {x:.6f},{y:.6f}\n"
            "}\n"
        )


def dials_ellipse(ellipse: Ellipse, centre: tuple[float, float]) -> DialsEllipse:
    """Say an ellipse in the words of the DIALS at hand.

    Releases count phi from fast towards minus slow. Older ones take the factors by which
    positions are multiplied, newer ones the axes of the ellipse that is seen.

    Parameters
    ----------
    ellipse : Ellipse
        What a circle becomes on the image.
    centre : tuple of float
        Beam (fast, slow), mm.

    Returns
    -------
    DialsEllipse
    """
    long_axis = math.sqrt(ellipse.ratio)
    first = long_axis if compat.ellipse_scales_are_axes() else 1 / long_axis
    phi = (180.0 - math.degrees(ellipse.azimuth)) % 180.0
    return DialsEllipse(phi, first, 1 / first, centre)
