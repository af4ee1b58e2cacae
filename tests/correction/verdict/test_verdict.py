from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dials_truncfix.correction.verdict.evidence import collect_evidence
from dials_truncfix.correction.verdict.kinds import VerdictClass
from dials_truncfix.correction.verdict.verdict import judge

SHAPE = (512, 512)
SLOW, FAST = np.indices(SHAPE)
RADIUS = np.hypot(SLOW - 250, FAST - 260).astype(np.float32)
BACKGROUND = (
    250 * np.exp(-RADIUS / 30)
    + 40 * np.exp(-RADIUS / 110)
    + 10 * np.exp(-0.5 * ((RADIUS - 125) / 15) ** 2)
)


def _judge(image, radius=RADIUS, mask=None, **known):
    mask = np.ones(image.shape, bool) if mask is None else mask
    return judge(collect_evidence([(image, mask)], radius, **known))


def _camera(mean, gain, read_noise, seed=0):
    """Truncated: electrons of `gain` ADU each, read noise, rounded, clipped."""
    rng = np.random.default_rng(seed)
    values = gain * rng.poisson(mean / gain) + rng.normal(0, read_noise, mean.shape)
    return np.rint(values).clip(0).astype(np.int32)


def _counts(mean, seed=0):
    return np.random.default_rng(seed).poisson(mean)


def _centred(shape, slow, fast):
    return np.hypot(np.indices(shape)[0] - slow, np.indices(shape)[1] - fast)


# The counting detectors and the cameras of the real files


def _read(path):
    from dxtbx import flumpy, load

    image = load(str(path))
    data = image.get_raw_data()
    pixels = flumpy.to_numpy(data[0] if isinstance(data, tuple) else data)
    panel, beam = image.get_detector()[0], image.get_beam()
    fast, slow = panel.get_beam_centre_px(beam.get_s0())
    return pixels, _centred(pixels.shape, slow, fast)


@pytest.mark.parametrize(
    "name",
    [
        "frames/TIMEPIX_SU_516-stdgoni_0001.img",
        "frames/simtbx_FormatSMVJHSim_001.img",
        "l_cysteine_sweep/l-cyst_01_00001.cbf",
    ],
)
def test_counting_detectors_are_recognised(shared_data, name):
    image, radius = _read(shared_data / name)
    verdict = _judge(image, radius, image >= 0)
    assert verdict.verdict_class == VerdictClass.COUNTING
    assert verdict.statistics["share_truncated"] < 0.2


def test_gaps_that_hold_zeros_do_not_turn_counts_into_truncated_values(shared_data):
    image, radius = _read(shared_data / "l_cysteine_sweep/l-cyst_01_00001.cbf")
    verdict = _judge(image.clip(0), radius)
    assert verdict.verdict_class == VerdictClass.COUNTING


def test_the_display_scaled_tiff_has_too_few_levels(shared_data):
    tifffile = pytest.importorskip("tifffile")
    image = tifffile.imread(shared_data / "tvips" / "TVIPS_bin4.tif")
    verdict = _judge(image, _centred(image.shape, 512, 512))
    assert verdict.verdict_class == VerdictClass.FEW_LEVELS
    assert "8 different values" in verdict.reason


@pytest.mark.parametrize(
    "name, offset",
    [("ceta_dark_imaging", -shift) for shift in (2, 4, 6)]
    + [("kappaccd_offset192", offset) for offset in (190, 192, 195)],
)
def test_real_pixels_clipped_at_zero_are_truncated(shared_data, name, offset):
    values = np.load(shared_data / "frames" / f"{name}.npy").astype(np.int32)
    image = np.clip(values - offset, 0, None)
    verdict = _judge(image, _centred(image.shape, 285, 320))
    assert verdict.verdict_class == VerdictClass.TRUNCATED
    assert verdict.statistics["zero_excess"] > 1.6
    assert verdict.statistics["share_truncated"] > 0.95


def test_real_pixels_that_were_not_clipped(shared_data):
    ceta = np.load(shared_data / "frames" / "ceta_dark_imaging.npy")
    signed = _judge(ceta, _centred(ceta.shape, 256, 256))
    assert signed.verdict_class == VerdictClass.SIGNED
    kappa = np.load(shared_data / "frames" / "kappaccd_offset192.npy")
    offset = _judge(kappa, _centred(kappa.shape, 285, 320))
    assert offset.verdict_class == VerdictClass.OFFSET
    kappa = kappa.copy()
    kappa[::50, ::50] = 0
    dead = _judge(kappa, _centred(kappa.shape, 285, 320))
    assert dead.verdict_class == VerdictClass.OFFSET
    assert "isolated zeros" in dead.reason


# Simulated cameras


