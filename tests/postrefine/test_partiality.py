from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.postrefine.partiality import Model, partiality, with_derivatives

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
