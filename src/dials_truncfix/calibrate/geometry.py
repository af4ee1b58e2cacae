"""Camera lengths and beam centres of dxtbx models."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from dxtbx.model import ExperimentList

#: A camera that is tilted by more sees circles as ellipses by itself: 0.06 %.
_LARGEST_TILT = 2.0


def across_the_beam(panel: Any, beam: Any) -> float:
    """Distance of a panel that stands across the beam, mm.

    Parameters
    ----------
    panel : dxtbx.model.Panel
        The camera.
    beam : dxtbx.model.Beam
        The beam.

    Raises
    ------
    ValueError
        If the panel is tilted by more than 2°, or its pixels are not square.
    """
    s0 = np.array(beam.get_s0())
    cosine = abs(np.array(panel.get_normal()) @ s0) / np.linalg.norm(s0)
    tilt = float(np.degrees(np.arccos(min(cosine, 1.0))))
    if tilt > _LARGEST_TILT:
        raise ValueError(
            f"the camera is tilted by {tilt:.1f}° against the beam: only cameras "
            "across the beam can be calibrated"
        )
    width, height = panel.get_pixel_size()
    if abs(width - height) > 1e-6 * width:
        raise ValueError(
            f"the pixels are {width:g} × {height:g} mm: only cameras of square pixels "
            "can be calibrated"
        )
    return abs(float(panel.get_directed_distance()))


def with_geometry(
    experiments: ExperimentList, distance: float, centre: tuple[float, float]
) -> ExperimentList:
    """Experiments with another camera length and beam centre.

    Parameters
    ----------
    experiments : dxtbx.model.ExperimentList
        Not changed. Every detector has one panel.
    distance : float
        mm.
    centre : tuple of float
        Where the beam meets the panel (fast, slow), mm from its corner.

    Returns
    -------
    dxtbx.model.ExperimentList
        Detectors that were shared stay shared; imagesets are those given.
    """
    detectors = experiments.detectors()
    changed: dict[int, Any] = {}
    result = ExperimentList()
    for experiment in experiments:
        number = detectors.index(experiment.detector)
        if number not in changed:
            changed[number] = _moved(
                experiment.detector, experiment.beam, distance, centre
            )
        moved = copy.copy(experiment)
        moved.detector = changed[number]
        result.append(moved)
    return result


def _moved(
    detector: Any, beam: Any, distance: float, centre: tuple[float, float]
) -> Any:
    detector = copy.deepcopy(detector)
    panel = detector[0]
    fast, slow = np.array(panel.get_fast_axis()), np.array(panel.get_slow_axis())
    direction = np.array(beam.get_s0()) / np.linalg.norm(beam.get_s0())
    origin = distance * direction - centre[0] * fast - centre[1] * slow
    panel.set_frame(tuple(fast), tuple(slow), tuple(origin))
    return detector
