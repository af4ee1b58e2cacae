"""What tells a CCD, a CMOS camera and linear mode of a K2 apart: their noise, and ramps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dials_truncfix.camera.ccd import CCD, clearing_ramp
from dials_truncfix.camera.direct_linear import DirectLinear
from dials_truncfix.camera.gatan_modes import read_mode

SHAPE = (256, 256)


def pixels(camera, electrons, number=1, seed=3):
    expected = np.full(SHAPE, float(electrons))
    pattern = camera.fixed_pattern(SHAPE, seed)
    return camera.expose(expected, pattern, seed, number)


def test_the_noise_of_a_ccd_does_not_depend_on_binning_or_exposure():
    for camera in (CCD(binning=2), CCD(binning=8), CCD(exposure=20.0)):
        dark = pixels(replace(camera, flat_sd=0), 0).unclipped
        assert dark.std() == pytest.approx(np.hypot(3, np.sqrt(1 / 12)), rel=0.01)


def test_the_noise_of_linear_mode_grows_with_the_read_outs():
    short = DirectLinear(read_mode("K2", "linear"), 0.1, flat_sd=0)
    assert short.read_noise == pytest.approx(0.16 * 16 * np.sqrt(40))
    long = replace(short, frame_time=1.6)
    assert long.read_noise == pytest.approx(4 * short.read_noise)
    assert pixels(long, 0).unclipped.std() == pytest.approx(long.read_noise, rel=0.01)
    # four frames of a quarter of the time hold the same noise as one
    quarter = replace(short, frame_time=0.025)
    total = sum(pixels(quarter, 0, n).unclipped.astype(float) for n in range(1, 5))
    assert total.std() == pytest.approx(short.read_noise, rel=0.02)


def test_linear_frames_are_signed_unless_asked_otherwise():
    camera = DirectLinear(read_mode("K2", "linear"), 0.1)
    signed = pixels(camera, 0.3).clipped
    assert signed.dtype == np.int16
    assert signed.min() < 0
    recording = pixels(replace(camera, unsigned=True), 0.3)
    assert recording.clipped.dtype == np.uint16
    assert np.array_equal(recording.clipped, np.maximum(recording.unclipped, 0))
    assert np.array_equal(recording.unclipped, signed)
    assert signed.mean() == pytest.approx(16 * 0.3, rel=0.02)


def test_excess_noise_of_linear_mode():
    camera = DirectLinear(read_mode("K3", "linear"), 0.1, gain=32.0, read_out_noise=0)
    stored = pixels(camera, 20.0).clipped
    assert stored.var() / stored.mean() == pytest.approx(32 * 1.25, rel=0.03)
    assert camera.variance_slope == 40


def test_beam_while_clearing_leaves_a_ramp():
    camera = CCD(exposure=1.0, ports=1, beam_while_clearing=True, flat_sd=0)
    profile = pixels(camera, 50.0).clipped.mean(axis=1)
    # none of it where charges have just begun, all of the 0.8 s where they arrive
    assert profile[-8:].mean() == pytest.approx(
        6 * 50 * (1 + 0.8 * 4.5 / 256), rel=0.01
    )
    assert profile[:8].mean() == pytest.approx(
        6 * 50 * (1 + 0.8 * 252.5 / 256), rel=0.01
    )
    plain = replace(camera, beam_while_clearing=False)
    flat = pixels(plain, 50.0).clipped.mean(axis=1)
    assert flat[:8].mean() == pytest.approx(flat[-8:].mean(), rel=0.02)


def test_a_spot_is_smeared_towards_the_read_out():
    expected = np.zeros((8, 4))
    expected[5, 2] = 80.0
    ramp = clearing_ramp(expected, 0.5)
    assert ramp[:6, 2] == pytest.approx(80 * 0.5 / 8)
    assert not ramp[6:].any()
    assert ramp[:, 2].sum() == ramp.sum()


def test_times_of_a_ccd():
    assert CCD(ports=1, binning=2).read_out_time == pytest.approx(12)
    assert CCD(ports=1, binning=4).read_out_time == pytest.approx(6)
    four = CCD(ports=4, binning=2, exposure=1.0)
    assert four.clearing_time == 0.25
    assert four.capture_time == pytest.approx(0.25 + 1 + 6)


@pytest.mark.parametrize(
    "camera, wrong, message",
    [
        (CCD(), {"binning": 3}, "binning 3"),
        (CCD(), {"ports": 2}, "2 ports"),
        (CCD(), {"exposure": 0}, "exposure 0"),
        (CCD(), {"read_noise": -1}, "read_noise -1"),
        (CCD(), {"pedestal": 65535}, "pedestal 65535"),
        (DirectLinear(read_mode("K2", "linear"), 0.1), {"gain": 0}, "gain 0"),
        (
            DirectLinear(read_mode("K2", "linear"), 0.1),
            {"frame_time": 0.101},
            "0.100000 s",
        ),
        (
            DirectLinear(read_mode("K2", "linear"), 0.1),
            {"mode": read_mode("K2", "counting")},
            "not linear",
        ),
    ],
)
def test_impossible_cameras_are_refused(camera, wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(camera, **wrong)
