from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize

from dials_truncfix.correction.fit import RingFits, fit_histograms
from dials_truncfix.correction.laws.distributions import distribution
from dials_truncfix.correction.laws.summaries import mean_nonpositive

pytestmark = pytest.mark.filterwarnings("error")

TRUTHS = {
    "lognormal": [(3.0, np.log(6.0), 0.3), (-2.0, np.log(4.0), 0.1)],
    "emg": [(0.0, np.log(4.0), np.log(5.0)), (-3.0, np.log(6.0), np.log(3.0))],
}


def expected_histogram(family, theta, n=1e9, n_bins=512, threshold=0.5):
    edges = np.arange(n_bins - 1) + threshold
    below = distribution(family).cdf(edges, np.array(theta))
    p = np.diff(below, prepend=0.0, append=1.0)
    return np.rint(n * p).astype(np.int64)


def sampled_histogram(x, n_bins=512):
    return np.bincount(np.clip(np.rint(x), 0, n_bins - 1).astype(int), minlength=n_bins)


def assert_same(a: RingFits, b: RingFits):
    for field in dataclasses.fields(RingFits):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))


@pytest.mark.parametrize("family", ["lognormal", "emg"])
@pytest.mark.parametrize("rounding, threshold", [("round", 0.5), ("floor", 1.0)])
def test_noise_free_histograms_give_back_their_parameters(family, rounding, threshold):
    histograms = np.stack(
        [expected_histogram(family, t, threshold=threshold) for t in TRUTHS[family]]
    )
    fits = fit_histograms(histograms, family, rounding)
    assert fits.converged.all()
    np.testing.assert_allclose(fits.theta, TRUTHS[family], atol=0.02)
    truth = mean_nonpositive(family, np.array(TRUTHS[family]), threshold)
    np.testing.assert_allclose(fits.mean_nonpositive, truth, rtol=2e-3)
    zero_fraction = histograms[:, 0] / histograms.sum(axis=1)
    np.testing.assert_allclose(fits.p_nonpositive, zero_fraction, rtol=1e-4)


def test_floor_is_round_half_a_grey_level_up():
    histogram = expected_histogram("lognormal", TRUTHS["lognormal"][0], n=1e5)[None]
    by_round = fit_histograms(histogram, "lognormal", "round")
    by_floor = fit_histograms(histogram, "lognormal", "floor")
    np.testing.assert_allclose(
        by_floor.theta - by_round.theta, [[0.5, 0, 0]], atol=1e-9
    )
    np.testing.assert_allclose(by_floor.mean_nonpositive, by_round.mean_nonpositive)
    assert by_floor.mean - by_round.mean == pytest.approx(0.5)


def test_summaries_describe_the_distribution():
    fits = fit_histograms(expected_histogram("emg", TRUTHS["emg"][0])[None], "emg")
    m, s, t = fits.theta[0, 0], np.exp(fits.theta[0, 1]), np.exp(fits.theta[0, 2])
    reference = stats.exponnorm(t / s, loc=m, scale=s)
    assert fits.mean[0] == pytest.approx(reference.mean())
    assert fits.variance[0] == pytest.approx(reference.var())
    assert fits.p_nonpositive[0] == pytest.approx(reference.cdf(0.5))
    lost = np.arange(-60, 1)
    p = reference.cdf(lost + 0.5) - reference.cdf(lost - 0.5)
    assert fits.mean_nonpositive[0] == pytest.approx((lost * p).sum() / p.sum())
    assert fits.rmsd[0] < 1e-5 * fits.n_pixels[0]


def test_rmsd_is_in_pixels_per_grey_level():
    histogram = expected_histogram("emg", TRUTHS["emg"][0], n=1e6)
    comb = histogram.copy()
    comb[1:31:2] += 500
    comb[2:31:2] -= 500
    fits = fit_histograms(np.stack((histogram, comb)), "emg")
    assert fits.rmsd[0] < 1.0
    assert fits.rmsd[1] == pytest.approx(500.0, rel=0.15)


def test_chi_square_is_one_per_degree_of_freedom_where_the_family_is_true():
    rng = np.random.default_rng(11)
    m, s, t = TRUTHS["emg"][0][0], *np.exp(TRUTHS["emg"][0][1:])
    x = rng.normal(m, s, (60, 20_000)) + rng.exponential(t, (60, 20_000))
    histograms = np.stack([sampled_histogram(row) for row in x])
    chi_square = fit_histograms(histograms, "emg").chi_square
    # some 20 degrees of freedom: sd of the mean of 60 is 0.04
    assert chi_square.mean() == pytest.approx(1.0, abs=0.1)
    histograms[0, 1] += 1000
    assert fit_histograms(histograms[:1], "emg").chi_square[0] > 3 * chi_square.max()


