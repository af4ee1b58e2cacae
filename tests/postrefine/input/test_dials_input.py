"""What DIALS writes beside intensities: corrections, and models of reflections."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dials.algorithms.profile_model.gaussian_rs import Model as GaussianRS
from dials.array_family import flex
from dxtbx import flumpy
from dxtbx.model import ExperimentList, Panel

from dials_truncfix.command_line.truncfix_postrefine import run
from dials_truncfix.compare.files import Integrated, load_integrated
from dials_truncfix.postrefine.input.gather import load_data_set
from dials_truncfix.postrefine.input.streams import polarisation_factor
from dials_truncfix.postrefine.input.tables import InputOptions
from dials_truncfix.simulate.stills import simulate_stills
from dials_truncfix.simulate.stills_output import stills_experiments, stills_reflections
from simulated_lattices import LYSOZYME, sphere, stills_model


@pytest.fixture
def integrated():
    model = stills_model(n_lattices=20, d_min=4.0)
    stills = list(simulate_stills(sphere(4.0), model, 5))
    experiments = stills_experiments(stills, model, LYSOZYME.space_group())
    table = stills_reflections(stills, experiments)
    return Integrated(Path("a.refl"), Path("a.expt"), table, experiments)


def test_lp_of_dials_is_the_inverse_of_what_polarisation_leaves(integrated):
    """So that full intensities are the observed ones times lp, for any polarisation."""
    for experiment in integrated.experiments:
        experiment.beam.set_polarization_normal((0, 1, 0))
        experiment.beam.set_polarization_fraction(0.8)
    plain = load_data_set([integrated], InputOptions()).observations
    integrated.table.compute_corrections(integrated.experiments)
    data = load_data_set([integrated], InputOptions())
    s1 = flumpy.to_numpy(integrated.table["s1"])[data.table_row.values]
    np.testing.assert_allclose(
        data.observations.intensity,
        plain.intensity / polarisation_factor(s1, 0.8),
        rtol=1e-9,
    )
    assert data.corrections == ("polarisation",)


def test_qe_of_dials_is_the_part_that_the_sensor_absorbs(integrated):
    """A sensor of 0.3 mm of μ = 1/mm absorbs 26 % of rays at right angles to it."""
    panel: Panel = integrated.experiments[0].detector[0]
    panel.set_mu(1.0)
    panel.set_thickness(0.3)
    integrated.table.compute_corrections(integrated.experiments)
    qe = integrated.table["qe"].as_numpy_array()
    s1 = flumpy.to_numpy(integrated.table["s1"])
    path = 0.3 * np.linalg.norm(s1, axis=1) / np.abs(s1[:, 2])
    np.testing.assert_allclose(qe, 1 - np.exp(-path), rtol=1e-9)
    data = load_data_set([integrated], InputOptions(polarisation=False))
    value = integrated.table["intensity.sum.value"].as_numpy_array()
    rows = data.table_row.values
    np.testing.assert_allclose(data.observations.intensity, value[rows] / qe[rows])
    assert data.corrections == ("detector efficiency",)


def test_profile_models_of_gaussian_rs_are_kept(integrated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for experiment in integrated.experiments:
        experiment.profile = GaussianRS(None, 3, 0.02, 0.1, deg=True)
    integrated.experiments.as_file("a.expt")
    integrated.table.as_file("a.refl")
    run(["a.expt", "a.refl", "model=gaussian", "nproc=1"])
    after = ExperimentList.from_file("postrefined.expt", check_format=False)
    assert len(after) > 10
    for experiment in after:
        assert experiment.profile.sigma_b(deg=True) == pytest.approx(0.02)


def test_real_stills_with_ellipsoid_models_are_read(shared_data, tmp_path, monkeypatch):
    """Five lattices of dials.ssx_integrate, with lp, qe and DIALS's own partialities."""
    stills = shared_data / "stills" / "cunir_ssx"
    (given,) = load_integrated([stills / "integrated.refl"], [])
    assert {"lp", "qe", "partiality"} < set(given.table.keys())
    data = load_data_set([given], InputOptions())
    assert data.corrections == ("polarisation", "detector efficiency")
    assert len(data.observations) > 4000
    monkeypatch.chdir(tmp_path)
    reference = tmp_path / "reference.mtz"
    write_reference(reference, data)
    names = [str(stills / f"integrated.{kind}") for kind in ("expt", "refl")]
    run([*names, f"reference.file={reference}", "model=gaussian", "nproc=1"])
    record = json.loads(Path("dials.truncfix_postrefine.json").read_text())
    assert record["corrections"] == ["polarisation", "detector efficiency"]
    after = ExperimentList.from_file("postrefined.expt", check_format=False)
    assert len(after) == sum(entry["accepted"] for entry in record["lattices"]) > 0
    assert all(experiment.profile is not None for experiment in after)


def write_reference(path, data):
    """The means of the lattices' own intensities: enough to have one."""
    from cctbx import miller

    observations = data.observations
    n = len(observations.unique)
    number = np.bincount(observations.group, minlength=n)
    total = np.bincount(observations.group, observations.intensity, minlength=n)
    present = number > 0
    mean = np.maximum(total[present] / number[present], 1.0)
    indices = flex.miller_index(
        [tuple(h) for h in observations.unique[present].tolist()]
    )
    array = miller.array(
        miller.set(data.symmetry, indices, anomalous_flag=False), flex.double(mean)
    ).set_observation_type_xray_intensity()
    array.as_mtz_dataset(column_root_label="I").mtz_object().write(str(path))
