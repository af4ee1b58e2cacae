"""Crystals of replicates: how far apart, and in which setting."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dials_truncfix.combine.models import crystal_difference

AXES = np.linalg.inv(np.diag([67.3, 67.3, 101.0]))


def test_difference_of_a_crystal_with_itself():
    assert crystal_difference(AXES, AXES) == pytest.approx((0, 0), abs=1e-5)


@pytest.mark.parametrize("degrees", [0.05, 30.0])
def test_rotation(degrees):
    turn = Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, 0, 0.8]))
    rotation, cell = crystal_difference(AXES, turn.as_matrix() @ AXES)
    assert rotation == pytest.approx(degrees, rel=1e-4)
    assert cell == pytest.approx(0, abs=1e-9)


def test_cell():
    longer = np.linalg.inv(np.diag([67.3, 67.3, 101.0 * 1.02]))
    rotation, cell = crystal_difference(AXES, longer)
    assert rotation == pytest.approx(0, abs=1e-4)
    assert cell == pytest.approx(2)
