from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cctbx import adptbx, crystal, miller, xray
from dials.array_family import flex
from iotbx.cif import miller_arrays_as_cif_block

from dials_truncfix.simulate.structure_factors import (
    look_up,
    read_intensities,
    wilson_intensities,
)

PDB = """\
CRYST1   20.000   20.000   30.000  90.00  90.00  90.00 P 43 21 2     8
ATOM      1  N   ALA A   1      11.104   6.134   6.504  1.00 15.00           N
ATOM      2  CA  ALA A   1      11.639   6.071   5.147  1.00 15.00           C
ATOM      3  O   ALA A   1      12.639   7.071   4.147  1.00 15.00           O
END
"""


@pytest.fixture
def symmetry():
    return crystal.symmetry((67.3, 67.3, 101, 90, 90, 90), "P 43 21 2")


def test_wilson_statistics(symmetry):
    intensities = wilson_intensities(symmetry, 2.0, 20.0, 1)
    expectation = np.exp(-10.0 * intensities.d_star_sq().data().as_numpy_array())
    epsilon = intensities.epsilons().data().as_numpy_array()
    z = intensities.data().as_numpy_array() / expectation / epsilon
    centric = intensities.centric_flags().data().as_numpy_array()
    # mean 1; second moments 2 and 3 of acentric and centric reflections
    assert z.mean() == pytest.approx(1, abs=0.03)
    assert np.mean(z[~centric] ** 2) == pytest.approx(2, rel=0.06)
    assert np.mean(z[centric] ** 2) == pytest.approx(3, rel=0.15)
    again = wilson_intensities(symmetry, 2.0, 20.0, 1)
    assert again.data().all_eq(intensities.data())


def test_equivalents_share_a_value_and_absences_have_none(symmetry):
    intensities = wilson_intensities(symmetry, 4.0, 20.0, 1)
    wanted = flex.miller_index(
        [(3, 5, 7), (5, 3, -7), (-5, 3, 7), (-3, -5, -7), (0, 0, 1), (0, 0, 4)]
    )
    values = look_up(intensities, wanted)
    assert values[0] > 0
    assert len(set(values[:4])) == 1
    # 4₃ along c: only l = 4n
    assert values[4] == 0 < values[5]
    assert look_up(intensities, flex.miller_index([(60, 1, 1)]))[0] == 0


@pytest.mark.parametrize("kind", ["amplitude", "intensity", "complex"])
def test_mtz_columns(tmp_path, symmetry, kind):
    intensities = wilson_intensities(symmetry, 5.0, 20.0, 1)
    if kind == "intensity":
        stored = intensities.customized_copy(
            sigmas=flex.double(intensities.size(), 1.0)
        ).set_observation_type_xray_intensity()
    elif kind == "amplitude":
        stored = miller.array(intensities, flex.sqrt(intensities.data()))
        stored.set_observation_type_xray_amplitude()
    else:
        amplitude = flex.sqrt(intensities.data())
        stored = miller.array(
            intensities, flex.polar(amplitude, flex.double(amplitude.size(), 0.3))
        )
    stored.as_mtz_dataset(column_root_label="X").mtz_object().write(
        str(tmp_path / "x.mtz")
    )
    read = read_intensities(tmp_path / "x.mtz", 6.0, label="X")
    assert read.d_min() >= 6
    assert read.space_group() == symmetry.space_group()
    expected = look_up(intensities, read.indices())
    assert np.allclose(read.data().as_numpy_array(), expected, rtol=1e-5)


def test_friedel_mates_of_a_file_are_merged(tmp_path, symmetry):
    """Anomalous data, as refinement programs write them, are one set of intensities."""
    complete = symmetry.build_miller_set(anomalous_flag=True, d_min=5.0)
    data = flex.double(complete.size(), 100.0)
    stored = miller.array(complete, data, flex.double(complete.size(), 1.0))
    stored.set_observation_type_xray_intensity()
    stored.as_mtz_dataset(column_root_label="I").mtz_object().write(
        str(tmp_path / "anomalous.mtz")
    )
    read = read_intensities(tmp_path / "anomalous.mtz", 5.0)
    assert read.is_unique_set_under_symmetry()
    assert set(look_up(read, complete.indices())) == {100.0}


def test_coordinates_scatter_electrons(tmp_path):
    path = tmp_path / "model.pdb"
    path.write_text(PDB)
    intensities = read_intensities(path, 1.5)
    assert intensities.space_group_info().symbol_and_number() == "P 43 21 2 (No. 96)"
    value = look_up(intensities, flex.miller_index([(1, 1, 0)]))[0]
    # in phase, electrons see f(0) of about 3.3 (C), 2.9 (N), 2.4 (O), X-rays 21 in all
    assert 0 < value < (8 * 8.7) ** 2
    xray = read_intensities(path, 1.5, scattering="xray")
    assert look_up(xray, flex.miller_index([(1, 1, 0)]))[0] > 4 * value
    damped = read_intensities(path, 1.5, b_extra=30.0)
    ratio = damped.data().as_numpy_array() / intensities.data().as_numpy_array()
    expected = np.exp(-15.0 * intensities.d_star_sq().data().as_numpy_array())
    assert np.allclose(ratio, expected)


