from __future__ import annotations

import numpy as np
import pytest

from dxtbx.model import BeamFactory, DetectorFactory

from dials_truncfix.correction.regions.scattering import d_spacing, two_theta_map


@pytest.mark.parametrize("tilt", [0.0, 0.2])
def test_equals_the_panel(tilt):
    beam = BeamFactory.simple(0.02508)
    detector = DetectorFactory.simple(
        "CCD", 2200, (31.0, 33.0), "+x", "-y", (0.03, 0.04), (70, 60), (-0.5, 65534.5)
    )
    panel = detector[0]
    panel.set_frame((np.cos(tilt), 0, np.sin(tilt)), (0, -1, 0), (-31.0, 33.0, -2200.0))
    got = two_theta_map(
        (60, 70),
        panel.get_pixel_size(),
        panel.get_origin(),
        panel.get_fast_axis(),
        panel.get_slow_axis(),
        beam.get_s0(),
    )
    assert got.shape == (60, 70)
    for x, y in [(0, 0), (69, 59), (35, 12)]:
        expected = panel.get_two_theta_at_pixel(beam.get_s0(), (x + 0.5, y + 0.5))
        assert got[y, x] == pytest.approx(expected, rel=1e-9)
        d = panel.get_resolution_at_pixel(beam.get_s0(), (x + 0.5, y + 0.5))
        assert d_spacing(got[y, x], beam.get_wavelength()) == pytest.approx(d, rel=1e-9)


def test_the_direct_beam_has_infinite_d():
    assert d_spacing(0.0, 0.02508) == np.inf
