from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dials_truncfix.camera.coincidence import MANUAL_K2, MANUAL_K3, NO_LOSS
from dials_truncfix.camera.counting import CountingCamera
from dials_truncfix.camera.gatan_modes import read_mode

SHAPE = (256, 256)
K2 = CountingCamera(read_mode("K2", "counting"), 0.1, NO_LOSS)
K2_SUPER = replace(K2, mode=read_mode("K2", "super_resolution"))
K3 = CountingCamera(read_mode("K3", "super_resolution"), 0.1, NO_LOSS)


def frame(camera, electrons, number=1, seed=3):
    pattern = camera.fixed_pattern(SHAPE, seed)
    expected = np.full(SHAPE, float(electrons))
    return camera.expose(expected, pattern, seed, number).clipped


def test_normalized_counts_have_the_mean_and_the_type_of_their_mode():
    for camera, scale, dtype in (
        (K2, 16, np.int16),
        (replace(K2, scale=37.5), 37.5, np.int16),
        (K2_SUPER, 16, np.uint8),
        (K3, 32, np.uint8),
        (replace(K2_SUPER, floating=True), 16, np.float32),
    ):
        pixels = frame(camera, 0.5)
        assert pixels.dtype == dtype
        assert pixels.mean() == pytest.approx(0.5 * scale, rel=0.01)
        assert camera.adu_per_electron == pytest.approx(scale)


def test_counts_are_poisson_distributed_and_flat_after_normalization():
    raw = replace(K2, normalized=False)
    pixels = frame(raw, 2.0).astype(float)
    assert pixels.mean() == pytest.approx(2, rel=0.01)
    # the response spreads the mean of pixels by 5 %
    assert pixels.var() == pytest.approx(2 + (0.05 * 2) ** 2, rel=0.02)
    reference = raw.fixed_pattern(SHAPE, 3).reference
    assert reference.std() == pytest.approx(0.05, rel=0.02)
    normalized = replace(K2, floating=True)
    assert np.array_equal(
        frame(normalized, 2.0), frame(raw, 2.0) * (reference * np.float32(16))
    )


def test_the_conversion_and_coincidence_take_their_part():
    camera = replace(K2, loss=MANUAL_K2, normalized=False)
    # one electron a pixel in 0.1 s
    assert frame(camera, 1.0).mean() == pytest.approx(0.87 * 0.8802, rel=0.01)
    # the rate is that of a physical pixel: four of super-resolution
    fine = replace(K2_SUPER, loss=MANUAL_K2, normalized=False)
    assert frame(fine, 0.25).mean() == pytest.approx(0.25 * 0.87 * 0.8802, rel=0.02)
    fast = replace(K3, loss=MANUAL_K3, normalized=False)
    assert frame(fast, 3.75 / 4).mean() == pytest.approx(
        3.75 / 4 * 0.87 * 0.8802, rel=0.01
    )


def test_losses_follow_the_local_rate():
    camera = replace(K2, loss=MANUAL_K2)
    expected = np.full(SHAPE, 0.01)
    expected[100, 100] = 1.9
    counts = camera.expected_counts(expected)
    assert counts[0, 0] == pytest.approx(0.0087, rel=1e-3)
    assert counts[100, 100] == pytest.approx(1.9 * 0.87 * np.exp(-((19 / 28) ** 2)))
    odd = replace(K2_SUPER, loss=MANUAL_K2).expected_counts(np.full((5, 7), 0.25))
    assert np.ptp(odd) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "camera, electrons, highest",
    [
        (K3, 20, 255),
        (replace(K3, normalized=False, packed=True), 40, 15),
        (replace(K3, normalized=False), 600, 255),
        (replace(K3, mode=read_mode("K3", "counting")), 20, 255),
    ],
    ids=["bytes", "packed", "raw", "hardware-binned"],
)
def test_frames_saturate_where_their_type_ends(camera, electrons, highest):
    assert camera.saturation == highest
    assert frame(camera, electrons).max() == highest


def test_bad_pixels_count_nothing_and_are_filled_in_normalized_frames():
    raw = replace(K2, normalized=False, bad_pixels=30, bad_columns=2)
    bad = raw.fixed_pattern(SHAPE, 3).bad
    assert bad.sum() == pytest.approx(30 + 2 * 256, abs=2)
    pixels = frame(raw, 20)
    assert not pixels[bad].any()
    filled = frame(replace(K2, bad_pixels=30, bad_columns=2), 20)
    assert filled[bad].mean() == pytest.approx(320, rel=0.02)
    # a mean of neighbours varies less than they do
    assert filled[bad].std() < 0.7 * filled[~bad].std()


def test_any_frame_can_be_made_alone():
    assert np.array_equal(frame(K2, 1.0, 5), frame(K2, 1.0, 5))
    assert not np.array_equal(frame(K2, 1.0, 5), frame(K2, 1.0, 6))


def test_counting_places_are_blurred_and_not_their_noise():
    camera = replace(K2, psf_sigma=1.0, normalized=False)
    pixels = frame(camera, 5.0).astype(float)
    noise = pixels - pixels.mean()
    assert noise.var() == pytest.approx(5, rel=0.05)
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < 0.15


@pytest.mark.parametrize(
    "camera, wrong, message",
    [
        (K2, {"packed": True}, "only raw counts are packed"),
        (
            K2,
            {"packed": True, "normalized": False},
            "K2 counting frames are not packed",
        ),
        (K3, {"scale": 16.0}, "a K3 stores 32 counts"),
        (K2, {"scale": 16.0, "normalized": False}, "raw counts are not scaled"),
        (K2, {"floating": True, "normalized": False}, "whole numbers"),
        (K2, {"frame_time": 0.0}, "frame time 0"),
        (K2, {"frames_per_image": 0}, "0 frames"),
        (K2, {"gain_sd": 0.3}, "gain_sd 0.3"),
        (K2, {"bad_pixels": -1}, "bad_pixels -1"),
        (K2, {"scale": 0.0}, "scale 0"),
    ],
)
def test_what_the_camera_cannot_do_is_refused(camera, wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(camera, **wrong)


def test_too_many_defects_and_other_shapes_are_refused():
    with pytest.raises(ValueError, match="too many"):
        replace(K2, bad_columns=100).fixed_pattern((32, 32), 1)
    with pytest.raises(ValueError, match="shape"):
        K2.expose(np.ones((4, 4)), K2.fixed_pattern(SHAPE, 1), 1, 1)
