"""Intervals, likelihoods and the optimiser below the ring fits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dials_truncfix.correction.laws import symmetric3
from dials_truncfix.correction.laws.choice import prefers_emg
from dials_truncfix.correction.laws.distributions import distribution
from dials_truncfix.correction.laws.family_fit import FamilyFit
from dials_truncfix.correction.laws.intervals import N_INTERVALS, make_intervals
from dials_truncfix.correction.laws.likelihood import (
    LocalModel,
    exact_model,
    exact_nll,
    paper_model,
    paper_nll,
)
from dials_truncfix.correction.laws.scoring import minimise

POINTS = {
    "lognormal": np.array([4.0, np.log(6.0), 0.25]),
    "emg": np.array([5.0, np.log(7.0), 0.3]),
}


def gaussian_histogram(mean, sd, n=100_000, n_bins=512):
    edges = np.arange(n_bins) + 0.5
    p = np.diff(stats.norm.cdf(edges, mean, sd), prepend=0.0)
    return np.rint(n * p).astype(np.int64)[None]


def test_intervals_of_a_truncated_ring_are_its_grey_levels():
    histogram = gaussian_histogram(2.0, 6.0)
    intervals = make_intervals(histogram, 0.5)
    i_max = intervals.i_max[0]
    assert intervals.status[0] == "fitted"
    assert intervals.first[0] == 0
    assert intervals.width[0] == 1
    np.testing.assert_array_equal(
        intervals.edges[0, : i_max + 1], np.arange(i_max + 1) + 0.5
    )
    below = histogram[0, : i_max + 1]
    np.testing.assert_allclose(
        intervals.fractions[0, : i_max + 1], below / below.sum(), rtol=1e-14
    )
    assert 0.95 <= below.sum() / histogram.sum() < 0.96


def test_a_bright_ring_takes_wider_intervals_and_pools_its_lowest_pixels():
    histogram = gaussian_histogram(250.0, 40.0)
    histogram[0, 0] = 20  # dead pixels
    intervals = make_intervals(histogram, 0.5)
    assert intervals.first[0] > 100
    assert intervals.width[0] == 4
    last = intervals.edges[0, -1]
    assert last == intervals.i_max[0] + 0.5
    counted = histogram[0, : intervals.i_max[0] + 1].sum()
    assert intervals.n_fitted[0] == counted


@given(
    st.lists(st.integers(0, 1000), min_size=8, max_size=300),
    st.sampled_from([0.5, 1.0]),
)
def test_intervals_hold_each_pixel_of_the_range_once(counts, threshold):
    histogram = np.array([counts])
    intervals = make_intervals(histogram, threshold)
    assert intervals.edges.shape == (1, N_INTERVALS)
    assert (np.diff(intervals.edges) >= 0).all()
    assert (intervals.fractions >= 0).all()
    if intervals.status[0] == "fitted":
        assert intervals.i_max[0] <= len(counts) - 2
        assert intervals.fractions.sum() == pytest.approx(1.0)
        i_max = intervals.i_max[0]
        assert intervals.n_fitted[0] == histogram[0, : i_max + 1].sum()
        assert (intervals.fractions[0] > 0).sum() >= 4


def test_exact_likelihood_is_that_of_the_conditional_multinomial():
    histogram = gaussian_histogram(2.0, 6.0)
    intervals = make_intervals(histogram, 0.5)
    theta = POINTS["lognormal"]
    reference = stats.lognorm(0.25, loc=4.0 - 24.0, scale=24.0)
    i_max = intervals.i_max[0]
    p = np.diff(reference.cdf(np.arange(i_max + 1) + 0.5), prepend=0.0)
    counts = histogram[0, : i_max + 1]
    expected = -(counts * np.log(p / p.sum())).sum() / counts.sum()
    found = exact_nll(distribution("lognormal"), theta[None], intervals)
    assert found[0] == pytest.approx(expected, rel=1e-13)


def test_wide_intervals_have_the_mass_between_their_edges():
    histogram = gaussian_histogram(200.0, 50.0)
    intervals = make_intervals(histogram, 0.5)
    first, width = intervals.first[0], intervals.width[0]
    assert width > 1
    uppers = np.arange(first, intervals.i_max[0] + 1, width)
    p = np.diff(stats.norm.cdf(uppers + 0.5, 200.0, 50.0), prepend=0.0)
    counts = np.diff(np.cumsum(histogram[0])[uppers], prepend=0)
    expected = -(counts * np.log(p / p.sum())).sum() / counts.sum()
    found = exact_nll(
        distribution("lognormal"), np.array([[200.0, np.log(50.0), 0.0]]), intervals
    )
    assert found[0] == pytest.approx(expected, rel=1e-9)


def test_paper_likelihood_is_equation_4():
    histogram = gaussian_histogram(2.0, 6.0)
    intervals = make_intervals(histogram, 0.5)
    reference = stats.lognorm(0.25, loc=4.0 - 24.0, scale=24.0)
    i_max = intervals.i_max[0]
    counts = histogram[0, : i_max + 1]
    log_l = counts[0] * reference.logcdf(0.5)
    log_l += (counts[1:] * reference.logpdf(np.arange(1, i_max + 1))).sum()
    found = paper_nll(POINTS["lognormal"][None], intervals)
    assert found[0] == pytest.approx(-log_l / counts.sum(), rel=1e-12)


@pytest.mark.parametrize("name", ["lognormal", "emg", "paper"])
def test_gradients_are_those_of_central_differences(name):
    intervals = make_intervals(gaussian_histogram(2.0, 6.0), 0.5)
    family = distribution(name)
    point = POINTS["emg" if name == "emg" else "lognormal"][None]

    def nll(at):
        return (
            paper_nll(at, intervals)
            if name == "paper"
            else exact_nll(family, at, intervals)
        )

    model = (
        paper_model(point, intervals)
        if name == "paper"
        else exact_model(family, point, intervals)
    )
    assert model.nll[0] == pytest.approx(nll(point)[0], rel=1e-14)
    for parameter in range(3):
        step = np.zeros(3)
        step[parameter] = 1e-5
        difference = (nll(point + step) - nll(point - step)) / 2e-5
        assert model.gradient[parameter, 0] == pytest.approx(difference[0], abs=1e-8)


@pytest.mark.parametrize("name", ["lognormal", "emg"])
def test_information_is_the_curvature_where_the_model_is_true(name):
    family, point = distribution(name), POINTS[name]
    edges = np.arange(512) + 0.5
    p = np.diff(family.cdf(edges, family.theta_from_working(point)), prepend=0.0)
    histogram = np.rint(1e12 * p).astype(np.int64)[None]
    intervals = make_intervals(histogram, 0.5)
    information = exact_model(family, point[None], intervals).information[:, 0]
    for element, (i, j) in enumerate(symmetric3.ELEMENTS):
        step = np.zeros(3)
        step[j] = 1e-5
        up = exact_model(family, (point + step)[None], intervals).gradient[i, 0]
        down = exact_model(family, (point - step)[None], intervals).gradient[i, 0]
        assert information[element] == pytest.approx((up - down) / 2e-5, abs=2e-7)


def symmetric(elements):
    matrix = np.empty((3, 3))
    for value, (i, j) in zip(elements, symmetric3.ELEMENTS):
        matrix[i, j] = matrix[j, i] = value
    return matrix


def random_problems(n):
    rng = np.random.default_rng(5)
    scale = np.diag([1.0, 1e3, 1e-2])
    roots = rng.normal(size=(n, 3, 3)) @ scale
    matrices = np.einsum("nki,nkj->nij", roots, roots)
    elements = np.stack([matrices[:, i, j] for i, j in symmetric3.ELEMENTS])
    return matrices, elements, rng.normal(size=(3, n))


def test_unbounded_step_solves_the_equations():
    matrices, elements, gradient = random_problems(20)
    wide = np.full(20, 1e9)
    damping = np.full(20, 1e-13)
    step, decrease = symmetric3.bounded_newton_step(
        elements, gradient, damping, -wide, wide
    )
    for k in range(20):
        exact = np.linalg.solve(matrices[k], -gradient[:, k])
        np.testing.assert_allclose(step[:, k], exact, rtol=1e-6)
        assert decrease[k] == pytest.approx(-0.5 * gradient[:, k] @ exact, rel=1e-6)


def test_bounded_step_is_the_minimum_along_the_bound():
    matrices, elements, gradient = random_problems(20)
    bound = np.full(20, 1e-3)
    step, _ = symmetric3.bounded_newton_step(
        elements, gradient, np.full(20, 1e-13), -bound, bound
    )
    assert (np.abs(step[2]) <= 1e-3 * (1.0 + 1e-12)).all()
    at_bound = np.flatnonzero(np.abs(step[2]) > 0.999e-3)
    assert at_bound.size > 5
    for k in at_bound:
        residual = matrices[k] @ step[:, k] + gradient[:, k]
        scale = np.abs(matrices[k]) @ np.abs(step[:, k])
        assert np.all(np.abs(residual[:2]) < 1e-6 * scale[:2])


def test_positive_definite_is_told_from_indefinite():
    matrices, elements, _ = random_problems(20)
    indefinite = elements.copy()
    indefinite[5] -= 2.0 / np.linalg.inv(matrices)[:, 2, 2]
    assert symmetric3.is_positive(elements, elements).all()
    assert not symmetric3.is_positive(indefinite, elements).any()


def test_products_are_those_of_the_matrices():
    matrices, elements, vectors = random_problems(7)
    np.testing.assert_allclose(
        symmetric3.multiply(elements, vectors),
        np.einsum("nij,jn->in", matrices, vectors),
        rtol=1e-12,
    )
    outer = symmetric3.outer(vectors)
    np.testing.assert_allclose(
        symmetric(outer[:, 3]), np.outer(vectors[:, 3], vectors[:, 3])
    )


def test_optimiser_learns_curvature_that_the_information_lacks():
    # Information half the curvature makes plain scoring bounce between two points.
    minimum = np.array([1.0, 2.0, 0.3])
    hessian = symmetric([4.0, 1.0, 0.5, 3.0, 0.2, 2.0])
    evaluations = []

    def model_at(points):
        evaluations.append(points)
        deviation = (points - minimum).T
        slope = hessian @ deviation
        information = np.stack(
            [np.full(len(points), 0.5 * hessian[i, j]) for i, j in symmetric3.ELEMENTS]
        )
        nll = 0.5 * (deviation * slope).sum(axis=0)
        return LocalModel(nll, slope, information)

    start = np.array([[0.5, 1.7, 0.1], [3.0, 2.5, 0.5]])
    optimum = minimise(lambda rows: model_at, start, (-1.0, 1.0))
    assert optimum.converged.all()
    np.testing.assert_allclose(optimum.working, [minimum, minimum], atol=1e-4)
    assert len(evaluations) <= 12
    bounded = minimise(lambda rows: model_at, start, (-1.0, 0.2))
    np.testing.assert_array_equal(bounded.working[:, 2], 0.2)
    expected = np.linalg.solve(hessian[:2, :2], hessian[:2, 2] * 0.1) + minimum[:2]
    np.testing.assert_allclose(bounded.working[0, :2], expected, atol=1e-4)


def votes(*leads_of_emg, ring=None):
    leads = np.array(leads_of_emg)
    n_fitted = np.full(len(leads), 10_000.0)
    blank = np.zeros((len(leads), 3))
    sure = np.ones(len(leads), dtype=bool)
    lognormal = FamilyFit("lognormal", blank, 2.0 + leads / n_fitted, sure)
    emg = FamilyFit("emg", blank, np.full(len(leads), 2.0), sure)
    image = np.zeros(len(leads), dtype=np.intp)
    ring = None if ring is None else np.array(ring)
    return prefers_emg(lognormal, emg, n_fitted, image, ring).tolist()


def test_rings_vote_and_no_ring_outvotes_the_others():
    assert votes(-500.0, 2.0, 2.0, 2.0) == [True] * 4
    assert votes(500.0, -2.5, -2.5, -2.5) == [False] * 4
    assert votes(-2.0, -2.0, 1.0, 0.5) == [True] * 4
    assert votes(-2.0, -2.0, -1.5, 0.5) == [False] * 4
    assert votes(0.0) == [True]
    assert votes(-4.0) == [False]


def test_the_parts_of_a_ring_have_one_vote():
    leads = np.array([-1.0] * 8 + [2.0, 2.0])
    assert votes(*leads) == [False] * 10
    assert votes(*leads, ring=[0] * 8 + [1, 2]) == [True] * 10
    assert votes(*leads, ring=[7, 3, 7, 3, 7, 3, 7, 3, 1, 1]) == [False] * 10


def test_images_vote_apart():
    n_fitted = np.full(4, 1e4)
    nll = np.array([2.0, 2.0, 2.0, 2.0])
    lead = np.array([-3.0, -3.0, 3.0, 3.0]) / n_fitted
    sure = np.ones(4, dtype=bool)
    lognormal = FamilyFit("lognormal", np.zeros((4, 3)), nll + lead, sure)
    emg = FamilyFit("emg", np.zeros((4, 3)), nll, sure)
    chosen = prefers_emg(lognormal, emg, n_fitted, np.array([0, 0, 1, 1]))
    assert chosen.tolist() == [False, False, True, True]
