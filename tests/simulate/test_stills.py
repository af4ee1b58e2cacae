from __future__ import annotations

import numpy as np
import pytest

from dxtbx import flumpy
from dxtbx.model import ExperimentList

from dials_truncfix import compat
from dials_truncfix.command_line.truncfix_simulate import run
from dials_truncfix.postrefine.lattice.assemble import refined_settings
from dials_truncfix.postrefine.lattice.partiality import partiality
from dials_truncfix.simulate.stills import simulate_still, simulate_stills
from dials_truncfix.simulate.stills_output import (
    load_stills_truth,
    save_stills_truth,
    stills_experiments,
    stills_reflections,
    stills_truth,
)
from simulated_lattices import ELECTRONS, LYSOZYME, XRAYS, sphere, stills_model


@pytest.fixture(scope="module")
def model():
    return stills_model(error=0.1, n_lattices=20)


@pytest.fixture(scope="module")
def stills(model):
    return list(simulate_stills(sphere(), model, 4))


def excitation(hkl, setting, s0):
    return np.linalg.norm(hkl @ setting.T + s0, axis=1) - np.linalg.norm(s0)


def test_partialities_belong_to_the_true_orientation(stills, model):
    """That of A turned by the true angles, with the true radius, to rounding."""
    s0 = np.array(model.s0)
    for still in stills:
        true = refined_settings(still.setting[None], s0[None], still.parameters[None])[
            0
        ]
        r_h = excitation(still.miller_index, true, s0)
        rs = np.full(len(r_h), np.exp(still.parameters[4]))
        np.testing.assert_allclose(
            still.partiality, partiality(model.model, r_h, rs), atol=1e-9
        )
        reported = excitation(still.miller_index, still.setting, s0)
        assert np.abs(reported).max() < model.reach * model.rs


def test_intensities_scatter_by_their_variances(stills):
    """Deviations over standard deviations: mean 0 ± 0.1, spread 1 ± 0.1."""
    scores = []
    for still in stills:
        log_g, b = still.parameters[:2]
        d_star_squared = np.sum((still.miller_index @ still.setting.T) ** 2, axis=1)
        expected = (
            np.exp(log_g - 0.5 * b * d_star_squared) * still.partiality * still.full
        )
        scores.append((still.intensity - expected) / np.sqrt(still.variance))
    scores = np.concatenate(scores)
    assert abs(scores.mean()) < 0.1
    assert scores.std() == pytest.approx(1, abs=0.1)


def test_a_still_depends_on_its_number_alone(stills, model):
    again = simulate_still(sphere(), model, 4, 7)
    np.testing.assert_array_equal(again.intensity, stills[7].intensity)
    np.testing.assert_array_equal(again.parameters, stills[7].parameters)
    assert not np.array_equal(stills[6].parameters, stills[7].parameters)


def test_parameters_spread_as_asked(model):
    many = stills_model(error=0.1, n_lattices=300, reach=0.1, b_spread=5.0)
    parameters = np.array([s.parameters for s in simulate_stills(sphere(), many, 1)])
    spread = parameters.std(axis=0)
    expected = [many.g_spread, 5.0, *2 * [np.radians(0.1)], many.rs_spread]
    np.testing.assert_allclose(spread, expected, rtol=0.15)


@pytest.mark.parametrize("wavelength", [XRAYS, ELECTRONS])
@pytest.mark.parametrize("direction", [(0, 0, -1), (0.03, -0.05, -1)])
def test_tables_are_consistent_with_the_models(wavelength, direction):
    """Rays end on the Ewald sphere and hit the detector where it is said."""
    model = stills_model(wavelength, direction=direction, n_lattices=3)
    stills = list(simulate_stills(sphere(), model, 1))
    experiments = stills_experiments(stills, model, LYSOZYME.space_group())
    table = stills_reflections(stills, experiments)
    assert compat.is_electron_beam(experiments[0].beam) == (wavelength == ELECTRONS)
    for experiment, still in zip(experiments, stills):
        a = np.reshape(experiment.crystal.get_A(), (3, 3))
        np.testing.assert_allclose(a, still.setting, atol=1e-12)
    np.testing.assert_allclose(experiments[0].beam.get_s0(), model.s0, atol=1e-12)
    s1 = flumpy.to_numpy(table["s1"])
    np.testing.assert_allclose(np.linalg.norm(s1, axis=1), 1 / wavelength)
    panel = experiments[0].detector[0]
    nx, ny = panel.get_image_size()
    for row in (0, 17, len(table) - 1):
        px = panel.get_ray_intersection_px(table["s1"][row])
        np.testing.assert_allclose(table["xyzcal.px"][row][:2], px, atol=1e-6)
        assert 0 < px[0] < nx and 0 < px[1] < ny


def test_the_truth_is_read_as_it_was_written(stills, tmp_path):
    truth = stills_truth(stills, {"seed": 4})
    save_stills_truth(tmp_path / "truth.npz", truth)
    again = load_stills_truth(tmp_path / "truth.npz")
    assert again.description == {"seed": 4}
    for name in ("parameters", "offsets", "miller_index", "partiality", "full"):
        np.testing.assert_array_equal(getattr(again, name), getattr(truth, name))
    (tmp_path / "other.npz").write_bytes(b"no truth")
    with pytest.raises(ValueError, match="other.npz"):
        load_stills_truth(tmp_path / "other.npz")


@pytest.mark.parametrize(
    "changes",
    [{"n_lattices": 0}, {"rs": 0.0}, {"g_spread": -1.0}, {"direction": (0, 0, np.nan)}],
)
def test_impossible_stills_are_refused(changes):
    with pytest.raises(ValueError):
        stills_model(**changes)


def test_a_resolution_that_no_detector_reaches_is_refused():
    model = stills_model(6.0, n_lattices=1)
    with pytest.raises(ValueError, match="80°"):
        stills_experiments([], model, LYSOZYME.space_group())


def test_the_command_writes_all_or_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ["source=stills", "d_min=6", "stills.n_lattices=2", "output.log=None"]
    run(few)
    names = sorted(path.name for path in (tmp_path / "simulated").iterdir())
    assert names == ["integrated.expt", "integrated.refl", "truth.mtz", "truth.npz"]
    from dials.util import Sorry

    run([*few, "stills.batch=1", "output.directory=batches"])
    names = sorted(path.name for path in (tmp_path / "batches").iterdir())
    assert names == [
        *(f"integrated_{i:03d}.{kind}" for i in (0, 1) for kind in ("expt", "refl")),
        "truth.mtz",
        "truth_000.npz",
        "truth_001.npz",
    ]
    for number in (0, 1):
        path = tmp_path / "batches" / f"integrated_{number:03d}.expt"
        (name,) = ExperimentList.from_file(str(path), check_format=False).identifiers()
        assert name == f"still-{number:06d}"
    with pytest.raises(Sorry, match="already holds integrated.expt"):
        run(few)
    with pytest.raises(Sorry, match="has no reflection"):
        run([*few, "stills.rs=1e-7", "output.directory=empty"])
    assert not (tmp_path / "empty").exists()
