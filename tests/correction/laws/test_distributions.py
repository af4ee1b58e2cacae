from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dials_truncfix.correction.laws import emg, lognormal
from dials_truncfix.correction.laws.distributions import distribution

LOGNORMAL_THETAS = [
    (3.0, np.log(6.0), 0.3),
    (-2.0, np.log(0.8), 0.8),
    (10.0, np.log(4.0), -0.25),
    (1.0, np.log(5.0), 1e-4),
    (1.0, np.log(5.0), 0.0),
]
EMG_THETAS = [
    (1.0, np.log(4.0), np.log(5.0)),
    (-3.0, np.log(6.0), np.log(0.2)),
    (2.0, np.log(0.3), np.log(5.0)),
    (0.0, np.log(1.0), np.log(1.0)),
]
CASES = [(lognormal, theta) for theta in LOGNORMAL_THETAS] + [
    (emg, theta) for theta in EMG_THETAS
]


def grid(module, theta):
    mean, sd = module.mean(theta), np.sqrt(module.variance(theta))
    return np.linspace(mean - 3.0 * sd, mean + 4.0 * sd, 141)


@pytest.mark.parametrize("module, theta", CASES)
def test_gradient_of_the_cdf_is_that_of_central_differences(module, theta):
    theta = np.array(theta)
    x = grid(module, theta)
    _, gradient = module.cdf_and_gradient(x, theta)
    for parameter in range(3):
        step = np.zeros(3)
        step[parameter] = 1e-5
        difference = module.cdf(x, theta + step) - module.cdf(x, theta - step)
        np.testing.assert_allclose(gradient[parameter], difference / 2e-5, atol=2e-8)


@pytest.mark.parametrize("module, theta", CASES)
def test_density_is_the_slope_of_the_cdf(module, theta):
    theta = np.array(theta)
    x = grid(module, theta)
    slope = (module.cdf(x + 1e-5, theta) - module.cdf(x - 1e-5, theta)) / 2e-5
    np.testing.assert_allclose(module.pdf(x, theta), slope, atol=3e-8)


@pytest.mark.parametrize("module, theta", CASES)
def test_moments_are_those_of_the_density(module, theta):
    theta = np.array(theta)
    sd = np.sqrt(module.variance(theta))
    x = module.mean(theta) + sd * np.linspace(-40.0, 400.0, 2_000_001)
    weight = module.pdf(x, theta) * (x[1] - x[0])
    mean = (weight * x).sum()
    assert weight.sum() == pytest.approx(1.0, abs=1e-5)
    assert module.mean(theta) == pytest.approx(mean, abs=1e-4 * sd)
    variance = (weight * (x - mean) ** 2).sum()
    assert module.variance(theta) == pytest.approx(variance, rel=3e-3)


def test_lognormal_is_that_of_scipy():
    theta = np.array([3.0, np.log(6.0), 0.3])
    scale = 6.0 / 0.3
    reference = stats.lognorm(0.3, loc=3.0 - scale, scale=scale)
    x = np.linspace(-16.0, 80.0, 200)
    np.testing.assert_allclose(lognormal.cdf(x, theta), reference.cdf(x), rtol=1e-12)
    np.testing.assert_allclose(lognormal.pdf(x, theta), reference.pdf(x), rtol=1e-11)
    assert lognormal.mean(theta) == pytest.approx(reference.mean(), rel=1e-13)
    assert lognormal.variance(theta) == pytest.approx(reference.var(), rel=1e-12)


def test_lognormal_without_shape_is_the_gaussian():
    x = np.linspace(-30.0, 30.0, 121)
    gaussian = stats.norm(1.0, 5.0)
    for s in (0.0, 1e-14, -1e-14):
        theta = np.array([1.0, np.log(5.0), s])
        np.testing.assert_allclose(
            lognormal.log_cdf(x, theta), gaussian.logcdf(x), rtol=1e-9
        )
        assert lognormal.mean(theta) == pytest.approx(1.0, abs=1e-11)
        assert lognormal.variance(theta) == pytest.approx(25.0, rel=1e-11)


def test_left_skewed_lognormal_mirrors_the_right_skewed_one():
    x = np.linspace(-20.0, 20.0, 41)
    right = np.array([1.0, np.log(3.0), 0.25])
    left = np.array([-1.0, np.log(3.0), -0.25])
    np.testing.assert_allclose(
        lognormal.cdf(x, left), 1.0 - lognormal.cdf(-x, right), atol=1e-15
    )


def test_lognormal_outside_its_support():
    right = np.array([0.0, 0.0, 0.5])  # x > -2
    left = np.array([0.0, 0.0, -0.5])  # x < 2
    x = np.array([-5.0, 5.0])
    assert lognormal.cdf(x, right)[0] == 0.0
    assert lognormal.log_cdf(x, right)[0] == -np.inf
    assert lognormal.cdf(x, left)[1] == 1.0
    assert lognormal.pdf(x, right)[0] == 0.0
    assert lognormal.pdf(x, left)[1] == 0.0
    assert not lognormal.cdf_and_gradient(x, right)[1][:, 0].any()


@pytest.mark.parametrize("w", [-0.5, -0.021, -0.019, -1e-9, 1e-9, 1e-3, 0.0199, 0.3])
def test_shape_slope_loses_no_digits_near_zero(w):
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        exact = mpmath.mpf(w)
        exact = (exact / (1 + exact) - mpmath.log(1 + exact)) / exact**2
    found = lognormal._shape_slope(np.array([w]))[0]
    assert found == pytest.approx(float(exact), rel=2e-12)


