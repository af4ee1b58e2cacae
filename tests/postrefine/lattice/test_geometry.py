from __future__ import annotations

import numpy as np
import pytest

from scitbx import matrix

from dials_truncfix.postrefine.lattice.geometry import (
    beam_frames,
    counter_rotated_beams,
    excitation_error,
    rotations,
    total_rotations,
)

ANGLES = np.array([-0.3, -1e-4, 0.0, 1e-7, 0.01, 2.0])


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_rotations_are_those_of_scitbx(axis):
    rotation, derivative = rotations(axis, ANGLES)
    column = matrix.col(axis)
    for i, angle in enumerate(ANGLES):
        expected = column.axis_and_angle_as_r3_rotation_matrix(angle)
        np.testing.assert_allclose(rotation[i].ravel(), expected.elems, atol=1e-15)
        expected = column.axis_and_angle_as_r3_derivative_wrt_angle(angle)
        np.testing.assert_allclose(derivative[i].ravel(), expected.elems, atol=1e-15)


@pytest.mark.parametrize(
    "s0", [(0, 0, -1), (0, 0, 1), (0.05, 0.02, -0.7), (1, 0, 0), (-0.3, 0.4, 0.1)]
)
def test_frames_of_beams_are_rotations_onto_the_beam(s0):
    frame = beam_frames(s0)[0]
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-15)
    assert np.linalg.det(frame) == pytest.approx(1)
    np.testing.assert_allclose(frame @ (0, 0, -1), s0 / np.linalg.norm(s0), atol=1e-15)


def test_frame_of_the_usual_beam_is_the_laboratory():
    np.testing.assert_array_equal(beam_frames((0, 0, -0.7))[0], np.eye(3))


def test_a_beam_without_direction_is_refused():
    with pytest.raises(ValueError, match="no direction"):
        beam_frames([(0, 0, -1), (0, 0, 0)])


@pytest.mark.parametrize("wavelength", [1.3, 0.0251])
def test_excitation_errors_and_slopes_follow_from_the_definition(wavelength):
    """Equations 20-26 written out, against the short cut; slopes by differences."""
    rng = np.random.default_rng(1)
    q = rng.uniform(-0.3, 0.3, (3, 50))
    q_squared = np.sum(q * q, axis=0)
    s0 = np.array([0, 0, -1 / wavelength])
    inverse = np.full(50, 1 / wavelength)

    def short(x, y):
        beams = counter_rotated_beams(
            np.array([x]), np.array([y]), np.array([wavelength])
        )
        each = np.repeat(beams.transpose(1, 2, 0), 50, axis=2)
        return excitation_error(q, q_squared, each, inverse)

    x, y = 0.004, -0.007
    turned = total_rotations(np.array([x]), np.array([y]))[0] @ q
    direct = np.linalg.norm(turned + s0[:, None], axis=0) - 1 / wavelength
    r_h, slopes = short(x, y)
    # the direct difference loses digits, above all at short wavelengths
    np.testing.assert_allclose(r_h, direct, atol=1e-13)
    step = 1e-6
    numeric = [
        (short(x + step, y)[0] - short(x - step, y)[0]) / (2 * step),
        (short(x, y + step)[0] - short(x, y - step)[0]) / (2 * step),
    ]
    np.testing.assert_allclose(slopes, numeric, rtol=1e-7, atol=1e-10)


def test_slopes_are_the_equations_of_the_note():
    """Equations 22, 25 and 26, with the matrices of scitbx."""
    rng = np.random.default_rng(3)
    points = rng.uniform(-0.3, 0.3, (20, 3))
    x, y, wavelength = 0.003, -0.005, 1.3
    along_x, along_y = matrix.col((1, 0, 0)), matrix.col((0, 1, 0))
    rx = along_x.axis_and_angle_as_r3_rotation_matrix(x)
    ry = along_y.axis_and_angle_as_r3_rotation_matrix(y)
    rx_slope = along_x.axis_and_angle_as_r3_derivative_wrt_angle(x)
    ry_slope = along_y.axis_and_angle_as_r3_derivative_wrt_angle(y)
    s0 = matrix.col((0, 0, -1 / wavelength))
    expected = []
    for point in points:
        q_ref = matrix.col(point.tolist())
        s = ry * rx * q_ref + s0
        q_slopes = (ry * rx_slope * q_ref, ry_slope * rx * q_ref)
        expected.append([s.dot(q_slope) / s.length() for q_slope in q_slopes])
    beams = counter_rotated_beams(np.array([x]), np.array([y]), np.array([wavelength]))
    each = np.repeat(beams.transpose(1, 2, 0), 20, axis=2)
    _, slopes = excitation_error(
        points.T, np.sum(points**2, axis=1), each, np.full(20, 1 / wavelength)
    )
    np.testing.assert_allclose(slopes.T, expected, rtol=1e-12, atol=1e-15)
