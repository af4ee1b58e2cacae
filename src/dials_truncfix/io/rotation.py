"""Rotation and frame rate from what a microscope notes with every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Stage read-back is good to about this much; slower is not a rotation.
_SMALLEST_STEP = 1e-4
# Encoders lag, repeat values and overshoot when the stage starts and stops.
_TOLERATED_STEPS = 2.0
_TOLERATED_FRACTION = 0.1


@dataclass(frozen=True)
class Rotation:
    """A uniform rotation.

    Attributes
    ----------
    start_deg : float
        Angle at the first frame (degrees).
    step_deg : float
        Change of angle from frame to frame (degrees), of either sign.
    n_deviating : int
        Frames whose noted angle is more than two steps away from it.
    """

    start_deg: float
    step_deg: float
    n_deviating: int


def uniform_rotation(angles_deg: Sequence[float]) -> Rotation | None:
    """Find start and step of a rotation that frames were recorded in.

    Medians are used, because stage read-back repeats values, skips some, and
    stands still before the rotation starts and after it ends.

    Parameters
    ----------
    angles_deg : sequence of float, length n
        Angle noted with each frame (degrees).

    Returns
    -------
    Rotation or None
        None if the angles do not change, if fewer than two are given, or if
        more than a tenth of them are off a straight line.
    """
    angles = np.asarray(angles_deg, dtype=float)
    if angles.ndim != 1 or angles.size < 2 or not np.isfinite(angles).all():
        return None
    if np.abs(angles).max() > 360:
        return None
    lag = max(1, angles.size // 2)
    step = float(np.median(angles[lag:] - angles[:-lag])) / lag
    if abs(step) < _SMALLEST_STEP:
        return None
    index = np.arange(angles.size)
    start = float(np.median(angles - step * index))
    deviating = np.abs(angles - start - step * index) > _TOLERATED_STEPS * abs(step)
    if deviating.mean() > _TOLERATED_FRACTION:
        return None
    # Angles are stored in single precision; what lies below is noise.
    return Rotation(round(start, 5), round(step, 6), int(deviating.sum()))


def frame_interval(times_s: Sequence[float]) -> float | None:
    """Time from frame to frame.

    Parameters
    ----------
    times_s : sequence of float, length n
        Time stamp of each frame (s).

    Returns
    -------
    float or None
        Median interval (s); None if it is not positive.
    """
    times = np.asarray(times_s, dtype=float)
    if times.size < 2:
        return None
    interval = float(np.median(np.diff(times)))
    return round(interval, 4) if interval > 0 else None
