"""Refusals of ring patterns that do not tell what they seem to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import signal

from dials_truncfix.calibrate.rings.cake import Pixels
from dials_truncfix.calibrate.rings.ring_fit import RingFit
from dials_truncfix.calibrate.rings.ring_result import (
    RingCalibration,
    final_cake,
    radial_contrast,
    tan_two_theta,
)

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Rings that deviate by more, relative and in standard deviations, are not the standard's.
_WRONG, _WRONG_SIGMA = 0.004, 3.0
#: Part of the standard's rings, by the root of their strengths, and likeness in standard
#: deviations of all camera lengths and ellipses, that are needed.
_LEAST_FOUND, _LEAST_SCORE = 0.6, 4.0
#: A ring that the standard does not have, of so much of the strongest one's contrast.
_FOREIGN = 0.5
#: More of the pixels about a ring than that saturated: its top is missing.
_SATURATED = 0.1
_FOREIGN_SIGMA = 15.0


def check_rings(result: RingCalibration, pixels: Pixels) -> None:
    """Refuse what is not measured.

    Parameters
    ----------
    result : RingCalibration
        After the fit.
    pixels : Pixels
        The image.

    Raises
    ------
    ValueError
        If rings are saturated, or not those of the standard.
    """
    _refuse_saturated(result)
    _refuse_missing_rings(result)
    _refuse_wrong_rings(result)
    _refuse_foreign_rings(result, pixels)


def saturation(
    saturated: BoolArray, size: float, fit: RingFit, tangent: Array
) -> float:
    """Largest part of the pixels within a width of a ring that overflowed."""
    slow, fast = np.nonzero(saturated)
    if not len(slow):
        return 0.0
    x, y = (fast + 0.5) * size, (slow + 0.5) * size
    u, v = fit.geometry.undo @ np.stack(
        [x - fit.geometry.centre[0], y - fit.geometry.centre[1]]
    )
    radius = np.hypot(u, v)
    parts = []
    for ring, width in zip(fit.rings, fit.width):
        middle = fit.geometry.distance * tangent[ring]
        whole = 2 * np.pi * middle * 2 * width / size**2
        parts.append(np.count_nonzero(np.abs(radius - middle) < width) / whole)
    return float(max(parts))


def _refuse_saturated(result: RingCalibration) -> None:
    if result.saturated > _SATURATED:
        raise ValueError(
            f"{100 * result.saturated:.0f} % of the pixels of a ring are saturated: "
            "record with a shorter exposure or a weaker beam"
        )


def _refuse_missing_rings(result: RingCalibration) -> None:
    """Refuse when most of what the standard should show is not there."""
    strength, seen = result.standard.strength, result.fit.rings
    # further out, rings may be too weak
    expected = np.arange(seen.max() + 1)
    found = np.sum(strength[seen] ** 0.5) / np.sum(strength[expected] ** 0.5)
    if found < _LEAST_FOUND or result.guess.score < _LEAST_SCORE:
        raise ValueError(
            f"no rings of {result.standard.name} were found ({len(seen)} of "
            f"{len(expected)} places of its rings are bright): check the standard, and "
            "the camera length of the experiments"
        )


def _refuse_wrong_rings(result: RingCalibration) -> None:
    """Refuse rings that no camera length brings to those of the standard."""
    fit, radius = result.fit, result.radius
    relative = np.abs(fit.deviation) / radius
    wrong = (relative > _WRONG) & (
        np.abs(fit.deviation) > _WRONG_SIGMA * fit.deviation_error
    )
    if wrong.any():
        worst = int(np.argmax(np.where(wrong, relative, 0)))
        raise ValueError(
            f"the rings are not those of {result.standard.name}: in no camera length do "
            f"they all fit, the one of {result.d[worst]:.3f} Å is "
            f"{100 * relative[worst]:.1f} % off; check the standard, or give the "
            "spacings that are sure as rings.d_spacings"
        )


def _refuse_foreign_rings(result: RingCalibration, pixels: Pixels) -> None:
    """Refuse an image whose rings are mostly not the standard's."""
    cake = final_cake(result, pixels)
    radius, contrast, noise = radial_contrast(cake)
    peaks, _ = signal.find_peaks(contrast, height=_FOREIGN_SIGMA * noise)
    width = float(result.fit.width.max())
    expected = result.distance * tan_two_theta(result.standard.d, result.wavelength)
    near = np.abs(radius[peaks][:, None] - expected).min(axis=1, initial=np.inf) < max(
        3 * width, 4 * pixels.size
    )
    seen = radius[peaks] > 0.5 * result.radius.min()
    own, foreign = contrast[peaks][near & seen], contrast[peaks][~near & seen]
    if len(foreign) and foreign.max() > _FOREIGN * own.max(initial=0.0):
        place = radius[peaks][~near & seen][int(np.argmax(foreign))]
        d = result.wavelength / (2 * np.sin(0.5 * np.arctan2(place, result.distance)))
        raise ValueError(
            f"the image has a strong ring at {d:.3f} Å, where {result.standard.name} "
            "has none: check the standard, or give all spacings as rings.d_spacings"
        )
