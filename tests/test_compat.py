"""What differs between releases, probed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dxtbx import flumpy
from dxtbx.model import BeamFactory, DetectorFactory, GoniometerFactory, Panel
from scitbx.array_family import flex

from dials_truncfix import compat


@pytest.mark.parametrize("trusted_range", [(-0.5, 6.5), (0.0, 7.0), (-1.0, 6.25)])
def test_trusted_limits_are_those_of_dxtbx(trusted_range):
    panel = Panel()
    panel.set_image_size((12, 1))
    panel.set_trusted_range(trusted_range)
    values = flex.int(range(-2, 10))
    values.reshape(flex.grid(1, 12))
    trusted = [v for v, ok in zip(values, panel.get_trusted_range_mask(values)) if ok]
    assert compat.trusted_limits(panel) == (trusted[0], trusted[-1])


def test_safe_trusted_range_means_the_same_everywhere(monkeypatch):
    panel = Panel()
    panel.set_trusted_range(compat.safe_trusted_range(-20, 65534))
    for inclusive in (True, False):
        monkeypatch.setattr(compat, "trusted_range_is_inclusive", lambda: inclusive)
        assert compat.trusted_limits(panel) == (-20, 65534)


def test_infinite_trusted_range():
    panel = Panel()
    panel.set_trusted_range((float("-inf"), float("inf")))
    low, high = compat.trusted_limits(panel)
    assert low < -(2**40) and high > 2**40


def test_versions():
    assert compat.dxtbx_version()[0].isdigit()


@pytest.mark.parametrize(
    "dtype, kind",
    [
        (np.uint8, "int"),
        (np.uint16, "int"),
        (np.int16, "int"),
        (">i4", "int"),
        (np.uint32, "double"),
        (np.float32, "double"),
    ],
)
def test_to_flex_loses_no_value(dtype, kind):
    pixels = np.array([[0, 1, 200], [3, 4, 5]], dtype=dtype)
    data = compat.to_flex(pixels)
    assert type(data).__name__ == kind
    np.testing.assert_array_equal(flumpy.to_numpy(data), pixels)


def test_models_of_one_image_survive_json():
    detector = DetectorFactory.simple(
        "CCD", 1e3, (3, 3), "+x", "-y", (0.0312, 0.0312), (9, 8), (-0.5, 9.5), []
    )
    beam = compat.make_electron_beam(0.0251)
    goniometer = GoniometerFactory.make_kappa_goniometer(
        50.0, 10.0, 20.0, 30.0, "-y", "omega"
    )
    scan = compat.make_scan((3, 6), (1.5, 0.1), [0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4])
    plain = compat.models_to_dict(detector, beam, goniometer, scan, 5)
    models = compat.models_from_dict(json.loads(json.dumps(plain)))
    assert models == (detector, beam, goniometer, scan[2:3])
    with pytest.raises(ValueError, match=r"image 7 is not in the scan 3\.\.6"):
        compat.models_to_dict(detector, beam, goniometer, scan, 7)


def test_scan_varying_models_are_reduced_to_their_static_part():
    detector = DetectorFactory.simple(
        "CCD", 1e3, (3, 3), "+x", "-y", (0.0312, 0.0312), (9, 8), (-0.5, 9.5), []
    )
    beam = compat.make_electron_beam(0.0251)
    static = compat.make_electron_beam(0.0251)
    beam.set_s0_at_scan_points(flex.vec3_double([beam.get_s0()] * 3))
    plain = compat.models_to_dict(detector, beam, None, None, None)
    assert compat.models_from_dict(plain)[1] == static


def test_electrons_are_known_as_such_where_dxtbx_tells():
    plain = {
        "detector": None,
        "beam": BeamFactory.simple(0.0251).to_dict(),
        "goniometer": None,
        "scan": None,
    }
    plain["beam"].pop("probe", None)
    plain["detector"] = DetectorFactory.simple(
        "CCD", 1e3, (3, 3), "+x", "-y", (0.0312, 0.0312), (9, 8), (-0.5, 9.5), []
    ).to_dict()
    beam = compat.models_from_dict(plain)[1]
    probe = compat.electron_probe()
    assert (beam.get_probe() if probe is not None else None) == probe
