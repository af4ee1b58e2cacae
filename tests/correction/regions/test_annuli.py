from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dials_truncfix.correction.regions.annuli import OUTSIDE, equal_area_annuli, without


def _radius(shape=(300, 400), centre=(140.3, 210.8)):
    slow, fast = np.indices(shape)
    return np.hypot(slow - centre[0], fast - centre[1])


def test_ten_annuli_of_equal_area():
    radius = _radius()
    mask = np.ones(radius.shape, bool)
    annuli = equal_area_annuli(radius, mask, 10, 1000)
    assert annuli.n_rings == 10
    assert annuli.labels.dtype == np.int8
    assert annuli.n_pixels.sum() == radius.size
    # pixels of exactly the same radius go to one annulus
    assert np.ptp(annuli.n_pixels) < 0.002 * radius.size
    assert (np.diff(annuli.radius) > 0).all()


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 30),
    minimum=st.integers(1, 400),
    decimals=st.integers(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_labels_edges_and_counts_agree(seed, count, minimum, decimals):
    rng = np.random.default_rng(seed)
    radius = np.round(rng.random((30, 40)), decimals)
    mask = rng.random(radius.shape) < 0.7
    annuli = equal_area_annuli(radius, mask, count, minimum)
    assert 1 <= annuli.n_rings <= count
    assert (annuli.labels[~mask] == OUTSIDE).all()
    assert (annuli.labels[mask] >= 0).all()
    if annuli.n_rings > 1:
        assert annuli.n_pixels.min() >= minimum
    for ring in range(annuli.n_rings):
        inside = radius[annuli.labels == ring]
        assert len(inside) == annuli.n_pixels[ring]
        assert inside.mean() == pytest.approx(annuli.radius[ring], rel=1e-6)
        assert inside.min() >= annuli.edges[ring]
        assert inside.max() <= annuli.edges[ring + 1]
        if ring < annuli.n_rings - 1:
            assert inside.max() < annuli.edges[ring + 1]


def test_small_images_have_fewer_annuli():
    radius = _radius((210, 210), (100, 100))
    mask = np.ones(radius.shape, bool)
    assert equal_area_annuli(radius, mask).n_rings == 4
    assert equal_area_annuli(radius[:50, :50], mask[:50, :50]).n_rings == 1


def test_excluding_pixels_equals_counting_again():
    radius = _radius()
    mask = np.ones(radius.shape, bool)
    annuli = equal_area_annuli(radius, mask, 10, 1000)
    excluded = radius < 30
    excluded[:, 200:215] = True
    fewer = without(annuli, radius, np.flatnonzero(excluded), 1000)
    np.testing.assert_array_equal(fewer.edges, annuli.edges)
    assert (fewer.labels[excluded] == OUTSIDE).all()
    np.testing.assert_array_equal(fewer.labels[~excluded], annuli.labels[~excluded])
    for ring in range(10):
        inside = radius[fewer.labels == ring]
        assert len(inside) == fewer.n_pixels[ring]
        assert inside.mean() == pytest.approx(fewer.radius[ring], rel=1e-5)
    # what was passed in is as it was
    assert (annuli.labels >= 0).all()


def test_excluding_nothing_returns_the_same_object():
    radius = _radius()
    mask = radius < 130
    annuli = equal_area_annuli(radius, mask, 5, 1000)
    assert without(annuli, radius, np.flatnonzero(~mask), 1000) is annuli


@pytest.mark.parametrize("ring", [0, 4, 9])
def test_an_emptied_annulus_joins_its_neighbour(ring):
    radius = _radius()
    annuli = equal_area_annuli(radius, np.ones(radius.shape, bool), 10, 1000)
    excluded = (annuli.labels == ring) & (np.indices(radius.shape)[0] % 50 > 0)
    fewer = without(annuli, radius, np.flatnonzero(excluded), 1000)
    assert fewer.n_rings == 9
    assert fewer.n_pixels.min() >= 1000
    assert fewer.n_pixels.sum() == radius.size - excluded.sum()
    for i in range(9):
        inside = radius[fewer.labels == i]
        assert len(inside) == fewer.n_pixels[i]
        assert fewer.edges[i] <= inside.min() <= inside.max() <= fewer.edges[i + 1]
        assert inside.mean() == pytest.approx(fewer.radius[i], rel=1e-5)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"mask": np.ones((3, 3), bool)}, "differ in shape"),
        ({"mask": np.zeros((20, 20), bool)}, "no pixel"),
        ({"count": 0}, "not 0"),
        ({"minimum_pixels": 0}, "not 0"),
        ({"radius": np.full((20, 20), np.nan)}, "not finite"),
    ],
)
def test_refuses(change, message):
    arguments = {
        "radius": _radius((20, 20)),
        "mask": np.ones((20, 20), bool),
        "count": 3,
        "minimum_pixels": 10,
    }
    with pytest.raises(ValueError, match=message):
        equal_area_annuli(**{**arguments, **change})


def test_without_any_pixel_one_empty_annulus_is_left():
    radius = _radius((20, 20))
    every = np.ones((20, 20), bool)
    annuli = equal_area_annuli(radius, every, 3, 10)
    nothing = without(annuli, radius, np.arange(every.size))
    assert (nothing.labels == -1).all()
    assert nothing.n_pixels.tolist() == [0]
    assert nothing.edges.tolist() == [radius.min(), radius.max()]


def test_excluding_refuses_another_shape():
    annuli = equal_area_annuli(_radius((20, 20)), np.ones((20, 20), bool), 3, 10)
    with pytest.raises(ValueError, match="differ in shape"):
        without(annuli, _radius((20, 21)), np.arange(3))
