from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from dials_truncfix.postrefine.lattice.partiality import (
    Model,
    partiality,
    swept_with_derivatives,
    with_derivatives,
)

RS = np.array([1e-3])


@pytest.mark.parametrize("model", Model)
def test_models_share_height_width_and_symmetry(model):
    assert partiality(model, np.zeros(1), RS) == 1
    # all have the full width at half maximum of equation 9, √2 rs
    np.testing.assert_allclose(partiality(model, RS / np.sqrt(2), RS), 0.5, rtol=1e-12)
    r_h = np.linspace(0, 5e-3, 101)
    p = partiality(model, r_h, RS)
    np.testing.assert_array_equal(p, partiality(model, -r_h, RS))
    assert np.all(np.diff(p) <= 0) and p.min() >= 0


def test_tails_are_ordered_as_in_the_note():
    far = np.array([3e-3])
    sphere, gaussian, lorentzian = (
        partiality(m, far, RS)[0]
        for m in (Model.SPHERE, Model.GAUSSIAN, Model.LORENTZIAN)
    )
    assert sphere == 0
    assert 0 < gaussian < 1e-5
    assert lorentzian == pytest.approx(1 / 19)


@pytest.mark.parametrize("model", Model)
def test_derivatives_equal_central_differences(model):
    """Relative error below 1e-8, limits of the sphere left out."""
    rng = np.random.default_rng(0)
    r_h = rng.uniform(-0.95e-3, 0.95e-3, 200)
    rs = rng.uniform(0.96e-3, 3e-3, 200)
    _, by_r_h, by_log_rs = with_derivatives(model, r_h, rs)
    step = 1e-5
    numeric = (
        partiality(model, r_h + step * rs, rs) - partiality(model, r_h - step * rs, rs)
    ) / (2 * step * rs)
    np.testing.assert_allclose(by_r_h, numeric, rtol=1e-8, atol=1e-8 * 1e3)
    numeric = (
        partiality(model, r_h, rs * np.exp(step))
        - partiality(model, r_h, rs * np.exp(-step))
    ) / (2 * step)
    np.testing.assert_allclose(by_log_rs, numeric, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("model", Model)
def test_rotations_record_the_integral_of_the_profile(model):
    """To 10⁻⁷ of quadrature, whichever way a point moves."""

    def profile(t):
        return partiality(model, np.array([t * 1e-3]), RS)[0]

    whole = sum(quad(profile, *limits)[0] for limits in ((-np.inf, 0), (0, np.inf)))
    if model is Model.SPHERE:
        whole = quad(profile, -1, 1)[0]
    for first, last in ((-0.7, 0.4), (0.1, 0.9), (0.6, -0.3)):
        expected = abs(quad(profile, first, last)[0]) / whole
        p = swept_with_derivatives(
            model, np.array([first * 1e-3]), np.array([last * 1e-3]), RS
        )[0]
        assert p[0] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("model", Model)
def test_full_rotations_record_everything(model):
    """1 to 10⁻⁴, and to a half where the passage begins in its middle."""
    far = np.array([1e2])
    for first in (-far, far):
        p, by_ends, by_log_rs = swept_with_derivatives(model, first, -first, RS)
        assert p[0] == pytest.approx(1, abs=1e-4)
        assert max(abs(x[0] * 1e-3) for x in (*by_ends, 1e3 * by_log_rs)) < 1e-4
        p = swept_with_derivatives(model, np.zeros(1), first, RS)[0]
        assert p[0] == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("model", Model)
def test_derivatives_of_rotations_equal_central_differences(model):
    """Relative error below 1e-8."""
    rng = np.random.default_rng(0)
    ends = rng.uniform(-0.95e-3, 0.95e-3, (2, 200))
    rs = rng.uniform(0.96e-3, 3e-3, 200)
    _, by_ends, by_log_rs = swept_with_derivatives(model, *ends, rs)
    step = 1e-5

    def difference(change, amount):
        plus, minus = (
            swept_with_derivatives(model, *change(sign * step))[0] for sign in (1, -1)
        )
        return (plus - minus) / (2 * step * amount)

    # a point that turns back has a partiality that is not smooth
    smooth = np.abs(ends[1] - ends[0]) > 1e-4
    numeric = [
        difference(lambda x: (ends[0] + x * rs, ends[1], rs), rs),
        difference(lambda x: (ends[0], ends[1] + x * rs, rs), rs),
        difference(lambda x: (*ends, rs * np.exp(x)), 1.0),
    ]
    for analytic, expected in zip((*by_ends, by_log_rs), numeric):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(
            analytic[smooth], expected[smooth], rtol=1e-8, atol=1e-8 * scale
        )


def test_derivatives_are_the_equations_of_the_note():
    """Equations 11, 28, 34 and 35 word for word."""
    rng = np.random.default_rng(2)
    r_h, rs = rng.normal(0, 1e-3, 50), rng.uniform(5e-4, 2e-3, 50)
    p, by_r_h, by_log_rs = with_derivatives(Model.LORENTZIAN, r_h, rs)
    denominator = (2 * r_h**2 + rs**2) ** 2
    np.testing.assert_allclose(p, rs**2 / (2 * r_h**2 + rs**2))
    np.testing.assert_allclose(by_r_h, -4 * rs**2 * r_h / denominator)
    np.testing.assert_allclose(by_log_rs / rs, 4 * rs * r_h**2 / denominator)
    p, by_r_h, by_log_rs = with_derivatives(Model.GAUSSIAN, r_h, rs)
    np.testing.assert_allclose(p, np.exp(-2 * np.log(2) * r_h**2 / rs**2))
    np.testing.assert_allclose(by_r_h, -p * 4 * np.log(2) * r_h / rs**2)
    np.testing.assert_allclose(by_log_rs / rs, p * 4 * np.log(2) * r_h**2 / rs**3)
