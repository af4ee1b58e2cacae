from __future__ import annotations

import math

import numpy as np
import pytest

from cctbx import crystal

from dials_truncfix.postrefine.lattice.lattices import join
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.target import LOG_G, LOG_RS, B, calculate
from dials_truncfix.simulate.sphere import all_reflections
from dials_truncfix.simulate.stills import simulate_stills
from dials_truncfix.simulate.structure_factors import wilson_intensities
from simulated_lattices import (
    ELECTRONS,
    LYSOZYME,
    XRAYS,
    simulated,
    stills_model,
    with_free_cells,
)


@pytest.mark.parametrize("wavelength", [XRAYS, ELECTRONS])
@pytest.mark.parametrize("model", Model)
def test_jacobian_equals_central_differences(model, wavelength):
    """Every parameter of every model, to 10⁻⁶ of its largest derivative."""
    lattices, x = simulated(stills_model(wavelength, n_lattices=3, b_spread=5.0))
    # with the whole lattice inside the sphere, whose edge has no derivative
    x[:, LOG_RS] = math.log(5e-3)
    jacobian = calculate(lattices, x, model).jacobian
    steps = [1e-5, 1e-4, 1e-6, 1e-6, 1e-5]
    for parameter, step in enumerate(steps):
        plus, minus = x.copy(), x.copy()
        plus[:, parameter] += step
        minus[:, parameter] -= step
        numeric = (
            calculate(lattices, plus, model).intensity
            - calculate(lattices, minus, model).intensity
        ) / (2 * step)
        largest = np.abs(numeric).max()
        assert largest > 0
        np.testing.assert_allclose(jacobian[parameter], numeric, atol=1e-6 * largest)


@pytest.mark.parametrize("wavelength", [XRAYS, ELECTRONS])
@pytest.mark.parametrize("model", Model)
@pytest.mark.parametrize(
    "form",
    [
        LYSOZYME,
        crystal.symmetry((50, 60, 70, 80, 95, 100), "P1"),
        crystal.symmetry((70, 50, 60, 90, 105, 90), "C2"),
    ],
)
def test_derivatives_by_strains_equal_central_differences(model, wavelength, form):
    """Every parameter of strained lattices, to 10⁻⁶ of its largest derivative."""
    stills_of = stills_model(wavelength, n_lattices=3, b_spread=5.0)
    sphere = all_reflections(wilson_intensities(form, 3.0, 15.0, 1), 3.0, 1000.0)
    stills = list(simulate_stills(sphere, stills_of, 1))
    lattices = with_free_cells(stills, stills_of, form)
    rng = np.random.default_rng(0)
    strains = rng.normal(0, 1e-3, (3, lattices.n_strains))
    x = np.concatenate([[still.parameters for still in stills], strains], axis=1)
    x[:, LOG_RS] = math.log(8e-3)
    jacobian = calculate(lattices, x, model).jacobian
    assert len(jacobian) == 5 + lattices.n_strains
    steps = [1e-5, 1e-4, 1e-6, 1e-6, 1e-5] + lattices.n_strains * [1e-6]
    for parameter, step in enumerate(steps):
        plus, minus = x.copy(), x.copy()
        plus[:, parameter] += step
        minus[:, parameter] -= step
        numeric = (
            calculate(lattices, plus, model).intensity
            - calculate(lattices, minus, model).intensity
        ) / (2 * step)
        largest = np.abs(numeric).max()
        assert largest > 0
        np.testing.assert_allclose(jacobian[parameter], numeric, atol=1e-6 * largest)


def test_intensity_follows_from_the_parameters():
    lattices, x = simulated(stills_model(n_lattices=2))
    x[:, LOG_G], x[:, B] = math.log(2.0), 20.0
    calculated = calculate(lattices, x, Model.GAUSSIAN)
    # the conventional Wilson factor of intensities, exp(-2B sin²θ/λ²) with 1/d = 2 sin θ/λ
    d = 1 / np.sqrt(lattices.q_squared)
    expected = 2 * np.exp(-20 / (2 * d * d)) * calculated.partiality
    np.testing.assert_allclose(calculated.scale, expected, rtol=1e-12)
    np.testing.assert_allclose(
        calculated.intensity, expected * lattices.reference, rtol=1e-12
    )


def test_a_lattice_is_calculated_alike_alone_and_among_others():
    lattices, x = simulated(stills_model(n_lattices=5))
    whole = calculate(lattices, x, Model.LORENTZIAN)
    alone = calculate(lattices.select([3]), x[3:4], Model.LORENTZIAN)
    mine = lattices.row == 3
    np.testing.assert_array_equal(whole.jacobian[:, mine], alone.jacobian)
    np.testing.assert_array_equal(
        lattices.sums(whole.jacobian)[:, 3],
        lattices.select([3]).sums(alone.jacobian)[:, 0],
    )


def test_blocks_put_together_are_the_whole():
    lattices, _ = simulated(stills_model(n_lattices=7))
    parts = list(lattices.blocks(250))
    assert len(parts) > 1
    assert [i for part, _ in parts for i in range(part.start, part.stop)] == list(
        range(7)
    )
    again = join([part for _, part in parts])
    np.testing.assert_array_equal(again.q, lattices.q)
    np.testing.assert_array_equal(again.offsets, lattices.offsets)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("intensity", np.nan, "intensity nan"),
        ("variance", 0.0, "variance 0"),
        ("reference", np.inf, "reference inf"),
    ],
)
def test_impossible_observations_are_refused(name, value, message):
    lattices, _ = simulated(stills_model(n_lattices=2))
    values = getattr(lattices, name).copy()
    values[5] = value
    fields = {
        field: getattr(lattices, field) for field in lattices.__dataclass_fields__
    }
    with pytest.raises(ValueError, match=message):
        type(lattices)(**{**fields, name: values})
    with pytest.raises(ValueError, match="no observation"):
        type(lattices)(
            **{
                **fields,
                "offsets": np.array([0, 0, lattices.offsets[-1]]),
            }
        )
