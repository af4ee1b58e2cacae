from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from dials_truncfix.correction.joint_camera.camera_law import (
    grid_to,
    highest_reading,
    masses,
    masses_and_rate_slopes,
    masses_and_slopes,
    tilted_masses,
    tilted_model,
)
from dials_truncfix.correction.joint_camera.camera_model import CameraModel, SweepCamera

pytestmark = pytest.mark.filterwarnings("error")

CAMERAS = [
    CameraModel(6.0, 0.5, 6.0),
    CameraModel(6.0, 0.0, 2.0, dark=-1.5),
    CameraModel(1.5, 3.0, 7.0, dark=0.7, rounding="floor"),
    CameraModel(40.0, 0.3, 1.5),
]
RATES = np.array([0.0, 0.05, 1.0, 8.0, 60.0])


def law_of(camera, rates=RATES):
    grid = grid_to(camera, float(highest_reading(camera, rates).max()))
    middle = grid.low + grid.step * (np.arange(grid.n_cells) + 0.5)
    return grid, middle, masses(camera, rates, grid)


def probability_below(camera, rate, x):
    """Sum over the numbers of electrons, integrated over the sum of their pulses."""
    total = 0.0
    for n in range(20):
        weight = stats.poisson.pmf(n, rate)
        if weight < 1e-10:
            continue
        if n == 0 or camera.pulse_variance == 0.0:
            mean = camera.dark + n * camera.gain
            total += weight * stats.norm.cdf(x, mean, camera.read_noise)
            continue
        c = camera.pulse_variance
        pulses = stats.gamma(n / c, scale=camera.gain * c)
        total += (
            weight
            * integrate.quad(
                lambda z, p=pulses: (
                    p.cdf(x - camera.dark - z)
                    * stats.norm.pdf(z, 0.0, camera.read_noise)
                ),
                -9.0 * camera.read_noise,
                9.0 * camera.read_noise,
                points=[x - camera.dark],
                epsabs=1e-9,
            )[0]
        )
    return total


@pytest.mark.parametrize("camera", CAMERAS)
def test_law_has_the_moments_of_the_camera(camera):
    grid, middle, p = law_of(camera)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-12)
    mean = p @ middle
    np.testing.assert_allclose(mean, camera.mean(RATES), atol=1e-8)
    variance = (p * (middle - mean[:, None]) ** 2).sum(axis=1) - grid.step**2 / 12.0
    np.testing.assert_allclose(variance, camera.variance(RATES), rtol=1e-8)


@pytest.mark.parametrize("camera", CAMERAS)
def test_law_is_the_sum_over_numbers_of_electrons(camera):
    grid, _, p = law_of(camera)
    below = np.concatenate([np.zeros((len(RATES), 1)), np.cumsum(p, axis=1)], axis=1)
    for row, above in ((1, 0.0), (2, 0.0), (2, 12.0)):
        edge = camera.threshold + above
        expected = probability_below(camera, RATES[row], edge)
        found = below[row, int(grid.index(np.array(edge)))]
        assert found == pytest.approx(expected, abs=1e-8)


def test_equal_pulses_are_the_limit_of_nearly_equal_ones():
    _, _, equal = law_of(CameraModel(6.0, 0.0, 2.0))
    grid, _, _ = law_of(CameraModel(6.0, 0.0, 2.0))
    nearly = masses(CameraModel(6.0, 1e-7, 2.0), RATES, grid)
    np.testing.assert_allclose(nearly, equal, atol=1e-6)