def test_log_pdf_gradient_is_that_of_central_differences():
    for theta in LOGNORMAL_THETAS[:4]:
        theta = np.array(theta)
        x = grid(lognormal, theta)
        x = x[lognormal.pdf(x, theta) > 1e-12]
        density, gradient = lognormal.log_pdf_gradient(x, theta)
        np.testing.assert_allclose(density, lognormal.pdf(x, theta), rtol=1e-14)
        for parameter in range(3):
            step = np.zeros(3)
            step[parameter] = 1e-5
            difference = np.log(lognormal.pdf(x, theta + step))
            difference -= np.log(lognormal.pdf(x, theta - step))
            np.testing.assert_allclose(
                gradient[parameter], difference / 2e-5, rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("theta", EMG_THETAS)
def test_emg_is_that_of_scipy(theta):
    m, s, t = theta[0], np.exp(theta[1]), np.exp(theta[2])
    reference = stats.exponnorm(t / s, loc=m, scale=s)
    theta = np.array(theta)
    x = grid(emg, theta)
    np.testing.assert_allclose(emg.cdf(x, theta), reference.cdf(x), atol=1e-13)
    assert emg.mean(theta) == pytest.approx(reference.mean(), rel=1e-12)
    assert emg.variance(theta) == pytest.approx(reference.var(), rel=1e-12)


@pytest.mark.parametrize("log_ratio", [-2.7, -1.0, 0.0, 2.0, 3.5])
def test_emg_tails_against_multiple_precision(log_ratio):
    # From nearly exponential (s / t = 0.07) to nearly Gaussian (s / t = 33).
    mpmath = pytest.importorskip("mpmath")
    theta = np.array([1.0, 0.0, -log_ratio])
    x = np.concatenate((np.linspace(-24.0, 5.0, 59), np.linspace(10.0, 300.0, 30)))
    found = emg.log_cdf(x, theta)
    found_cdf = emg.cdf(x, theta)
    density = emg.pdf(x, theta)
    with mpmath.workdps(400):
        r = mpmath.e ** mpmath.mpf(log_ratio)
        for value, log_p, p, f in zip(x, found, found_cdf, density):
            u = mpmath.mpf(float(value)) - 1
            excess = mpmath.exp(r * r / 2 - r * u) * mpmath.ncdf(u - r)
            exact = mpmath.ncdf(u) - excess
            assert log_p == pytest.approx(float(mpmath.log(exact)), abs=1e-11)
            assert p == pytest.approx(float(exact), abs=1e-14)
            assert f == pytest.approx(float(r * excess), rel=1e-11, abs=1e-300)


def test_emg_with_a_short_exponential_is_the_gaussian():
    working = np.array([2.0, np.log(5.0), emg.SHAPE_BOUNDS[0]])
    theta = emg.theta_from_working(working)
    x = np.linspace(-20.0, 25.0, 91)
    np.testing.assert_allclose(emg.cdf(x, theta), stats.norm.cdf(x, 2, 5), atol=1e-5)


def test_working_parameters_are_mean_deviation_and_half_skewness():
    working = np.array([[2.0, np.log(5.0), 0.2], [-1.0, 0.3, 0.9]])
    theta = emg.theta_from_working(working)
    np.testing.assert_allclose(emg.mean(theta), working[:, 0], rtol=1e-14)
    np.testing.assert_allclose(0.5 * np.log(emg.variance(theta)), working[:, 1])
    s, t = np.exp(theta[:, 1]), np.exp(theta[:, 2])
    skewness = stats.exponnorm.stats(t / s, moments="s")
    np.testing.assert_allclose(0.5 * skewness, working[:, 2], rtol=1e-12)


@pytest.mark.parametrize("shape", [emg.SHAPE_BOUNDS[0], 0.1, 0.7, emg.SHAPE_BOUNDS[1]])
def test_working_gradient_is_that_of_central_differences(shape):
    working = np.array([2.0, np.log(5.0), shape])
    theta = emg.theta_from_working(working)
    x = grid(emg, theta)
    gradient = emg.working_gradient(emg.cdf_and_gradient(x, theta)[1], working)
    for parameter, size in enumerate((1e-4, 1e-4, 1e-3 * min(shape, 1.0 - shape))):
        step = np.zeros(3)
        step[parameter] = size
        up = emg.cdf(x, emg.theta_from_working(working + step))
        down = emg.cdf(x, emg.theta_from_working(working - step))
        np.testing.assert_allclose(
            gradient[parameter], (up - down) / (2.0 * size), atol=3e-7
        )


def test_standard_quantiles_invert_the_cdf():
    z = np.linspace(-3.0, 3.0, 25)
    for family in (distribution("lognormal"), distribution("emg")):
        for shape in family.start_shapes:
            theta = family.theta_from_working(np.array([0.0, 0.0, shape]))
            x = family.standard_quantile(z, shape)
            np.testing.assert_allclose(
                family.cdf(x, theta), stats.norm.cdf(z), atol=5e-4
            )


def test_paper_shares_the_lognormal_and_others_are_unknown():
    assert distribution("paper") is distribution("lognormal")
    with pytest.raises(ValueError, match="'gamma'"):
        distribution("gamma")
