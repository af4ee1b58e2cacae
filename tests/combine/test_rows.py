"""The rows of one reflection in several tables."""

from __future__ import annotations

import numpy as np

from dials_truncfix.combine.rows import Rows, same_reflections


def rows(*reflections):
    """Rows from (h, lattice, entering, z) and, if it is not 1, partiality."""
    h, lattice, entering, z = zip(*(reflection[:4] for reflection in reflections))
    return Rows(
        np.array([(x, 0, 1) for x in h]),
        np.array(lattice),
        np.array(entering),
        np.array(z, dtype=float),
        np.array([(*reflection, 1.0)[4] for reflection in reflections]),
    )


def test_order_gaps_and_new_reflections():
    one = rows((1, 0, True, 5.0), (2, 0, True, 8.0), (3, 0, False, 9.0))
    two = rows((4, 0, True, 3.0), (3, 0, False, 9.2), (1, 0, True, 4.9))
    three = rows((4, 0, True, 3.1), (2, 0, True, 8.1))
    groups = same_reflections([one, two, three], 1.0)
    assert groups.tolist() == [[0, 2, -1], [1, -1, 1], [2, 1, -1], [-1, 0, 0]]


def test_passages_lattices_and_turns_stay_apart():
    one = rows((1, 0, True, 5.0), (1, 0, False, 6.0), (1, 1, True, 5.0))
    two = rows((1, 1, True, 5.1), (1, 0, False, 5.4), (1, 0, True, 365.0))
    groups = same_reflections([one, two], 2.0)
    assert groups.tolist() == [[0, -1], [1, 1], [2, 0], [-1, 2]]


def test_a_row_goes_to_one_reflection_only():
    one = rows((1, 0, True, 5.0))
    two = rows((1, 0, True, 5.6), (1, 0, True, 5.1))
    assert same_reflections([one, two], 2.0).tolist() == [[0, 1], [-1, 0]]


def test_parts_of_a_reflection_that_was_cut_stay_apart():
    """DIALS cuts reflections where its blocks of images meet, not always alike."""
    one = rows((1, 0, True, 11.0, 0.96), (1, 0, True, 23.0, 0.04))
    two = rows((1, 0, True, 22.5, 0.05), (1, 0, True, 10.5, 0.95))
    assert same_reflections([one, two], 50.0).tolist() == [[0, 1], [1, 0]]
    whole = rows((1, 0, True, 11.5, 1.0))
    other_cut = rows((1, 0, True, 8.0, 0.5), (1, 0, True, 19.0, 0.5))
    assert same_reflections([one, other_cut], 50.0).tolist() == [
        [0, -1],
        [1, -1],
        [-1, 0],
        [-1, 1],
    ]
    assert same_reflections([one, whole], 50.0).tolist() == [[0, 0], [1, -1]]
