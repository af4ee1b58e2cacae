"""Reduction by a Lanczos-3 filter."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.io.reduction import reduce_antialiased

pytest.importorskip("PIL")


def by_the_formula(image, factor):
    """Lanczos-3 as defined: sinc(x) sinc(x / 3), normalized over the pixels there are."""

    def weights(n):
        matrix = np.zeros((n // factor, n))
        for i in range(n // factor):
            distance = (np.arange(n) + 0.5 - (i + 0.5) * factor) / factor
            row = np.sinc(distance) * np.sinc(distance / 3)
            row[np.abs(distance) >= 3] = 0
            matrix[i] = row / row.sum()
        return matrix

    ny, nx = image.shape
    return factor**2 * (weights(ny) @ image @ weights(nx).T)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_equals_the_formula_to_a_millionth(factor):
    image = np.random.default_rng(7).poisson(2.0, (48, 60)).astype(np.uint8)
    reduced = reduce_antialiased(image, factor)
    assert reduced.dtype == np.float32
    expected = by_the_formula(image, factor)
    np.testing.assert_allclose(reduced, expected, atol=1e-6 * expected.max())


def test_counts_are_kept():
    image = np.full((40, 40), 3.0, np.float32)
    np.testing.assert_allclose(reduce_antialiased(image, 2), 12.0, rtol=1e-6)
    noisy = np.random.default_rng(7).poisson(0.5, (400, 400))
    reduced = reduce_antialiased(noisy, 2)
    assert reduced.sum() == pytest.approx(noisy.sum(), rel=1e-3)
    assert reduced.min() < 0
    np.testing.assert_array_equal(reduce_antialiased(image, 1), image)


@pytest.mark.parametrize("factor", [0, -1, 3])
def test_impossible_factors(factor):
    with pytest.raises(ValueError, match="40 x 40 pixels cannot be reduced"):
        reduce_antialiased(np.zeros((40, 40)), factor)
