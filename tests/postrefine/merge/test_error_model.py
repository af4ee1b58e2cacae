from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.postrefine.merge.error_model import (
    Deviations,
    ErrorModel,
    check_error_model,
    fit_error_model,
)


def deviations(a, b, n=20000, seed=0, wild=0.0):
    """Of observations whose errors follow a model, from means of ten others."""
    rng = np.random.default_rng(seed)
    expected = rng.exponential(100.0, n)
    variance = 4.0 + expected * rng.uniform(0.5, 2.0, n)
    n_others = np.full(n, 10)
    true = ErrorModel(a, b)
    total = true.variance(variance, expected) + true.variance(
        variance / 10, expected / np.sqrt(10)
    )
    scores = rng.standard_normal(n)
    scores[rng.random(n) < wild] *= 8.0
    return Deviations(
        scores * np.sqrt(total), variance, variance / 10, expected, n_others
    )


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.0), (1.3, 0.05), (0.8, 0.2)])
def test_known_models_are_recovered(a, b):
    """a to 3 %, b to 0.015."""
    model = fit_error_model(deviations(a, b))
    assert model.a == pytest.approx(a, rel=0.03)
    assert model.b == pytest.approx(b, abs=0.015)


def test_scores_spread_by_one_at_every_intensity():
    """0.93 to 1.07 on other deviations than were fitted, where 0.8 to 2 was before."""
    model = fit_error_model(deviations(0.8, 0.2, wild=0.02))
    check = check_error_model(deviations(0.8, 0.2, seed=1), model)
    assert len(check) == 10
    assert all(0.93 < entry.after < 1.07 for entry in check)
    assert check[0].before < 1.0 < check[-1].before / 1.5


def test_too_few_deviations_carry_no_model():
    assert fit_error_model(deviations(1.0, 0.0, n=500)) is None


def test_deviations_without_scatter_carry_no_model():
    given = deviations(1.0, 0.0)
    flat = Deviations(**{**vars(given), "deviation": np.zeros(len(given))})
    assert fit_error_model(flat) is None
