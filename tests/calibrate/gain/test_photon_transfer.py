from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.calibrate.gain.photon_transfer import (
    TransferPoints,
    fit_photon_transfer,
    join_points,
)

GAIN, PEDESTAL, N = 9.0, -4.0, 2000


def points(means, seed=0, covariance=np.nan, bend=0.0):
    rng = np.random.default_rng(seed)
    mean = np.repeat(np.asarray(means, float), 40)
    true = GAIN * (mean - PEDESTAL) * (1.0 + bend * (mean > 900))
    variance = true * (1.0 + np.sqrt(2.0 / N) * rng.normal(size=len(mean)))
    noise = true * np.sqrt(160.0 / N) * rng.normal(size=len(mean))
    n = len(mean)
    return TransferPoints(
        mean,
        variance,
        covariance * mean + noise,
        np.full(n, N),
        np.arange(n) // 40,
        np.zeros(n),
        np.zeros(n, bool),
        np.zeros(n, bool),
    )


def test_line_is_found_within_its_uncertainty():
    z = []
    for seed in range(40):
        line = fit_photon_transfer(points([0.0, 100.0, 1000.0], seed)).pixels
        z.append(
            [(line.gain - GAIN) / line.gain_sd,
             (line.pedestal - PEDESTAL) / line.pedestal_sd]
        )  # fmt: skip
    assert np.abs(np.mean(z, axis=0)).max() < 0.6
    np.testing.assert_allclose(np.std(z, axis=0), 1.0, atol=0.35)


def test_variance_at_a_value_has_the_uncertainty_of_the_line():
    line = fit_photon_transfer(points([50.0, 100.0, 1000.0])).pixels
    variance, sd = line.variance_at(0.0, 0.0)
    assert variance == pytest.approx(-line.gain * line.pedestal)
    far, far_sd = line.variance_at(500.0, 0.0)
    assert far == pytest.approx(line.gain * (500.0 - line.pedestal))
    # in the middle of the points the slope counts for little
    assert far_sd / far < sd / variance


def test_spread_of_light_enters_the_gain_of_sums():
    result = fit_photon_transfer(points([0.0, 100.0, 1000.0], covariance=3.0), 0.0)
    assert result.spread
    assert abs(result.sums.gain - GAIN - 3.0) < 3.5 * result.sums.gain_sd
    assert result.sums.gain_sd < 0.6
    assert result.pixels.gain == pytest.approx(GAIN, rel=0.01)
    # the read noise is that of single pixels
    assert result.sums.gain * result.sums.pedestal == pytest.approx(
        GAIN * PEDESTAL, rel=0.1
    )


def test_little_covariance_can_be_told_not_to_be_spread():
    some = points([0.0, 100.0, 1000.0], covariance=2.2)
    assert fit_photon_transfer(some, 0.0).spread
    result = fit_photon_transfer(some, 0.0, smallest_spread=0.25)
    assert not result.spread
    assert result.hint_of_spread


def test_one_brightness_is_refused():
    with pytest.raises(ValueError, match="all means are 100 ADU"):
        fit_photon_transfer(points([100.0]))
    with pytest.raises(ValueError, match="do not tell the slope"):
        fit_photon_transfer(points([100.0, 100.5]))


def test_images_without_noise_are_refused():
    some = points([100.0, 200.0])
    still = TransferPoints(
        some.mean, 0 * some.variance, *(getattr(some, name) for name in
        ("covariance", "n_pixels", "source", "zeros", "from_law", "from_scores"))
    )  # fmt: skip
    with pytest.raises(ValueError, match="only 0 regions"):
        fit_photon_transfer(still)


def test_a_bent_end_is_seen():
    assert fit_photon_transfer(points([0.0, 100.0, 500.0, 1000.0])).bend == 0.0
    means = [0.0, 100.0, 300.0, 500.0, 700.0, 1000.0]
    result = fit_photon_transfer(join_points([points(means, bend=-0.2)]))
    assert result.bend == pytest.approx(-0.2, abs=0.05)
