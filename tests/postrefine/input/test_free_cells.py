from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dials_truncfix.postrefine.input.free_cells import FreeCells
from dials_truncfix.postrefine.input.observations import Observations
from dials_truncfix.postrefine.lattice.cell import cell_freedom
from dials_truncfix.postrefine.lattice.lattices import Lattices, Wedges, join
from dials_truncfix.postrefine.lattice.options import (
    NO_PRIORS,
    Priors,
    RefinementOptions,
)
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.refine import refine_lattices
from dials_truncfix.postrefine.lattice.target import N_PARAMETERS, calculate
from dials_truncfix.simulate.stills import simulate_stills
from simulated_lattices import (
    ELECTRONS,
    LYSOZYME,
    XRAYS,
    sphere,
    stills_model,
    with_free_cells,
)

STRAINS = slice(N_PARAMETERS, None)


def strained_stills(wavelength=XRAYS, axis_error=1e-3, **changes):
    """Lattices whose cells are wrong, and their true parameters, strains included."""
    model = stills_model(wavelength, axis_error=axis_error, **changes)
    stills = list(simulate_stills(sphere(model.d_min, model.mean_intensity), model, 1))
    lattices = with_free_cells(stills, model)
    truth = np.array([still.parameters for still in stills])
    return lattices, np.concatenate([truth, lattices.strains.expected], axis=1)


def fixed(lattices: Lattices) -> Lattices:
    return replace(lattices, strains=None)


def angle_errors(fits, truth):
    """Degrees."""
    return np.degrees(np.linalg.norm((fits.parameters - truth)[:, 2:4], axis=1))


@pytest.mark.parametrize("model", [Model.GAUSSIAN, Model.LORENTZIAN])
def test_an_error_of_the_cell_does_not_limit_the_angles(model):
    """0.1 % of each axis: 0.0025° in median instead of more than 0.01°."""
    lattices, truth = strained_stills(model=model, error=0.1)
    fits = refine_lattices(lattices, model, RefinementOptions())
    assert fits.converged.all()
    assert np.median(angle_errors(fits, truth)) < 0.0025
    without = refine_lattices(fixed(lattices), model, RefinementOptions())
    assert np.median(angle_errors(without, truth[:, :N_PARAMETERS])) > 0.01
    # the spread of residuals tells, too
    assert np.median(fits.spread) == pytest.approx(1, abs=0.05)
    assert np.median(without.spread) > 1.2


def test_strains_are_as_accurate_as_their_uncertainties_say():
    """z-scores of strains and angles with a spread of 0.8 to 1.2."""
    lattices, truth = strained_stills(n_lattices=200, error=0.1)
    fits = refine_lattices(lattices, Model.GAUSSIAN, RefinementOptions())
    scores = (fits.parameters - truth) / fits.uncertainties()
    spread = np.nanstd(scores[:, [2, 3, *range(N_PARAMETERS, scores.shape[1])]], axis=0)
    assert np.all((spread > 0.8) & (spread < 1.2)), spread
    assert np.nanmedian(fits.uncertainties()[:, STRAINS]) < 2e-4


def test_electrons_do_not_tell_a_strain_from_a_rotation():
    """Strains are held at the median cell, and the angles are as good as without errors."""
    lattices, truth = strained_stills(ELECTRONS, error=0.1, rs=8e-4)
    fits = refine_lattices(lattices, Model.GAUSSIAN, RefinementOptions())
    assert fits.dropped[:, STRAINS].mean() > 0.9
    held = ~fits.free[:, STRAINS]
    np.testing.assert_array_equal(
        fits.parameters[:, STRAINS][held], lattices.strains.expected[held]
    )
    assert "cell" in fits[0].dropped
    assert np.median(angle_errors(fits, truth)) < 0.0025


def test_cells_that_are_right_stay_right():
    """Strains below 10⁻⁴ in median, angles within 0.0025°, G and rs as without."""
    lattices, truth = strained_stills(axis_error=0.0, error=0.1)
    fits = refine_lattices(lattices, Model.GAUSSIAN, RefinementOptions())
    assert np.median(np.abs(fits.parameters[:, STRAINS])) < 1e-4
    assert np.median(angle_errors(fits, truth)) < 0.0025
    without = refine_lattices(fixed(lattices), Model.GAUSSIAN, RefinementOptions())
    for column in (0, 4):
        errors = [
            np.median(np.abs(f.parameters[:, column] - truth[:, column]))
            for f in (fits, without)
        ]
        assert errors[0] < 1.3 * errors[1]


def test_the_restraint_leads_to_the_median_cell():
    """The tighter, the nearer; unless there is no prior, when the data alone speak."""
    lattices, _ = strained_stills(n_lattices=20)
    away = []
    for priors in (Priors(cell_sd=1e-7), Priors(), NO_PRIORS):
        options = RefinementOptions(priors=priors, least_cell_information=0.0)
        x = refine_lattices(lattices, Model.GAUSSIAN, options).parameters
        away.append(np.median(np.abs(x[:, STRAINS] - lattices.strains.expected)))
    assert away[0] < 1e-7 < away[1] <= away[2] * 1.001


