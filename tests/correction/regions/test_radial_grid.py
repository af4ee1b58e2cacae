from __future__ import annotations

import numpy as np

from dials_truncfix.correction.regions.radial_grid import N_NODES, radial_grid


def test_every_pixel_has_the_nearest_radius():
    radius = np.random.default_rng(1).uniform(0.01, 0.05, (50, 60)).astype(np.float32)
    grid = radial_grid(radius, 0.01, 0.05)
    assert grid.node.dtype == np.uint8 and len(grid.radius) == N_NODES
    step = grid.radius[1] - grid.radius[0]
    assert np.abs(grid.radius[grid.node] - radius).max() <= 0.5001 * step


def test_pixels_beyond_belong_to_the_ends():
    grid = radial_grid(np.array([[0.0, 1.4, 1.6, 9.0]]), 1.0, 2.0)
    assert grid.node[0, 0] == 0 and grid.node[0, 3] == N_NODES - 1


def test_one_radius_only():
    grid = radial_grid(np.full((3, 4), 2.0), 2.0, 2.0)
    np.testing.assert_array_equal(grid.radius[grid.node], 2.0)
