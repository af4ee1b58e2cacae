"""Cameras told by the size of their images, and counts of an electron."""

from __future__ import annotations

from fractions import Fraction

import pytest

from dials_truncfix.io.gatan import K2, K3, counts_per_electron, recognise
from dials_truncfix.io.serialem_title import FrameTitle


@pytest.mark.parametrize(
    "shape, sensor, binning",
    [
        ((3710, 3838), K2, Fraction(1)),
        ((3838, 3710), K2, Fraction(1)),
        ((3712, 3840), K2, Fraction(1)),
        ((7420, 7676), K2, Fraction(1, 2)),
        ((7424, 7680), K2, Fraction(1, 2)),
        ((4092, 5760), K3, Fraction(1)),
        ((8184, 11520), K3, Fraction(1, 2)),
        ((11520, 8184), K3, Fraction(1, 2)),
        ((8182, 11518), K3, Fraction(1, 2)),
        ((2046, 2880), K3, Fraction(2)),
    ],
)
def test_sizes(shape, sensor, binning):
    found = recognise(shape)
    assert (found.sensor, found.binning) == (sensor, binning)
    assert found.pixel_mm == pytest.approx(0.005 * float(binning))


@pytest.mark.parametrize("shape", [(4096, 4096), (3710, 3710), (1, 1), (8184, 5760)])
def test_other_sizes(shape):
    assert recognise(shape) is None


@pytest.mark.parametrize(
    "title, sensor, dtype, expected",
    [
        (FrameTitle(scaling=16.0), K2, "u1", 16),
        (FrameTitle(scaling=38.3), K2, "i2", 38.3),
        (FrameTitle(gain_reference="r.dm4"), K2, "u1", 1),
        (FrameTitle(packed=True, gain_reference="r.dm4"), K3, "u1", 1),
        (FrameTitle(gain_reference="r.dm4"), K3, "u1", 1),
        # DigitalMicrograph itself scales normalized frames of a K3
        (FrameTitle(), K3, "u1", 32),
        (FrameTitle(scaling=0.5), K3, "u1", 16),
        (FrameTitle(scaling=32.0), K3, "u1", 32),
        (FrameTitle(scaling=32.0), None, "u1", 32),
        (FrameTitle(), None, "u1", 1),
    ],
)
def test_counts(title, sensor, dtype, expected):
    assert counts_per_electron(title, sensor, dtype) == expected
