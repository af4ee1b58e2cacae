from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dials.array_family import flex
from dials.util import Sorry
from dxtbx.model import ExperimentList
from iotbx import mtz
from iotbx.reflection_file_reader import any_reflection_file

from dials_truncfix.command_line.truncfix_postrefine import run
from dials_truncfix.command_line.truncfix_simulate import run as simulate
from dials_truncfix.simulate.stills_output import load_stills_truth

SIMULATION = [
    "source=stills",
    "d_min=3.5",
    "stills.n_lattices=60",
    "stills.orientation_error=0.1",
    "output.directory=stills",
]
OUTPUTS = (
    "postrefined.expt",
    "postrefined.refl",
    "merged.mtz",
    "dials.truncfix_postrefine.json",
    "dials.truncfix_postrefine.html",
    "dials.truncfix_postrefine.log",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Simulated stills, refined against each other."""
    path = tmp_path_factory.mktemp("stills")
    before = os.getcwd()
    os.chdir(path)
    try:
        simulate(SIMULATION)
        run(["stills/integrated.expt", "stills/integrated.refl", "nproc=1"])
    finally:
        os.chdir(before)
    return path


@pytest.fixture
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def refused(args):
    with pytest.raises(Sorry) as error:
        run(args)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_all_files_are_written(folder):
    assert all((folder / name).is_file() for name in OUTPUTS)
    assert not list(folder.glob(".truncfix-*"))


def test_the_record_holds_the_truth_of_every_lattice(folder):
    """Angles to 0.01° at an error of 0.1°, and uncertainties that say as much."""
    record = json.loads((folder / "dials.truncfix_postrefine.json").read_text())
    lattices = record["lattices"]
    truth = load_stills_truth(folder / "stills" / "truth.npz").parameters
    assert [entry["identifier"] for entry in lattices] == [
        f"still-{number:06d}" for number in range(60)
    ]
    assert all(entry["accepted"] and entry["reason"] is None for entry in lattices)
    for name, column, unit in (
        ("theta_x", 2, math.degrees(1)),
        ("theta_y", 3, math.degrees(1)),
        ("B", 1, 1.0),
    ):
        found = np.array([entry[name] for entry in lattices])
        stated = np.array([entry[f"{name}_sd"] for entry in lattices])
        error = found - unit * truth[:, column]
        # the mean of B is 0 by convention
        error -= error.mean() if name == "B" else 0.0
        assert 0.7 < np.std(error / stated) < 1.35
        if name != "B":
            assert np.abs(error).max() < 0.01
    for name in (
        *("G", "G_sd", "B_sd", "theta_x_sd", "theta_y_sd", "rs", "rs_sd"),
        *("n_obs", "cc_before", "cc_after", "correlations"),
    ):
        assert all(entry[name] for entry in lattices)
    assert record["model"] == "gaussian"


def test_merged_intensities_agree_with_the_truth(folder):
    merged = {
        array.info().labels[0]: array
        for array in any_reflection_file(str(folder / "merged.mtz")).as_miller_arrays()
    }
    true = any_reflection_file(str(folder / "stills" / "truth.mtz")).as_miller_arrays()[
        0
    ]
    ours, theirs = merged["IMEAN"].common_sets(true)
    coefficient = flex.linear_correlation(ours.data(), theirs.data()).coefficient()
    assert coefficient > 0.998
    assert {"IHALF1", "IHALF2", "N"} < set(merged)


def test_every_output_says_what_b_is(folder):
    record = json.loads((folder / "dials.truncfix_postrefine.json").read_text())
    assert record["b_convention"] == "I = I0 exp(-2 B sin²θ/λ²)"
    log = (folder / "dials.truncfix_postrefine.log").read_text()
    assert "I = I0 exp(-2 B sin²θ/λ²)" in log
    history = mtz.object(str(folder / "merged.mtz")).history()
    assert any("exp(-2 B sin^2(theta)/lambda^2)" in line for line in history)


def test_the_record_tells_how_it_was_made(folder):
    record = json.loads((folder / "dials.truncfix_postrefine.json").read_text())
    assert record["program"] == "dials.truncfix_postrefine"
    assert record["files"] == ["stills/integrated.refl", "stills/integrated.expt"]
    assert record["parameters"]["cycles"]["maximum"] == 8
    assert set(record["versions"]) > {"dials_truncfix", "dials"}


def test_lattices_without_a_fit_have_the_fields_of_all_others(
    in_folder, tmp_path, monkeypatch
):
    def other_cell(experiments, table):
        crystal = experiments[3].crystal
        crystal.set_B(tuple(1.2 * x for x in crystal.get_B()))

    files = spoiled(in_folder, tmp_path, other_cell)
    monkeypatch.chdir(tmp_path)
    run([*files, "nproc=1", "model=gaussian"])
    lattices = json.loads(Path("dials.truncfix_postrefine.json").read_text())[
        "lattices"
    ]
    assert not lattices[3]["accepted"] and "cell" in lattices[3]["reason"]
    assert set(lattices[3]) == set(lattices[0])
    assert lattices[3]["G"] is None and lattices[3]["n_obs"] == 0


def test_orientations_come_closer_to_the_truth(folder):
    truth = load_stills_truth(folder / "stills" / "truth.npz").parameters
    before = ExperimentList.from_file(str(folder / "stills" / "integrated.expt"))
    after = ExperimentList.from_file(str(folder / "postrefined.expt"))
    for old, new, (_, _, x, y, _) in zip(before, after, truth):
        turned = np.reshape(new.crystal.get_A(), (3, 3)) @ np.linalg.inv(
            np.reshape(old.crystal.get_A(), (3, 3))
        )
        # small rotations are their antisymmetric parts
        found = np.array([turned[2, 1] - turned[1, 2], turned[0, 2] - turned[2, 0]]) / 2
        np.testing.assert_allclose(found, [x, y], atol=math.radians(0.01))


def test_full_intensities_are_those_of_the_truth(folder):
    """Unmerged, on the common scale: z-scores spread by about 1."""
    table = flex.reflection_table.from_file(str(folder / "postrefined.refl"))
    used = table.get_flags(table.flags.scaled)
    table = table.select(used)
    truth = load_stills_truth(folder / "stills" / "truth.npz")
    full = {
        (number, *hkl): value
        for number, (first, last) in enumerate(zip(truth.offsets, truth.offsets[1:]))
        for hkl, value in zip(
            truth.miller_index[first:last].tolist(), truth.full[first:last]
        )
        for hkl in [tuple(hkl)]
    }
    expected = np.array(
        [full[(i, *hkl)] for i, hkl in zip(table["id"], table["miller_index"])]
    )
    scale = table["inverse_scale_factor"].as_numpy_array()
    value = table["intensity.scale.value"].as_numpy_array() / scale
    sigma = np.sqrt(table["intensity.scale.variance"].as_numpy_array()) / scale
    factor = np.sum(value * expected) / np.sum(expected**2)
    assert factor == pytest.approx(1, abs=0.15)
    assert 0.8 < np.std((value - factor * expected) / sigma) < 1.3
    assert set(table["partiality"]) == {1.0}
    assert min(table["partiality.calculated"]) >= 0.2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "output"),
    [
        (["dials.merge", "output.mtz=stock.mtz"], "stock.mtz"),
        (["dials.estimate_resolution"], "dials.estimate_resolution.html"),
        (
            ["dials.export", "intensity=scale", "mtz.hklout=unmerged.mtz"],
            "unmerged.mtz",
        ),
        (["dials.report"], "dials.report.html"),
        (["dials.show"], None),
    ],
)
def test_stock_commands_take_the_files(in_folder, command, output):
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [str(program), "postrefined.expt", "postrefined.refl", *command[1:]],
        capture_output=True,
        text=True,
    )
    # launchers exit with what a program returns, and some return their plots
    assert "Sorry" not in done.stderr and "Traceback" not in done.stderr
    if output is None:
        assert "excitation_error" in done.stdout
    else:
        assert (in_folder / output).is_file()


def test_a_reference_from_a_file_sets_the_scale(in_folder, tmp_path):
    run(
        [
            "stills/integrated.expt",
            "stills/integrated.refl",
            "reference.file=stills/truth.mtz",
            "model=gaussian",
            "nproc=1",
            f"output.json={tmp_path}/a.json",
            "output.experiments=None",
            "output.reflections=None",
            "output.mtz=None",
            "output.html=None",
            "output.log=None",
        ]
    )
    record = json.loads((tmp_path / "a.json").read_text())
    truth = load_stills_truth(Path("stills/truth.npz")).parameters
    g = np.array([entry["G"] for entry in record["lattices"]])
    np.testing.assert_allclose(g, np.exp(truth[:, 0]), rtol=0.05)
    assert record["shells"][-1]["cc_reference"] > 0.999
    assert record["shells"][-1]["r_iso"] < 0.05
    assert len(record["cycles"]) == 1


def spoiled(in_folder, tmp_path, change):
    """Experiments and reflections with something wrong."""
    experiments = ExperimentList.from_file("stills/integrated.expt", check_format=False)
    table = flex.reflection_table.from_file("stills/integrated.refl")
    result = change(experiments, table)
    if result is not None:
        experiments, table = result
    experiments.as_file(str(tmp_path / "bad.expt"))
    table.as_file(str(tmp_path / "bad.refl"))
    return [str(tmp_path / "bad.expt"), str(tmp_path / "bad.refl")]


def no_crystal(experiments, table):
    experiments[4].crystal = None


def no_intensities(experiments, table):
    del table["intensity.sum.variance"]


def unindexed(experiments, table):
    table["miller_index"] = flex.miller_index(len(table), (0, 0, 0))


def no_numbers(experiments, table):
    table["intensity.sum.value"] = flex.double(len(table), math.nan)


def no_variances(experiments, table):
    table["intensity.sum.variance"] = flex.double(len(table), 0.0)


def other_group(experiments, table):
    from cctbx import sgtbx

    experiments[7].crystal.set_space_group(sgtbx.space_group_info("P43").group())


def other_cells(experiments, table):
    for number, experiment in enumerate(experiments):
        b = np.reshape(experiment.crystal.get_B(), (3, 3)) * (1 + 0.01 * (number - 30))
        experiment.crystal.set_B(tuple(b.ravel()))


def no_beam(experiments, table):
    experiments[2].beam = None


def no_orientation(experiments, table):
    experiments[5].crystal.set_B(9 * (math.nan,))


def no_rays(experiments, table):
    del table["s1"]


def no_indices(experiments, table):
    del table["miller_index"]


def infinite(experiments, table):
    table["intensity.sum.variance"] = flex.double(len(table), math.inf)


def nothing(experiments, table):
    return experiments, table[:0]


def turned(experiments, table):
    """Crystals in another order than the reflections, without names that would tell."""
    result = ExperimentList([experiments[59 - number] for number in range(60)])
    for number, experiment in enumerate(result):
        experiment.identifier = str(number)
    for key in list(table.experiment_identifiers().keys()):
        del table.experiment_identifiers()[key]
    return result, table


def other_names(experiments, table):
    for experiment in experiments:
        experiment.identifier = f"other-{experiment.identifier}"


def fewer_crystals(experiments, table):
    for key in list(table.experiment_identifiers().keys()):
        del table.experiment_identifiers()[key]
    return experiments[:20], table


def one_lattice(experiments, table):
    return experiments[:1], table.select(table["id"] == 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (no_crystal, ["bad.expt", "experiment 4 has no crystal"]),
        (no_intensities, ["bad.refl", "no column intensity.sum.variance"]),
        (unindexed, ["bad.refl", "not indexed"]),
        (no_numbers, ["bad.refl", "not numbers"]),
        (no_variances, ["bad.refl", "without a positive variance"]),
        (other_group, ["experiment 7", "P 43 beside P 43 21 2", "dials.reindex"]),
        (one_lattice, ["single lattice", "give a reference"]),
        (other_cells, ["bad.expt, experiment 0", "one crystal form"]),
        (no_beam, ["bad.expt", "experiment 2 has no beam"]),
        (no_orientation, ["bad.expt", "experiment 5", "not a number"]),
        (no_rays, ["bad.refl", "no column s1"]),
        (no_indices, ["bad.refl", "no indices"]),
        (infinite, ["bad.refl", "without a positive variance"]),
        (nothing, ["bad.refl", "holds no reflections"]),
        (turned, ["bad.refl and", "bad.expt do not belong together", "(s1)"]),
        (other_names, ["bad.refl and", "bad.expt do not belong together"]),
        (fewer_crystals, ["bad.refl refers to experiment 59", "holds 20"]),
    ],
)
def test_bad_input_is_one_sentence(in_folder, tmp_path, monkeypatch, change, words):
    files = spoiled(in_folder, tmp_path, change)
    monkeypatch.chdir(tmp_path)
    message = refused([*files, "nproc=1", "output.log=None"])
    assert all(word in message for word in words), message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.expt", "bad.refl"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["stills/integrated.expt"], ["no reflections were given"]),
        (["stills/truth.mtz", "stills/integrated.refl"], ["reference.file="]),
        (
            ["stills/integrated.refl", "output.reflections=stills/integrated.refl"],
            ["is an input"],
        ),
        (
            ["stills/integrated.refl", "output.experiments=stills/integrated.expt"],
            ["is an input"],
        ),
        (["stills/integrated.refl", "reference.file=none.mtz"], ["none.mtz"]),
        (["stills/integrated.refl", "d_min=99", "d_max=100"], ["can be used"]),
        (["stills/integrated.refl", "output.mtz=missing/m.mtz"], ["missing"]),
        (2 * ["stills/integrated.refl"], ["is given twice"]),
    ],
)
def test_impossible_arguments_are_one_sentence(in_folder, args, words):
    message = refused([*args, "nproc=1", "output.log=None"])
    assert all(word in message for word in words), message


def test_a_reference_of_other_reflections_is_refused(in_folder, tmp_path):
    """Low resolution only, where there are no observations."""
    true = any_reflection_file("stills/truth.mtz").as_miller_arrays()[0]
    low = true.resolution_filter(d_min=20)
    low.as_mtz_dataset(column_root_label="I").mtz_object().write(
        str(tmp_path / "low.mtz")
    )
    before = sorted(in_folder.iterdir())
    args = ["stills/integrated.refl", f"reference.file={tmp_path}/low.mtz", "d_max=15"]
    message = refused([*args, "nproc=1", "output.log=None"])
    assert "low.mtz" in message
    assert sorted(in_folder.iterdir()) == before


def test_files_of_a_newer_dials_are_named(in_folder, tmp_path):
    """In the layout that comes after that of the running DIALS."""
    content = bytearray(Path("stills/integrated.refl").read_bytes())
    content[content.index(b"reflection_table") + len("reflection_table")] += 1
    (tmp_path / "new.refl").write_bytes(content)
    args = [str(tmp_path / "new.refl"), "stills/integrated.expt"]
    message = refused([*args, "nproc=1", "output.log=None"])
    assert "new.refl: this DIALS cannot read reflection files of version" in message
    assert "use the DIALS that wrote it, or a newer one" in message


def test_without_arguments_the_help_is_printed(capsys):
    with pytest.raises(SystemExit) as error:
        run([])
    assert error.value.code == 0
    assert "partial reflections" in capsys.readouterr().out


def test_lattices_without_common_reflections_are_not_believed(
    shared_data, tmp_path, monkeypatch
):
    """Five real lattices with 19 surplus observations: all five under-determined."""
    stills = shared_data / "stills" / "cunir_ssx"
    monkeypatch.chdir(tmp_path)
    args = [str(stills / f"integrated.{kind}") for kind in ("expt", "refl")]
    message = refused([*args, "nproc=1"])
    assert "no lattice is acceptable" in message
    log = (tmp_path / "dials.truncfix_postrefine.log").read_text()
    assert "under-determined" in log
    assert "0 of 5 lattices accepted" in log


def test_real_lattices_are_predicted_better_than_by_scaling(
    shared_data, tmp_path, monkeypatch
):
    """Lysozyme of an XFEL: R free at most 0.76 and CC free at least 0.46."""
    stills = shared_data / "stills" / "lcls_lysozyme_300"
    monkeypatch.chdir(tmp_path)
    run(
        [
            *(str(stills / f"indexed.{kind}") for kind in ("expt", "refl")),
            f"reference.file={stills / 'reference_hewl.mtz'}",
            "rejection.min_observations=20",
            "nproc=1",
        ]
    )
    record = json.loads(Path("dials.truncfix_postrefine.json").read_text())
    best = next(h for h in record["held_out"] if h["model"] == record["model"])
    assert best["r_free"] < 0.76
    assert best["cc_free"] > 0.46
    kept = [entry for entry in record["lattices"] if entry["accepted"]]
    assert len(kept) >= 210
    assert all(
        abs(entry[name]) < 0.5 for entry in kept for name in ("theta_x", "theta_y")
    )
