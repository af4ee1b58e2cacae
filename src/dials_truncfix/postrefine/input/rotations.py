"""Narrow rotations, as dxtbx describes them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from dials_truncfix.postrefine.lattice.lattices import FloatArray

#: Wider rotations, degrees, are for programs that scale rotations.
WIDEST = 5.0


def is_rotation(experiment: Any) -> bool:
    """Whether the crystal of an experiment turns."""
    scan = experiment.scan
    return scan is not None and scan.get_oscillation()[1] != 0


def width(experiment: Any) -> float:
    """Angle by which a crystal turns, degrees; 0 for a still."""
    if not is_rotation(experiment):
        return 0.0
    return float(
        experiment.scan.get_oscillation()[1] * experiment.scan.get_num_images()
    )


def middle_rotation(experiment: Any) -> FloatArray:
    """Find what takes the frame of a crystal to the laboratory.

    Parameters
    ----------
    experiment : dxtbx.model.Experiment
        With a goniometer, if it has a scan.

    Returns
    -------
    ndarray, shape (3, 3)
        In the middle of the rotation; the unit matrix for a still.
    """
    if not is_rotation(experiment):
        return np.eye(3)
    goniometer = experiment.goniometer
    start = experiment.scan.get_oscillation()[0]
    angle = math.radians(start + 0.5 * width(experiment))
    axis = np.array(goniometer.get_rotation_axis_datum())
    fixed, setting = (
        np.reshape(matrix, (3, 3))
        for matrix in (
            goniometer.get_fixed_rotation(),
            goniometer.get_setting_rotation(),
        )
    )
    return np.asarray(setting @ Rotation.from_rotvec(angle * axis).as_matrix() @ fixed)


def middle_setting(experiment: Any) -> FloatArray:
    """Find A in the laboratory, in the middle of the rotation, Å⁻¹."""
    matrix = np.reshape(middle_matrix(experiment.crystal), (3, 3))
    return np.asarray(middle_rotation(experiment) @ matrix)


def middle_matrix(crystal: Any) -> Any:
    """Find A of a crystal, in the middle of its scan where it varies, Å⁻¹."""
    if crystal.num_scan_points:
        return crystal.get_A_at_scan_point(crystal.num_scan_points // 2)
    return crystal.get_A()


def sweep_of(experiment: Any) -> FloatArray:
    """Describe a rotation by plain numbers.

    Returns
    -------
    ndarray, shape (4,)
        Axis in the laboratory, of the length of the rotation (rad), and the standard
        deviation of the rocking curve that DIALS found (rad); 0 for a still.
    """
    if not is_rotation(experiment):
        return np.zeros(4)
    axis = np.array(experiment.goniometer.get_rotation_axis())
    return np.append(math.radians(width(experiment)) * axis, rocking_width(experiment))


def rocking_width(experiment: Any) -> float:
    """Find how wide rocking curves are by the profile model, rad (1 s.d.); NaN without."""
    try:
        # one number, or one for each image
        return math.radians(float(np.mean(experiment.profile.sigma_m(deg=True))))
    except AttributeError:
        return math.nan
