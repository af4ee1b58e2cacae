"""One camera fitted to a sample; its figures are those that docs/correction.rst gives."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.correction.joint_camera.camera_fit import LARGEST_MISFIT, fit_camera
from dials_truncfix.correction.joint_camera.camera_likelihood import (
    CameraRows,
    camera_likelihood,
    model_from_working,
    working_from_model,
)
from dials_truncfix.correction.joint_camera.camera_model import CameraModel
from dials_truncfix.correction.laws.intervals import make_intervals

pytestmark = pytest.mark.filterwarnings("error")

N_BINS = 512
N_PIXELS = 20_000
SIGNALS = np.geomspace(0.7, 40.0, 30)


def sample_of(camera, signals=SIGNALS, n_images=3, drift=0.0, seed=1):
    """Histograms and image numbers of regions of one brightness each."""
    rng = np.random.default_rng(seed)
    rows, numbers = [], []
    for number in range(1, n_images + 1):
        for signal in signals:
            pulses = rng.poisson(signal / camera.gain, N_PIXELS).astype(np.float64)
            if camera.pulse_variance > 0:
                pulses = rng.gamma(np.maximum(pulses, 1e-300) * camera.shape)
                pulses *= camera.pulse_variance
            dark = camera.dark + drift * number
            x = camera.gain * pulses + rng.normal(dark, camera.read_noise, N_PIXELS)
            values = np.floor(x + 1.0 - camera.threshold).astype(np.int64)
            rows.append(np.bincount(np.clip(values, 0, N_BINS - 1), minlength=N_BINS))
            numbers.append(number)
    return np.array(rows), np.array(numbers)


def deviations(fit, camera):
    """Errors in standard uncertainties: gain, pulse variance, noise, g, pedestal."""
    model = fit.model
    return np.array(
        [
            (model.gain - camera.gain) / fit.gain_sd,
            (model.pulse_variance - camera.pulse_variance) / fit.pulse_variance_sd,
            (model.read_noise - camera.read_noise) / fit.read_noise_sd,
            (fit.effective_gain - camera.effective_gain) / fit.effective_gain_sd,
            (fit.pedestal - camera.pedestal) / fit.pedestal_sd,
        ]
    )


@pytest.mark.parametrize(
    "camera",
    [
        CameraModel(6.0, 0.5, 6.0),
        CameraModel(4.0, 1.2, 3.0),
        CameraModel(6.0, 0.5, 6.0, rounding="floor"),
        CameraModel(6.0, 0.5, 6.0, dark=-2.0),
        CameraModel(6.0, 0.5, 6.0, dark=1.5),
    ],
)
def test_cameras_come_back_within_their_uncertainties(camera):
    fit = fit_camera(*sample_of(camera), camera.rounding)
    assert fit.reliable, fit.reason
    assert np.abs(deviations(fit, camera)).max() < 3.5
    assert fit.effective_gain == pytest.approx(camera.effective_gain, rel=0.02)
    assert fit.model.read_noise == pytest.approx(camera.read_noise, rel=0.02)
    assert abs(fit.misfit) < 0.5 * LARGEST_MISFIT
    assert fit.dark_drift == 0.0 and np.isnan(fit.dark_drift_sd)
    if camera.dark:
        assert abs(fit.model.dark - camera.dark) < 3.5 * fit.dark_sd < 0.4
    else:
        assert fit.model.dark == 0.0 and np.isnan(fit.dark_sd)


@pytest.mark.slow
def test_uncertainties_are_those_of_repeated_experiments():
    camera = CameraModel(6.0, 0.5, 6.0)
    fits = [fit_camera(*sample_of(camera, n_images=1, seed=s)) for s in range(24)]
    deviation = np.array([deviations(fit, camera) for fit in fits])
    scatter = np.sqrt((deviation**2).mean(axis=0))
    # 24 experiments know a standard deviation to 15 %
    assert (scatter > 0.6).all() and (scatter < 1.5).all()


@pytest.mark.parametrize(
    "camera", [CameraModel(6.0, 0.0, 6.0), CameraModel(1.5, 0.0, 7.0)]
)
def test_equal_pulses_do_not_let_the_fit_diverge(camera):
    fit = fit_camera(*sample_of(camera))
    assert fit.reliable, fit.reason
    assert 0.0 <= fit.model.pulse_variance < 3.5 * fit.pulse_variance_sd
    assert abs(fit.effective_gain - camera.effective_gain) < 3.5 * fit.effective_gain_sd
    assert fit.model.read_noise == pytest.approx(camera.read_noise, rel=0.01)


def test_blurred_pulses_end_at_the_bound_of_their_variance():
    # of an electron in six, each pixel sees a sixth: ever more and smaller pulses
    camera = CameraModel(0.3, 3.3, 5.0)
    fit = fit_camera(*sample_of(camera))
    assert fit.reliable, fit.reason
    assert fit.model.pulse_variance <= 1.0 / 0.3
    assert abs(fit.effective_gain - camera.effective_gain) < 3.5 * fit.effective_gain_sd
    assert np.isfinite([fit.gain_sd, fit.pedestal_sd, fit.read_noise_sd]).all()


def test_drift_of_the_dark_level_is_found():
    camera = CameraModel(6.0, 0.5, 6.0)
    fit = fit_camera(*sample_of(camera, n_images=5, drift=0.2))
    assert abs(fit.dark_drift - 0.2) < 3.5 * fit.dark_drift_sd < 0.05
    assert fit.middle == 3.0
    assert abs(fit.model.dark - 0.6) < 0.15


def test_regions_that_mix_brightnesses_are_left_out():
    camera = CameraModel(6.0, 0.5, 6.0)
    histograms, numbers = sample_of(camera)
    bright, dim = histograms[29::30], histograms[::30]
    mixed = (bright + dim) // 2
    clean = fit_camera(histograms, numbers)
    contaminated = fit_camera(
        np.concatenate([histograms, mixed]), np.concatenate([numbers, [1, 2, 3]])
    )
    assert 0.9 * clean.n_regions < contaminated.n_regions <= clean.n_regions
    assert np.abs(deviations(contaminated, camera)).max() < 3.5


def test_images_without_signal_determine_no_gain():
    camera = CameraModel(6.0, 0.5, 6.0, dark=1.0)
    fit = fit_camera(*sample_of(camera, signals=np.full(20, 1e-3), n_images=1))
    assert not fit.reliable
    assert "uncertain" in fit.reason or "does not tell the gain" in fit.reason


def test_counting_detectors_end_at_the_limit_of_read_noise():
    rng = np.random.default_rng(2)
    rows = [
        np.bincount(rng.poisson(rate, N_PIXELS), minlength=N_BINS)
        for rate in np.geomspace(0.8, 8.0, 20)
    ]
    fit = fit_camera(np.array(rows), np.ones(20, dtype=int))
    assert not fit.reliable
    assert "limit of what a camera can have" in fit.reason


def test_another_law_is_a_misfit():
    rng = np.random.default_rng(5)
    rows = []
    for signal in SIGNALS:
        # half the pixels are read with three times the noise
        noise = np.where(rng.random(N_PIXELS) < 0.5, 3.0, 9.0)
        x = 6.0 * rng.poisson(signal / 6.0, N_PIXELS) + noise * rng.standard_normal(
            N_PIXELS
        )
        values = np.clip(np.rint(x), 0, N_BINS - 1).astype(np.int64)
        rows.append(np.bincount(values, minlength=N_BINS))
    fit = fit_camera(np.array(rows), np.ones(len(rows), dtype=int))
    assert fit.misfit > 2.0 * LARGEST_MISFIT


def test_too_few_regions_are_refused():
    histograms, numbers = sample_of(CameraModel(6.0, 0.5, 6.0), SIGNALS[:5], 1)
    with pytest.raises(ValueError, match="cannot be fitted to 5 regions"):
        fit_camera(histograms, numbers)
    with pytest.raises(ValueError, match="rounding must be"):
        fit_camera(histograms, numbers, "up")


@pytest.mark.parametrize("drift", [0.0, 0.3])
def test_gradient_and_information_of_the_likelihood(drift):
    camera = CameraModel(6.0, 0.5, 5.0, dark=-0.4)
    histograms, numbers = sample_of(camera, SIGNALS[::6])
    intervals = make_intervals(histograms, 0.5)
    rows = CameraRows(intervals, np.zeros(len(numbers)), numbers - 2.0, "round")
    shared = working_from_model(camera, drift)
    signal = np.tile(SIGNALS[::6], 3)
    here = camera_likelihood(shared, signal, rows)
    steps = 1e-5 * np.eye(5)
    numeric = [
        camera_likelihood(shared + step, signal, rows).nll
        - camera_likelihood(shared - step, signal, rows).nll
        for step in steps
    ]
    numeric.append(
        camera_likelihood(shared, signal + 1e-5, rows).nll
        - camera_likelihood(shared, signal - 1e-5, rows).nll
    )
    np.testing.assert_allclose(here.gradient, np.array(numeric) / 2e-5, atol=0.02)
    # at the truth the curvature is what the information says, up to chance
    ahead = camera_likelihood(shared, signal + 0.01, rows).gradient[5]
    behind = camera_likelihood(shared, signal - 0.01, rows).gradient[5]
    if drift == 0.0:
        curvature = (ahead - behind) / 0.02
        np.testing.assert_allclose(here.information[5, 5], curvature, rtol=0.15)


def test_working_parameters_are_a_camera():
    camera = CameraModel(6.0, 0.5, 5.0, dark=-0.4, rounding="floor")
    back = model_from_working(working_from_model(camera), "floor")
    for name in ("gain", "pulse_variance", "read_noise", "dark"):
        assert getattr(back, name) == pytest.approx(getattr(camera, name), rel=1e-12)
