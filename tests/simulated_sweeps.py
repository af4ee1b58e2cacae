"""Small simulated sweeps for tests."""

from __future__ import annotations

from dials_truncfix.camera.f416 import F416
from dials_truncfix.simulate.background import Background
from dials_truncfix.simulate.build import Sample, build_sweep
from dials_truncfix.simulate.models import Geometry, Rotation
from dials_truncfix.simulate.scene import SpotShape
from dials_truncfix.simulate.sweep import SimulatedSweep


def make_small_sweep() -> SimulatedSweep:
    """Make a sweep of six images of 256 × 240 pixels."""
    return build_sweep(
        Sample(mosaicity=0.1, mean_intensity=300.0),
        Geometry(image_size=(256, 240), distance=800.0),
        Rotation(start=-3.0, width=0.5, n_images=6),
        F416(),
        Background(),
        SpotShape(),
        seed=7,
    )
