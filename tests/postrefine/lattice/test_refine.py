from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import transform

from dials_truncfix.postrefine.lattice.assemble import (
    reciprocal_points,
    refined_settings,
)
from dials_truncfix.postrefine.lattice.lattices import Lattices
from dials_truncfix.postrefine.lattice.options import (
    NO_PRIORS,
    PROTOCOLS,
    RefinementOptions,
)
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.refine import refine_lattices
from dials_truncfix.postrefine.lattice.target import (
    LOG_G,
    LOG_RS,
    THETA_X,
    B,
    calculate,
)
from simulated_lattices import ELECTRONS, XRAYS, simulated, stills_model

ANGLES = slice(2, 4)


def angle_errors(fits, truth):
    """Degrees."""
    return np.degrees(np.linalg.norm((fits.parameters - truth)[:, ANGLES], axis=1))


@pytest.mark.parametrize("protocol", ["rs_hybrid", "all"])
@pytest.mark.parametrize(
    ("wavelength", "model", "error", "rs", "median", "p90"),
    [
        (XRAYS, Model.LORENTZIAN, 0.05, 1e-3, 0.0025, 0.006),
        (XRAYS, Model.GAUSSIAN, 0.20, 1e-3, 0.0025, 0.006),
        (XRAYS, Model.SPHERE, 0.10, 1e-3, 0.0025, 0.006),
        (ELECTRONS, Model.GAUSSIAN, 0.10, 8e-4, 0.0025, 0.006),
        (ELECTRONS, Model.GAUSSIAN, 0.20, 3e-3, 0.0045, 0.011),
    ],
)
def test_known_parameters_are_recovered(
    wavelength, model, error, rs, median, p90, protocol
):
    """All lattices converge; angles as accurate as stated, G and rs to 1 %."""
    lattices, truth = simulated(stills_model(wavelength, error, model=model, rs=rs))
    fits = refine_lattices(lattices, model, RefinementOptions(protocol=protocol))
    assert fits.converged.all()
    assert not fits.dropped.any()
    errors = angle_errors(fits, truth)
    assert np.median(errors) < median
    assert np.percentile(errors, 90) < p90
    difference = np.abs(fits.parameters - truth)
    assert np.median(difference[:, LOG_G]) < 0.01
    assert np.median(difference[:, LOG_RS]) < 0.01
    assert np.all(fits.cc_after > fits.cc_before)


def test_uncertainties_are_those_of_the_errors():
    """Errors over their standard uncertainties have a spread of 0.8 to 1.2."""
    lattices, truth = simulated(stills_model(n_lattices=250, error=0.1))
    for huber in (math.inf, 2.0):
        fits = refine_lattices(
            lattices, Model.GAUSSIAN, RefinementOptions(protocol="all", huber=huber)
        )
        scores = (fits.parameters - truth) / fits.uncertainties()
        spread = scores.std(axis=0)
        assert np.all((spread > 0.8) & (spread < 1.2)), spread
        assert np.median(fits.spread) == pytest.approx(1, abs=0.05)


def test_correlations_describe_the_errors():
    """G and rs go together: the same from the normal matrix and from 250 lattices."""
    lattices, truth = simulated(stills_model(n_lattices=250, error=0.1))
    fits = refine_lattices(lattices, Model.GAUSSIAN, RefinementOptions(protocol="all"))
    scores = (fits.parameters - truth) / fits.uncertainties()
    found = np.corrcoef(scores[:, LOG_G], scores[:, B])[0, 1]
    stated = np.mean([fits[i].correlations[LOG_G, B] for i in range(len(fits))])
    assert stated > 0.5
    assert found == pytest.approx(stated, abs=0.15)


def test_only_the_parameters_of_the_protocol_move():
    lattices, _ = simulated(stills_model(n_lattices=4))
    for protocol, n_free in zip(PROTOCOLS, (2, 4, 5, 5)):
        fits = refine_lattices(
            lattices, Model.GAUSSIAN, RefinementOptions(protocol=protocol)
        )
        assert np.all(fits.free.sum(axis=1) == n_free)
        held = ~fits.free[0]
        assert np.all(np.isnan(fits.uncertainties()[:, held]))
        if protocol == "scale":
            assert np.all(fits.parameters[:, ANGLES] == 0)


