"""Pooling of replicates: formulas, missing estimates, calibration."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.combine.pooling import missing_information, pool

VALUES = np.array([[9.0, 11.0, 10.0, 14.0], [1.0, 1.0, 1.0, 1.0]])
VARIANCES = np.array([[4.0, 6.0, 5.0, 5.0], [2.0, 2.0, 2.0, 2.0]])


def test_rubins_rule_by_hand():
    pooled = pool(VALUES, VARIANCES, "rubin")
    np.testing.assert_allclose(pooled.value, [11.0, 1.0])
    np.testing.assert_allclose(pooled.within, [5.0, 2.0])
    between = (4 + 0 + 1 + 9) / 3
    np.testing.assert_allclose(pooled.between, [between, 0.0])
    np.testing.assert_allclose(pooled.variance, [5 + 1.25 * between, 2.0])
    # Rubin (1987), eq. 3.1.6: (m - 1) (1 + 1/r)², r = (1 + 1/m) B / W
    r = 1.25 * between / 5
    np.testing.assert_allclose(
        pooled.degrees_of_freedom, [3 * (1 + 1 / r) ** 2, np.inf]
    )
    assert missing_information(5, between, 4) == pytest.approx(r / (1 + r))


def test_reduced_rule_by_hand():
    pooled = pool(VALUES, VARIANCES, "reduced")
    between = 14 / 3
    total = 5 - 0.75 * between
    np.testing.assert_allclose(pooled.variance, [total, 2.0])
    assert pooled.degrees_of_freedom[0] == pytest.approx(
        3 * (total / (0.75 * between)) ** 2
    )


def test_replicates_that_scatter_more_than_their_variances_say():
    """They are m independent estimates, and their mean has the variance B/m."""
    pooled = pool([[0.0, 20.0, 40.0]], [[1.0, 1.0, 1.0]], "reduced")
    assert pooled.variance[0] == pytest.approx(400 / 3)
    assert pooled.degrees_of_freedom[0] == pytest.approx(2)
    # and never less than that of m independent estimates, at B = W
    just = pool([[0.0, 20.0, 40.0]], [[400.0] * 3], "reduced")
    assert just.variance[0] == pytest.approx(400 / 3)


def test_estimates_that_replicates_lack():
    values = np.array([[1.0, np.nan, 3.0], [1.0, np.nan, np.nan], [np.nan] * 3])
    variances = np.where(np.isnan(values), np.nan, 2.0)
    # an estimate without a variance is none
    variances[0, 2] = np.nan
    values[0, 1], variances[0, 1] = 5.0, 4.0
    pooled = pool(values, variances, "rubin")
    assert pooled.n.tolist() == [2, 1, 0]
    assert pooled.pooled.tolist() == [True, False, False]
    assert pooled.value[0] == 3.0
    assert pooled.variance[0] == pytest.approx(3 + 1.5 * 8)
    assert np.isnan(pooled.degrees_of_freedom[1:]).all()
    assert not pool(values, variances, min_replicates=3).pooled.any()


def test_selection():
    pooled = pool(VALUES, VARIANCES).select(np.array([False, True]))
    assert pooled.value.tolist() == [1.0]
    assert pooled.n.tolist() == [4]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((VALUES, VARIANCES, "mean"), "not 'mean'"),
        ((VALUES, VARIANCES[:1]), "differ"),
        ((VALUES[:, :1], VARIANCES[:, :1]), "two replicates"),
        ((VALUES, VARIANCES, "rubin", 1), "two replicates"),
    ],
)
def test_what_cannot_be_pooled(arguments, words):
    with pytest.raises(ValueError, match=words):
        pool(*arguments)


def censored_sums(n_sums, n_pixels, m, generator):
    """Sums of pixels of known law, and of what is left with the rest redrawn m times."""
    whole = generator.normal(0, 1, (n_sums, n_pixels))
    kept = np.where(whole > 0, whole, 0).sum(axis=1)
    lost = (whole <= 0).sum(axis=1)
    redrawn = -np.abs(generator.normal(0, 1, (n_sums, m, n_pixels)))
    redrawn *= np.arange(n_pixels) < lost[:, None, None]
    return whole.sum(axis=1), kept[:, None] + redrawn.sum(axis=2)


def test_redrawn_pixels_of_known_law_need_the_reduced_rule():
    """z-sd of sums of 30 half-censored pixels, 5 draws: 1 ± 0.02, by Rubin 0.84."""
    generator = np.random.default_rng(1)
    whole, draws = censored_sums(20_000, 30, 5, generator)
    variances = np.full(draws.shape, 30.0)
    # a single draw is as good as the whole
    assert (draws[:, 0] / np.sqrt(30)).std() == pytest.approx(1, abs=0.02)
    assert (whole / np.sqrt(30)).std() == pytest.approx(1, abs=0.02)
    reduced = pool(draws, variances, "reduced")
    z = reduced.value / np.sqrt(reduced.variance)
    assert z.std() == pytest.approx(1, abs=0.02)
    rubin = pool(draws, variances, "rubin")
    z = rubin.value / np.sqrt(rubin.variance)
    assert z.std() == pytest.approx(0.84, abs=0.02)
    # the part of the variance that lies below zero: (1 - 2/π) / 2
    missing = missing_information(30, float(reduced.between.mean()), 5)
    part = 1.2 * (1 - 2 / np.pi) / 2
    assert missing == pytest.approx(part / (1 + part), abs=0.003)


def test_draws_from_a_posterior_need_rubins_rule():
    """Mean of a normal of known variance, half the sample lost and drawn properly."""
    generator = np.random.default_rng(2)
    n, m = 20_000, 5
    seen = generator.normal(0, 1, (n, 10))
    mean = seen.mean(axis=1)
    # each draw takes a mean from its posterior first, then the lost values
    posterior = mean[:, None] + generator.normal(0, np.sqrt(0.1), (n, m))
    lost = posterior[:, :, None] + generator.normal(0, 1, (n, m, 10))
    draws = (seen.sum(axis=1)[:, None] + lost.sum(axis=2)) / 20
    rubin = pool(draws, np.full(draws.shape, 1 / 20), "rubin")
    assert (rubin.value**2).mean() == pytest.approx(rubin.variance.mean(), rel=0.03)
    reduced = pool(draws, np.full(draws.shape, 1 / 20), "reduced")
    assert (reduced.value**2).mean() > 2 * reduced.variance.mean()
