"""The law of the zeros at every place, from the fits of the regions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dials_truncfix.correction.draws.draw import draw_zeros
from dials_truncfix.correction.draws.mixture import linear_mixture
from dials_truncfix.correction.draws.quantiles import (
    conditional_tables,
    mean_preserving_knots,
)
from dials_truncfix.correction.draws.region_law import blended_mixture, law_of_zeros
from dials_truncfix.correction.draws.zeros import radial_moments
from dials_truncfix.correction.fit import fit_histograms
from dials_truncfix.correction.histogram import ring_histograms
from dials_truncfix.correction.regions.annuli import equal_area_annuli
from dials_truncfix.correction.regions.cells import cells_of_areas
from dials_truncfix.correction.regions.lattice import sectors, tiles, whole_image
from dials_truncfix.correction.regions.nodes import cell_nodes, radial_nodes
from dials_truncfix.correction.regions.partition import Partition
from dials_truncfix.correction.regions.radial_grid import radial_grid
from dials_truncfix.correction.regions.regions import annular_regions

SHAPE = (384, 384)
CENTRE = (180.0, 200.0)
SLOW, FAST = np.indices(SHAPE) + 0.5
RADIUS = np.hypot(SLOW - CENTRE[0], FAST - CENTRE[1]).astype(np.float32)
AZIMUTH = np.arctan2(SLOW - CENTRE[0], FAST - CENTRE[1])
MEAN = 1.0 + 12 * np.exp(-RADIUS / 80)
ONE_AREA = np.zeros(SHAPE, np.int16)
MINIMUM = 4000
LATTICES = {
    "whole": whole_image(SHAPE),
    "sectors": sectors(SHAPE, CENTRE, 6),
    "tiles": tiles(SHAPE, 128),
}


def divided(lattice, areas=ONE_AREA):
    annuli = equal_area_annuli(RADIUS, areas >= 0, 6, MINIMUM)
    cells = cells_of_areas(lattice, areas)
    grid = radial_grid(RADIUS, float(annuli.edges[0]), float(annuli.edges[-1]))
    return Partition(annuli, cells, RADIUS, MINIMUM), cell_nodes(grid, cells), cells


def record(mean, sigma=5.0, seed=11):
    generator = np.random.default_rng(seed)
    return np.rint(mean + generator.normal(0, sigma, SHAPE)).astype(np.int32)


def fit(image, regions):
    histograms = ring_histograms(image, regions.labels, regions.n_regions, 512)
    return fit_histograms(histograms, "emg")


def corrected(true, lattice, areas=ONE_AREA):
    partition, nodes, _ = divided(lattice, areas)
    regions, image = partition.regions, np.maximum(true, 0)
    tables, mixture = law_of_zeros(image, regions, RADIUS, nodes, fit(image, regions))
    return draw_zeros(
        image, regions.labels, nodes.node, tables, mixture, seed=1, image_number=1
    )


def test_annuli_are_tabulated_as_ever():
    annuli = equal_area_annuli(RADIUS, np.ones(SHAPE, bool), 6, MINIMUM)
    regions = annular_regions(annuli)
    image = np.maximum(record(MEAN), 0)
    fits = fit(image, regions)
    grid = radial_grid(RADIUS, float(annuli.edges[0]), float(annuli.edges[-1]))
    tables, mixture = law_of_zeros(image, regions, RADIUS, radial_nodes(grid), fits)
    centroid, deviation = radial_moments(image, regions, RADIUS)
    expected = mean_preserving_knots(conditional_tables(fits, centroid), deviation)
    np.testing.assert_array_equal(tables.coarse, expected.coarse)
    np.testing.assert_array_equal(tables.tail, expected.tail)
    straight = linear_mixture(expected.radius, grid.radius)
    np.testing.assert_array_equal(mixture.rows, straight.rows)
    np.testing.assert_array_equal(mixture.weights, straight.weights)


@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(sorted(LATTICES)))
@settings(max_examples=25)
def test_weights_add_up_wherever_a_region_has_a_law(seed, name):
    rng = np.random.default_rng(seed)
    areas = np.kron(rng.integers(-1, 3, (3, 3)), np.ones((128, 128), int))
    areas[0, 0] = 0
    partition, nodes, cells = divided(LATTICES[name], areas.astype(np.int16))
    table = partition.regions.table
    fitted = rng.random(table.n_regions) < 0.7
    mixture = blended_mixture(table, fitted, table.radius.astype(float), nodes)
    total = mixture.weights.sum(axis=1)
    assert np.logical_or(np.abs(total - 1) < 1e-9, total == 0).all()
    if fitted.any():
        assert (mixture.rows >= 0).all() and (mixture.rows < fitted.sum()).all()
    # wherever the own cell has a law, so have its pixels
    has_law = np.zeros(table.n_cells, bool)
    has_law[table.cell[fitted]] = True
    inside = areas >= 0
    spoken_for = has_law[table.host[cells.cell[inside]]]
    np.testing.assert_allclose(total[nodes.node[inside]][spoken_for], 1.0)


def test_the_law_does_not_cross_the_border_of_an_area():
    areas = (FAST > 190).astype(np.int16)
    for lattice in LATTICES.values():
        partition, nodes, cells = divided(lattice, areas)
        table = partition.regions.table
        everything = np.ones(table.n_regions, bool)
        mixture = blended_mixture(table, everything, table.radius.astype(float), nodes)
        area = cells.area[table.cell]
        of_node = np.zeros(len(nodes.radius), int)
        of_node[nodes.node] = areas
        speaking = mixture.weights != 0
        wrong = area[mixture.rows] != of_node[:, None]
        assert not (speaking & wrong).any()


@pytest.mark.parametrize(
    "name, smooth",
    [
        ("sectors", 10 - RADIUS / 40 + 2 * np.cos(AZIMUTH)),
        ("tiles", 10 - RADIUS / 40 + FAST / 80),
    ],
)
def test_cells_leave_no_edges(name, smooth):
    """Neighbouring pixels have nearly the same law: steps of a few hundredths."""
    partition, nodes, _ = divided(LATTICES[name])
    table = partition.regions.table
    everything = np.ones(table.n_regions, bool)
    mixture = blended_mixture(table, everything, table.radius.astype(float), nodes)
    labels = partition.regions.labels
    value = np.array([smooth[labels == k].mean() for k in range(table.n_regions)])
    of_pixel = (value[mixture.rows] * mixture.weights).sum(axis=1)[nodes.node]
    away = RADIUS > 40
    between_regions = np.abs(np.diff(value[labels], axis=1))[away[:, 1:]].max()
    steps = np.abs(np.diff(of_pixel, axis=1))[away[:, 1:]]
    assert steps.max() < 0.25 * between_regions
    assert np.sqrt(np.mean((of_pixel - smooth)[away] ** 2)) < 0.3


@pytest.mark.parametrize("name", ["sectors", "tiles"])
def test_the_average_over_a_region_is_the_region_s_own(name):
    true = record(MEAN * (1 + 0.3 * np.cos(AZIMUTH)))
    partition, _, _ = divided(LATTICES[name])
    labels = partition.regions.labels
    image = np.maximum(true, 0)
    fits = fit(image, partition.regions)
    drawn = corrected(true, LATTICES[name])
    for number in range(partition.regions.n_regions):
        zeros = drawn[(labels == number) & (image == 0)]
        error = 5 * zeros.std() / np.sqrt(len(zeros)) + 0.05
        assert zeros.mean() == pytest.approx(fits.mean_nonpositive[number], abs=error)


def boxes_error(drawn, true):
    away = (drawn - true).reshape(6, 64, 6, 64).mean(axis=(1, 3))
    return np.sqrt(np.mean(away**2))


def test_sectors_and_tiles_follow_what_annuli_cannot():
    """Noise of 3.5 to 6.5 ADU around the beam: three times the error without cells."""
    sigma = 5.0 + 1.5 * np.cos(AZIMUTH)
    error = {
        name: np.mean(
            [
                boxes_error(corrected(record(MEAN, sigma, seed), lattice), true)
                for seed in range(3)
                for true in [record(MEAN, sigma, seed)]
            ]
        )
        for name, lattice in LATTICES.items()
    }
    assert error["whole"] > 0.25
    assert error["sectors"] < error["whole"] / 3
    assert error["tiles"] < error["whole"] / 2.5


def test_labels_keep_sharp_borders():
    areas = (FAST > 190).astype(np.int16)
    sigma = np.where(areas == 1, 7.0, 4.0)
    true = record(MEAN, sigma)
    drawn = corrected(true, LATTICES["whole"], areas)
    for side in (slice(158, 190), slice(192, 224)):
        away = (drawn - true)[:, side].mean()
        assert abs(away) < 0.15
    assert abs((corrected(true, LATTICES["whole"]) - true)[:, 192:224].mean()) > 0.3


def test_zeros_without_any_law_stay():
    areas = (FAST > 190).astype(np.int16)
    true = record(MEAN)
    true[areas == 1] = 0
    drawn = corrected(true, LATTICES["whole"], areas)
    assert (drawn[areas == 1] == 0).all()
    assert drawn[areas == 0].min() < -8
