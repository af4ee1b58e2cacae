"""Fits to places of tiles: truth, outliers, uncertainties."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.calibrate.pairs.transformation import (
    fit_transformation,
    similarity,
)

TRUE = similarity(1.083, np.radians(4.7), (21.3, -14.8), (512, 512))


def tiles(seed, n=64, noise=0.3, outliers=0):
    rng = np.random.default_rng(seed)
    first = rng.uniform(0, 512, (n, 2))
    second = TRUE(first) + noise * rng.standard_normal((n, 2))
    second[:outliers] += rng.uniform(-8, 8, (outliers, 2))
    return first, second


def fit(seed, model="similarity", **changes):
    first, second = tiles(seed, **changes)
    return fit_transformation(first, second, np.ones(len(first)), TRUE.centre, model)


def test_exact_places_give_the_transformation_back():
    for model in ("similarity", "affine"):
        found = fit(1, model, noise=0.0).transformation
        assert found.matrix == pytest.approx(TRUE.matrix, abs=1e-9)
        assert found.shift == pytest.approx(TRUE.shift, abs=1e-7)
        assert found.magnification == pytest.approx(1.083)
        assert np.degrees(found.rotation) == pytest.approx(4.7)
        assert found.stretch == pytest.approx(1.0)


def test_averaged_images_are_transformed_alike():
    true = similarity(1.083, 0.1, (21.3, -14.8), (511, 509))
    small = true.averaged(4, (127, 127))
    places = np.array([[10.0, 20.0], [100.0, 3.0]])
    assert 4 * small(places) == pytest.approx(true(4 * places))


@pytest.mark.parametrize("model", ["similarity", "affine"])
@pytest.mark.parametrize("outliers", [0, 10])
def test_errors_are_as_large_as_stated(model, outliers):
    z = []
    for seed in range(200):
        fitted = fit(seed, model, outliers=outliers)
        found = fitted.transformation
        z.append(
            [
                (found.magnification - 1.083) / fitted.magnification_error,
                (found.rotation - TRUE.rotation) / fitted.rotation_error,
                *(found.shift - TRUE.shift)
                / np.sqrt(fitted.shift_covariance.diagonal()),
            ]
        )
    spread = np.sqrt(np.mean(np.square(z), axis=0))
    assert np.all((spread > 0.85) & (spread < 1.25)), spread


def test_outlying_tiles_are_left_out():
    fitted = fit(3, outliers=12)
    far = np.linalg.norm(fitted.residuals, axis=1) > 3.0
    assert far.sum() >= 8
    assert not fitted.kept[far].any()


def test_a_stretch_is_a_stretch():
    first, _ = tiles(1)
    stretched = TRUE.centre + (first - TRUE.centre) * [1.01, 1.0]
    fitted = fit_transformation(
        first, stretched, np.ones(len(first)), TRUE.centre, "affine"
    )
    assert fitted.transformation.stretch == pytest.approx(1.01)


def test_too_few_tiles_are_refused():
    with pytest.raises(ValueError, match="3 tiles are too few"):
        fit(1, n=3)
