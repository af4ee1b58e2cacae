from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dials.array_family import flex
from dxtbx.model import ExperimentList

from dials_truncfix.compare.files import Integrated
from dials_truncfix.postrefine.input.gather import load_data_set
from dials_truncfix.postrefine.input.tables import InputOptions
from dials_truncfix.simulate.stills import simulate_stills
from dials_truncfix.simulate.stills_output import stills_experiments, stills_reflections
from simulated_lattices import ELECTRONS, LYSOZYME, sphere, stills_model


def integrated(seed=1, n=4, name="a", wavelength=1.3):
    model = stills_model(wavelength, n_lattices=n)
    stills = list(simulate_stills(sphere(), model, seed))
    experiments = stills_experiments(stills, model, LYSOZYME.space_group())
    table = stills_reflections(stills, experiments)
    return Integrated(Path(f"{name}.refl"), Path(f"{name}.expt"), table, experiments)


def test_observations_are_those_of_the_table():
    given = integrated()
    data = load_data_set([given], InputOptions())
    observations = data.observations
    assert len(observations) == len(given.table)
    rows = data.table_row.read(0, len(observations))
    value = given.table["intensity.sum.value"].as_numpy_array()
    np.testing.assert_array_equal(observations.intensity, value[rows])
    ids = given.table["id"].as_numpy_array()
    np.testing.assert_array_equal(observations.row, ids[rows])
    # equivalents of a lattice are side by side
    same = np.diff(observations.row) == 0
    assert np.all(np.diff(observations.group)[same] >= 0)
    hkl = np.array(list(given.table["miller_index"]))
    np.testing.assert_array_equal(observations.miller_index, hkl[rows])


def test_files_are_put_together_with_names_of_their_own():
    """Reflections without an experiment stay without one."""
    first, second = integrated(1), integrated(2, name="b")
    second.table["id"][0] = -1
    data = load_data_set([first, second], InputOptions())
    assert data.n_experiments == 8
    assert len(set(data.identifiers)) == 8
    assert data.left_out["without an experiment"] == 1
    assert len(data.observations) == len(first.table) + len(second.table) - 1
    settings = [
        np.reshape(e.crystal.get_A(), (3, 3))
        for given in (first, second)
        for e in given.experiments
    ]
    np.testing.assert_array_equal(data.observations.setting, settings)


def test_reflections_follow_the_names_of_their_experiments():
    """A table that names its experiments in another order is understood."""
    given = integrated()
    turned = ExperimentList([given.experiments[i] for i in (2, 0, 3, 1)])
    again = Integrated(given.path, given.experiments_path, given.table, turned)
    plain, data = (load_data_set([x], InputOptions()) for x in (given, again))
    for position, original in enumerate((2, 0, 3, 1)):
        mine = data.observations.row == position
        theirs = plain.observations.row == original
        np.testing.assert_array_equal(
            data.observations.intensity[mine], plain.observations.intensity[theirs]
        )


@pytest.mark.parametrize(
    ("wavelength", "options", "factor"),
    [
        (1.3, InputOptions(), 2 / 0.5),
        (1.3, InputOptions(efficiency=False), 2),
        (1.3, InputOptions(polarisation=False), 1 / 0.5),
        (ELECTRONS, InputOptions(), 1 / 0.5),
        (ELECTRONS, InputOptions(polarisation=True), 2 / 0.5),
    ],
)
def test_corrections_are_applied_where_they_belong(wavelength, options, factor):
    """Polarisation to X-rays, not to electrons, unless asked for."""
    given = integrated(wavelength=wavelength)
    plain = load_data_set([given], options).observations
    given.table["lp"] = flex.double(len(given.table), 2.0)
    given.table["qe"] = flex.double(len(given.table), 0.5)
    data = load_data_set([given], options).observations
    np.testing.assert_allclose(data.intensity, factor * plain.intensity)
    np.testing.assert_allclose(data.variance, factor**2 * plain.variance)


def test_lattices_of_another_cell_are_left_out():
    given = integrated(n=5)
    crystal = given.experiments[3].crystal
    b = np.reshape(crystal.get_B(), (3, 3)) * 1.2
    crystal.set_B(tuple(b.ravel()))
    data = load_data_set([given], InputOptions())
    assert data.deviant.tolist() == [False, False, False, True, False]
    assert data.left_out["of lattices with another cell"] > 50
    assert data.lattice_experiment.tolist() == [0, 1, 2, 4]
    for number in (1, 2, 4):
        crystal = given.experiments[number].crystal
        b = np.reshape(crystal.get_B(), (3, 3)) * (1 + 0.1 * number)
        crystal.set_B(tuple(b.ravel()))
    with pytest.raises(ValueError, match="one crystal form"):
        load_data_set([given], InputOptions())


def test_resolution_limits_hold():
    data = load_data_set([integrated()], InputOptions(d_min=4.0, d_max=10.0))
    d = data.observations.d[data.observations.group]
    assert d.min() >= 4 and d.max() <= 10
    assert data.left_out["outside the resolution limits"] > 0