def test_protocols_rs_and_rs_hybrid_are_those_of_the_note():
    """rs holds rs at the rms of r_h; rs_hybrid ends where all ends."""
    lattices, _ = simulated(stills_model(n_lattices=20, error=0.05))
    fits = {
        protocol: refine_lattices(
            lattices,
            Model.LORENTZIAN,
            RefinementOptions(protocol, huber=math.inf, priors=NO_PRIORS),
        )
        for protocol in ("rs", "rs_hybrid", "all")
    }
    s0 = np.array([0, 0, -1 / XRAYS])
    r_h = np.linalg.norm(lattices.q.T + s0, axis=1) - 1 / XRAYS
    rms = np.sqrt(lattices.sums(r_h**2) / np.diff(lattices.offsets))
    np.testing.assert_allclose(np.exp(fits["rs"].parameters[:, LOG_RS]), rms, rtol=1e-9)
    difference = fits["rs_hybrid"].parameters - fits["all"].parameters
    assert np.abs(difference / fits["all"].uncertainties()).max() < 1e-3


def test_unit_weights_minimise_the_plain_sum_of_squares():
    """Its gradient, equation 13, vanishes: to 10⁻⁴ of the sizes of its terms."""
    lattices, _ = simulated(stills_model(n_lattices=10))
    options = RefinementOptions("all", "unit", huber=math.inf, priors=NO_PRIORS)
    fits = refine_lattices(lattices, Model.GAUSSIAN, options)
    assert fits.converged.all()
    calculated = calculate(lattices, fits.parameters, Model.GAUSSIAN)
    terms = calculated.jacobian * (calculated.intensity - lattices.intensity)
    gradient, size = lattices.sums(terms), lattices.sums(np.abs(terms))
    assert np.abs(gradient / size).max() < 1e-4


@pytest.mark.parametrize(
    "options", [RefinementOptions(), RefinementOptions("all", "unit")]
)
@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_units_of_the_reference_only_change_g(options, factor):
    """θ, B and rs change by less than 10⁻⁶ of themselves."""
    lattices, _ = simulated(stills_model(n_lattices=10))
    fits = refine_lattices(lattices, Model.GAUSSIAN, options)
    scaled = replace(lattices, reference=factor * lattices.reference)
    again = refine_lattices(scaled, Model.GAUSSIAN, options)
    np.testing.assert_allclose(
        again.parameters[:, B:LOG_RS], fits.parameters[:, B:LOG_RS], rtol=1e-6
    )
    rs = np.exp(fits.parameters[:, LOG_RS])
    np.testing.assert_allclose(np.exp(again.parameters[:, LOG_RS]), rs, rtol=1e-6)
    np.testing.assert_allclose(
        again.parameters[:, LOG_G] + math.log(factor),
        fits.parameters[:, LOG_G],
        atol=1e-6,
    )


def test_a_tilted_beam_changes_nothing():
    """Beam and crystals tilted by 5°: the reflections seen from the beam are the same."""
    tilt = transform.Rotation.from_rotvec(np.radians([4, -3, 0]))
    setting = transform.Rotation.random(3, random_state=1).as_matrix() / 50
    hkl = np.random.default_rng(0).integers(-9, 10, (60, 3))
    offsets, s0 = np.array([0, 20, 40, 60]), np.tile([0, 0, -1 / XRAYS], (3, 1))
    straight = reciprocal_points(hkl, offsets, setting, s0)
    tilted = reciprocal_points(hkl, offsets, tilt.as_matrix() @ setting, tilt.apply(s0))
    np.testing.assert_allclose(tilted, straight, atol=1e-15)
    refined, beam_refined = (
        refined_settings(a, s, np.tile([0, 0, 0.01, 0.02, 0], (3, 1)))
        for a, s in ((setting, s0), (tilt.as_matrix() @ setting, tilt.apply(s0)))
    )
    np.testing.assert_allclose(beam_refined, tilt.as_matrix() @ refined, atol=1e-15)


@pytest.mark.parametrize("direction", [(0.05, -0.06, -1), (0, 0, 1), (1, 0.2, 0)])
def test_lattices_are_refined_wherever_the_beam_comes_from(direction):
    lattices, truth = simulated(stills_model(n_lattices=20, direction=direction))
    fits = refine_lattices(lattices, Model.GAUSSIAN, RefinementOptions())
    assert np.median(angle_errors(fits, truth)) < 0.0025


