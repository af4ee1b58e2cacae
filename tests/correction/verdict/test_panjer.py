from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dials_truncfix.correction.verdict.panjer import _log_probabilities, zero_excess


def _counts(probabilities, n=1e7):
    return np.rint(n * np.asarray(probabilities)).astype(np.int64)[None]


K = np.arange(200)


@pytest.mark.parametrize(
    "law",
    [stats.poisson(rate) for rate in (0.05, 0.3, 1, 3, 8)]
    + [stats.nbinom(r, r / (r + mean)) for r in (0.3, 1, 5) for mean in (0.3, 2, 8)]
    + [stats.binom(20, 0.1), stats.binom(8, 0.3)],
)
def test_counting_laws_have_no_excess(law):
    excess = zero_excess(_counts(law.pmf(K)))
    assert excess.ratio[0] == pytest.approx(1, abs=max(0.01, 2 * excess.sd_log[0]))


def test_the_standard_deviation_is_that_of_many_samples():
    rng = np.random.default_rng(1)
    histograms = np.stack(
        [np.bincount(rng.poisson(1.5, 4000), minlength=40) for _ in range(200)]
    )
    excess = zero_excess(histograms)
    assert np.std(np.log(excess.ratio)) == pytest.approx(
        np.median(excess.sd_log), rel=0.15
    )
    assert np.mean(np.log(excess.ratio)) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("mean_in_sd", [-0.7, 0, 1, 2.3])
def test_truncated_read_noise_has_excess(mean_in_sd):
    edges = np.concatenate([[-np.inf], K[:-1] + 0.5, [np.inf]])
    sds = (1.5, 2, 6, 20)
    laws = [stats.norm(mean_in_sd * sd, sd) for sd in sds]
    histograms = np.concatenate([_counts(np.diff(law.cdf(edges))) for law in laws])
    ratio = zero_excess(histograms).ratio
    assert ratio[0] > 1.7
    assert (np.diff(ratio) > 0).all()
    # with a density that changes little within a bin: all below 1/2 to the bin of zero
    below, above = laws[-1].cdf([-0.5, 0.5])
    assert ratio[-1] == pytest.approx(above / (above - below), rel=0.1)


def test_the_curvature_statistic():
    excess = zero_excess(_counts(stats.poisson(0.7).pmf(K)))
    assert excess.curvature[0] == pytest.approx(0.5, abs=1e-3)


def test_regions_without_counts_predict_nothing():
    histograms = np.zeros((3, 20), np.int64)
    histograms[1, 0] = 5000
    histograms[2, 10:] = 40
    excess = zero_excess(histograms)
    assert np.isnan(excess.ratio).all()
    assert np.isinf(excess.sd_log).all()
    assert np.isnan(excess.curvature).all()


def test_derivatives_of_the_probabilities():
    at, step = np.array([0.3, 1.1]), 1e-6
    log_p, derivative = _log_probabilities(at, 7)
    centred = derivative - np.exp(log_p) @ derivative
    for i in range(2):
        shift = np.eye(2)[i] * step
        difference = (
            _log_probabilities(at + shift, 7)[0] - _log_probabilities(at - shift, 7)[0]
        ) / (2 * step)
        np.testing.assert_allclose(centred[:, i], difference, atol=1e-8)


@pytest.mark.parametrize("shape", [(5,), (2, 3)])
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="n_bins"):
        zero_excess(np.zeros(shape, np.int64))
