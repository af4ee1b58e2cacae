from __future__ import annotations

import math

import numpy as np
import pytest

from dials_truncfix.calibrate.dose.dose_words import dose_record, findings, warnings
from dials_truncfix.calibrate.dose.image_dose import (
    Scale,
    accumulated,
    highest_rate,
    image_dose,
)
from dials_truncfix.camera.coincidence import (
    MANUAL_K2,
    NO_LOSS,
    SERIALEM_K2_200_KV,
    loss_curve,
)
from dials_truncfix.camera.counting import CountingCamera
from dials_truncfix.camera.gatan_modes import read_mode
from flat_images import CAMERA as F416
from flat_images import flat_pixels, in_memory

SHAPE = (256, 256)


def counted(rate, loss, exposure=0.5, seed=1):
    camera = CountingCamera(
        read_mode("K2", "counting"), exposure, loss, normalized=False, gain_sd=0.0
    )
    pattern = camera.fixed_pattern(SHAPE, seed)
    expected = np.full(SHAPE, rate * exposure)
    return in_memory([camera.expose(expected, pattern, seed, 1).clipped])[0]


@pytest.mark.parametrize("level", [0.3, 2.5, 60.0])
def test_integrating_camera_at_three_levels(level):
    image = in_memory(flat_pixels((level,), n=1))[0]
    found = image_dose(image, 0.5, Scale(F416.gain, binning=4))
    assert abs(found.electrons - level) < 3 * found.electrons_sd
    assert found.electrons == pytest.approx(level, rel=0.06)
    assert found.rate == pytest.approx(found.electrons / 0.5 / 16)
    # four tenths of the pixels were cut off at the lowest one
    assert (found.cut_off > 0) == (level < 10)
    assert math.isnan(found.dose)


@pytest.mark.parametrize("rate", [2.0, 8.0, 15.0])
@pytest.mark.parametrize("loss", [NO_LOSS, MANUAL_K2, SERIALEM_K2_200_KV])
def test_losses_are_undone_at_three_levels(rate, loss):
    found = image_dose(counted(rate, loss), 0.5, Scale(1.0, loss=loss))
    assert abs(found.rate - rate) < 3.5 * found.rate_sd
    assert found.rate == pytest.approx(rate, rel=0.02)
    assert found.loss == pytest.approx(1 - float(loss.counted(rate)) / rate, abs=0.01)


def test_beyond_the_curve_is_refused():
    assert highest_rate(MANUAL_K2) == pytest.approx(17.1, abs=0.2)
    assert highest_rate(SERIALEM_K2_200_KV) == pytest.approx(75.54, abs=0.01)
    with pytest.raises(
        ValueError, match=r"counts tell the rate up to 10.*17.*less beam"
    ):
        image_dose(counted(19.0, MANUAL_K2), 0.5, Scale(1.0, loss=MANUAL_K2))


def test_parts_of_an_image_are_linearised_by_themselves():
    rates = np.where(np.arange(256) < 64, 14.0, 2.0) * np.ones((256, 1))
    camera = CountingCamera(
        read_mode("K2", "counting"), 4.0, MANUAL_K2, normalized=False, gain_sd=0.0
    )
    image = camera.expose(rates * 4.0, camera.fixed_pattern(SHAPE, 1), 1, 1).clipped
    found = image_dose(in_memory([image])[0], 4.0, Scale(1.0, loss=MANUAL_K2))
    assert found.rate == pytest.approx(5.0, rel=0.01)


def test_dose_by_pixels_and_by_area_accumulates():
    images = in_memory(flat_pixels((60.0,), n=3))
    by_pixels = Scale(6.0, 0.06, binning=4, pixel_spacing=2.0, pixel_spacing_error=0.01)
    found = [image_dose(image, 0.5, by_pixels) for image in images]
    assert found[0].dose == pytest.approx(60 / 16 / 4.0, rel=0.01)
    dose, sd = accumulated(found, by_pixels)
    assert dose[-1] == pytest.approx(3 * 60 / 64, rel=0.01)
    # the common uncertainty does not average out: 1 % twice for the area, 1 % for e⁻
    assert sd[-1] / dose[-1] == pytest.approx(math.hypot(0.01, 0.02), rel=0.02)
    area = 256 * 256 * 4 * 16.0
    by_area = image_dose(images[0], 0.5, Scale(6.0, binning=4, beam_area=area))
    assert by_area.dose == pytest.approx(found[0].dose)


@pytest.mark.parametrize(
    ("level", "scale", "words"),
    [
        (0.01, Scale(6.0, dark_level=0.0), "98 % of the pixels are zero, where"),
        (20000.0, Scale(6.0), "saturated"),
    ],
)
def test_images_that_tell_no_dose(level, scale, words):
    pixels = flat_pixels((level,), n=1)[0]
    if level < 1:
        pixels = np.maximum(pixels - 12, 0)
    with pytest.raises(ValueError, match=words):
        image_dose(in_memory([pixels])[0], 0.5, scale)


def test_words_and_record():
    scale = Scale(1.0, loss=MANUAL_K2, pixel_spacing=1.0)
    found = [image_dose(counted(8.0, MANUAL_K2), 0.5, scale)]
    words = findings(found, scale, loss_curve("K2", "serialem", 200.0))
    assert any("were not counted" in w and "up to 17" in w for w in words)
    assert any("published curves differ" in w for w in words)
    record = dose_record(found, scale, [], words, warnings(found, scale))
    assert record["images"][0]["rate"] == pytest.approx(8.0, rel=0.02)
    assert record["accumulated_dose_e_per_A2"][0] == pytest.approx(4.0, rel=0.02)
    assert record["scale"]["loss"] == MANUAL_K2.name