@pytest.mark.parametrize("protocol", ["scale", "rs", "rs_hybrid", "all"])
def test_cells_are_refined_where_lattices_are_turned(protocol):
    lattices, _ = strained_stills(n_lattices=5)
    fits = refine_lattices(
        lattices, Model.GAUSSIAN, RefinementOptions(protocol=protocol)
    )
    wanted = fits.free[:, STRAINS] | fits.dropped[:, STRAINS]
    assert np.all(wanted == (protocol != "scale"))


def test_lattices_with_free_cells_refine_alike_in_any_company():
    lattices, _ = strained_stills(n_lattices=12)
    options = RefinementOptions()
    whole = refine_lattices(lattices, Model.GAUSSIAN, options)
    alone = refine_lattices(lattices.select([7]), Model.GAUSSIAN, options)
    np.testing.assert_array_equal(whole.parameters[7], alone.parameters[0])
    np.testing.assert_array_equal(whole.covariance[7], alone.covariance[0])
    parts = [lattices.select([0, 1]), lattices.select(np.arange(2, 12))]
    again = join(parts)
    np.testing.assert_array_equal(again.strains.slopes, lattices.strains.slopes)
    np.testing.assert_array_equal(again.strains.expected, lattices.strains.expected)


def test_too_few_observations_leave_the_cell_alone_first():
    lattices, _ = strained_stills(n_lattices=3)
    number = np.arange(len(lattices.row)) - lattices.offsets[lattices.row]
    few = replace(lattices, used=number < 3 * N_PARAMETERS)
    fits = refine_lattices(few, Model.GAUSSIAN, RefinementOptions())
    assert not fits.free[:, STRAINS].any()
    assert fits[0].dropped[-1] == "cell"


@pytest.mark.parametrize("direction", [(0, 0, -1), (0.05, -0.06, -1), (1, 0.2, 0)])
def test_refined_settings_have_the_refined_cells(direction):
    """Wherever the beam comes from, r_h of the refined A is that of the fit."""
    model = stills_model(n_lattices=4, axis_error=1e-3, direction=direction)
    stills = list(simulate_stills(sphere(), model, 1))
    observations = Observations(
        miller_index=np.concatenate([still.miller_index for still in stills]),
        group=np.zeros(sum(len(still.intensity) for still in stills), dtype=int),
        intensity=np.concatenate([still.intensity for still in stills]),
        variance=np.concatenate([still.variance for still in stills]),
        offsets=np.cumsum([0, *(len(still.intensity) for still in stills)]),
        setting=np.array([still.setting for still in stills]),
        s0=np.tile(model.s0, (4, 1)),
        sweep=np.zeros((4, 4)),
        unique=np.zeros((1, 3), dtype=int),
        d=np.ones(1),
    )
    free = FreeCells(observations, cell_freedom(LYSOZYME))
    block = free.block(slice(0, 4))
    full = np.concatenate([still.full for still in stills])
    lattices = block.lattices(full, 0 * full, full >= 0)
    fits = refine_lattices(lattices, Model.GAUSSIAN, RefinementOptions())
    r_h = calculate(lattices, fits.parameters, Model.GAUSSIAN).r_h
    settings = block.refined_settings(fits.parameters)
    q = np.einsum("nij,nj->ni", settings[block.row], block.miller_index)
    expected = np.linalg.norm(q + block.s0[block.row], axis=1) - 1 / XRAYS
    np.testing.assert_allclose(r_h, expected, atol=1e-12)
    cells, sd = block.refined_cells(fits)
    direct = np.linalg.inv(settings)
    np.testing.assert_allclose(cells[:, :3], np.linalg.norm(direct, axis=2), rtol=1e-9)
    assert np.all(np.abs(cells[:, 0] / 79.1 - 1) < 6 * sd[:, 0] / 79.1)
    np.testing.assert_array_equal(free.refined_cells(fits)[0], cells)


@pytest.mark.parametrize("model", Model)
def test_strains_of_rotations_have_derivatives_too(model):
    """To 10⁻⁶ of the largest, against central differences."""
    lattices, truth = strained_stills(n_lattices=3)
    ends = np.zeros((2, 3, 3))
    ends[:, :, 2] = -1 / XRAYS
    ends[:, :, 1] = np.array([-2e-3, 2e-3])[:, None] / XRAYS
    wedges = Wedges(ends, np.full(3, 1e-3))
    turning = replace(lattices, wedges=wedges)
    x = truth.copy()
    x[:, 4] = np.log(8e-3)
    jacobian = calculate(turning, x, model).jacobian
    for parameter in range(N_PARAMETERS, x.shape[1]):
        step = 1e-6 * np.eye(x.shape[1])[parameter]
        high, low = (
            calculate(turning, x + sign * step, model).intensity for sign in (1, -1)
        )
        numeric = (high - low) / 2e-6
        largest = np.abs(numeric).max()
        np.testing.assert_allclose(jacobian[parameter], numeric, atol=1e-6 * largest)
