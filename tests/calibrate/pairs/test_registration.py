"""Simulated images of known shift, magnification and rotation."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.calibrate.pairs import registration
from dials_truncfix.calibrate.pairs.correlation import find_shift
from dials_truncfix.calibrate.pairs.image_checks import without_defects
from dials_truncfix.calibrate.pairs.magnification_pair import measure_magnification
from dials_truncfix.calibrate.pairs.registration import register_shift
from dials_truncfix.simulate.grating import grating_electrons
from dials_truncfix.simulate.specimen import specimen_electrons
from specimen_images import LEVELS, magnified_pair, specimen, through_camera

SHAPE = (256, 256)


def noisy(shift=(0.0, 0.0), level=50.0, seed=1, number=1, shape=SHAPE):
    electrons = specimen_electrons(specimen(seed, 256), shape, level, shift=shift)
    return through_camera(electrons, seed, number)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (31.37, -22.81), (-120.4, 40.2)])
def test_a_shift_is_found_within_its_uncertainty(shift):
    fitted = register_shift(noisy(), noisy(shift, number=2), "both").fitted
    error = fitted.transformation.shift - shift
    sd = np.sqrt(fitted.shift_covariance.diagonal())
    assert np.all(np.abs(error) < 4 * sd)
    assert np.all(sd < 0.15)


def test_without_noise_a_shift_is_right_to_0_03_pixels():
    particles = specimen(1, 256)
    images = [
        specimen_electrons(particles, SHAPE, 1.0, shift=s)
        for s in ((0, 0), (13.41, -7.77))
    ]
    found = register_shift(*images, "both").fitted.transformation.shift
    assert found == pytest.approx([13.41, -7.77], abs=0.03)


@pytest.mark.parametrize("level", LEVELS)
def test_magnification_and_rotation_at_three_levels(level):
    pair = measure_magnification(*magnified_pair(5, level), ("near", "far"))
    z = [
        (pair.magnification - 1.083) / pair.magnification_error,
        (np.degrees(pair.rotation) - 4.7) / np.degrees(pair.rotation_error),
    ]
    assert np.all(np.abs(z) < 4), z
    assert pair.magnification_error < 0.015 / level**0.5
    assert pair.stretch_significance < 5


def test_a_start_far_off_is_found_with_a_range():
    images = magnified_pair(6, 50.0, magnification=1.32, degrees=-24.0)
    with pytest.raises(ValueError, match="nothing in common|cannot be laid"):
        measure_magnification(*images, ("near", "far"))
    pair = measure_magnification(
        *images, ("near", "far"), magnification=(1.3, 0.05), rotation=(-0.4, 0.1)
    )
    assert pair.magnification == pytest.approx(1.32, abs=0.003)
    assert np.degrees(pair.rotation) == pytest.approx(-24.0, abs=0.1)


def test_large_images_are_averaged_first(monkeypatch):
    shape = (513, 510)
    images = [
        noisy(shift, shape=shape, number=k)
        for k, shift in ((1, (0, 0)), (2, (41, -27)))
    ]
    monkeypatch.setattr(registration, "_LARGEST_SIDE", 256)
    found = register_shift(*images, "both")
    sd = np.sqrt(found.fitted.shift_covariance.diagonal())
    error = found.fitted.transformation.shift - [41, -27]
    assert np.all(np.abs(error) < 4 * sd) and np.all(sd < 0.15)
    assert found.side == 64
    assert found.fitted.transformation.centre.tolist() == [255.0, 256.5]


@pytest.mark.parametrize("seed", range(4))
def test_images_of_different_places_show_nothing_in_common(seed):
    with pytest.raises(ValueError, match="show nothing in common"):
        register_shift(noisy(seed=seed), noisy(seed=seed + 50), "both")


def test_no_overlap_is_refused():
    with pytest.raises(ValueError, match="show nothing in common"):
        register_shift(noisy(), noisy((250.0, 240.0), number=2), "both")


def test_a_specimen_that_repeats_itself_is_ambiguous():
    electrons = grating_electrons(SHAPE, 20.0 * np.eye(2), 50.0, unevenness=0.0)
    images = [through_camera(electrons, 1, k) for k in (1, 2)]
    with pytest.raises(ValueError, match="at several shifts"):
        register_shift(*images, "both")
    # within less than a repeat there is one
    found = register_shift(*images, "both", largest_shift=0.035).fitted
    assert found.transformation.shift == pytest.approx([0, 0], abs=0.1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda image: np.full(SHAPE, 7.0), "blank"),
        (lambda image: np.minimum(image, np.median(image)), "saturated"),
        (lambda image: image[:, :200], "give images of one size"),
        (lambda image: image[:50, :50], "at least 96"),
        (lambda image: np.where(image > image.mean(), np.nan, image), "not finite"),
    ],
)
def test_bad_images_are_named(change, words):
    image = noisy()
    with pytest.raises(ValueError, match=f"bad.*{words}"):
        measure_magnification(image, change(image), ("good", "bad"))


def test_hot_pixels_of_the_camera_do_not_hold_the_image_in_place():
    rng = np.random.default_rng(2)
    hot = np.zeros(SHAPE)
    hot.flat[rng.integers(0, hot.size, 200)] = 4000.0
    first, second = noisy() + hot, noisy((40.0, 25.0), number=2) + hot
    assert np.mean(np.abs(without_defects(first) - noisy()) > 300) < 1e-4
    found = register_shift(first, second, "both").fitted.transformation.shift
    assert found == pytest.approx([40.0, 25.0], abs=0.3)


def test_the_coefficient_is_that_of_what_overlaps():
    particles = specimen(3, 256)
    images = [specimen_electrons(particles, SHAPE, 1.0, shift=(s, 0)) for s in (0, 100)]
    peak = find_shift(*images)
    assert peak.shift == pytest.approx([100, 0], abs=1)
    assert peak.coefficient > 0.9
    assert peak.overlap == pytest.approx(156 / 256, abs=0.01)