@pytest.mark.parametrize(
    "family, theta",
    [
        ("lognormal", (3.0, np.log(6.0), 0.3)),
        ("lognormal", (40.0, np.log(30.0), 0.1)),
        ("lognormal", (1.0, np.log(0.6), 0.0)),
        ("emg", (2.0, np.log(5.0), np.log(40.0))),
    ],
)
def test_mean_lost_value_is_the_sum_over_the_lost_integers(family, theta):
    theta = np.array(theta)
    lost = np.arange(-600, 1)
    below = distribution(family).cdf(np.arange(-601, 1) + 0.5, theta)
    p = np.diff(below)
    expected = (lost * p).sum() / p.sum()
    found = mean_nonpositive(family, theta[None], 0.5)[0]
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-9)


def test_a_support_above_the_threshold_knows_no_lost_values():
    theta = np.array([[50.0, np.log(20.0), 0.5]])  # x > 10
    assert mean_nonpositive("lognormal", theta, 0.5)[0] == 0.0


def test_paper_is_the_optimum_of_equation_4():
    rng = np.random.default_rng(4)
    x = -6.0 + np.exp(2.5 + 0.7 * rng.standard_normal(100_000))
    histogram = sampled_histogram(x)[None]
    fits = fit_histograms(histogram, "paper")
    levels = np.arange(1, fits.i_max[0] + 1)
    counts = histogram[0, : fits.i_max[0] + 1]

    def negative_log_likelihood(p):
        law = stats.lognorm(p[2], loc=p[0], scale=np.exp(p[1]))
        with np.errstate(divide="ignore"):
            log_l = counts[0] * law.logcdf(0.5)
            log_l += (counts[1:] * law.logpdf(levels)).sum()
        return -log_l / counts.sum()

    best = minimize(
        negative_log_likelihood,
        (-6.0, 2.5, 0.7),
        method="Nelder-Mead",
        options={"maxiter": 4000, "xatol": 1e-7, "fatol": 1e-12},
    )
    assert fits.nll[0] == pytest.approx(best.fun, abs=1e-6)
    assert fits.family[0] == "paper"
    assert fits.theta[0, 2] > 0.1  # not at the Gaussian bound


def test_paper_takes_more_away_than_the_exact_likelihood():
    # 66 % zeros, true mean of the lost values -6.5 ADU: the missing normalisation
    # of eq. 4 drags the mean far below, the exact likelihood stays within 5 %.
    rng = np.random.default_rng(66)
    x = 8.0 * np.expm1(0.3 * rng.standard_normal(1_000_000)) / 0.3
    x -= np.quantile(x, 0.66) - 0.5
    truth = np.rint(x[x < 0.5]).mean()
    histogram = sampled_histogram(x)[None]
    exact = fit_histograms(histogram, "lognormal").mean_nonpositive[0]
    paper = fit_histograms(histogram, "paper").mean_nonpositive[0]
    assert exact == pytest.approx(truth, rel=0.05)
    assert abs(paper - truth) > 2.0 * abs(exact - truth)


@pytest.mark.parametrize("family", ["lognormal", "emg"])
def test_auto_finds_the_family_of_an_image(family):
    rng = np.random.default_rng(8)
    rings = []
    for shift in np.linspace(12.0, -1.0, 8):
        if family == "lognormal":
            x = 6.0 * np.expm1(0.4 * rng.standard_normal(100_000)) / 0.4
        else:
            x = 5.0 * rng.standard_normal(100_000)
            x += 6.0 * rng.standard_exponential(100_000)
        rings.append(sampled_histogram(x + shift))
    fits = fit_histograms(np.stack(rings), "auto")
    assert set(fits.family) == {family}
    assert_same(fits, fit_histograms(np.stack(rings), family))


def test_left_skewed_values_are_fitted_by_both_families():
    # Skewness -0.6: the EMG stops at its bound, which is the Gaussian.
    rng = np.random.default_rng(3)
    x = 8.0 - 5.0 * np.expm1(0.2 * rng.standard_normal(200_000)) / 0.2
    histogram = sampled_histogram(x)[None]
    truth = np.rint(x[x < 0.5]).mean()
    lognormal = fit_histograms(histogram, "lognormal")
    emg = fit_histograms(histogram, "emg")
    assert lognormal.converged[0] and emg.converged[0]
    assert lognormal.theta[0, 2] == pytest.approx(-0.2, abs=0.03)
    assert lognormal.mean_nonpositive[0] == pytest.approx(truth, rel=0.03)
    assert emg.theta[0, 2] - emg.theta[0, 1] == pytest.approx(np.log(0.03), abs=1e-3)