def test_lattices_refine_alike_in_any_company():
    """To the last digit: blocks and processes cannot matter."""
    lattices, _ = simulated(stills_model(n_lattices=12))
    options = RefinementOptions()
    whole = refine_lattices(lattices, Model.GAUSSIAN, options)
    alone = refine_lattices(lattices.select([7]), Model.GAUSSIAN, options)
    np.testing.assert_array_equal(whole.parameters[7], alone.parameters[0])
    np.testing.assert_array_equal(whole.covariance[7], alone.covariance[0])


def with_outliers(lattices: Lattices, part=0.03) -> Lattices:
    rng = np.random.default_rng(3)
    hit = rng.random(len(lattices.intensity)) < part
    return replace(
        lattices,
        intensity=lattices.intensity
        + 3000.0 * hit * rng.standard_exponential(len(hit)),
    )


def test_outliers_count_less():
    """With 3 % wild observations, angles are twice as good as by least squares."""
    lattices, truth = simulated(stills_model(error=0.1))
    lattices = with_outliers(lattices)
    robust = refine_lattices(lattices, Model.GAUSSIAN, RefinementOptions())
    plain = refine_lattices(lattices, Model.GAUSSIAN, RefinementOptions(huber=math.inf))
    assert np.median(angle_errors(robust, truth)) * 2 < np.median(
        angle_errors(plain, truth)
    )


def test_priors_vanish_for_good_data():
    """Angles move by less than a tenth of their uncertainty."""
    lattices, _ = simulated(stills_model(error=0.1))
    usual = refine_lattices(lattices, Model.GAUSSIAN, RefinementOptions())
    none = refine_lattices(
        lattices, Model.GAUSSIAN, RefinementOptions(priors=NO_PRIORS)
    )
    moved = np.abs(usual.parameters - none.parameters) / none.uncertainties()
    assert np.median(moved[:, ANGLES]) < 0.02
    assert moved[:, ANGLES].max() < 0.1


@pytest.mark.parametrize("priors", [RefinementOptions().priors, NO_PRIORS])
def test_parameters_that_the_data_cannot_carry_are_dropped_and_named(priors):
    """Five observations carry no five parameters, a plane of them no rotation in it."""
    lattices, _ = simulated(stills_model(n_lattices=6))
    few = replace(
        lattices,
        used=np.arange(len(lattices.row)) - lattices.offsets[lattices.row] < 5,
    )
    # all reflections turned about the beam into one plane: no rotation about x moves them
    q = lattices.q
    flat = replace(lattices, q=np.array([np.hypot(q[0], q[1]), 0 * q[0], q[2]]))
    options = RefinementOptions(protocol="all", priors=priors)
    fits = refine_lattices(few, Model.GAUSSIAN, options)
    assert fits.free.sum(axis=1).max() == 1
    assert fits[0].dropped == ("B", "theta_x", "theta_y", "rs")
    fits = refine_lattices(flat, Model.GAUSSIAN, options)
    assert fits.dropped[:, ANGLES].tolist() == 6 * [[True, False]]
    assert np.all(fits.parameters[:, THETA_X] == 0)


def test_held_out_observations_do_not_matter():
    lattices, _ = simulated(stills_model(n_lattices=3))
    used = np.arange(len(lattices.row)) % 10 > 0
    kept = replace(lattices, used=used)
    spoiled = replace(
        kept,
        intensity=np.where(used, kept.intensity, 1e9),
        variance=np.where(used, kept.variance, np.nan),
        reference=np.where(used, kept.reference, 1e-9),
    )
    a = refine_lattices(kept, Model.GAUSSIAN, RefinementOptions())
    b = refine_lattices(spoiled, Model.GAUSSIAN, RefinementOptions())
    np.testing.assert_array_equal(a.parameters, b.parameters)


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": "rs3"},
        {"weights": "extreme"},
        {"huber": 0.0},
        {"max_iterations": 0},
    ],
)
def test_impossible_options_are_refused(changes):
    with pytest.raises(ValueError):
        RefinementOptions(**changes)
