from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dials_truncfix.correction.draws.quantiles import (
    QuantileTables,
    conditional_tables,
    mean_preserving_knots,
)
from dials_truncfix.correction.fit import fit_histograms
from dials_truncfix.correction.laws.distributions import distribution

pytestmark = pytest.mark.filterwarnings("error")

N = 4096
THETAS = {
    "lognormal": [(6.0, np.log(7.0), 0.3), (2.0, np.log(6.0), 0.15)],
    "emg": [(2.0, np.log(5.0), np.log(6.0)), (-2.0, np.log(6.0), np.log(3.0))],
}


def fits_of(family, thetas, rounding="round", n=1_000_000):
    threshold = 1.0 if rounding == "floor" else 0.5
    edges = np.arange(255) + threshold
    below = distribution(family).cdf(edges, np.array(thetas))
    p = np.diff(below, axis=-1, prepend=0.0, append=1.0)
    return fit_histograms(np.rint(n * p).astype(np.int64), family, rounding)


def frozen(family, theta):
    if family == "lognormal":
        scale = np.exp(theta[1]) / theta[2]
        return stats.lognorm(theta[2], loc=theta[0] - scale, scale=scale)
    s, t = np.exp(theta[1]), np.exp(theta[2])
    return stats.exponnorm(t / s, loc=theta[0], scale=s)


@pytest.mark.parametrize("family", ["lognormal", "emg"])
@pytest.mark.parametrize("rounding, threshold", [("round", 0.5), ("floor", 1.0)])
def test_tables_invert_the_conditional_distribution(family, rounding, threshold):
    fits = fits_of(family, THETAS[family], rounding)
    tables = conditional_tables(fits, np.array([1.0, 2.0]))
    assert tables.threshold == threshold
    assert tables.coarse.dtype == tables.tail.dtype == np.float32
    u = (np.arange(N) + 0.5) / N
    for ring, theta in enumerate(fits.theta):
        law = frozen(family, theta)
        p = law.cdf(threshold)
        coarse = law.cdf(tables.coarse[ring].astype(np.float64)) / p
        np.testing.assert_allclose(coarse, u, atol=2e-5)
        tail = law.cdf(tables.tail[ring].astype(np.float64)) / p
        np.testing.assert_allclose(tail, u / N, rtol=5e-3)


