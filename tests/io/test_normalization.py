"""Normalized frames equal a literal reading of the manual, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.io.calibration import Calibration
from dials_truncfix.io.defect_correction import plan_correction
from dials_truncfix.io.normalization import (
    Normalization,
    default_scale,
    normalize,
    normalized_title,
)
from dials_truncfix.io.serialem_title import FrameTitle


def raw_and_reference(shape=(6, 8), seed=1):
    rng = np.random.default_rng(seed)
    raw = rng.poisson(0.8, shape).astype(np.uint8)
    return raw, rng.uniform(0.7, 1.3, shape).astype(np.float32)


@pytest.mark.parametrize("scale", [16.0, 32.0, 10.0])
def test_integers_are_the_nearest(scale):
    raw, factors = raw_and_reference()
    frame, limited = normalize(raw, Calibration(factors), Normalization(scale))
    literal = [
        [int(np.rint(np.float32(n) * f * np.float32(scale))) for n, f in zip(*rows)]
        for rows in zip(raw, factors)
    ]
    assert frame.dtype == np.int16
    assert np.array_equal(frame, literal)
    assert limited == 0


def test_floating_point_is_not_rounded():
    raw, factors = raw_and_reference()
    frame, _ = normalize(raw, Calibration(factors), Normalization(1.0, "float"))
    assert frame.dtype == np.float32
    assert np.array_equal(frame, raw.astype(np.float32) * factors)


def test_bad_pixels_take_the_mean_of_normalized_neighbours():
    raw, factors = raw_and_reference()
    raw[2, 3], factors[2, 3] = 200, 100
    bad = np.zeros(raw.shape, bool)
    bad[2, 3] = True
    calibration = Calibration(factors, bad, plan_correction(bad))
    frame, _ = normalize(raw, calibration, Normalization(1.0, "float"))
    around = (raw * factors)[1:4, 2:5].astype(np.float64)
    mean = (around.sum() - around[1, 1]) / 8
    assert frame[2, 3] == pytest.approx(mean, rel=1e-6)


def test_bytes_saturate_and_are_counted():
    raw = np.array([[7, 8, 9]], np.uint8)
    factors = np.ones((1, 3), np.float32)
    frame, limited = normalize(raw, Calibration(factors), Normalization(32.0, "byte"))
    assert frame.tolist() == [[224, 255, 255]]
    assert limited == 2


def test_limits_are_in_electrons():
    raw = np.array([[0, 1, 9]], np.uint8)
    factors = np.ones((1, 3), np.float32)
    how = Normalization(16.0, low=0.5, high=4)
    frame, limited = normalize(raw, Calibration(factors), how)
    assert frame.tolist() == [[8, 16, 64]]
    assert limited == 2


def test_scale_follows_the_size_of_the_camera():
    assert default_scale((8184, 11520)) == 32
    assert default_scale((4092, 5760)) == 32
    assert default_scale((3710, 3838)) == 16
    assert default_scale((100, 100)) == 16


def test_title_names_nothing_that_is_still_to_be_done():
    title = FrameTitle(
        packed=True,
        needed_rotation_flip=5,
        gain_reference="a.dm4",
        defects="d.txt",
        notes=("mine",),
    )
    expected = FrameTitle(scaling=16.0, rotation_flip=5, notes=("mine",))
    assert normalized_title(title, Normalization(16.0)) == expected


@pytest.mark.parametrize(
    "arguments", [(0.0,), (16.0, "double"), (16.0, "byte", 3.0, 3.0)]
)
def test_what_gives_no_image_is_refused(arguments):
    with pytest.raises(ValueError):
        Normalization(*arguments)
