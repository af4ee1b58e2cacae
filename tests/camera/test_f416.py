from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dials_truncfix.camera import f416, integrating
from dials_truncfix.camera.streams import READOUT, random_stream

SHAPE = (256, 256)


def recordings(camera, electrons, seed=3, images=range(1, 5)):
    expected = np.full(SHAPE, float(electrons))
    pattern = integrating.fixed_pattern(camera, SHAPE, seed)
    return [integrating.expose(camera, expected, pattern, seed, n) for n in images]


def unclipped(camera, electrons, **kwargs):
    frames = recordings(camera, electrons, **kwargs)
    return np.array([frame.unclipped for frame in frames], dtype=float)


@pytest.mark.parametrize("electrons", [0.1, 1.0, 30.0])
def test_mean_is_the_gain_and_variance_rises_with_its_slope(electrons):
    camera = f416.F416()
    pixels = unclipped(camera, electrons)
    assert pixels.mean() == pytest.approx(6 * electrons, abs=0.05, rel=2e-3)
    # the flat field scales the read noise, rounding adds 1/12
    expected = 9 * 6 * electrons + 36 * (1 + 0.03**2) + 1 / 12
    assert pixels.var() == pytest.approx(expected, rel=0.02)


def test_without_excess_noise_the_slope_is_the_gain():
    camera = f416.F416(pulse_variance=0, sensor_read_noise=0, flat_sd=0)
    pixels = unclipped(camera, 2.0)
    assert camera.variance_slope == 6
    assert set(np.unique(pixels % 6)) == {0.0}
    assert pixels.var() / pixels.mean() == pytest.approx(6, rel=0.02)


def test_pulse_heights_are_gamma_distributed():
    camera = f416.F416(sensor_read_noise=0, gain=600)
    pattern = integrating.fixed_pattern(camera, SHAPE, 1)
    one = np.ones(SHAPE, dtype=int)
    pulses = integrating.record(camera, one, pattern, 1, 1).unclipped / 600
    assert pulses.mean() == pytest.approx(1, abs=0.01)
    assert pulses.var() == pytest.approx(0.5, rel=0.03)
    skewness = np.mean((pulses - 1) ** 3) / pulses.std() ** 3
    assert skewness == pytest.approx(2 / np.sqrt(2), rel=0.05)


def test_binned_read_noise_adds_the_readings_of_the_sensors_pixels():
    assert f416.F416(binning=4).read_noise == 6
    assert f416.F416(binning=2).read_noise == 3
    assert f416.F416(binning=2).pixel_size == pytest.approx(0.0312)
    assert f416.F416(binning=2).shape == (2048, 2048)
    dark = unclipped(f416.F416(binning=2), 0)
    assert dark.std() == pytest.approx(np.hypot(3, np.sqrt(1 / 12)), rel=0.01)


def test_negative_pixels_are_cut_off_and_others_stay():
    frame = recordings(f416.F416(), 0.5)[0]
    assert frame.clipped.dtype == np.uint16
    assert frame.unclipped.dtype == np.int32
    assert frame.unclipped.min() < -10
    assert np.array_equal(frame.clipped, np.maximum(frame.unclipped, 0))


def test_saturation():
    frame = recordings(f416.F416(), 20_000.0, images=[1])[0]
    assert frame.clipped.max() == f416.SATURATION
    assert frame.unclipped.max() == f416.SATURATION


def test_a_pedestal_keeps_every_pixel():
    frame = recordings(f416.F416(pedestal=100), 0.5)[0]
    assert np.array_equal(frame.clipped, frame.unclipped)
    plain = recordings(f416.F416(), 0.5)[0]
    assert np.array_equal(frame.unclipped - 100, plain.unclipped)


def test_any_image_can_be_made_alone():
    camera = f416.F416()
    together = recordings(camera, 1.0, images=[1, 2, 3])
    alone = recordings(camera, 1.0, images=[3])[0]
    assert np.array_equal(together[2].clipped, alone.clipped)
    assert not np.array_equal(together[1].clipped, alone.clipped)
    other = recordings(camera, 1.0, images=[3], seed=4)[0]
    assert not np.array_equal(other.clipped, alone.clipped)


def test_point_spread_correlates_neighbours_and_keeps_the_mean():
    sharp, blurred = f416.F416(), f416.F416(psf_sigma=1.0)
    pixels = unclipped(blurred, 30.0)[0]
    assert pixels.mean() == pytest.approx(unclipped(sharp, 30.0)[0].mean(), rel=2e-3)
    noise = pixels - pixels.mean()
    correlation = (noise[:, 1:] * noise[:, :-1]).mean() / noise.var()
    # exp(-1/4) for the blurred part of the variance
    assert 0.6 < correlation < np.exp(-0.25)


def test_the_dark_reference_leaves_its_noise_in_every_image():
    camera = f416.F416(dark_images=4, flat_sd=0)
    pixels = unclipped(camera, 0, images=range(1, 41))
    assert pixels.mean(axis=0).std() == pytest.approx(
        np.hypot(3, 6 / np.sqrt(40)), rel=0.02
    )


def test_a_drifting_dark_level_moves_the_zero():
    pixels = unclipped(f416.F416(dark_drift=-0.5), 0, images=[1, 5])
    assert pixels[0].mean() == pytest.approx(0, abs=0.1)
    assert pixels[1].mean() == pytest.approx(-2, abs=0.1)


def test_the_flat_field_has_the_width_asked_for():
    flat = integrating.fixed_pattern(f416.F416(), SHAPE, 5).flat
    assert flat.std() == pytest.approx(0.03, rel=0.02)
    assert abs(flat - 1).max() <= 0.12 + 1e-6


@pytest.mark.parametrize(
    "wrong",
    [
        {"binning": 3},
        {"binning": 0},
        {"gain": 0},
        {"pulse_variance": -1},
        {"sensor_read_noise": -1},
        {"flat_sd": 0.5},
        {"psf_sigma": -1},
        {"dark_images": -1},
        {"pedestal": -1},
    ],
)
def test_impossible_cameras_are_refused(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        replace(f416.F416(), **wrong)


def test_electrons_that_do_not_fit_are_refused():
    camera = f416.F416()
    pattern = integrating.fixed_pattern(camera, SHAPE, 1)
    with pytest.raises(ValueError, match="shape"):
        integrating.record(camera, np.zeros((4, 4), int), pattern, 1, 1)
    with pytest.raises(ValueError, match="-1 electrons"):
        integrating.record(camera, np.full(SHAPE, -1), pattern, 1, 1)


def test_streams_refuse_negative_keys():
    with pytest.raises(ValueError, match="seed -1"):
        random_stream(-1, 1, READOUT)
