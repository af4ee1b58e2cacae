from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import expm

from dials_truncfix.calibrate.ellipse import (
    Ellipse,
    decompose,
    ellipse_errors,
    ellipse_of_strain,
    strain_matrix,
)


@pytest.mark.parametrize("strain", [(0.0, 0.0), (0.02, -0.05), (1e-9, 0.0)])
def test_the_matrix_is_the_exponential(strain):
    p, q = strain
    assert strain_matrix(p, q) == pytest.approx(expm(0.5 * np.array([[p, q], [q, -p]])))
    assert strain_matrix(p, q) @ strain_matrix(-p, -q) == pytest.approx(np.eye(2))


def test_a_circle_becomes_the_ellipse():
    ellipse = Ellipse(1.05, math.radians(30))
    matrix = strain_matrix(*ellipse.strain)
    angle = np.radians(np.arange(0, 360, 1.0))
    x, y = matrix @ np.stack([np.cos(angle), np.sin(angle)])
    radius = np.hypot(x, y)
    assert radius.max() / radius.min() == pytest.approx(1.05, abs=1e-5)
    longest = math.degrees(math.atan2(y[radius.argmax()], x[radius.argmax()]))
    assert longest % 180 == pytest.approx(30, abs=1.0)
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    again = ellipse_of_strain(*ellipse.strain)
    assert (again.ratio, again.azimuth) == pytest.approx((1.05, math.radians(30)))


def test_scale_strain_and_rotation_come_apart():
    turn = math.radians(7)
    rotation = np.array(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    )
    scale, strain, angle = decompose(1.03 * strain_matrix(0.01, 0.02) @ rotation)
    assert (scale, *strain, angle) == pytest.approx((1.03, 0.01, 0.02, turn))
    with pytest.raises(ValueError, match="mirrors"):
        decompose(np.diag([1.0, -1.0]))


def test_errors_of_ratio_and_azimuth_are_those_of_random_strains():
    strain, sd = (0.03, 0.04), 0.001
    rng = np.random.default_rng(0)
    drawn = [
        ellipse_of_strain(*(strain + sd * rng.standard_normal(2))) for _ in range(2000)
    ]
    ratio_error, azimuth_error = ellipse_errors(strain, sd**2 * np.eye(2))
    assert np.std([e.ratio for e in drawn]) == pytest.approx(ratio_error, rel=0.06)
    assert np.std([e.azimuth for e in drawn]) == pytest.approx(azimuth_error, rel=0.06)
    assert ellipse_errors((0.0, 0.0), sd**2 * np.eye(2)) == pytest.approx(
        (sd, math.pi / math.sqrt(12))
    )
