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
from dials_truncfix.simulate.grating import (
    crystal_electrons,
    grating_electrons,
    grid_electrons,
)

GRATING = cross_grating(2160)


def axes(pitch, ratio=1.002, direction=12.0, skew=0.2):
    first, second = np.radians([direction, direction + 90 + skew])
    return np.array(
        [
            [pitch * np.cos(first), pitch * np.sin(first)],
            [ratio * pitch * np.cos(second), ratio * pitch * np.sin(second)],
        ]
    )


def noisy(electrons, seed=1):
    return np.random.default_rng(seed).poisson(electrons).astype(float)


def grating(pitch, level, seed=1, shape=(260, 280), wander=0.0, **changes):
    return noisy(
        grating_electrons(
            shape, axes(pitch, **changes), level, wander=wander, seed=seed
        ),
        seed,
    )


def errors(result, pitch, skew=0.2):
    """Of lengths (relative) and angle (°), and both over their uncertainties."""
    true = pitch * np.array([1.0, 1.002])
    order = [0, 1] if abs(result.rotation) < 0.5 else [1, 0]
    length = result.lattice.lengths / true[order] - 1
    angle = abs(np.degrees(result.angle) - 90) - skew
    z = [*(length * true[order] / result.lattice.length_errors),
         angle / np.degrees(result.angle_error)]  # fmt: skip
    return length, angle, z


@pytest.mark.parametrize("level", [1.0, 5.0, 40.0])
@pytest.mark.parametrize("pitch", [12.4, 24.7])
def test_the_pixel_size_is_right_to_5e_4(level, pitch):
    result = measure_pixel_size(grating(pitch, level, shape=(520, 560)), GRATING)
    length, angle, z = errors(result, pitch)
    assert np.abs(length).max() < 5e-4
    true = GRATING.repeats[0] / pitch / np.sqrt(1.002)
    assert result.mean == pytest.approx(true, rel=5e-4)
    assert abs(angle) < 0.1
    assert np.abs(z).max() < 4
    assert result.lattice.converged


def test_few_repeats_of_uneven_lines():
    """Five lines of a pitch of 99 pixels: 5e-4 with many electrons."""
    result = measure_pixel_size(grating(99.0, 200.0, shape=(520, 560)), GRATING)
    length, _, z = errors(result, 99.0)
    assert np.abs(length).max() < 1e-3
    assert result.mean == pytest.approx(GRATING.repeats[0] / 99 / 1.001, rel=5e-4)
    assert np.abs(z).max() < 4
    assert max(result.lattice.n_repeats) <= 7


@pytest.mark.parametrize("wander", [0.0, 0.02])
def test_uncertainties_are_those_of_many_images(wander):
    """Errors over uncertainties are 0.7 to 1.4, of lines that stand unevenly too."""
    z = [
        errors(
            measure_pixel_size(grating(16.4, 5.0, seed=seed, wander=wander), GRATING),
            16.4,
        )[2]
        for seed in range(8)
    ]
    assert 0.7 < np.sqrt(np.mean(np.square(z))) < 1.4


@pytest.mark.parametrize("pitch", [7.7, 9.5])
def test_a_pitch_below_ten_pixels_is_refused(pitch):
    with pytest.raises(ValueError, match="repeats every|no lattice|peaks"):
        measure_pixel_size(grating(pitch, 5.0), GRATING)


def test_a_start_peak_chooses_the_axis():
    other = axes(24.7)[1]
    result = measure_pixel_size(grating(24.7, 5.0), GRATING, tuple(other))
    assert abs(np.degrees(result.rotation)) == pytest.approx(78, abs=1.0)


@pytest.mark.parametrize("start", [None, (13.0, 2.8)])
def test_two_repeats_of_a_crystal(start):
    """Catalase: the second repeat is 2.55 times the first."""
    own = axes(13.0, ratio=CATALASE[1] / CATALASE[0], skew=0.0)
    image = noisy(crystal_electrons((400, 420), own, 20.0, seed=2))
    result = measure_pixel_size(image, Specimen("catalase", CATALASE), start)
    assert result.along == pytest.approx(CATALASE[0] / 13.0, rel=5e-4)
    assert np.degrees(result.angle) == pytest.approx(90.0, abs=0.1)


def test_bars_of_a_grid():
    image = noisy(grid_electrons((400, 420), axes(80.0), 20.0, seed=2))
    result = measure_pixel_size(image, grid_bars(400))
    assert result.mean == pytest.approx(63500.0 / 80 / np.sqrt(1.002), rel=5e-4)


def test_noise_is_no_crystal():
    """With too few electrons there is a sentence, or the right repeat."""
    own = axes(13.0, ratio=CATALASE[1] / CATALASE[0], skew=0.0)
    for seed in range(3):
        image = noisy(crystal_electrons((260, 280), own, 0.5, seed=seed), seed)
        try:
            result = measure_pixel_size(image, Specimen("catalase", CATALASE))
        except ValueError as error:
            assert "lattice" in str(error) or "peak" in str(error)
        else:
            assert result.along == pytest.approx(CATALASE[0] / 13.0, rel=5e-3)


@pytest.mark.parametrize("level", [1.0, 40.0])
def test_combinations_of_repeats_are_not_taken_for_them(level):
    """An image in which few orders are strong, and repeats seem shorter than they are."""
    rng = np.random.default_rng(2004)
    own = axes(13.7, CATALASE[1] / CATALASE[0] * 1.002, rng.uniform(0, 90))
    electrons = crystal_electrons((520, 560), own, level, seed=2004)
    image = rng.poisson(electrons).astype(float)
    try:
        result = measure_pixel_size(image, Specimen("catalase", CATALASE))
    except ValueError as error:
        assert "start_peak" in str(error) or "expose longer" in str(error)
    else:
        assert result.along == pytest.approx(CATALASE[0] / 13.7, rel=5e-3)


def test_repeats_of_gratings_and_grids():
    assert GRATING.repeats == pytest.approx((462.96, 462.96), abs=0.01)
    assert grid_bars(400).repeats == pytest.approx((63500.0, 63500.0))


def test_images_that_do_not_repeat_are_refused():
    noise = np.random.default_rng(3).poisson(5.0, (300, 300)).astype(float)
    with pytest.raises(ValueError):
        measure_pixel_size(noise, GRATING)
    with pytest.raises(ValueError, match="all pixels of the image are 1"):
        measure_pixel_size(np.ones((300, 300)), GRATING)
