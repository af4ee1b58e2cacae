"""Narrow rotations: partialities, refinement, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from dials.array_family import flex
from dxtbx.model import ExperimentList
from iotbx.reflection_file_reader import any_reflection_file

from dials_truncfix import compat
from dials_truncfix.command_line.truncfix_postrefine import run
from dials_truncfix.compare.files import Integrated
from dials_truncfix.postrefine.input.gather import load_data_set
from dials_truncfix.postrefine.input.rotations import middle_rotation, middle_setting
from dials_truncfix.postrefine.input.tables import InputOptions
from dials_truncfix.postrefine.lattice.assemble import refined_settings
from dials_truncfix.postrefine.lattice.options import RefinementOptions
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.lattice.refine import refine_lattices
from dials_truncfix.postrefine.lattice.target import LOG_RS, calculate
from simulated_lattices import ELECTRONS, LYSOZYME, XRAYS, sphere, stills_model
from simulated_wedges import wedge_files, wedges

AXIS = (0.6, 0.8, 0.0)


def integrated(made, model, width):
    experiments, table = wedge_files(made, model, width, AXIS)
    return Integrated(Path("a.refl"), Path("a.expt"), table, experiments)


def loaded(model, width, n, seed=1):
    """Lattices with their true reference, true parameters and true partialities."""
    made = wedges(model, width, n, AXIS, seed)
    data = load_data_set([integrated(made, model, width)], InputOptions())
    observations = data.observations
    rows = data.table_row.read(0, len(observations))

    def joined(name):
        return np.concatenate([getattr(wedge, name) for wedge in made])[rows]

    full = joined("full")
    nothing = np.zeros(len(full))
    lattices = observations.lattices(full, nothing, nothing == 0)
    return lattices, np.array([w.parameters for w in made]), joined("partiality")


@pytest.mark.parametrize(
    ("wavelength", "model", "width", "tolerance"),
    [
        (ELECTRONS, Model.GAUSSIAN, 0.5, 2e-4),
        (ELECTRONS, Model.SPHERE, 0.2, 1e-3),
        (ELECTRONS, Model.LORENTZIAN, 1.0, 5e-3),
        # points of X-rays move through the sphere on curves
        (XRAYS, Model.GAUSSIAN, 0.5, 5e-3),
    ],
)
def test_partialities_are_those_of_many_small_steps(
    wavelength, model, width, tolerance
):
    lattices, x, true = loaded(stills_model(wavelength, 0.1, model=model), width, 5)
    p = calculate(lattices, x, model).partiality
    assert np.ptp(true) > 0.5
    np.testing.assert_allclose(p, true, atol=tolerance)
    assert np.sqrt(np.mean((p - true) ** 2)) < tolerance / 5


@pytest.mark.parametrize("model", Model)
def test_jacobian_equals_central_differences(model):
    """Every parameter of every model, to 10⁻⁶ of its largest derivative."""
    lattices, x, _ = loaded(stills_model(ELECTRONS, b_spread=5.0), 0.2, 3)
    # with the whole rotation inside the sphere, whose edge has no derivative
    x[:, LOG_RS] = math.log(5e-3)
    jacobian = calculate(lattices, x, model).jacobian
    for parameter, step in enumerate([1e-5, 1e-4, 1e-6, 1e-6, 1e-5]):
        plus, minus = x.copy(), x.copy()
        plus[:, parameter] += step
        minus[:, parameter] -= step
        numeric = (
            calculate(lattices, plus, model).intensity
            - calculate(lattices, minus, model).intensity
        ) / (2 * step)
        largest = np.abs(numeric).max()
        np.testing.assert_allclose(jacobian[parameter], numeric, atol=1e-6 * largest)


@pytest.mark.parametrize(
    ("wavelength", "width", "median"), [(ELECTRONS, 0.5, 3e-4), (XRAYS, 0.3, 2e-3)]
)
def test_the_truth_is_recovered(wavelength, width, median):
    """Errors of 0.1° become less than `median`, and uncertainties say as much."""
    lattices, x, _ = loaded(stills_model(wavelength, 0.1), width, 40)
    fits = refine_lattices(lattices, Model.GAUSSIAN, RefinementOptions())
    assert fits.converged.all() and fits.free.all()
    assert np.median(np.abs(np.degrees(fits.parameters - x)[:, 2:4])) < median
    z = (fits.parameters - x) / fits.uncertainties()
    assert np.all((z.std(axis=0) > 0.7) & (z.std(axis=0) < 1.3)), z.std(axis=0)


def test_a_lattice_is_calculated_alike_alone_and_among_others():
    lattices, x, _ = loaded(stills_model(ELECTRONS), 0.5, 4)
    whole = calculate(lattices, x, Model.GAUSSIAN)
    alone = calculate(lattices.select([2]), x[2:3], Model.GAUSSIAN)
    np.testing.assert_array_equal(whole.jacobian[:, lattices.row == 2], alone.jacobian)


@pytest.fixture(scope="module")
def made():
    model = stills_model(ELECTRONS, 0.1, d_min=4.0)
    return model, wedges(model, 1.0, 60, AXIS)


def test_the_command_refines_rotations_on_themselves(made, tmp_path, monkeypatch):
    """60 rotations of 1°: angles to 0.003°, merged intensities to 3 %."""
    model, crystals = made
    monkeypatch.chdir(tmp_path)
    experiments, table = wedge_files(crystals, model, 1.0, AXIS)
    experiments.as_file("a.expt")
    table.as_file("a.refl")
    run(["a.expt", "a.refl", "model=gaussian", "nproc=1"])
    record = json.loads(Path("dials.truncfix_postrefine.json").read_text())
    truth = np.array([wedge.parameters for wedge in crystals])
    accepted = np.array([entry["accepted"] for entry in record["lattices"]])
    assert accepted.mean() > 0.95
    for name, column in (("theta_x", 2), ("theta_y", 3)):
        found = np.array([entry.get(name, np.nan) for entry in record["lattices"]])
        error = (found - np.degrees(truth[:, column]))[accepted]
        assert np.median(np.abs(error)) < 0.003
    # orientations written are the true ones, in the frame of the goniometer
    after = ExperimentList.from_file("postrefined.expt", check_format=False)
    s0 = np.array([model.s0])
    for old, new, x in zip(
        (e for e, kept in zip(experiments, accepted) if kept), after, truth[accepted]
    ):
        expected = refined_settings(middle_setting(old)[None], s0, x[None])[0]
        turned = middle_setting(new) @ np.linalg.inv(expected)
        assert np.abs(turned - np.eye(3)).max() < math.radians(0.03)
        np.testing.assert_array_equal(middle_rotation(new), middle_rotation(old))
    merged = any_reflection_file("merged.mtz").as_miller_arrays()[0]
    every = sphere(4.0)
    true = dict(zip(map(tuple, every.miller_index.tolist()), every.full))
    expected = np.array([true[h] for h in merged.indices()])
    ours = merged.data().as_numpy_array()
    expected *= np.sum(ours * expected) / np.sum(expected**2)
    assert np.abs(ours - expected).sum() / expected.sum() < 0.03


def test_crystals_that_vary_count_as_in_the_middle(made, tmp_path, monkeypatch):
    """Scan points are given up, and that in the middle is turned."""
    model, crystals = made
    monkeypatch.chdir(tmp_path)
    experiments, table = wedge_files(crystals[:30], model, 1.0, AXIS)
    for experiment in experiments:
        points = flex.mat3_double([experiment.crystal.get_A()] * 5)
        # a cell that is a little larger than in the middle
        experiment.crystal.set_A(tuple(x / 1.001 for x in experiment.crystal.get_A()))
        experiment.crystal.set_A_at_scan_points(points)
    given = Integrated(Path("a.refl"), Path("a.expt"), table, experiments)
    middle = np.reshape(experiments[7].crystal.get_A_at_scan_point(2), (3, 3))
    np.testing.assert_allclose(
        middle_setting(experiments[7]), middle_rotation(experiments[7]) @ middle
    )
    given.experiments.as_file("a.expt")
    given.table.as_file("a.refl")
    run(["a.expt", "a.refl", "model=gaussian", "nproc=1"])
    after = ExperimentList.from_file("postrefined.expt", check_format=False)
    assert len(after) > 20
    for experiment in after:
        crystal = experiment.crystal
        assert crystal.num_scan_points == 0
        assert crystal.get_unit_cell().parameters()[0] == pytest.approx(79.1, abs=1e-6)


def changed(made, change, width=1.0):
    model, crystals = made
    given = integrated(crystals[:4], model, width)
    change(given.experiments, given.table)
    return given


def one_still(experiments, table):
    experiments[2].scan = None


def wide(experiments, table):
    experiments[1].scan = compat.make_scan((1, 30), (0.0, 1.0), [1.0] * 30, [0.0] * 30)


def no_goniometer(experiments, table):
    experiments[0].goniometer = None


def no_profile(experiments, table):
    experiments[3].profile = None


def no_lorentz(experiments, table):
    del table["lp"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (one_still, r"stills \(as experiment 2\) beside rotations"),
        (wide, "experiment 1 is a rotation of 30°.*use dials.scale"),
        (no_goniometer, "experiment 0 is a rotation without a goniometer"),
        (no_profile, "experiment 3 is a rotation without a model of rocking curves"),
        (no_lorentz, "no column lp, the Lorentz factor"),
    ],
)
def test_what_cannot_be_refined_is_refused(made, change, words):
    with pytest.raises(ValueError, match=words):
        load_data_set([changed(made, change)], InputOptions())


def test_fitted_profiles_of_rotations_are_refused(made):
    def fitted(experiments, table):
        for name in ("value", "variance"):
            table[f"intensity.prf.{name}"] = table[f"intensity.sum.{name}"]

    with pytest.raises(ValueError, match="give intensity=sum"):
        load_data_set([changed(made, fitted)], InputOptions(intensity="profile"))


def test_slow_passages_are_left_out(made):
    """Rays in the plane of axis and beam move along the sphere."""

    def slow(experiments, table):
        s0 = np.array(experiments[0].beam.get_s0())
        along = s0 + 0.1 * np.array(AXIS)
        for row in range(5):
            table["s1"][row] = tuple(along)

    data = load_data_set([changed(made, slow)], InputOptions())
    assert data.left_out["that pass the sphere slowly, near the rotation axis"] == 5


def test_stills_and_rotations_in_two_files_are_refused(made):
    from dials_truncfix.simulate.stills import simulate_stills
    from dials_truncfix.simulate.stills_output import (
        stills_experiments,
        stills_reflections,
    )

    model, crystals = made
    stills = list(simulate_stills(sphere(4.0), model, 1))[:3]
    experiments = stills_experiments(stills, model, LYSOZYME.space_group())
    table: flex.reflection_table = stills_reflections(stills, experiments)
    other = Integrated(Path("b.refl"), Path("b.expt"), table, experiments)
    with pytest.raises(ValueError, match=r"b\.refl and a\.refl: stills beside"):
        load_data_set([integrated(crystals[:3], model, 1.0), other], InputOptions())