@pytest.mark.parametrize(
    "gain, read_noise", [(1, 1.5), (1, 2), (2, 2), (6, 6), (30, 6)]
)
@pytest.mark.parametrize("scale", [0.03, 0.3, 1.0])
def test_truncated_cameras(gain, read_noise, scale):
    image = _camera(scale * BACKGROUND, gain, read_noise)
    verdict = _judge(image)
    assert verdict.verdict_class == VerdictClass.TRUNCATED
    assert verdict.statistics["zero_excess"] > 1.9
    assert verdict.statistics["zero_fraction"] == pytest.approx((image == 0).mean())


def test_a_camera_of_high_gain_and_few_zeros_per_image():
    mean = np.full((1024, 1024), 233.0)
    radius = _centred(mean.shape, 512, 512)
    verdict = _judge(_camera(mean, 1e-3, 100), radius)
    assert verdict.statistics["zero_fraction"] < 0.011
    assert verdict.verdict_class == VerdictClass.TRUNCATED


@pytest.mark.parametrize("mean_in_sd", [2.33, 1, 0, -0.67])
def test_uniform_truncated_images_from_1_to_75_percent_zeros(mean_in_sd):
    noise = np.random.default_rng(0).normal(6 * mean_in_sd, 6, SHAPE)
    image = np.rint(noise).clip(0).astype(np.uint16)
    assert _judge(image).verdict_class == VerdictClass.TRUNCATED


def test_shadows_dead_pixels_and_an_overflow_do_not_hide_truncation():
    mean = np.where(FAST > 350, 0.1, 1) * BACKGROUND
    mean[(np.abs(FAST - 260) < 6) & (SLOW > 260)] = 0
    image = _camera(mean, 6, 6)
    image[np.random.default_rng(1).random(SHAPE) < 0.001] = 0
    image[5, 5] = -3
    assert _judge(image).verdict_class == VerdictClass.TRUNCATED


# Simulated counting detectors


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.3, 1, 3])
def test_poisson_counts_of_any_rate(rate):
    verdict = _judge(_counts(np.full(SHAPE, rate)))
    assert verdict.verdict_class == VerdictClass.COUNTING


@pytest.mark.parametrize("scale", [0.03, 0.3, 1.0])
def test_counts_with_gaps_and_shadows(scale):
    mean = scale * np.where((FAST > 350) & (SLOW < 200), 0.1, 1) * BACKGROUND
    image = _counts(mean)
    image[250:260] = image[:, 130:137] = 0
    verdict = _judge(image)
    assert verdict.verdict_class == VerdictClass.COUNTING
    assert verdict.statistics["solid_zero_fraction"] > 0.01


@pytest.mark.parametrize("r", [0.5, 1, 5])
def test_overdispersed_counts(r):
    rng = np.random.default_rng(0)
    image = rng.negative_binomial(r, r / (r + 0.3 * BACKGROUND))
    assert _judge(image).verdict_class == VerdictClass.COUNTING


@pytest.mark.parametrize("factor", [16, 32])
def test_counts_times_a_factor(factor):
    verdict = _judge(factor * _counts(0.3 * BACKGROUND))
    assert verdict.verdict_class == VerdictClass.COUNTING
    assert verdict.statistics["step"] == factor
    assert f"multiples of {factor}" in verdict.reason


def test_counts_times_a_factor_and_a_flat_field():
    flat = np.random.default_rng(1).normal(1, 0.03, SHAPE)
    image = np.rint(16 * flat * _counts(0.3 * BACKGROUND)).astype(np.int32)
    assert _judge(image).verdict_class == VerdictClass.COUNTING


def test_dead_pixels_do_not_turn_counts_into_truncated_values():
    for mean in (BACKGROUND + 3, BACKGROUND + 10):
        image = _counts(mean)
        image[np.random.default_rng(1).random(SHAPE) < 0.02] = 0
        verdict = _judge(image)
        assert verdict.verdict_class != VerdictClass.TRUNCATED


# The other classes


def test_degenerate_images():
    zero = np.zeros(SHAPE, np.uint16)
    assert _judge(zero).verdict_class == VerdictClass.ALL_ZEROS
    one = _judge(zero + np.uint16(7))
    assert one.verdict_class == VerdictClass.ONE_LEVEL
    assert "7" in one.reason
    masked = _judge(zero, mask=np.zeros(SHAPE, bool))
    assert masked.verdict_class == VerdictClass.CANNOT_TELL
    binary = _judge((_counts(np.full(SHAPE, 1.0)) > 0).astype(np.uint8))
    assert binary.verdict_class == VerdictClass.FEW_LEVELS


def test_bright_images_have_no_zeros():
    bright = _judge(_counts(BACKGROUND + 60))
    assert bright.verdict_class == VerdictClass.NO_ZEROS
    camera = _judge(_camera(BACKGROUND + 500, 9, 6))
    assert camera.verdict_class == VerdictClass.NO_ZEROS


