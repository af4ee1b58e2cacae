import numpy as np

from dials_truncfix.correction.draws.mixture import linear_mixture


def test_extrapolation_is_linear_and_bounded():
    knots = np.array([1.0, 2.0, 4.0])
    mixture = linear_mixture(knots, np.array([-9.0, 0.5, 1.5, 3.0, 5.0, 99.0]))
    np.testing.assert_array_equal(mixture.rows[:, 0], [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(mixture.rows[:, 1] - mixture.rows[:, 0], 1)
    np.testing.assert_allclose(mixture.weights[:, 1], [-2.0, -0.5, 0.5, 0.5, 1.5, 3.0])
    np.testing.assert_allclose(mixture.weights.sum(axis=1), 1.0)


def test_a_single_knot_stands_everywhere():
    mixture = linear_mixture(np.array([3.0]), np.array([1.0, 9.0]))
    np.testing.assert_array_equal(mixture.rows, [[0], [0]])
    np.testing.assert_array_equal(mixture.weights, [[1.0], [1.0]])
