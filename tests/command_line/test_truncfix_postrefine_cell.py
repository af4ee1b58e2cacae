"""dials.truncfix_postrefine with refined cells, ambiguities and references of all kinds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from cctbx import crystal
from dials.array_family import flex
from dials.util import Sorry
from dxtbx.model import ExperimentList
from iotbx.cif import miller_arrays_as_cif_block

from dials_truncfix.command_line.truncfix_postrefine import run
from dials_truncfix.command_line.truncfix_simulate import run as simulate
from dials_truncfix.postrefine.indexing.ambiguity import reindexings
from dials_truncfix.simulate.stills_output import load_stills_truth
from dials_truncfix.simulate.structure_factors import wilson_intensities

P41 = crystal.symmetry((60, 60, 40, 90, 90, 90), "P41")


def intensities(symmetry, d_min=3.3):
    """On a scale of their own, with uncertainties."""
    array = wilson_intensities(symmetry, d_min, 15.0, 5)
    sigmas = flex.double(array.size(), 1.0)
    return array.customized_copy(
        data=array.data() * 1e-3, sigmas=sigmas
    ).set_observation_type_xray_intensity()


def write_mtz(path, array):
    array.as_mtz_dataset(column_root_label="I").mtz_object().write(str(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Stills in P4₁ with errors of the cell, in one indexing and randomly in two."""
    path = tmp_path_factory.mktemp("stills")
    before = os.getcwd()
    os.chdir(path)
    try:
        write_mtz("reference.mtz", intensities(P41))
        simulate(
            [
                "source=stills",
                "structure_factors.file=reference.mtz",
                "d_min=3.5",
                "stills.n_lattices=80",
                "stills.orientation_error=0.1",
                "stills.axis_error=0.001",
                "output.directory=stills",
            ]
        )
    finally:
        os.chdir(before)
    experiments = ExperimentList.from_file(
        str(path / "stills" / "integrated.expt"), check_format=False
    )
    table = flex.reflection_table.from_file(str(path / "stills" / "integrated.refl"))
    operator = reindexings(P41, 2.0)[1]
    other = np.random.default_rng(0).random(len(experiments)) < 0.5
    hkl = np.array(list(table["miller_index"]))
    changed = np.where(other[list(table["id"])][:, None], operator.apply(hkl), hkl)
    table["miller_index"] = flex.miller_index([tuple(h) for h in changed.tolist()])
    for number in np.flatnonzero(other).tolist():
        model = experiments[number].crystal
        a = np.reshape(model.get_A(), (3, 3)) @ np.linalg.inv(operator.matrix)
        model.set_A(tuple(a.ravel()))
    experiments.as_file(str(path / "mixed.expt"))
    table.as_file(str(path / "mixed.refl"))
    np.save(path / "other.npy", other)
    return path


@pytest.fixture
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def files(name):
    return [f"{name}.expt", f"{name}.refl", "nproc=1", "output.log=None"]


def outputs(folder, *names):
    """Only what is asked for, elsewhere."""
    every = ("experiments", "reflections", "mtz", "json")
    suffix = dict(zip(every, ("expt", "refl", "mtz", "json")))
    return [
        f"output.{name}="
        + (f"{folder}/out.{suffix[name]}" if name in names else "None")
        for name in every
    ]


def refused(args):
    with pytest.raises(Sorry) as error:
        run(args)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_refined_cells_are_written_with_their_uncertainties(in_folder, tmp_path):
    """Cells within their uncertainties of the truth, angles to 0.004° in median."""
    run(
        [
            *files("stills/integrated"),
            "refine_cell=True",
            "reference.file=reference.mtz",
            "model=gaussian",
            *outputs(tmp_path, "json", "experiments", "reflections"),
        ]
    )
    record = json.loads((tmp_path / "out.json").read_text())
    truth = load_stills_truth(Path("stills/truth.npz")).parameters
    entries = record["lattices"]
    assert all(entry["accepted"] for entry in entries)
    cells = np.array([entry["unit_cell"] for entry in entries])
    # None where the observations do not carry the cell
    sd = np.array([entry["unit_cell_sd"] for entry in entries], dtype=float)
    true = np.array(P41.unit_cell().parameters())
    scores = ((cells - true) / np.where(sd > 0, sd, np.nan))[:, [0, 2]]
    assert np.all(np.nanstd(scores, axis=0) > 0.6)
    assert np.all(np.nanstd(scores, axis=0) < 1.4)
    np.testing.assert_allclose(cells[:, 3:], 90, atol=1e-9)
    angles = np.array([[e["theta_x"], e["theta_y"]] for e in entries])
    errors = np.linalg.norm(angles - np.degrees(truth[:, 2:4]), axis=1)
    assert np.median(errors) < 0.004
    experiments = ExperimentList.from_file(
        str(tmp_path / "out.expt"), check_format=False
    )
    for experiment, entry in zip(experiments, entries):
        model = experiment.crystal
        np.testing.assert_allclose(
            model.get_unit_cell().parameters(), entry["unit_cell"], rtol=1e-6
        )
        if entry["unit_cell_sd"][0] is not None:
            np.testing.assert_allclose(
                model.get_cell_parameter_sd(),
                entry["unit_cell_sd"],
                rtol=5e-3,
                atol=1e-8,
            )


