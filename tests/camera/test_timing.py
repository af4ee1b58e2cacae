from __future__ import annotations

import pytest

from dials_truncfix.camera.gatan_modes import MODES, read_mode


@pytest.mark.parametrize(
    "camera, mode, exposure, n_frames, nearest",
    [
        ("K2", "counting", 0.25, None, "0.200000"),
        ("K2", "linear", 0.07, None, "0.100000"),
        ("K2", "super_resolution", 0.6, None, "0.500000"),
        ("K2", "counting", 0.251, 1, "0.250000"),
        ("K2", "counting", 0.02, 1, "0.025 s"),
        ("K3", "linear", 0.03, None, "0.026667"),
        ("K3", "counting", 0.013, None, "0.010667"),
        ("K3", "super_resolution", 0.1005, 1, "0.100667"),
        ("K3", "super_resolution", 0.012, 3, "0.0133333"),
    ],
)
def test_impossible_times_are_refused_with_the_nearest(
    camera, mode, exposure, n_frames, nearest
):
    with pytest.raises(ValueError, match=nearest):
        read_mode(camera, mode).timing.check(exposure, n_frames)


@pytest.mark.parametrize(
    "camera, mode, exposure, n_frames",
    [
        ("K2", "counting", 0.3, None),
        ("K2", "super_resolution", 1.5, None),
        ("K2", "counting", 0.025, 10),
        ("K3", "counting", 0.128, None),
        ("K3", "linear", 0.013333, None),
        ("K3", "super_resolution", 1.0, 25),
    ],
)
def test_possible_times_pass(camera, mode, exposure, n_frames):
    read_mode(camera, mode).timing.check(exposure, n_frames)


def test_modes_have_the_sizes_of_the_manual():
    shapes = {(m.sensor.name, m.name): m.shape for m in MODES}
    assert shapes["K2", "counting"] == shapes["K2", "linear"] == (3710, 3838)
    assert shapes["K2", "super_resolution"] == (7420, 7676)
    assert shapes["K3", "counting"] == (4092, 5760)
    assert shapes["K3", "super_resolution"] == (8184, 11520)
    assert read_mode("K3", "super_resolution").pixel_mm == 0.0025
    with pytest.raises(ValueError, match="a K2 has no mode tv"):
        read_mode("K2", "tv")