def varied_images():
    rng = np.random.default_rng(12)
    images = np.empty((5, 4, 300), dtype=np.int64)
    for image in images:
        for ring in image:
            sd, t = rng.uniform(1.0, 15.0), rng.uniform(0.0, 30.0)
            x = rng.normal(rng.uniform(-5.0, 60.0), sd, 20_000)
            ring[:] = sampled_histogram(x + t * rng.standard_exponential(20_000), 300)
    images[1, 2] = 0  # no pixels
    images[2, 0, 1:] = 0  # one grey level
    images[3, 1] = rng.integers(0, 3, 300)
    return images


@pytest.mark.parametrize("family", ["lognormal", "emg", "auto", "paper"])
def test_an_image_gets_the_same_bits_alone_and_in_any_company(family):
    images = varied_images()
    crowd = np.concatenate((images, np.repeat(images[::-1], 40, axis=0)))
    together = fit_histograms(images, family)
    in_crowd = fit_histograms(crowd, family)
    for k, image in enumerate(images):
        alone = fit_histograms(image, family)
        assert_same(alone, together[k])
        assert_same(alone, in_crowd[k])


@pytest.mark.parametrize("family", ["lognormal", "emg", "auto", "paper"])
@pytest.mark.parametrize(
    "ring, status",
    [
        ({}, "no_pixels"),
        ({0: 5000}, "one_level"),
        ({17: 5000}, "one_level"),
        ({0: 5000, 1: 3, 2: 1}, "few_levels"),
        ({0: 10, 63: 5000, 5: 1, 6: 2, 7: 3, 8: 4}, "overflow"),
    ],
)
def test_rings_that_cannot_be_fitted_say_why(family, ring, status):
    histograms = np.stack([expected_histogram("emg", TRUTHS["emg"][0], 1e4, 64)] * 2)
    histograms[1] = 0
    for value, count in ring.items():
        histograms[1, value] = count
    fits = fit_histograms(histograms, family)
    assert fits.status.tolist() == ["fitted", status]
    assert fits.fitted.tolist() == [True, False]
    assert fits.family[1] == ""
    assert fits.i_max[1] == -1
    assert not fits.converged[1]
    assert fits.n_pixels[1] == sum(ring.values())
    assert fits.n_zero[1] == ring.get(0, 0)
    assert np.isnan(fits.theta[1]).all()
    assert np.isnan([fits.nll[1], fits.mean[1], fits.mean_nonpositive[1]]).all()


def test_an_image_without_any_fit():
    fits = fit_histograms(np.zeros((3, 10), dtype=np.int64))
    assert not fits.fitted.any()


@pytest.mark.parametrize("family", ["lognormal", "emg", "paper"])
def test_strange_histograms_neither_fail_nor_warn(family):
    rng = np.random.default_rng(9)
    histograms = np.zeros((8, 1024), dtype=np.int64)
    histograms[0] = rng.integers(0, 3, 1024)  # flat
    histograms[1, :700] = np.arange(700)  # rising
    histograms[2, ::100] = 1000  # comb
    histograms[3, [0, 1, 2, 3, 4, 900]] = [1, 1, 1, 1, 1, 10_000]
    histograms[4, :6] = [1_000_000, 1, 1, 1, 1, 1]
    histograms[5, 500:505] = [1, 10_000_000, 1, 1, 1]
    histograms[6, [0, 100, 101, 102, 103, 104]] = [5000, 10, 2000, 3000, 2000, 10]
    histograms[7, :12] = 2 ** np.arange(12)[::-1]
    fits = fit_histograms(histograms, family)
    assert fits.fitted.tolist() == [True] * 3 + [False, True, False, False, True]
    for name in ("theta", "nll", "mean", "variance", "mean_nonpositive", "rmsd"):
        assert np.isfinite(getattr(fits, name)[fits.fitted]).all(), name
    assert (fits.mean_nonpositive[fits.fitted] <= 0.0).all()
    assert (fits.variance[fits.fitted] > 0.0).all()


def test_a_ring_of_a_batch_is_taken_out_as_fits_of_an_image():
    images = np.stack(
        [np.stack([expected_histogram("emg", t, 1e4) for t in TRUTHS["emg"]])] * 3
    )
    fits = fit_histograms(images, "emg")
    assert fits.theta.shape == (3, 2, 3)
    one = fits[1]
    assert one.theta.shape == (2, 3)
    assert one.rounding == "round"
    assert one.status.tolist() == ["fitted", "fitted"]


@pytest.mark.parametrize(
    "histograms, arguments, message",
    [
        (np.ones(10, dtype=int), {}, r"\(10,\)"),
        (np.ones((2, 2), dtype=int), {}, r"\(2, 2\)"),
        (np.ones((2, 10)), {}, "float64"),
        (np.full((2, 10), -1), {}, "-1"),
        (np.ones((2, 10), dtype=int), {"rounding": "ceil"}, "'ceil'"),
        (np.ones((2, 10), dtype=int), {"family": "gamma"}, "'gamma'"),
    ],
)
def test_bad_arguments_are_named(histograms, arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_histograms(histograms, **arguments)