def test_an_offset_is_seen_or_stated():
    shifted = _camera(BACKGROUND + 0.0, 9, 0.01) + 100
    rng = np.random.default_rng(0)
    shifted = shifted + np.rint(rng.normal(0, 6, SHAPE)).astype(np.int32)
    seen = _judge(shifted)
    assert seen.verdict_class == VerdictClass.OFFSET
    assert "mean of 9" in seen.reason or "mean of 10" in seen.reason
    stated = _judge(_camera(BACKGROUND, 6, 6), pedestal=32)
    assert stated.verdict_class == VerdictClass.OFFSET


def test_zeros_that_the_format_masks():
    image = _camera(BACKGROUND, 6, 6)
    verdict = _judge(image, zeros_trusted=False)
    assert verdict.verdict_class == VerdictClass.ZEROS_MASKED
    # the zeros of a counting detector stay those of a counting detector
    counts = _judge(_counts(0.3 * BACKGROUND), zeros_trusted=False)
    assert counts.verdict_class == VerdictClass.COUNTING


def test_truncated_values_times_a_factor_cannot_be_fitted():
    verdict = _judge(16 * _camera(BACKGROUND, 6, 6))
    assert verdict.verdict_class == VerdictClass.CANNOT_TELL
    assert "multiples of 16" in verdict.reason


def test_few_levels_of_truncated_values():
    noise = np.random.default_rng(0).normal(0, 2, SHAPE)
    verdict = _judge(np.rint(noise).clip(0, 5).astype(np.uint8))
    assert verdict.verdict_class == VerdictClass.FEW_LEVELS
    assert "6 different values" in verdict.reason


def test_strong_anisotropy():
    image = _camera(BACKGROUND, 6, 6)
    mask = np.ones(SHAPE, bool)
    evidence = collect_evidence([(image, mask)], RADIUS)
    assert evidence.anisotropy < 0.3
    verdict = judge(replace(evidence, anisotropy=1.4))
    assert verdict.verdict_class == VerdictClass.CANNOT_TELL
    assert "beam centre" in verdict.reason


def test_anisotropy_measures_the_spread_of_the_mean():
    side = np.where(FAST > 256, 2.5, 0)
    noise = np.random.default_rng(0).normal(side, 5, SHAPE)
    image = np.rint(noise).clip(0).astype(np.int32)
    evidence = collect_evidence([(image, np.ones(SHAPE, bool))], RADIUS)
    # two halves that differ by half a standard deviation
    assert evidence.anisotropy == pytest.approx(0.25, abs=0.04)


def test_too_few_zeros_to_tell():
    image = _counts(BACKGROUND + 5)
    verdict = _judge(image)
    assert verdict.verdict_class == VerdictClass.CANNOT_TELL
    assert f"{(image == 0).sum()} zeros" in verdict.reason


def test_every_verdict_is_one_line_with_numbers():
    verdict = _judge(_camera(BACKGROUND, 6, 6))
    assert "\n" not in verdict.reason
    assert "%" in verdict.reason
    assert verdict.verdict_class.value == "truncated"
    assert set(verdict.statistics) >= {
        "zero_fraction",
        "zero_excess",
        "curvature",
        "n_images",
        "n_pixels",
    }
    assert all(isinstance(float(x), float) for x in verdict.statistics.values())


# What the evidence holds


def test_evidence_counts_what_is_there():
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(3):
        image = rng.poisson(2, (160, 330)).astype(np.int32)
        image[:2, 0] = -1
        image[40:50, 40:60] = 0
        mask = rng.random(image.shape) < 0.95
        frames.append((image, mask))
    evidence = collect_evidence(frames, _centred((160, 330), 80, 160))
    values = np.concatenate([image[mask] for image, mask in frames])
    assert evidence.n_images == 3
    assert evidence.n_pixels == values.size
    assert evidence.n_negative == (values < 0).sum()
    assert evidence.lowest == values.min()
    assert evidence.highest == values.max()
    assert evidence.n_levels == len(np.unique(values[values >= 0]))
    hole = np.zeros((160, 330), bool)
    hole[40:50, 40:60] = True
    inside = sum((mask & hole).sum() for _, mask in frames)
    assert inside <= evidence.n_solid_zeros <= 1.2 * inside
    # the columns beyond the last whole tile of 16 are left out
    whole = sum((image[:, :320][mask[:, :320]] >= 0).sum() for image, mask in frames)
    zeros_left = whole - evidence.histograms.sum()
    assert inside <= zeros_left <= 1.2 * inside
    mean = evidence.mean
    assert (np.diff(mean) >= 0).all()
    assert np.median(evidence.variance) == pytest.approx(2, rel=0.1)


def test_evidence_needs_an_image():
    with pytest.raises(ValueError, match="at least one image"):
        collect_evidence([], RADIUS)
