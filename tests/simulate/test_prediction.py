from __future__ import annotations

import numpy as np
import pytest

from cctbx import crystal
from dials.algorithms.spot_prediction import ScanStaticReflectionPredictor
from dials.array_family import flex
from dxtbx import flumpy

from dials_truncfix.simulate.prediction import ZETA_MIN, predict
from dials_truncfix.simulate.structure_factors import wilson_intensities


def test_parts_of_a_reflection_add_up_to_the_whole(small_sweep):
    images = np.arange(-500, 506)[:, np.newaxis]
    total = small_sweep.reflections.fraction(images).sum(axis=0)
    assert np.allclose(total, 1, rtol=1e-12)


def test_positions_are_those_of_dials(small_sweep):
    experiment, ours = small_sweep.experiment, small_sweep.reflections
    predictor = ScanStaticReflectionPredictor(experiment, dmin=1.6)
    table = predictor.for_ub(experiment.crystal.get_A())
    theirs = flumpy.to_numpy(table["xyzcal.px"])
    index = flumpy.to_numpy(table["miller_index"].as_vec3_double())
    known = {
        (*h, round(z, 1)): (x, y, z)
        for h, x, y, z in zip(ours.miller_index.tolist(), ours.x, ours.y, ours.z)
        for h in [tuple(h)]
    }
    assert len(table) > 300
    found = np.array(
        [known[(*map(int, h), round(p[2], 1))] for h, p in zip(index, theirs)]
    )
    assert np.abs(found - theirs).max() < 1e-3


def test_reflections_fulfil_braggs_law(small_sweep):
    r, experiment = small_sweep.reflections, small_sweep.experiment
    cell = experiment.crystal.get_unit_cell()
    d = cell.d(flex.miller_index(r.miller_index.tolist()))
    # the axes are orthogonal: what the reflection reaches past the Ewald sphere is 0
    assert np.allclose(r.d, flumpy.to_numpy(d), rtol=1e-6)


def test_those_outside_the_sweep_reach_into_it(small_sweep):
    r = small_sweep.reflections
    outside = (r.z < 0) | (r.z > small_sweep.n_images)
    assert outside.any()
    inside = sum(r.fraction(k) for k in range(small_sweep.n_images))
    assert inside[outside].min() < 1e-3 < inside[outside].max() < 0.51


def predicted(sweep, **kwargs):
    cell = sweep.experiment.crystal
    symmetry = crystal.symmetry(
        unit_cell=cell.get_unit_cell(), space_group=cell.get_space_group()
    )
    # equal F² for all, apart from absences
    intensities = wilson_intensities(symmetry, 2.0, 0.0, 1)
    intensities = intensities.customized_copy(data=flex.double(intensities.size(), 1.0))
    settings = {"d_min": 2.0, "mosaicity": 0.1, "mean_intensity": 50.0, **kwargs}
    return predict(sweep.experiment, intensities, **settings)


def test_intensities_carry_the_lorentz_factor_and_the_mean(small_sweep):
    r = predicted(small_sweep)
    inside = (r.z >= 0) & (r.z < small_sweep.n_images)
    assert r.intensity[inside].mean() == pytest.approx(50)
    wavelength = small_sweep.experiment.beam.get_wavelength()
    sine = np.sin(2 * np.arcsin(wavelength / (2 * r.d)))
    present = r.intensity > 0
    assert present.mean() > 0.9
    constant = r.intensity * np.maximum(np.abs(r.zeta), ZETA_MIN) * sine
    assert np.ptp(constant[present]) < 1e-6 * constant.max()


def test_rocking_curves_widen_towards_the_axis(small_sweep):
    r = predicted(small_sweep)
    expected = 0.1 / 0.5 / np.maximum(np.abs(r.zeta), ZETA_MIN)
    assert np.allclose(r.sigma_z, expected)


def test_nothing_to_predict_is_refused(small_sweep):
    with pytest.raises(ValueError, match="no reflection up to 500"):
        predicted(small_sweep, d_min=500.0)
    with pytest.raises(ValueError, match="mosaicity 0"):
        predicted(small_sweep, mosaicity=0.0)
