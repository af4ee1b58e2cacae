"""Distortion fields from places of tiles and from simulated images."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.calibrate.distortion.distortion_fit import TilePair, fit_distortion
from dials_truncfix.calibrate.distortion.distortion_terms import MODELS, Terms
from dials_truncfix.calibrate.distortion.distortion_words import (
    distortion_record,
    is_significant,
    radial_and_spiral,
)
from dials_truncfix.calibrate.distortion.overlaps import calibrate_distortion
from specimen_images import OVERLAPS, distorted_series

SHAPE = (512, 512)


def truth(terms, seed=1, size=2.0):
    return size * np.random.default_rng(seed).standard_normal(len(terms.names))


def tile_pairs(terms, parameters, seed=1, noise=0.2, shifts=OVERLAPS[1:], linear=None):
    """Places of tiles of ideal images behind a distortion."""
    rng = np.random.default_rng(seed)
    linear = np.zeros((2, 2)) if linear is None else linear

    def distorted(ideal):
        place = ideal
        for _ in range(8):
            field = terms.design(place) @ parameters
            place = ideal + field + (place - terms.centre) @ linear.T
        return place

    pairs = []
    for k, shift in enumerate(shifts):
        x, y = np.meshgrid(*[np.arange(32, 512, 64.0)] * 2)
        ideal = np.column_stack([x.ravel(), y.ravel()])
        moved = ideal + shift
        both = np.all((moved > 0) & (moved < 512), axis=1)
        first, second = distorted(ideal[both]), distorted(moved[both])
        second = second + noise * rng.standard_normal(second.shape)
        pairs.append(TilePair((0, k + 1), first, second, np.ones(len(first))))
    return pairs


@pytest.mark.parametrize("model", MODELS)
def test_a_field_without_noise_comes_back(model):
    terms = Terms(model, SHAPE)
    found = fit_distortion(terms, tile_pairs(terms, truth(terms), noise=0.0))
    assert found.parameters == pytest.approx(truth(terms), abs=1e-6)
    assert found.shifts == pytest.approx(np.array(OVERLAPS[1:]), abs=1e-6)


@pytest.mark.parametrize("model", ["lens", "cubic"])
def test_errors_are_as_large_as_stated(model):
    terms = Terms(model, SHAPE)
    z = []
    for seed in range(100):
        found = fit_distortion(terms, tile_pairs(terms, truth(terms), seed))
        error = found.parameters - truth(terms)
        z.append(error / np.sqrt(found.covariance.diagonal()))
    spread = np.sqrt(np.mean(np.square(z), axis=0))
    assert np.all((spread > 0.8) & (spread < 1.3)), spread


def test_what_is_linear_hides_in_the_shifts():
    """A magnification that differs between the axes changes the shifts alone."""
    terms = Terms("cubic", SHAPE)
    linear = np.array([[0.01, 0.002], [-0.001, -0.008]])
    pairs = tile_pairs(terms, np.zeros(14), noise=0.0, linear=linear)
    found = fit_distortion(terms, pairs)
    assert found.parameters == pytest.approx(np.zeros(14), abs=1e-6)
    stretched = np.array(OVERLAPS[1:]) @ np.linalg.inv(np.eye(2) - linear).T
    assert found.shifts == pytest.approx(stretched, abs=1e-6)


def test_outlying_tiles_are_left_out():
    terms = Terms("cubic", SHAPE)
    pairs = tile_pairs(terms, truth(terms))
    pairs[0].second[:5] += 7.0
    found = fit_distortion(terms, pairs)
    assert not found.fit.kept[:5].any()
    z = (found.parameters - truth(terms)) / np.sqrt(found.covariance.diagonal())
    assert np.abs(z).max() < 4.5


@pytest.mark.parametrize(
    ("shifts", "words"),
    [
        (OVERLAPS[1:2], "along one line"),
        (((200, 0), (-150, 4), (120, -3)), "along one line"),
        ((), "no two images overlap"),
    ],
)
def test_shifts_that_do_not_tell_are_refused(shifts, words):
    terms = Terms("cubic", SHAPE)
    with pytest.raises(ValueError, match=words):
        fit_distortion(terms, tile_pairs(terms, truth(terms), shifts=shifts))


def test_maps_and_projections():
    terms = Terms("lens", (100, 120))
    pairs = tile_pairs(Terms("lens", SHAPE), np.array([3.0, -1.0]), noise=0.0)
    found = fit_distortion(Terms("lens", SHAPE), pairs)
    maps = found.maps()
    place = np.array([[300.5, 40.5]])
    assert [maps.dx[40, 300], maps.dy[40, 300]] == pytest.approx(found.at(place)[0])
    # at the corner of a lens the offset is the parameter
    assert np.linalg.norm(terms.design(np.zeros((1, 2)))[0, :, 0]) == pytest.approx(1)
    values, _ = radial_and_spiral(found)
    assert values == pytest.approx(np.array([3.0, -1.0]) / found.terms.scale, abs=1e-6)


def test_simulated_images():
    terms = Terms("cubic", SHAPE)
    true = truth(terms, seed=2, size=1.5)
    images = distorted_series(terms, true, 1, 50.0, OVERLAPS[:4])
    result = calibrate_distortion(images, list("abcd"), "cubic")
    found = result.distortion
    error = found.at(found.grid) - terms.design(found.grid) @ true
    size = found.errors_at(found.grid)
    assert np.sqrt(np.mean(error**2)) < 0.15
    assert np.sqrt(np.mean((error / np.maximum(size, 1e-3)) ** 2)) < 2
    assert found.rmsd(found.fit) < found.rmsd(found.plain)
    assert is_significant(found)
    assert distortion_record(result)["n_tiles_kept"] > 80


def test_no_distortion_is_not_significant():
    terms = Terms("cubic", SHAPE)
    significant = [
        is_significant(fit_distortion(terms, tile_pairs(terms, np.zeros(14), seed)))
        for seed in range(40)
    ]
    assert sum(significant) <= 4
