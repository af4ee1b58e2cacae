"""Regions: every pixel in one of them, and none too small."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dials_truncfix.correction.regions.annuli import equal_area_annuli, without
from dials_truncfix.correction.regions.cells import cells_of_areas
from dials_truncfix.correction.regions.lattice import sectors, tiles, whole_image
from dials_truncfix.correction.regions.partition import Partition
from dials_truncfix.correction.regions.regions import annular_regions

SHAPE = (120, 150)
CENTRE = (55.0, 80.0)
SLOW, FAST = np.indices(SHAPE) + 0.5
RADIUS = np.hypot(SLOW - CENTRE[0], FAST - CENTRE[1]).astype(np.float32)


def make(lattice, areas, minimum, count=6):
    annuli = equal_area_annuli(RADIUS, areas >= 0, count, minimum)
    cells = cells_of_areas(lattice, areas)
    return annuli, cells, Partition(annuli, cells, RADIUS, minimum)


def drawn(data, seed):
    lattice = data.draw(
        st.sampled_from(
            [
                whole_image(SHAPE),
                sectors(SHAPE, CENTRE, 7),
                tiles(SHAPE, 40),
                tiles(SHAPE, 75),
            ]
        )
    )
    rng = np.random.default_rng(seed)
    coarse = rng.integers(-1, 3, (2, 3))
    coarse[0, 0] = 0
    return lattice, np.kron(coarse, np.ones((60, 50), int)).astype(np.int16), rng


def check(regions, cells, used, minimum):
    """What a division must be, whatever it was made from."""
    table, labels = regions.table, regions.labels
    np.testing.assert_array_equal(labels >= 0, used)
    np.testing.assert_array_equal(
        np.bincount(labels[used], minlength=table.n_regions), table.n_pixels
    )
    for number in range(table.n_regions):
        inside = RADIUS[labels == number]
        low, high = table.limits[number]
        assert low <= inside.min() and inside.max() <= high
        assert inside.mean() == pytest.approx(table.radius[number], rel=1e-5)
        hosts = table.host[np.unique(cells.cell[labels == number])]
        assert set(hosts) == {table.cell[number]}
    # within a cell from the centre outwards
    assert (np.diff(table.cell) >= 0).all()
    same = np.diff(table.cell) == 0
    assert (np.diff(table.radius)[same] > 0).all()
    # too few pixels only where there are no more in the area
    small = table.n_pixels < minimum
    area = cells.area[table.cell]
    assert all((area == area[i]).sum() == 1 for i in np.flatnonzero(small))


@given(data=st.data(), seed=st.integers(0, 2**32 - 1), minimum=st.integers(1, 3000))
@settings(max_examples=60)
def test_every_pixel_is_in_one_region_of_enough_pixels(data, seed, minimum):
    lattice, areas, rng = drawn(data, seed)
    _, cells, partition = make(lattice, areas, minimum)
    check(partition.regions, cells, areas >= 0, minimum)
    # a beam stop of any size and place
    excluded = np.zeros(SHAPE, bool)
    slow, fast = rng.integers(0, SHAPE[0]), rng.integers(0, SHAPE[1])
    excluded[slow : slow + rng.integers(1, 90), fast : fast + rng.integers(1, 120)] = 1
    fewer = partition.without(RADIUS, np.flatnonzero(excluded))
    used = (areas >= 0) & ~excluded
    if used.any():
        check(fewer, cells, used, minimum)
    else:
        assert fewer.table.n_pixels.tolist() == [0]


def test_one_cell_gives_the_annuli():
    annuli, _, partition = make(whole_image(SHAPE), np.zeros(SHAPE, np.int16), 1000)
    excluded = RADIUS < 20
    for one, other in (
        (partition.regions, annular_regions(annuli)),
        (
            partition.without(RADIUS, np.flatnonzero(excluded)),
            annular_regions(without(annuli, RADIUS, np.flatnonzero(excluded), 1000)),
        ),
    ):
        np.testing.assert_array_equal(one.labels, other.labels)
        assert one.table.same_division(other.table)
        np.testing.assert_array_equal(one.table.n_pixels, other.table.n_pixels)
        np.testing.assert_allclose(one.table.radius, other.table.radius, rtol=1e-5)


def test_excluding_nothing_returns_the_same_object():
    _, _, partition = make(tiles(SHAPE, 60), np.zeros(SHAPE, np.int16), 500)
    assert partition.without(RADIUS, np.empty(0, np.intp)) is partition.regions


def test_an_emptied_cell_is_spoken_for_by_the_nearest_of_its_area():
    areas = (FAST > 75).astype(np.int16)
    lattice = tiles(SHAPE, 40)
    _, cells, partition = make(lattice, areas, 300)
    hidden = 4
    table = partition.without(RADIUS, np.flatnonzero(cells.cell == hidden)).table
    host = table.host[hidden]
    assert host != hidden and cells.area[host] == cells.area[hidden]
    away = np.hypot(*(cells.centre - cells.centre[hidden]).T)
    others = (cells.area == cells.area[hidden]) & (np.arange(cells.n_cells) != hidden)
    assert away[host] == away[others].min()


def test_an_emptied_area_has_no_region():
    areas = (FAST > 75).astype(np.int16)
    _, cells, partition = make(sectors(SHAPE, CENTRE, 4), areas, 300)
    table = partition.without(RADIUS, np.flatnonzero(areas == 1)).table
    assert (table.host[cells.area == 1] == -1).all()
    assert set(cells.area[table.cell]) == {0}


def test_refuses_more_regions_than_labels_can_tell_apart(monkeypatch):
    monkeypatch.setattr("dials_truncfix.correction.regions.partition._MOST_REGIONS", 20)
    _, _, partition = make(tiles(SHAPE, 40), np.zeros(SHAPE, np.int16), 10)
    with pytest.raises(ValueError, match="regions are more than 20"):
        _ = partition.regions


def test_refuses_another_shape():
    _, _, partition = make(tiles(SHAPE, 60), np.zeros(SHAPE, np.int16), 500)
    with pytest.raises(ValueError, match="differ in shape"):
        partition.without(np.zeros((3, 3)), np.arange(3))
