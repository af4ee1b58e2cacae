from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.correction.draws.camera_tables import camera_tables
from dials_truncfix.correction.joint_camera.camera_law import (
    grid_to,
    highest_reading,
    masses,
)
from dials_truncfix.correction.joint_camera.camera_model import CameraModel
from dials_truncfix.correction.joint_camera.camera_zeros import (
    recorded_moments,
    zero_law,
)

pytestmark = pytest.mark.filterwarnings("error")

CAMERAS = [
    CameraModel(6.0, 0.5, 6.0),
    CameraModel(6.0, 0.0, 2.0, dark=-1.5),
    CameraModel(1.5, 3.0, 7.0, dark=2.7, rounding="floor"),
]
RATES = np.array([0.0, 0.1, 0.9, 4.0, 12.0])


def integers_of(camera):
    """Probabilities of the integers, and these."""
    grid = grid_to(camera, float(highest_reading(camera, RATES).max()))
    p = masses(camera, RATES, grid)
    edges = grid.low + grid.step * np.arange(grid.n_cells)
    return p, np.floor(edges + 1.0 - camera.threshold + 1e-9)


@pytest.mark.parametrize("camera", CAMERAS)
def test_moments_are_sums_over_the_integers(camera):
    p, value = integers_of(camera)
    moments = recorded_moments(camera, RATES)
    zero = value <= 0
    p_zero = p[:, zero].sum(axis=1)
    np.testing.assert_allclose(moments.p_zero, p_zero, rtol=1e-6, atol=1e-13)
    lost = p[:, zero] @ value[zero] / p_zero
    np.testing.assert_allclose(moments.mean_zero, lost, rtol=1e-6)
    lost = p[:, zero] @ value[zero] ** 2 / p_zero
    np.testing.assert_allclose(moments.square_zero, lost, rtol=1e-6)
    recorded = np.maximum(value, 0)
    np.testing.assert_allclose(moments.mean_recorded, p @ recorded, atol=1e-8)
    np.testing.assert_allclose(moments.square_recorded, p @ recorded**2, rtol=1e-7)


@pytest.mark.parametrize("camera", CAMERAS)
def test_tables_invert_the_law_below_the_threshold(camera):
    n = 1024
    tables = camera_tables(camera, RATES, n)
    assert tables.threshold == camera.threshold
    assert tables.coarse.dtype == tables.tail.dtype == np.float32
    np.testing.assert_array_equal(tables.radius, RATES)
    grid = grid_to(camera, float(highest_reading(camera, RATES).max()), 2.0**-6)
    below = np.cumsum(masses(camera, RATES, grid), axis=1)
    edges = grid.low + grid.step * np.arange(1, grid.n_cells + 1)
    u = (np.arange(n) + 0.5) / n
    for row in range(len(RATES)):
        at = int(grid.index(np.array(camera.threshold))) - 1
        known = below[row] / below[row, at]
        coarse = np.interp(tables.coarse[row], edges, known)
        np.testing.assert_allclose(coarse, u, atol=5e-4)
        if row < 3:
            # far above the threshold the direct transform has no digits left
            tail = np.interp(tables.tail[row], edges, known)
            np.testing.assert_allclose(tail, u / n, rtol=2e-2)
    for table in (tables.coarse, tables.tail):
        assert (np.diff(table, axis=1) >= 0.0).all()
        assert (table < camera.threshold).all()


@pytest.mark.parametrize("camera", CAMERAS)
def test_draws_have_the_mean_of_the_law(camera):
    n = 4096
    tables = camera_tables(camera, RATES, n)
    up = 1.0 - camera.threshold
    coarse = np.floor(tables.coarse.astype(np.float64) + up)
    first_cell = np.floor(tables.tail.astype(np.float64) + up).mean(axis=1)
    mean = (coarse[:, 1:].sum(axis=1) + first_cell) / n
    expected = recorded_moments(camera, RATES).mean_zero
    np.testing.assert_allclose(mean, expected, atol=3e-3)


def test_rare_zeros_have_a_law():
    law = zero_law(CameraModel(6.0, 0.5, 6.0), np.array([200.0, 330.0]))
    assert (law.log_p < -150.0).all()
    # threshold many standard deviations below the mean: an exponential tail
    assert (law.mean < -0.4).all() and (law.mean > -1.5).all()
    assert np.isfinite(law.quantiles(np.log([1e-6, 0.5, 1.0]))).all()


def test_rows_do_not_depend_on_each_other():
    camera = CAMERAS[0]
    rates = np.geomspace(1e-3, 100.0, 40)
    together = camera_tables(camera, rates, 256)
    for row in (0, 17, 39):
        alone = camera_tables(camera, rates[row : row + 1], 256)
        np.testing.assert_array_equal(alone.coarse[0], together.coarse[row])
        np.testing.assert_array_equal(alone.tail[0], together.tail[row])


@pytest.mark.parametrize("rate", [-0.1, np.nan, np.inf])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(ValueError, match="rates must be at least 0"):
        zero_law(CAMERAS[0], np.array([1.0, rate]))


def test_tables_need_cells():
    with pytest.raises(ValueError, match="at least 2 cells"):
        camera_tables(CAMERAS[0], RATES, 1)