@pytest.mark.parametrize("camera", CAMERAS)
def test_derivatives_match_central_differences(camera):
    grid, _, _ = law_of(camera)
    shift = np.linspace(-0.3, 0.4, len(RATES))
    _, slopes = masses_and_slopes(camera, RATES, grid, shift)
    h = 1e-6

    def law(rate=0.0, gain=0.0, variance=0.0, noise=0.0, dark=0.0):
        changed = CameraModel(
            camera.gain * np.exp(gain),
            camera.pulse_variance + variance,
            camera.read_noise * np.exp(noise),
            camera.dark + dark,
            camera.rounding,
        )
        return np.stack(
            [
                masses(
                    CameraModel(
                        changed.gain,
                        changed.pulse_variance,
                        changed.read_noise,
                        changed.dark + shift[row],
                        changed.rounding,
                    ),
                    RATES[row : row + 1] + rate,
                    grid,
                )[0]
                for row in range(len(RATES))
            ]
        )

    for name, analytic in (
        ("rate", slopes.rate),
        ("gain", slopes.log_gain),
        ("variance", slopes.pulse_variance),
        ("noise", slopes.log_read_noise),
        ("dark", slopes.dark),
    ):
        # a pulse variance cannot be negative, a rate may be so for this purpose
        first = 0.0 if name == "variance" and camera.pulse_variance == 0.0 else -h
        numeric = (law(**{name: h}) - law(**{name: first})) / (h - first)
        scale = np.abs(analytic).max(axis=1, keepdims=True)
        tolerance = 2e-2 if first == 0.0 else 2e-6
        assert (np.abs(numeric - analytic) <= tolerance * scale + 1e-9).all(), name


def test_rate_derivatives_alone_are_the_same():
    camera = CAMERAS[0]
    grid, _, p = law_of(camera)
    both = masses_and_rate_slopes(camera, RATES, grid)
    np.testing.assert_array_equal(both[0], p)
    slopes = masses_and_slopes(camera, RATES, grid)[1]
    np.testing.assert_allclose(both[1], slopes.rate, atol=1e-15)


def test_tilted_law_knows_the_tail_to_all_digits():
    # One hundred equal pulses far above the threshold, as good as a sum of normals.
    camera = CameraModel(6.0, 0.0, 6.0)
    rate = np.array([40.0])
    tilt = np.array([0.28])
    tilted = tilted_model(camera, rate, tilt)
    grid = grid_to(camera, float(tilted.highest[0]), 0.25)
    p = tilted_masses(camera, rate, tilt, grid)[0]
    n = int(grid.index(np.array(0.5)))
    found = np.exp(tilted.log_factor[0]) * p[:n].sum()
    electrons = np.arange(200)
    weights = stats.poisson.pmf(electrons, 40.0)
    expected = (weights * stats.norm.cdf(0.5, 6.0 * electrons, 6.0)).sum()
    assert expected < 1e-12
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "field, value",
    [
        ("gain", 0.0),
        ("gain", np.nan),
        ("read_noise", 0.01),
        ("pulse_variance", -0.1),
        ("pulse_variance", 3.4),
        ("dark", np.inf),
    ],
)
def test_impossible_cameras_are_refused(field, value):
    values = {"gain": 6.0, "pulse_variance": 0.5, "read_noise": 6.0, field: value}
    with pytest.raises(ValueError, match=f"camera's {field} must be"):
        CameraModel(**values)


def test_gain_and_pedestal_give_the_variance_of_the_integers():
    rng = np.random.default_rng(7)
    for rounding, shift in (("round", 0.5), ("floor", 0.0)):
        camera = CameraModel(6.0, 0.5, 4.0, dark=1.0, rounding=rounding)
        electrons = rng.poisson(3.0, 400_000)
        pulses = rng.gamma(np.maximum(electrons, 1e-300) * 2.0, 3.0)
        values = np.floor(pulses + rng.normal(1.0, 4.0, len(pulses)) + shift)
        expected = camera.effective_gain * (values.mean() - camera.pedestal)
        assert values.var() == pytest.approx(expected, rel=0.01)


def test_camera_that_drifts_keeps_its_dark_level_for_some_images():
    camera = SweepCamera(CameraModel(6.0, 0.5, 6.4, dark=-1.0), dark_drift=0.01)
    levels = [camera.at(number).dark for number in range(1, 101)]
    np.testing.assert_allclose(levels, -1.0 + 0.01 * np.arange(1, 101), atol=0.0501)
    assert 9 <= len(set(levels)) <= 12
    still = SweepCamera(camera.model)
    assert still.at(1) is still.at(1000) is camera.model


def test_grids_have_an_end():
    with pytest.raises(ValueError, match="too many"):
        grid_to(CameraModel(6.0, 0.5, 0.2), 1e9)
    with pytest.raises(ValueError, match="too many"):
        grid_to(CameraModel(6.0, 0.5, 0.2), np.nan)
