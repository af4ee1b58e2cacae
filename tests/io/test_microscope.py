"""Facts that headers leave out."""

from __future__ import annotations

import pytest

from dials_truncfix.io.microscope import (
    camera_length,
    electron_wavelength,
    high_tension,
    tvips_pixel_size,
)


@pytest.mark.parametrize(
    "kilovolt, wavelength",
    # Williams & Carter, Transmission Electron Microscopy (2009), table 1.2 (pm).
    [(100, 3.70), (120, 3.35), (200, 2.51), (300, 1.97), (400, 1.64), (1000, 0.87)],
)
def test_wavelength_against_a_published_table(kilovolt, wavelength):
    assert electron_wavelength(kilovolt) * 100 == pytest.approx(wavelength, abs=0.005)
    assert electron_wavelength(200) == pytest.approx(0.0250793, abs=1e-7)


@pytest.mark.parametrize("kilovolt", [0, -200, float("nan")])
def test_wavelength_needs_a_voltage(kilovolt):
    with pytest.raises(ValueError, match="positive"):
        electron_wavelength(kilovolt)


def test_high_tension():
    assert high_tension(300) == (300.0, None)
    assert high_tension(200000) == (200.0, None)
    value, note = high_tension(0)
    assert value == 200 and "200 kV assumed" in note


@pytest.mark.parametrize(
    "nx, binning, stated_mm, size, certain",
    [
        (2048, 2, 0.0312, 0.0312, True),
        (2048, 2, 0.0156, 0.0312, True),
        (4096, 1, 0.0156, 0.0156, True),
        (1024, 2, 0.014, 0.028, True),
        (2048, 2, 0.156, 0.0312, False),
        (2048, 2, 1e-6, 0.0312, False),
        (1024, 0, 0.0, 0.0624, False),
        (8192, -5, 0.0, 0.0156, False),
    ],
)
def test_pixel_size(nx, binning, stated_mm, size, certain):
    found, note = tvips_pixel_size(nx, binning, stated_mm)
    assert found == pytest.approx(size, rel=1e-6)
    assert (note is None) is certain


def test_camera_length():
    assert camera_length(1830)[0] == 1830
    assert "1830 mm taken from" in camera_length(1830)[1]
    for stated in (None, 0, 18, 80000):
        assert camera_length(stated)[0] == 2000