@pytest.mark.parametrize("kind", ["amplitude", "intensity"])
def test_mmcif_files_hold_reflections_too(tmp_path, symmetry, kind):
    intensities = wilson_intensities(symmetry, 6.0, 20.0, 1)
    stored = intensities.customized_copy(
        sigmas=flex.double(intensities.size(), 1.0)
    ).set_observation_type_xray_intensity()
    if kind == "amplitude":
        stored = stored.as_amplitude_array()
    block = miller_arrays_as_cif_block(stored, array_type="meas", format="mmcif")
    path = tmp_path / "reflections.cif"
    path.write_text(f"data_x\n{block.cif_block}")
    read = read_intensities(path, 6.0)
    expected = look_up(intensities, read.indices())
    assert read.size() == intensities.size()
    # values are written with six digits at most
    assert np.allclose(read.data().as_numpy_array(), expected, rtol=1e-3, atol=1e-3)
    without = "\n".join(
        line for line in path.read_text().splitlines() if not line.startswith("_cell.")
    )
    path.write_text(without)
    with pytest.raises(ValueError, match="reflections.cif"):
        read_intensities(path, 6.0)


@pytest.mark.parametrize("scattering", ["electron", "xray"])
def test_bulk_solvent_lowers_the_contrast_at_low_resolution(tmp_path, scattering):
    """Atoms in solvent scatter less at low angles, and as before at high ones."""
    symmetry = crystal.symmetry((30, 30, 30, 90, 90, 90), "P213")
    rng = np.random.default_rng(0)
    sites = flex.vec3_double(rng.uniform(0.05, 0.3, (60, 3)).tolist())
    structure = xray.structure(
        crystal_symmetry=symmetry,
        scatterers=flex.xray_scatterer(
            [
                xray.scatterer(
                    "C", site=site, u=adptbx.b_as_u(15.0), scattering_type="C"
                )
                for site in sites
            ]
        ),
    )
    path = tmp_path / "model.pdb"
    path.write_text(structure.as_pdb_file())
    dry, wet = (
        read_intensities(path, 1.6, scattering=scattering, solvent=solvent)
        for solvent in (False, True)
    )
    d = dry.d_spacings().data().as_numpy_array()
    a, b = dry.data().as_numpy_array(), wet.data().as_numpy_array()
    assert b[d > 10].sum() < 0.8 * a[d > 10].sum()
    high = d < 1.8
    assert np.abs(b - a)[high].sum() < 0.01 * a[high].sum()


def test_real_electron_diffraction_data(shared_data):
    path = shared_data / "frames" / "lysozyme_ed_refmac_final.mtz"
    intensities = read_intensities(path, 2.5)
    assert str(intensities.space_group_info()) == "P 21 21 2"
    assert intensities.size() > 4000
    assert flex.min(intensities.data()) >= 0
    calculated = read_intensities(path, 2.5, label="FC_ALL")
    a, b = intensities.common_sets(calculated)
    correlation = flex.linear_correlation(a.data(), b.data()).coefficient()
    assert correlation > 0.85


def test_unusable_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        read_intensities(tmp_path / "missing.mtz", 2.0)
    for name, text in {
        "text.mtz": "no reflections",
        "empty.pdb": "END\n",
        "no_cell.pdb": PDB.replace("CRYST1", "REMARK"),
        "notes.txt": "",
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=name):
            read_intensities(tmp_path / name, 2.0)


def test_a_damaged_mtz_file_is_named(tmp_path, symmetry):
    path = tmp_path / "x.mtz"
    intensities = wilson_intensities(symmetry, 8.0, 20.0, 1)
    intensities.as_mtz_dataset(column_root_label="I").mtz_object().write(str(path))
    data = path.read_bytes()
    # the header is at the end
    for size in (len(data) // 2, len(data) - 500, 100):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match="x.mtz"):
            read_intensities(path, 8.0)


def test_too_many_reflections_are_refused_at_once(tmp_path, symmetry):
    path = tmp_path / "model.pdb"
    path.write_text(PDB)
    with pytest.raises(ValueError, match="give a larger d_min"):
        wilson_intensities(symmetry, 0.001, 20.0, 1)
    with pytest.raises(ValueError, match="give a larger d_min"):
        read_intensities(path, 0.001)


def test_a_missing_column_is_named(tmp_path, symmetry):
    intensities = wilson_intensities(symmetry, 8.0, 20.0, 1)
    path = Path(tmp_path / "x.mtz")
    amplitudes = miller.array(intensities, flex.sqrt(intensities.data()))
    amplitudes.as_mtz_dataset(
        column_root_label="F", column_types="F"
    ).mtz_object().write(str(path))
    with pytest.raises(ValueError, match="column IOBS not usable among F"):
        read_intensities(path, 8.0, label="IOBS")
    with pytest.raises(ValueError, match="no reflection up to 90"):
        read_intensities(path, 90.0)