def test_without_refined_cells_the_record_has_none(in_folder, tmp_path):
    run(
        [
            *files("stills/integrated"),
            "reference.file=reference.mtz",
            "model=gaussian",
            *outputs(tmp_path, "json"),
        ]
    )
    record = json.loads((tmp_path / "out.json").read_text())
    assert not {"unit_cell", "reindexed"} & set(record["lattices"][0])


def test_mixed_indexing_is_refused_with_the_remedy(in_folder, tmp_path):
    message = refused([*files("mixed"), *outputs(tmp_path)])
    assert "k,h,-l" in message and "unlike the others" in message
    assert "dials.cosym" in message
    message = refused(
        [*files("mixed"), "reference.file=reference.mtz", *outputs(tmp_path)]
    )
    assert "reference.reindex=True" in message
    assert "reference.mtz" in message
    message = refused([*files("mixed"), "reference.reindex=True", *outputs(tmp_path)])
    assert "reference.file" in message


def test_lattices_that_are_indexed_alike_are_refined(in_folder, tmp_path, caplog):
    caplog.set_level("INFO")
    run(
        [
            *files("stills/integrated"),
            "cycles.maximum=1",
            "model=gaussian",
            *outputs(tmp_path, "mtz"),
        ]
    )
    assert "0 of 80 compared are unlike the others" in caplog.text


def test_lattices_take_the_indices_of_the_reference(in_folder, tmp_path):
    """All of them; crystals, indices and merged intensities follow."""
    run(
        [
            *files("mixed"),
            "reference.file=reference.mtz",
            "reference.reindex=True",
            "model=gaussian",
            *outputs(tmp_path, "json", "experiments", "reflections", "mtz"),
        ]
    )
    other = np.load("other.npy")
    record = json.loads((tmp_path / "out.json").read_text())
    names = [entry["reindexed"] for entry in record["lattices"]]
    assert names == ["k,h,-l" if o else "h,k,l" for o in other]
    assert all(entry["accepted"] for entry in record["lattices"])
    assert record["shells"][-1]["cc_reference"] > 0.99
    table = flex.reflection_table.from_file(str(tmp_path / "out.refl"))
    experiments = ExperimentList.from_file(
        str(tmp_path / "out.expt"), check_format=False
    )
    a = np.array([np.reshape(e.crystal.get_A(), (3, 3)) for e in experiments])
    ids, hkl = np.array(list(table["id"])), np.array(list(table["miller_index"]))
    s1 = np.einsum("nij,nj->ni", a[ids], hkl) + experiments[0].beam.get_s0()
    r_h = np.linalg.norm(s1, axis=1) - 1 / experiments[0].beam.get_wavelength()
    np.testing.assert_allclose(r_h, table["excitation_error"], atol=1e-7)


def test_references_of_all_kinds_give_the_same(in_folder, tmp_path):
    """Amplitudes and intensities, MTZ and mmCIF, on any scale."""
    array = intensities(P41)
    amplitudes = array.as_amplitude_array()
    write_mtz(tmp_path / "f.mtz", amplitudes)
    write_mtz(tmp_path / "big.mtz", array.customized_copy(data=array.data() * 1e6))
    for name, each in (("i.cif", array), ("f.cif", amplitudes)):
        block = miller_arrays_as_cif_block(each, array_type="meas", format="mmcif")
        (tmp_path / name).write_text(f"data_x\n{block.cif_block}")
    angles = []
    for name in (
        Path("reference.mtz").absolute(),
        "f.mtz",
        "big.mtz",
        "i.cif",
        "f.cif",
    ):
        run(
            [
                *files("stills/integrated"),
                f"reference.file={tmp_path / name}",
                "model=gaussian",
                *outputs(tmp_path, "json"),
            ]
        )
        record = json.loads((tmp_path / "out.json").read_text())
        angles.append([e["theta_x"] for e in record["lattices"]])
    for other in angles[1:]:
        # files round intensities to some digits
        np.testing.assert_allclose(other, angles[0], atol=2e-5)


@pytest.mark.parametrize(
    ("symmetry", "d_max", "words"),
    [
        (crystal.symmetry((60, 60, 40, 90, 90, 90), "P41212"), 99, ["space group"]),
        (crystal.symmetry((70, 70, 40, 90, 90, 90), "P41"), 99, ["70, 70, 40"]),
        (P41, 3.4, ["no reflection up to 3.5"]),
    ],
)
def test_references_of_another_kind_are_refused(
    in_folder, tmp_path, symmetry, d_max, words
):
    path = tmp_path / "other.mtz"
    write_mtz(path, intensities(symmetry).resolution_filter(d_max=d_max))
    message = refused(
        [*files("stills/integrated"), f"reference.file={path}", *outputs(tmp_path)]
    )
    assert str(path) in message
    assert all(word in message for word in words), message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.mtz"]
