from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial import transform

from cctbx import crystal, uctbx

from dials_truncfix.postrefine.lattice.cell import cell_freedom, cells, strained

FORMS = [
    ("P1", (30, 40, 50, 85, 95, 110), 6),
    ("P21", (40, 50, 60, 90, 105, 90), 4),
    ("C2", (80, 50, 60, 90, 105, 90), 4),
    ("P212121", (30, 40, 50, 90, 90, 90), 3),
    ("P43212", (79.1, 79.1, 38.1, 90, 90, 90), 2),
    ("P6122", (60, 60, 90, 90, 90, 120), 2),
    ("R3:R", (60, 60, 60, 75, 75, 75), 2),
    ("R3:H", (70, 70, 90, 90, 90, 120), 2),
    ("P213", (97, 97, 97, 90, 90, 90), 1),
]


def symmetry(group, cell):
    return crystal.symmetry(unit_cell=cell, space_group_symbol=group)


def settings(cell, n=3):
    """Crystals in random orientations."""
    b = np.reshape(uctbx.unit_cell(cell).fractionalization_matrix(), (3, 3)).T
    return transform.Rotation.random(n, random_state=2).as_matrix() @ b


def cell_of(setting):
    a = np.linalg.inv(setting)
    metric = a @ a.T
    elements = metric[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    return uctbx.unit_cell(metrical_matrix=tuple(elements))


@pytest.mark.parametrize(("group", "cell", "n_free"), FORMS)
def test_strained_cells_keep_the_symmetry(group, cell, n_free):
    """Also by 3 %, and without turning the crystal."""
    form = symmetry(group, cell)
    freedom = cell_freedom(form)
    assert freedom.n_strains == n_free
    setting = settings(cell)
    amounts = np.random.default_rng(0).normal(0, 0.03, (3, n_free))
    tensors = freedom.strains(setting)
    np.testing.assert_allclose(tensors, tensors.transpose(0, 1, 3, 2), atol=1e-14)
    for a in strained(setting, tensors, amounts):
        given = cell_of(a)
        assert not given.is_similar_to(form.unit_cell(), 0.002, 0.1)
        assert form.space_group().is_compatible_unit_cell(given, 1e-9, 1e-7)
        average = form.space_group().average_unit_cell(given)
        np.testing.assert_allclose(given.parameters(), average.parameters(), rtol=1e-9)


@pytest.mark.parametrize(("group", "cell", "n_free"), FORMS)
def test_strains_to_the_median_cell_give_it(group, cell, n_free):
    form = symmetry(group, cell)
    freedom = cell_freedom(form)
    setting = settings(cell)
    amounts = np.random.default_rng(1).normal(0, 0.01, (3, n_free))
    away = strained(setting, freedom.strains(setting), amounts)
    back = strained(away, freedom.strains(away), freedom.median(away))
    for a in back:
        np.testing.assert_allclose(
            cell_of(a).parameters(), form.unit_cell().parameters(), rtol=1e-9
        )


def test_a_strain_changes_lengths_by_itself():
    """Largest relative change of a length by 1 per unit, in every crystal system."""
    for group, cell, _ in FORMS:
        setting = settings(cell)
        tensors = cell_freedom(symmetry(group, cell)).strains(setting)
        largest = np.linalg.eigvalsh(tensors)[:, :, -1]
        np.testing.assert_allclose(largest, 1.0, rtol=1e-9)


def test_cells_without_the_symmetry_are_made_to_conform():
    form = symmetry("P43212", (79.1, 79.1, 38.1, 90, 90, 90))
    freedom = cell_freedom(form)
    skew = settings((79.2, 78.9, 38.1, 90.1, 89.8, 90.2))
    for before, after in zip(skew, freedom.conforming(skew)):
        average = form.space_group().average_unit_cell(cell_of(before))
        # cctbx averages the direct metric, and this the reciprocal one
        np.testing.assert_allclose(
            cell_of(after).parameters(), average.parameters(), rtol=1e-4
        )
        assert form.space_group().is_compatible_unit_cell(cell_of(after), 1e-9, 1e-7)
    straight = settings((79.1, 79.1, 38.1, 90, 90, 90))
    np.testing.assert_allclose(freedom.conforming(straight), straight, rtol=1e-9)


@pytest.mark.parametrize(("group", "cell", "n_free"), FORMS)
def test_uncertainties_of_cells_follow_from_those_of_strains(group, cell, n_free):
    """Against differences of cctbx's cells; what the symmetry fixes has none."""
    freedom = cell_freedom(symmetry(group, cell))
    setting = settings(cell, 1)
    amounts = np.random.default_rng(3).normal(0, 0.002, (1, n_free))
    root = np.random.default_rng(4).normal(0, 0.001, (n_free, n_free))
    values, sd = cells(freedom, setting, amounts, (root @ root.T)[None])

    def parameters(moved):
        a = strained(setting, freedom.strains(setting), moved)[0]
        return np.array(cell_of(a).parameters())

    np.testing.assert_allclose(values[0], parameters(amounts), rtol=1e-9)
    step = 1e-6
    slopes = np.array(
        [
            (parameters(amounts + step * unit) - parameters(amounts - step * unit))
            / (2 * step)
            for unit in np.eye(n_free)
        ]
    )
    expected = np.sqrt(np.sum((root.T @ slopes) ** 2, axis=0))
    np.testing.assert_allclose(sd[0], expected, rtol=1e-5, atol=1e-8)
    fixed = [angle for angle in range(3, 6) if cell[angle] in (90, 120) and n_free < 4]
    assert math.isclose(np.sum(sd[0][fixed]), 0.0)
