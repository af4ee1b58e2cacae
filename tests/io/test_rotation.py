"""Rotation and frame rate from noted angles and times."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.io.rotation import frame_interval, uniform_rotation


@pytest.mark.parametrize("step", [0.25, -0.25, 1.0])
def test_uniform_angles(step):
    angles = np.float32(-30.1) + np.float32(step) * np.arange(120, dtype=np.float32)
    rotation = uniform_rotation(angles.tolist())
    assert rotation.start_deg == pytest.approx(-30.1, abs=1e-4)
    assert rotation.step_deg == pytest.approx(step, abs=1e-6)
    assert rotation.n_deviating == 0


def test_lagging_encoder_and_slow_start():
    angles = -40 + 0.2 * np.arange(200)
    # The encoder repeats every value once.
    lagging = np.repeat(angles[::2], 2)
    # The stage stood still for the first frames.
    lagging[:8] = lagging[8]
    rotation = uniform_rotation(lagging.tolist())
    assert rotation.step_deg == pytest.approx(0.2, abs=0.002)
    assert rotation.start_deg == pytest.approx(-40, abs=0.3)
    assert 4 <= rotation.n_deviating <= 8


@pytest.mark.parametrize(
    "angles",
    [
        [],
        [3.0],
        [5.0] * 20,
        [float("nan")] * 20,
        [1e30, 2e30, 3e30],
        # Stands still for the second half.
        [*range(20), *[20] * 20],
        # Runs out and back.
        [*range(20), *range(20, 0, -1)],
    ],
)
def test_no_rotation(angles):
    assert uniform_rotation(angles) is None


def test_frame_interval():
    assert frame_interval([10.0, 10.5, 11.0, 14.0, 14.5]) == 0.5
    assert frame_interval([10.0]) is None
    assert frame_interval([0.0, 0.0, 0.0]) is None
