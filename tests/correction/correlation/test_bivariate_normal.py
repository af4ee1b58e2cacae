"""Probabilities of rectangles under two correlated normal variates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dials_truncfix.correction.correlation.bivariate_normal import (
    rectangle_probabilities,
)

LIMITS = np.array([-np.inf, -1.2, 0.1, 0.8, 2.0])


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.0, 0.4, 0.95])
def test_against_scipy(correlation):
    (p,) = rectangle_probabilities(LIMITS, np.array([correlation]))
    edge = np.maximum(LIMITS, -9.0)
    law = stats.multivariate_normal(cov=[[1, correlation], [correlation, 1]])
    points = np.stack(np.meshgrid(edge, edge, indexing="ij"), axis=-1)
    joint = np.vectorize(law.cdf, signature="(n)->()")(points)
    expected = np.diff(np.diff(joint, axis=0), axis=1)
    np.testing.assert_allclose(p, expected, atol=2e-5)


def test_margins_do_not_depend_on_the_correlation():
    limits = np.append(LIMITS, np.inf)
    p = rectangle_probabilities(limits, np.linspace(-0.97, 0.97, 9))
    margin = np.diff(stats.norm.cdf(limits))
    np.testing.assert_allclose(p.sum(axis=1), np.tile(margin, (9, 1)), atol=1e-6)
