from __future__ import annotations

import numpy as np
import pytest

from dxtbx.model import BeamFactory, DetectorFactory

from dials_truncfix.correction.regions.scattering import TwoThetaMap, d_spacing


@pytest.mark.parametrize("tilt", [0.0, 0.2])
def test_equals_the_panel(tilt):
    beam = BeamFactory.simple(0.02508)
    detector = DetectorFactory.simple(
        "CCD", 2200, (31.0, 33.0), "+x", "-y", (0.03, 0.04), (70, 60), (-0.5, 65534.5)
    )
    panel = detector[0]
    panel.set_frame((np.cos(tilt), 0, np.sin(tilt)), (0, -1, 0), (-31.0, 33.0, -2200.0))
    got = TwoThetaMap(
        (60, 70),
        panel.get_pixel_size(),
        panel.get_origin(),
        panel.get_fast_axis(),
        panel.get_slow_axis(),
        beam.get_s0(),
    )[:]
    assert got.shape == (60, 70)
    for x, y in [(0, 0), (69, 59), (35, 12)]:
        expected = panel.get_two_theta_at_pixel(beam.get_s0(), (x + 0.5, y + 0.5))
        assert got[y, x] == pytest.approx(expected, rel=1e-9)
        d = panel.get_resolution_at_pixel(beam.get_s0(), (x + 0.5, y + 0.5))
        assert d_spacing(got[y, x], beam.get_wavelength()) == pytest.approx(d, rel=1e-9)


def test_pieces_are_those_of_the_whole():
    radius = TwoThetaMap(
        (150, 1200),
        (0.03, 0.04),
        (-31.0, 33.0, -2200.0),
        (0.8, 0.0, 0.6),
        (0.0, -1.0, 0.0),
        (0.0, 0.0, -1.0),
        dtype=np.float32,
    )
    whole = radius[:]
    assert whole.dtype == np.float32
    pieces = [(slice(8, None, 16), slice(8, None, 16)), slice(None, None, 7)]
    for piece in [*pieces, *pieces, (slice(3, 4), slice(1100, 2000))]:
        # asked for twice, as small ones are kept
        np.testing.assert_array_equal(radius[piece], whole[piece])
    index = np.random.default_rng(0).integers(0, whole.size, 1000)
    np.testing.assert_array_equal(radius.take(index), whole.take(index))


def test_kept_pieces_cannot_be_changed():
    radius = TwoThetaMap((4, 4), (1, 1), (0, 0, 9), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    with pytest.raises(ValueError, match="read-only"):
        radius[:2][0, 0] = 1.0


def test_the_direct_beam_has_infinite_d():
    assert d_spacing(0.0, 0.02508) == np.inf
