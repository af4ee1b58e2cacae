from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.compare.passages import nearest_passage, setting_change

AXES = np.array([[0.1, 0.0, 0.01], [0.0, 0.08, 0.0], [0.0, 0.02, 0.05]])


def test_the_change_of_setting_is_found():
    # a, b, c → b, a, -c with an error of refinement
    operator = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]])
    other = (AXES @ operator) * 1.001
    assert np.array_equal(setting_change(AXES, AXES), np.eye(3))
    change = setting_change(other, AXES)
    assert np.array_equal(change, operator)
    # the same point of reciprocal space
    h = np.array([3, -2, 5])
    assert np.allclose(AXES @ (change @ h), other @ h, rtol=2e-3)


@pytest.mark.parametrize("factor", [(1, 1, 1.3), (1, 1, 2)])
def test_other_lattices_and_supercells_are_refused(factor):
    with pytest.raises(ValueError, match="lattices differ"):
        setting_change(AXES * factor, AXES)


def test_passages_are_matched_by_index_and_position():
    known = np.array([[1, 0, 0], [1, 0, 0], [0, 2, -1]])
    position = np.array([5.0, 60.0, 7.0])
    wanted = np.array([[1, 0, 0], [1, 0, 0], [0, 2, -1], [0, 2, 1], [9, 9, 9]])
    row, distance = nearest_passage(
        wanted, np.array([58.0, 0.0, 7.5, 7.0, 1.0]), known, position
    )
    assert row.tolist() == [1, 0, 2, -1, -1]
    assert distance.tolist() == [2.0, 5.0, 0.5, np.inf, np.inf]


def test_empty_lists_match_nothing():
    none = np.empty((0, 3), dtype=np.int64)
    row, distance = nearest_passage(
        np.array([[1, 2, 3]]), np.zeros(1), none, np.empty(0)
    )
    assert (row.tolist(), distance.tolist()) == ([-1], [np.inf])
    row, distance = nearest_passage(none, np.empty(0), none, np.empty(0))
    assert len(row) == len(distance) == 0
