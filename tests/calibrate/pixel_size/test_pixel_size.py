"""Gratings of known pitch and direction, with Poisson noise at three levels."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.calibrate.pixel_size.pixel_size import (
    CATALASE,
    Specimen,
    cross_grating,
    grid_bars,
    measure_pixel_size,
)
from dials_truncfix.simulate.grating import grating_electrons

GRATING = cross_grating(2160)


def axes(pitch, ratio=1.002, direction=12.0, skew=0.2):
    first, second = np.radians([direction, direction + 90 + skew])
    return np.array(
        [
            [pitch * np.cos(first), pitch * np.sin(first)],
            [ratio * pitch * np.cos(second), ratio * pitch * np.sin(second)],
        ]
    )


def grating(pitch, level, seed=1, **changes):
    electrons = grating_electrons((520, 560), axes(pitch, **changes), level, seed=seed)
    return np.random.default_rng(seed).poisson(electrons).astype(float)


@pytest.mark.parametrize("level", [1.0, 5.0, 40.0])
@pytest.mark.parametrize("pitch", [12.4, 24.7])
def test_the_pixel_size_is_right_to_5e_4(level, pitch):
    result = measure_pixel_size(grating(pitch, level), GRATING)
    true = np.array(GRATING.repeats) / pitch / [1.0, 1.002]
    order = np.argsort(-true) if abs(result.rotation) < 0.5 else np.argsort(true)
    assert result.along == pytest.approx(true[order], rel=5e-4)
    assert result.mean == pytest.approx(np.sqrt(np.prod(true)), rel=5e-4)
    assert np.degrees(result.angle) == pytest.approx(90.0, abs=0.3)
    assert abs(np.degrees(result.angle) - 90.0) > 0.1


@pytest.mark.parametrize("pitch", [7.7, 9.5])
def test_a_pitch_below_ten_pixels_is_refused(pitch):
    with pytest.raises(ValueError, match="repeats every|no lattice|peaks"):
        measure_pixel_size(grating(pitch, 5.0), GRATING)


def test_a_start_peak_chooses_the_axis():
    other = axes(24.7)[1]
    result = measure_pixel_size(grating(24.7, 5.0), GRATING, tuple(other))
    assert abs(np.degrees(result.rotation)) == pytest.approx(78, abs=1.0)


def test_two_repeats_of_a_crystal():
    """Catalase: the second repeat is 2.55 times the first."""
    ratio = CATALASE[1] / CATALASE[0]
    image = grating(13.0, 20.0, ratio=ratio, skew=0.0)
    result = measure_pixel_size(
        image, Specimen("catalase", CATALASE), tuple(axes(13.0)[0])
    )
    assert result.along == pytest.approx(CATALASE[0] / 13.0, rel=2e-3)


def test_repeats_of_gratings_and_grids():
    assert GRATING.repeats == pytest.approx((462.96, 462.96), abs=0.01)
    assert grid_bars(400).repeats == pytest.approx((63500.0, 63500.0))


def test_images_that_do_not_repeat_are_refused():
    noise = np.random.default_rng(3).poisson(5.0, (300, 300)).astype(float)
    with pytest.raises(ValueError):
        measure_pixel_size(noise, GRATING)
    with pytest.raises(ValueError, match="alike"):
        measure_pixel_size(np.ones((300, 300)), GRATING)
