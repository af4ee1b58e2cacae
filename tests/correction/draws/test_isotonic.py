"""Sequences that never fall."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from dials_truncfix.correction.draws.isotonic import rising


@pytest.mark.parametrize("seed", range(5))
def test_least_squares(seed):
    generator = np.random.default_rng(seed)
    values, weights = generator.normal(size=8), generator.integers(1, 50, 8)
    found = rising(values.tolist(), weights)
    assert (np.diff(found) >= 0).all()

    def cost(steps):
        level = steps[0] + np.concatenate([[0], np.cumsum(steps[1:])])
        return (weights * (level - values) ** 2).sum()

    best = minimize(cost, np.zeros(8), bounds=[(None, None)] + [(0, None)] * 7)
    assert (weights * (found - values) ** 2).sum() <= best.fun + 1e-6


def test_what_rises_stays():
    np.testing.assert_array_equal(
        rising([1.0, 2.0, 2.0], np.array([1, 5, 2])), [1, 2, 2]
    )
