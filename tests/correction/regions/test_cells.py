"""Sectors, tiles and areas: which cell a pixel is in, and which cells speak there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dials_truncfix.correction.regions.cells import cells_of_areas
from dials_truncfix.correction.regions.lattice import (
    azimuth_bins,
    sectors,
    tiles,
    whole_image,
)

SHAPE = (120, 150)


def lattices(data):
    kind = data.draw(st.sampled_from(["whole", "sectors", "tiles"]))
    if kind == "sectors":
        centre = data.draw(st.tuples(st.floats(-20, 140), st.floats(-20, 170)))
        return sectors(SHAPE, centre, data.draw(st.integers(2, 40)))
    if kind == "tiles":
        return tiles(SHAPE, data.draw(st.integers(20, 300)))
    return whole_image(SHAPE)


@given(data=st.data())
@settings(max_examples=40)
def test_weights_add_up_and_the_own_cell_speaks_loudest(data):
    lattice = lattices(data)
    assert lattice.cell.shape == lattice.place.shape == SHAPE
    assert (lattice.cell >= 0).all() and (lattice.cell < lattice.n_cells).all()
    assert (lattice.weights >= 0).all()
    np.testing.assert_allclose(lattice.weights.sum(axis=1), 1.0)
    at = lattice.place.ravel()
    own = lattice.cells[at] == lattice.cell.ravel()[:, None]
    share = (lattice.weights[at] * own).sum(axis=1)
    # on a corner of four tiles each speaks a quarter
    smallest = {1: 1.0, 2: 0.5, 4: 0.25}[lattice.cells.shape[1]]
    assert share.min() >= smallest - 1e-9


def test_blending_has_no_steps():
    """From one place to the next no cell gains or loses more than one step."""
    for lattice, step in (
        (sectors(SHAPE, (60, 75), 8), 1 / 4),
        (tiles(SHAPE, 60), 1 / 2),
    ):
        share = np.zeros((len(lattice.cells), lattice.n_cells))
        for cells, weights in zip(lattice.cells.T, lattice.weights.T):
            np.add.at(share, (np.arange(len(cells)), cells), weights)
        of_pixel = share[lattice.place]
        for axis in (0, 1):
            away = np.abs(np.diff(of_pixel, axis=axis)).max(axis=-1)
            # close to the beam a pixel is wider than a step of azimuth
            away = away[20:40, 20:40]
            assert away.max() <= step + 1e-9


def test_azimuths_run_from_the_fast_to_the_slow_axis():
    angle = azimuth_bins((100, 100), (50.0, 50.0), 3600) / 10 + 0.05
    assert angle[50, 90] == pytest.approx(0, abs=1)
    assert angle[90, 50] == pytest.approx(90, abs=1)
    assert angle[50, 10] == pytest.approx(180, abs=1)
    assert angle[10, 50] == pytest.approx(270, abs=1)
    lattice = sectors((100, 100), (50.0, 50.0), 4)
    assert lattice.bounds.tolist() == [[0, 90], [90, 180], [180, 270], [270, 360]]
    for sector, (first, last) in enumerate(lattice.bounds):
        inside = angle[lattice.cell == sector]
        assert first <= inside.min() and inside.max() <= last


def test_tiles_are_alike_and_know_their_bounds():
    lattice = tiles((100, 210), 50)
    assert lattice.n_cells == 8
    for tile, (top, bottom, left, right) in enumerate(lattice.bounds.astype(int)):
        inside = np.zeros((100, 210), bool)
        inside[top:bottom, left:right] = True
        np.testing.assert_array_equal(lattice.cell == tile, inside)
    assert tiles((100, 210), 1000).n_cells == 1


@given(data=st.data(), seed=st.integers(0, 2**32 - 1), n_areas=st.integers(1, 4))
@settings(max_examples=30)
def test_cells_of_areas_never_cross_a_border(data, seed, n_areas):
    lattice = lattices(data)
    rng = np.random.default_rng(seed)
    # areas in blocks, one of which is masked
    coarse = rng.integers(-1, n_areas, (4, 5))
    coarse[0, 0] = 0
    areas = np.kron(coarse, np.ones((30, 30), int)).astype(np.int16)
    cells = cells_of_areas(lattice, areas)
    np.testing.assert_array_equal(cells.cell < 0, areas < 0)
    inside = areas >= 0
    np.testing.assert_array_equal(cells.area[cells.cell[inside]], areas[inside])
    np.testing.assert_array_equal(cells.part[cells.cell[inside]], lattice.cell[inside])
    speaking = cells.cells[cells.place[inside]]
    own = areas[inside][:, None]
    assert ((speaking < 0) | (cells.area[speaking] == own)).all()
    for cell in range(cells.n_cells):
        at = np.nonzero(cells.cell == cell)
        np.testing.assert_allclose(cells.centre[cell], np.mean(at, axis=1))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: sectors(SHAPE, (1, 1), 1), "at least 2, not 1"),
        (lambda: tiles(SHAPE, 0), "positive, not 0"),
        (lambda: tiles((4096, 4096), 16), "too many"),
        (lambda: cells_of_areas(whole_image(SHAPE), np.zeros((3, 3), int)), "differ"),
        (lambda: cells_of_areas(whole_image(SHAPE), np.full(SHAPE, -1)), "no pixel"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()
