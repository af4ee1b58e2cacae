from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from dials_truncfix.correction.draws.quantiles import conditional_tables
from dials_truncfix.correction.fit import fit_histograms
from dials_truncfix.correction.joint_camera.camera_law import grid_to, masses
from dials_truncfix.correction.joint_camera.camera_model import CameraModel
from dials_truncfix.correction.joint_camera.camera_rates import fit_rates, rate_table
from dials_truncfix.correction.laws.intervals import make_intervals

pytestmark = pytest.mark.filterwarnings("error")

N_BINS = 512
N_PIXELS = 100_000
CAMERAS = [
    CameraModel(6.0, 0.5, 6.0),
    CameraModel(6.0, 0.0, 2.0, dark=-1.0),
    CameraModel(0.37, 3.3, 5.0, dark=-2.7),
    CameraModel(1.5, 0.1, 7.0, rounding="floor"),
]
SIGNALS = np.array([0.0, 0.05, 0.5, 2.0, 7.0, 25.0, 120.0])


def histograms_of(camera, signals=SIGNALS, seed=1):
    rng = np.random.default_rng(seed)
    rows = []
    for signal in signals:
        pulses = rng.poisson(signal / camera.gain, N_PIXELS).astype(np.float64)
        if camera.pulse_variance > 0:
            pulses = rng.gamma(np.maximum(pulses, 1e-300) * camera.shape)
            pulses *= camera.pulse_variance
        x = camera.gain * pulses + rng.normal(camera.dark, camera.read_noise, N_PIXELS)
        values = np.floor(x + 1.0 - camera.threshold).astype(np.int64)
        rows.append(np.bincount(np.clip(values, 0, N_BINS - 1), minlength=N_BINS))
    return np.array(rows)


@pytest.mark.parametrize("camera", CAMERAS)
def test_signals_come_back_within_their_statistical_error(camera):
    intervals = make_intervals(histograms_of(camera), camera.threshold)
    fit = fit_rates(camera, intervals, N_BINS)
    error = np.sqrt(camera.variance(SIGNALS / camera.gain) / N_PIXELS)
    # the fitted range holds most of the information, not all
    assert (np.abs(fit.rate * camera.gain - SIGNALS) < 4.5 * error).all()
    assert fit.converged.all()


@pytest.mark.parametrize("camera", CAMERAS)
def test_rates_are_those_of_the_likelihood_itself(camera):
    intervals = make_intervals(histograms_of(camera)[1:], camera.threshold)
    fit = fit_rates(camera, intervals, N_BINS)
    grid = grid_to(camera, 2.0 * N_BINS)
    for row, signal in enumerate(SIGNALS[1:]):
        sd = np.sqrt(camera.variance(signal / camera.gain)) / camera.gain
        at = grid.index(intervals.edges[row]) - 1

        def nll(rate, row=row, at=at):
            below = np.cumsum(masses(camera, np.array([rate]), grid)[0])[at]
            mass = np.maximum(np.diff(below, prepend=0.0), 1e-14)
            return np.log(below[-1]) - intervals.fractions[row] @ np.log(mass)

        bounds = (max(fit.rate[row] - 0.1 * sd, 0.0), fit.rate[row] + 0.1 * sd)
        best = minimize_scalar(nll, bounds=bounds, method="bounded")
        # a fifth of the statistical error
        assert abs(fit.rate[row] - best.x) < 0.2 * sd / np.sqrt(N_PIXELS)
        assert abs(fit.nll[row] - nll(fit.rate[row])) < 1e-4


def test_a_row_does_not_depend_on_the_others():
    camera = CAMERAS[0]
    histograms = histograms_of(camera)
    together = fit_histograms(histograms, "camera", camera=camera)
    for row in range(len(SIGNALS)):
        alone = fit_histograms(histograms[row : row + 1], "camera", camera=camera)
        for name in ("theta", "nll", "p_nonpositive", "mean_nonpositive", "rmsd"):
            np.testing.assert_array_equal(
                getattr(alone, name)[0], getattr(together, name)[row]
            )


def test_table_reaches_as_far_as_the_histogram():
    table = rate_table(CAMERAS[0], 2048)
    assert table.rate[0] == 0.0
    assert CAMERAS[0].mean(table.rate[-1]) >= 2048
    assert len(table.rate) < 300
    assert rate_table(CAMERAS[0], 2048) is table


@pytest.mark.parametrize("camera", [CAMERAS[0], CAMERAS[3]])
def test_fits_describe_what_was_lost(camera):
    rng = np.random.default_rng(3)
    signals = np.array([0.3, 1.5, 6.0])
    fits = fit_histograms(
        histograms_of(camera, signals), "camera", camera.rounding, camera=camera
    )
    assert fits.camera is camera
    assert set(fits.family) == {"camera"}
    assert np.isnan(fits.theta[:, 1:]).all()
    np.testing.assert_allclose(fits.mean, camera.mean(fits.theta[:, 0]))
    # a good fit: one degree of freedom less than levels
    assert (fits.chi_square < 3.0).all()
    tables = conditional_tables(fits, np.array([1.0, 2.0, 3.0]))
    cells = rng.integers(0, 4096, (3, 50_000))
    x = np.take_along_axis(tables.coarse, cells, axis=1).astype(np.float64)
    drawn = np.floor(x + 1.0 - camera.threshold).mean(axis=1)
    np.testing.assert_allclose(drawn, fits.mean_nonpositive, atol=0.08)


def test_a_camera_is_needed_and_must_round_alike():
    histograms = histograms_of(CAMERAS[0], SIGNALS[:2])
    with pytest.raises(ValueError, match="needs a camera"):
        fit_histograms(histograms, "camera")
    with pytest.raises(ValueError, match="rounding=floor does not belong"):
        fit_histograms(histograms, "camera", "round", camera=CAMERAS[3])
