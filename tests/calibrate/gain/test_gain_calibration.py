"""Cameras found again within their uncertainties, and images that tell nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dials_truncfix.calibrate.gain.camera_numbers import (
    CAMERA,
    PHOTON_TRANSFER,
    adu_per_electron,
    by_camera,
    by_photon_transfer,
    disagreement,
    to_be_used,
)
from dials_truncfix.calibrate.gain.gain_calibration import calibrate_gain
from dials_truncfix.calibrate.gain.gain_words import findings, gain_phil, warnings
from dials_truncfix.calibrate.gain.known import GainOptions
from dials_truncfix.camera.ccd import CCD
from dials_truncfix.camera.coincidence import NO_LOSS
from dials_truncfix.camera.counting import CountingCamera
from dials_truncfix.camera.gatan_modes import read_mode
from flat_images import BRIGHT, DARK, flat_pixels, in_memory
from flat_images import CAMERA as F416

GAIN = F416.variance_slope


def calibrated(levels, dark=(), options=None, **other):
    images = in_memory(flat_pixels(levels, **other))
    return calibrate_gain(images, dark, options)


def within(number, truth, deviations=3.5):
    assert abs(number.value - truth) < deviations * number.sd, (number, truth)


def test_bright_images_by_their_differences():
    result = calibrated(BRIGHT)
    used = to_be_used(result)
    assert used.method == PHOTON_TRANSFER
    within(used.gain, GAIN)
    assert used.gain.sd < 0.01 * GAIN
    within(used.pedestal, -(F416.read_noise**2) / GAIN)
    assert not result.truncated
    assert by_camera(result) is None
    assert any("There is no camera model" in s for s in findings(result))
    # the scatter of pulses cannot be told from their height by variances
    assert not adu_per_electron(result)[0].known


def test_truncated_images_by_the_model_of_the_camera():
    result = calibrated(DARK)
    assert result.truncated
    used = to_be_used(result)
    assert used.method == CAMERA
    within(used.gain, GAIN)
    within(used.read_noise, F416.read_noise)
    within(adu_per_electron(result)[0], F416.gain)
    # what variances of completed counts say
    other = by_photon_transfer(result)
    within(other.gain, GAIN)
    assert abs(disagreement(result)) < 3.5
    assert any("agree" in s for s in findings(result))


def test_signed_dark_images_by_both():
    result = calibrated(DARK, signed=True)
    assert not result.truncated
    assert to_be_used(result).method == PHOTON_TRANSFER
    for numbers in (by_photon_transfer(result), by_camera(result)):
        within(numbers.gain, GAIN)
        within(numbers.read_noise, F416.read_noise)


def test_an_offset_and_images_without_light():
    camera = CCD(pedestal=100)
    images = flat_pixels((30.0, 0.0), camera=camera, n=4)
    result = calibrate_gain(in_memory(images[:4]), in_memory(images[4:]))
    used = to_be_used(result)
    assert result.dark_level == pytest.approx(100.0, abs=0.05)
    within(used.gain, camera.variance_slope)
    within(used.pedestal, 100 - camera.read_noise**2 / camera.variance_slope, 5)
    within(used.read_noise, camera.read_noise)
    assert warnings(result) == []


def test_an_offset_that_nobody_knows_is_said():
    result = calibrated(BRIGHT, camera=CCD(pedestal=100))
    assert not to_be_used(result).read_noise.known
    assert any("stand on an offset" in s for s in warnings(result))
    assert to_be_used(result).pedestal.value == pytest.approx(99, abs=3)


def test_known_electrons_tell_the_signal_of_one():
    options = GainOptions(electrons=(20.0, 20.0, 80.0, 80.0), electrons_error=0.01)
    number, source = adu_per_electron(calibrated(BRIGHT, options=options))
    within(number, F416.gain)
    assert source == "the electrons given"
    excess = by_photon_transfer(calibrated(BRIGHT, options=options)).excess
    within(excess, F416.pulse_variance)


def test_blur_is_put_right_and_said():
    blurred = replace(F416, psf_sigma=0.7)
    result = calibrated(BRIGHT, camera=blurred)
    used = to_be_used(result)
    assert used.pixel_gain.value < 0.25 * GAIN
    within(used.gain, GAIN)
    assert any("vary together" in s for s in warnings(result))


def test_a_camera_that_counts_has_no_read_noise():
    camera = CountingCamera(
        read_mode("K2", "counting"), 1.0, NO_LOSS, normalized=False, gain_sd=0.0
    )
    result = calibrated((0.2, 1.0, 4.0), camera=camera, signed=False)
    assert not result.truncated
    within(to_be_used(result).gain, 1.0, 4.0)
    assert to_be_used(result).read_noise.value < 0.2
    assert "counts" in result.camera_problem


def test_parameters_of_dials():
    text = gain_phil(calibrated(BRIGHT))
    assert "geometry.detector.panel {" in text
    assert "gain = 8.9" in text or "gain = 9.0" in text


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([], "no images"),
        (flat_pixels((40.0,))[:1], "one image does not tell"),
        (flat_pixels((40.0,)), "do not tell the slope"),
        (flat_pixels((20.0, 40.0, 80.0))[::2], "no two images have the same dose"),
        (flat_pixels((40.0, 80.0))[:1] * 2, "are the same image"),
        (
            [flat_pixels((40.0,))[0], flat_pixels((40.0,), shape=(96, 120))[1]],
            "image 2 has 120 × 96 pixels, and image 1 256 × 256",
        ),
    ],
    ids=["none", "one", "one dose", "no pairs", "copies", "sizes"],
)
def test_images_that_tell_nothing(images, words):
    with pytest.raises(ValueError, match=words):
        calibrate_gain(in_memory(images))


def test_saturated_images_are_refused():
    images = flat_pixels(BRIGHT)
    with pytest.raises(ValueError, match=r"image 3: .* saturated"):
        calibrate_gain(in_memory(images, saturation=500))
    # a converter that ends below the end of the type
    ended = [np.minimum(image, 500) for image in images]
    with pytest.raises(ValueError, match="have the highest value, 500"):
        calibrate_gain(in_memory(ended))


def test_uneven_images_are_refused():
    images = flat_pixels(BRIGHT)
    shadow = np.where(np.arange(256) < 128, 0.2, 1.0)
    with pytest.raises(ValueError, match="not evenly lit: its brightness"):
        calibrate_gain(in_memory([(i * shadow).astype(np.int32) for i in images]))
    rng = np.random.default_rng(0)
    for image in images:
        for row, column in rng.integers(0, 250, (300, 2)):
            image[row : row + 3, column : column + 3] += 900
    with pytest.raises(ValueError, match="not evenly lit: .* stands out"):
        calibrate_gain(in_memory(images))


def test_wrong_number_of_electrons():
    with pytest.raises(ValueError, match="3 numbers of electrons"):
        calibrated(BRIGHT, options=GainOptions(electrons=(1.0, 2.0, 3.0)))


def test_pairs_are_found_in_any_order():
    images = flat_pixels((20.0, 80.0))
    result = calibrate_gain(in_memory([images[i] for i in (0, 2, 1, 3)]))
    assert result.n_pairs == 2


def test_a_truncated_sweep():
    y, x = np.indices((256, 256)) - 128
    background = 0.2 + 4.0 * np.exp(-np.hypot(x, y) / 60.0)
    pattern = F416.fixed_pattern((256, 256), 3)
    images = []
    for number in range(1, 7):
        expected = background.copy()
        for row, column in np.random.default_rng(number).integers(8, 248, (10, 2)):
            expected[row : row + 2, column : column + 2] += 40.0
        images.append(F416.expose(expected, pattern, 3, number).clipped)
    result = calibrate_gain(in_memory(images), (), GainOptions(flat=False))
    used = to_be_used(result)
    assert used.method == CAMERA
    within(used.gain, GAIN, 2.5)
    assert used.gain.value == pytest.approx(GAIN, rel=0.08)


def test_spots_of_a_sweep_are_no_spread_of_a_sharp_camera():
    """Neighbours vary together by up to a third; ADU of an electron are known to 15 %."""
    rng = np.random.default_rng(2)
    y, x = np.indices((384, 384)) - 192
    background = 0.15 + 6.0 * np.exp(-np.hypot(x, y) / 70.0)
    images = []
    for _ in range(6):
        expected = background.copy()
        for row, column in rng.integers(8, 370, (60, 2)):
            expected[row - 1 : row + 2, column - 1 : column + 2] += rng.exponential(20)
        electrons = rng.poisson(expected)
        # lognormal heights of pulses, which are not those of the model
        pulses = rng.lognormal(-0.2027, 0.6368, electrons.sum())
        pixel = np.repeat(np.arange(electrons.size), electrons.ravel())
        signal = 6.0 * np.bincount(pixel, pulses, electrons.size)
        noise = 6.0 * rng.standard_normal(electrons.size)
        images.append(np.rint(signal + noise).astype(np.int32).reshape(x.shape))
    result = calibrate_gain(in_memory(images), (), GainOptions(flat=False))
    numbers = by_photon_transfer(result)
    assert not result.transfer.spread
    within(numbers.gain, 9.0, 3)
    camera = by_camera(result)
    within(camera.gain, 9.0, 3)
    within(camera.adu_per_electron, 6.0, 3)
    assert camera.adu_per_electron.sd > 0.1 * camera.adu_per_electron.value