@pytest.mark.parametrize("family", ["lognormal", "emg"])
def test_tables_ascend_below_the_threshold_and_join(family):
    tables = conditional_tables(fits_of(family, THETAS[family]), np.array([1.0, 2.0]))
    for table in (tables.coarse, tables.tail):
        assert (np.diff(table, axis=1) >= 0.0).all()
        assert (table < 0.5).all()
    assert (tables.tail[:, -1] <= tables.coarse[:, 1]).all()
    middle = tables.tail[:, N // 2 - 1 : N // 2 + 1].mean(axis=1)
    np.testing.assert_allclose(middle, tables.coarse[:, 0], atol=2e-3)


@pytest.mark.parametrize("family", ["lognormal", "emg", "paper"])
def test_draws_have_the_mean_of_the_fit(family):
    thetas = THETAS["emg" if family == "emg" else "lognormal"]
    below = distribution("emg" if family == "emg" else "lognormal").cdf(
        np.arange(255) + 0.5, np.array(thetas)
    )
    p = np.diff(below, axis=-1, prepend=0.0, append=1.0)
    fits = fit_histograms(np.rint(1e6 * p).astype(np.int64), family)
    tables = conditional_tables(fits, np.array([1.0, 2.0]))
    coarse = np.rint(tables.coarse.astype(np.float64))
    first_cell = np.rint(tables.tail.astype(np.float64)).mean(axis=1)
    mean = (coarse[:, 1:].sum(axis=1) + first_cell) / N
    np.testing.assert_allclose(mean, fits.mean_nonpositive, atol=2e-3)


def test_a_ring_far_above_zero_has_its_narrow_tail():
    # Threshold 12 standard deviations below the mean: exponential of mean sd / 12.
    histogram = np.zeros((1, 400), dtype=np.int64)
    edges = np.arange(399) + 0.5
    histogram[0, 1:399] = np.rint(1e6 * np.diff(stats.norm.cdf(edges, 120.0, 10.0)))
    fits = fit_histograms(histogram, "emg")
    tables = conditional_tables(fits, np.array([1.0]))
    depth = 0.5 - tables.coarse[0].astype(np.float64)
    assert depth.mean() == pytest.approx(10.0 / 12.0, rel=0.05)
    assert (np.diff(tables.coarse[0]) >= 0.0).all()


def test_a_family_that_knows_no_zeros_leaves_them_zero():
    below = distribution("lognormal").cdf(
        np.arange(255) + 0.5, np.array([[60.0, np.log(25.0), 0.7]])
    )
    histogram = np.rint(1e6 * np.diff(below, axis=-1, prepend=0.0, append=1.0))
    fits = fit_histograms(histogram.astype(np.int64), "lognormal")
    tables = conditional_tables(fits, np.array([1.0]))
    assert fits.mean_nonpositive[0] == 0.0
    assert not tables.coarse.any()
    assert not tables.tail.any()


def test_rings_without_a_fit_have_no_row():
    histograms = np.zeros((3, 256), dtype=np.int64)
    fitted = fits_of("emg", THETAS["emg"])
    below = distribution("emg").cdf(np.arange(255) + 0.5, np.array(THETAS["emg"]))
    p = np.diff(below, axis=-1, prepend=0.0, append=1.0)
    histograms[[0, 2]] = np.rint(1e6 * p).astype(np.int64)
    tables = conditional_tables(
        fit_histograms(histograms, "emg"), np.array([1.0, np.nan, 3.0])
    )
    assert tables.radius.tolist() == [1.0, 3.0]
    expected = conditional_tables(fitted, np.array([1.0, 3.0]))
    np.testing.assert_array_equal(tables.coarse, expected.coarse)
    nothing = conditional_tables(fit_histograms(histograms[1:2]), np.array([1.0]))
    assert nothing.coarse.shape == (0, N)


def ring_tables(n_rings=6, n=64):
    """Gaussian tails that deepen inwards and radii in annuli of equal area."""
    rng = np.random.default_rng(7)
    edges = np.sqrt(np.linspace(0.02, 1.0, n_rings + 1))
    radii = [np.sqrt(rng.uniform(a**2, b**2, 4000)) for a, b in zip(edges, edges[1:])]
    u = (np.arange(n) + 0.5) / n
    depth = 3.0 + 4.0 * np.exp(-3.0 * edges[1:, None])
    coarse = 0.4 + depth * stats.halfnorm.ppf(u)[::-1] * -1.0
    tail = 0.4 + depth * stats.halfnorm.ppf(1.0 - u / n) * -1.0
    tables = QuantileTables(
        np.array([r.mean() for r in radii]),
        coarse.astype(np.float32),
        tail.astype(np.float32),
        0.5,
    )
    return tables, radii


def interpolated(knots, table, radius):
    """Linear interpolation between the knots, linear extrapolation outside."""
    row = np.clip(np.searchsorted(knots, radius) - 1, 0, len(knots) - 2)
    weight = (radius - knots[row]) / (knots[row + 1] - knots[row])
    return table[row] + weight[:, None] * (table[row + 1] - table[row])


def test_knots_keep_the_average_of_each_ring():
    tables, radii = ring_tables()
    deviation = np.array([np.abs(r - r.mean()).mean() for r in radii])
    knots = mean_preserving_knots(tables, deviation)
    for before, after in ((tables.coarse, knots.coarse), (tables.tail, knots.tail)):
        for ring, radius in enumerate(radii):
            plain = interpolated(tables.radius, before, radius).mean(axis=0)
            kept = interpolated(tables.radius, after, radius).mean(axis=0)
            np.testing.assert_allclose(kept, before[ring], atol=2e-5)
            if 0 < ring < len(radii) - 1:
                assert np.abs(plain - before[ring]).max() > 1e-3
        assert (np.diff(after, axis=1) >= 0.0).all()
        assert (after < 0.5).all()


def test_knots_stay_monotonic_and_below_the_threshold_where_rings_disagree():
    tables, radii = ring_tables()
    rough = tables.coarse.copy()
    rough[2] = 0.45
    deviation = np.array([np.abs(r - r.mean()).mean() for r in radii])
    knots = mean_preserving_knots(
        QuantileTables(tables.radius, rough, tables.tail, 0.5), deviation
    )
    assert (np.diff(knots.coarse, axis=1) >= 0.0).all()
    assert (knots.coarse < 0.5).all()


def test_one_or_two_rings_are_their_own_knots():
    tables, _ = ring_tables(n_rings=2)
    assert mean_preserving_knots(tables, np.array([0.1, 0.1])) is tables


def test_bad_arguments_are_named():
    fits = fits_of("emg", THETAS["emg"])
    with pytest.raises(ValueError, match=r"\[2. 1.\]"):
        conditional_tables(fits, np.array([2.0, 1.0]))
    with pytest.raises(ValueError, match="not 1"):
        conditional_tables(fits, np.array([1.0, 2.0]), n=1)
    tables = conditional_tables(fits, np.array([1.0, 2.0]), n=16)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        mean_preserving_knots(tables, np.zeros(3))
    batch = fit_histograms(np.ones((2, 3, 8), dtype=np.int64))
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        conditional_tables(batch, np.arange(3.0))
