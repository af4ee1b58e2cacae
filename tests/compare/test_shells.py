from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.compare.observations import Observations
from dials_truncfix.compare.pairs import pair
from dials_truncfix.compare.shells import changes, shell_limits, shell_of

AXES = np.diag([0.1, 0.1, 0.1])


def test_shells_are_even_in_reciprocal_squares_and_hold_all():
    d = np.random.default_rng(1).uniform(1.2, 30, 500)
    limits = shell_limits(d, 7)
    assert np.allclose(np.diff(limits**-2.0), np.diff(limits**-2.0)[0])
    number = shell_of(d, limits)
    assert number.min() == 0
    assert number.max() == 6
    for shell in range(7):
        mine = d[number == shell]
        assert (mine < limits[shell]).all()
        assert (mine >= limits[shell + 1]).all()


def test_what_lies_outside_is_in_no_shell():
    limits = shell_limits(np.array([5.0, 2.0]), 2, d_max=4.0, d_min=1.0)
    numbers = shell_of(np.array([5.0, 4.0, 3.9, 1.0, 0.99]), limits)
    assert numbers.tolist() == [-1, -1, 0, 1, -1]


@pytest.mark.parametrize(
    "d_max, d_min, message",
    [(2.0, 3.0, "no resolution range"), (90.0, 80.0, "no reflection between")],
)
def test_empty_ranges_are_refused(d_max, d_min, message):
    with pytest.raises(ValueError, match=message):
        shell_limits(np.array([1.0, 20.0]), 3, d_max, d_min)


def table(indices, value, sigma):
    n = len(indices)
    zeros = np.zeros(n)
    return Observations(
        np.array(indices),
        np.zeros(n, dtype=np.int64),
        zeros,
        zeros,
        np.array(value, dtype=float),
        np.full(n, sigma),
        np.ones(n),
    )


def test_figures_of_a_shell():
    """Against sums done by hand; d is 10, 5 and 2 Å."""
    before = table([[1, 0, 0], [0, 2, 0], [5, 0, 0], [0, 5, 0]], [90, 10, 3, -1], 2.0)
    after = table([[1, 0, 0], [0, 2, 0], [5, 0, 0], [0, 0, 5]], [90, 12, -2, 7], 4.0)
    pairs = pair(before, after, [AXES], [AXES], [1.0])
    limits = np.array([11.0, 4.0, 1.5])
    low, high, whole = changes(pairs, limits)
    assert (low.n_common, low.n_only_before, low.n_only_after) == (2, 0, 0)
    assert (low.mean_before, low.change, low.ratio) == (50.0, 1.0, 102 / 100)
    # differences 0 and 2: sd √2, of two
    assert low.change_error == pytest.approx(1.0)
    assert (high.n_common, high.n_only_before, high.n_only_after) == (1, 1, 1)
    assert (high.negative_before, high.negative_after) == (0.0, 1.0)
    assert np.isnan(high.change_error)
    assert (whole.n_common, whole.change) == (3, pytest.approx(-1.0))
    assert whole.i_over_sigma_before == pytest.approx(103 / 3 / 2)
    assert whole.i_over_sigma_after == pytest.approx(100 / 3 / 4)
    empty = changes(pairs, np.array([1.4, 1.0]))[0]
    assert empty.n_common == 0
    assert np.isnan(empty.change)
