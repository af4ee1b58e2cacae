from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.report.resolution import (
    inverse_square,
    middle_of,
    resolution_axis,
    shell_name,
)


def test_where_the_beam_is():
    np.testing.assert_allclose(
        inverse_square([np.inf, np.nan, 0.0, 2.0, 0.5]), [0, 0, 0, 0.25, 4]
    )


def test_shells_lie_between_their_limits():
    limits = np.array([[np.inf, 4.0], [4.0, 2.0], [2.0, 1.0]])
    middle = middle_of(limits)
    assert (np.diff(middle) > 0).all()
    assert (middle > inverse_square(limits[:, 0])).all()
    assert (middle < inverse_square(limits[:, 1])).all()


@pytest.mark.parametrize(
    "d_max, d_min",
    [(np.inf, 1.2), (20.0, 0.7), (2.1, 1.9), (np.inf, 26.0), (5.0, 5.0), (1.5, 0.3)],
)
def test_ticks_are_round_inside_and_apart(d_max, d_min):
    low, high = inverse_square([d_max, d_min])
    axis = resolution_axis(low, high)
    start, end = axis["range"]
    assert start < low <= high < end
    ticks = np.array(axis["tickvals"])
    assert (ticks >= start).all() and (ticks <= end).all()
    np.testing.assert_allclose(ticks, [float(d) ** -2 for d in axis["ticktext"]])
    assert (np.diff(ticks) > 0.09 * (high - low)).all()
    assert "Å" in axis["title"]["text"]


def test_the_usual_range_has_enough_ticks():
    axis = resolution_axis(0.0, 1.2**-2)
    assert len(axis["ticktext"]) >= 5
    assert {"2", "3"} <= set(axis["ticktext"])


def test_names_of_shells():
    assert shell_name(np.inf, 4.84) == "beam–4.84 Å"
    assert shell_name(1250.5, 4.84) == "beam–4.84 Å"
    assert shell_name(np.nan, 4.84) == "beam–4.84 Å"
    assert shell_name(2.419, 2.164) == "2.42–2.16 Å"
