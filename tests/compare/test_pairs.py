from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.compare.observations import Observations
from dials_truncfix.compare.pairs import pair

AXES = np.diag([0.02, 0.02, 0.01])


def observations(indices, phi, lattice=None):
    n = len(indices)
    return Observations(
        miller_index=np.array(indices),
        lattice=np.zeros(n, dtype=np.int64) if lattice is None else np.array(lattice),
        z=np.array(phi) / 0.2,
        phi=np.array(phi, dtype=float),
        value=np.arange(n, dtype=float),
        sigma=np.ones(n),
        lorentz=np.ones(n),
    )


def test_passages_are_paired_one_to_one_across_settings():
    operator = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]])
    after = observations(
        [[3, 1, 2], [3, 1, 2], [4, 0, 1], [0, 0, 8]], [5.0, 120.0, 9, 1]
    )
    before = observations(
        np.array([[3, 1, 2], [4, 0, 1], [3, 1, 2], [7, 7, 7]]) @ operator,
        [119.9, 30.0, 5.1, 2],
    )
    pairs = pair(before, after, [AXES @ operator], [AXES], [0.6])
    assert sorted(zip(pairs.row_before, pairs.row_after)) == [(0, 1), (2, 0)]
    # 4 0 1 was recorded at another angle, and the others are in one table only
    assert np.flatnonzero(pairs.only_before).tolist() == [1, 3]
    assert np.flatnonzero(pairs.only_after).tolist() == [2, 3]
    assert pairs.before.miller_index[0].tolist() == [3, 1, 2]
    assert pairs.d_after[3] == pytest.approx(1 / 0.08)


def test_the_nearer_of_two_claims_has_the_reflection():
    before = observations([[1, 2, 3]], [10.0])
    after = observations([[1, 2, 3], [1, 2, 3]], [10.3, 10.1])
    pairs = pair(before, after, [AXES], [AXES], [0.6])
    assert pairs.row_after.tolist() == [1]
    assert pairs.only_after.tolist() == [True, False]


def test_lattices_are_not_mixed():
    before = observations([[1, 2, 3], [1, 2, 3]], [10.0, 10.0], [0, 1])
    after = observations([[1, 2, 3], [1, 2, 3]], [10.0, 10.0], [1, 0])
    pairs = pair(before, after, [AXES, 2 * AXES], [AXES, 2 * AXES], [0.6, 0.6])
    assert sorted(zip(pairs.row_before, pairs.row_after)) == [(0, 1), (1, 0)]
    assert pairs.d_after[0] == pytest.approx(pairs.d_after[1] / 2)


@pytest.mark.parametrize(
    "axes, indices, message",
    [
        ([AXES * [1, 1, 1.2]], [[1, 2, 3]], "crystal before is not the one after"),
        ([AXES, AXES], [[1, 2, 3]], "2 crystals before and 1 after"),
        ([AXES], [[3, 2, 1]], "no reflection in common"),
    ],
)
def test_other_crystals_are_refused(axes, indices, message):
    after = observations([[1, 2, 3]], [10.0])
    with pytest.raises(ValueError, match=message):
        pair(observations(indices, [10.0]), after, axes, [AXES], [0.6])
