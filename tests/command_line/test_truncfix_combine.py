"""dials.truncfix_combine as a user runs it, on tables as integration writes them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dials.array_family import flex
from dials.util import Sorry
from dxtbx import flumpy
from dxtbx.model import Crystal
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.command_line.truncfix import run as truncfix
from dials_truncfix.command_line.truncfix_combine import run
from recordings import imported, record, true_frames
from truncfix_runs import SMALL

CELL = np.diag([50.0, 60.0, 70.0])
N = 400
WITHIN, BETWEEN = 20.0, 4.0


@pytest.fixture(scope="module")
def replicates(recording, tmp_path_factory):
    """Three draws, with a crystal each and intensities that differ by the draws."""
    folder = tmp_path_factory.mktemp("replicates")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        truncfix([str(imported(recording, folder)), *SMALL, "replicates=3"])
    for k in (1, 2, 3):
        integrate(folder, k)
    return folder


def integrate(folder, k):
    """Write p<k>/integrated.{expt,refl} of the k-th draw."""
    experiments = ExperimentList.from_file(str(folder / f"truncfix_{k}.expt"))
    turn = Rotation.from_rotvec([0, 0, np.radians(0.01 * k)]).as_matrix()
    experiments[0].crystal = Crystal(*map(tuple, CELL @ turn.T), "P222")
    experiments[0].identifier = f"draw-{k}"
    table = reflections(k)
    table.experiment_identifiers()[0] = f"draw-{k}"
    place = folder / f"p{k}"
    place.mkdir(exist_ok=True)
    experiments.as_file(str(place / "integrated.expt"))
    table.as_file(str(place / "integrated.refl"))


def truth():
    generator = np.random.default_rng(8)
    indices = np.array([(h, k, 3) for h in range(1, 21) for k in range(1, 21)])
    return indices, generator.exponential(40, N), generator.uniform(0, 6, N)


def reflections(k):
    """Intensities of one draw: a common error, and one of the draw."""
    indices, intensity, z = truth()
    common = np.random.default_rng(9).normal(0, np.sqrt(WITHIN - BETWEEN), N)
    generator = np.random.default_rng(10 + k)
    value = intensity + common + generator.normal(0, np.sqrt(BETWEEN), N)
    table = flex.reflection_table()
    table["miller_index"] = flex.miller_index([tuple(map(int, h)) for h in indices])
    xyz = np.column_stack([np.arange(N) % 20, np.arange(N) // 20, z + 0.01 * k])
    table["xyzcal.px"] = flumpy.vec_from_numpy(np.ascontiguousarray(xyz, dtype=float))
    table["bbox"] = flex.int6([(0, 5, 0, 5, 0, 3 + (i + k) % 2) for i in range(N)])
    table["partiality"] = flex.double(N, 0.99 + 0.001 * k)
    d = 1 / np.linalg.norm(indices / np.diag(CELL), axis=1)
    table["d"] = flumpy.from_numpy(d)
    table["id"] = flex.int(N, 0)
    table["entering"] = flumpy.from_numpy(np.arange(N) % 2 == 0)
    table["background.mean"] = flex.double(N, float(k))
    for kind in ("sum", "prf"):
        table[f"intensity.{kind}.value"] = flumpy.from_numpy(value.copy())
        table[f"intensity.{kind}.variance"] = flex.double(N, WITHIN)
    flags = np.full(N, table.flags.integrated_sum | table.flags.predicted)
    # the first draw lacks the profile of one reflection, the second of two
    flags[k:] |= table.flags.integrated_prf
    table["flags"] = flumpy.from_numpy(flags.astype(np.uint64))
    # ... and the third draw two reflections altogether, the last one of all is its own
    if k == 3:
        table = table.select(flumpy.from_numpy(np.arange(N) > 1))
    if k < 3:
        table = table.select(flumpy.from_numpy(np.arange(N) < N - 1))
    return table


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tables(replicates, *numbers):
    return [str(replicates / f"p{k}" / "integrated.refl") for k in numbers]


def fails(arguments):
    with pytest.raises(Sorry) as stop:
        run([str(argument) for argument in arguments])
    return str(stop.value)


@pytest.mark.parametrize("rule", ["reduced", "rubin"])
def test_pooled_table(replicates, here, caplog, rule):
    run([*tables(replicates, 1, 2, 3), f"variance={rule}"])
    assert sorted(os.listdir(here)) == [
        "combined.expt",
        "combined.refl",
        "dials.truncfix_combine.log",
    ]
    combined = flex.reflection_table.from_file("combined.refl")
    # the reflection that one draw alone holds is left out
    assert len(combined) == N - 1
    assert "0 of them" not in caplog.text
    assert "399 reflections were pooled, 2 of them without every" in caplog.text
    assert "1 were left out" in caplog.text.replace("\n", " ")
    indices, _, _ = truth()
    assert list(combined["miller_index"]) == [tuple(map(int, h)) for h in indices[:-1]]
    given = [reflections(k) for k in (1, 2, 3)]
    values = np.full((N, 3), np.nan)
    for k, part in enumerate(given):
        rows = [(h[0] - 1) * 20 + h[1] - 1 for h in part["miller_index"]]
        values[rows, k] = flumpy.to_numpy(part["intensity.sum.value"])
    mean = np.nanmean(values[:-1], axis=1)
    np.testing.assert_allclose(combined["intensity.sum.value"], mean)
    m = np.isfinite(values[:-1]).sum(axis=1)
    between = np.nanvar(values[:-1], axis=1, ddof=1)
    if rule == "rubin":
        expected = WITHIN + (1 + 1 / m) * between
    else:
        expected = np.maximum(WITHIN, between) - (1 - 1 / m) * between
    np.testing.assert_allclose(combined["intensity.sum.variance"], expected)
    np.testing.assert_allclose(combined["replicates.sum.between"], between)
    assert list(combined["replicates.sum.n"]) == m.tolist()
    np.testing.assert_allclose(combined["background.mean"][2:], 2.0)
    experiments = ExperimentList.from_file("combined.expt", check_format=False)
    assert experiments[0].identifier == "draw-1"
    assert dict(combined.experiment_identifiers()) == {0: "draw-1"}


def test_flags_tell_what_was_pooled(replicates, here):
    run(tables(replicates, 1, 2, 3))
    combined = flex.reflection_table.from_file("combined.refl")
    assert combined.get_flags(combined.flags.integrated_sum).count(False) == 0
    profile = flumpy.to_numpy(combined.get_flags(combined.flags.integrated_prf))
    # the first two profiles are in no draw or one
    assert profile[:3].tolist() == [False, False, True]
    assert profile[3:].all()
    assert combined.get_flags(combined.flags.predicted).count(False) == 0


def test_another_setting_of_the_same_crystal(replicates, here):
    run([*tables(replicates, 1, 2), "output.reflections=plain.refl"])
    shutil.copytree(replicates / "p2", "turned")
    experiments = ExperimentList.from_file("turned/integrated.expt")
    a, b, c = experiments[0].crystal.get_real_space_vectors()
    a, b, c = (np.array(v) for v in (a, b, c))
    experiments[0].crystal = Crystal(tuple(-a), tuple(-b), tuple(c), "P222")
    experiments.as_file("turned/integrated.expt")
    table = flex.reflection_table.from_file("turned/integrated.refl")
    table["miller_index"] = flex.miller_index(
        [(-h[0], -h[1], h[2]) for h in table["miller_index"]]
    )
    table.as_file("turned/integrated.refl")
    run([*tables(replicates, 1), "turned/integrated.refl"])
    plain, turned = map(
        flex.reflection_table.from_file, ("plain.refl", "combined.refl")
    )
    assert list(plain["miller_index"]) == list(turned["miller_index"])
    assert list(plain["intensity.sum.value"]) == list(turned["intensity.sum.value"])


def test_smv_draws_stand_on_offsets_of_their_own(recording, here):
    expt = str(imported(recording, here))
    truncfix([expt, *SMALL, "replicates=2", "output.format=smv"])
    for k in (1, 2):
        integrate(here, k)
    run(["p1/integrated.refl", "p2/integrated.refl"])


def test_draws_whose_images_are_gone_are_pooled_with_a_word(replicates, here, caplog):
    for k in (1, 2):
        shutil.copytree(replicates / f"p{k}", f"p{k}")
        text = Path(f"p{k}/integrated.expt").read_text()
        Path(f"p{k}/integrated.expt").write_text(text.replace("replicate_", "gone_"))
    run(["p1/integrated.refl", "p2/integrated.refl"])
    assert "p1/integrated.expt cannot be read" in caplog.text


def test_no_input_shows_help(capsys):
    with pytest.raises(SystemExit) as stop:
        run([])
    assert stop.value.code == 0
    assert "dials.truncfix_combine" in capsys.readouterr().out


def test_one_table(replicates, here):
    words = fails(tables(replicates, 1))
    assert words.startswith("1 table was given, and the scatter of the draws takes two")
    assert fails(tables(replicates, 1, 1)).endswith(
        "given twice: give each replicate once"
    )
    words = fails([*tables(replicates, 1, 2), "min_replicates=3"])
    assert words == "min_replicates=3 is more than the 2 replicates that were given"
    assert os.listdir(here) in ([], ["dials.truncfix_combine.log"])


def test_the_same_draw_twice(replicates, here):
    shutil.copytree(replicates / "p1", "copy")
    words = fails([*tables(replicates, 1), "copy/integrated.refl"])
    assert "hold the same draws" in words
    assert not Path("combined.refl").exists()


def test_draws_of_another_recording(replicates, here):
    other = record(here / "movie", true_frames(seed=2))
    known = ExperimentList.from_file(str(replicates / "truncfix_1.expt"))
    panel = known[0].detector[0]
    same = [f"gain={panel.get_gain()!r}", f"pedestal={panel.get_pedestal()!r}"]
    truncfix([str(imported(other, here)), *SMALL, *same, "replicates=2"])
    integrate(here, 2)
    words = fails([*tables(replicates, 1), "p2/integrated.refl"])
    assert "no replicates of one sweep: pixels above zero differ" in words


def change_experiments(replicates, change):
    """Copy the second draw and change its experiment; returns its table."""
    shutil.copytree(replicates / "p2", "changed")
    experiments = ExperimentList.from_file("changed/integrated.expt")
    change(experiments[0])
    experiments.as_file("changed/integrated.expt")
    return "changed/integrated.refl"


def rotate(experiment):
    turn = Rotation.from_rotvec([0, np.radians(0.5), 0]).as_matrix()
    experiment.crystal = Crystal(*map(tuple, CELL @ turn.T), "P222")


def stretch(experiment):
    experiment.crystal = Crystal(*map(tuple, CELL * [1, 1, 1.03]), "P222")


def replace(experiment):
    experiment.crystal = Crystal(*map(tuple, CELL * [1, 1.5, 1]), "P222")


def change_gain(experiment):
    experiment.detector[0].set_gain(3.0)


def change_scan(experiment):
    experiment.scan.set_oscillation((0.0, 0.7))


@pytest.mark.parametrize(
    "change, words",
    [
        (rotate, "crystals 0.5° apart, with axes that differ by"),
        (stretch, "with axes that differ by 3 %; index them in the same way"),
        (replace, "the lattices differ"),
        (change_gain, "and 3; give replicates that dials.truncfix made in one run"),
        (change_scan, "images 1-6 of 0.5° from 0°, and images 1-6 of 0.7° from 0°"),
    ],
)
def test_models_that_disagree(replicates, here, change, words):
    table = change_experiments(replicates, change)
    said = fails([*tables(replicates, 1), table])
    assert "are no replicates of one sweep" in said
    assert words in said
    assert said.count("\n") == 0
    assert not Path("combined.refl").exists()


def test_a_larger_tolerance(replicates, here):
    table = change_experiments(replicates, rotate)
    run([*tables(replicates, 1), table, "tolerance.rotation=1"])


def change_table(replicates, change):
    shutil.copytree(replicates / "p2", "changed")
    table = flex.reflection_table.from_file("changed/integrated.refl")
    table = change(table)
    table.as_file("changed/integrated.refl")
    return "changed/integrated.refl"


def without(name):
    def change(table):
        del table[name]
        return table

    return change


def scaled(table):
    table["inverse_scale_factor"] = flex.double(len(table), 1.0)
    return table


def unflagged(table):
    table["flags"] = flex.size_t(len(table), 0)
    return table


def elsewhere(table):
    table["miller_index"] = flex.miller_index(len(table), (1, 1, 40))
    return table


@pytest.mark.parametrize(
    "change, words",
    [
        (without("intensity.sum.variance"), "no column intensity.sum.variance"),
        (without("entering"), "no column entering: give the reflections that"),
        (scaled, "has been scaled: combine what dials.integrate wrote"),
        (unflagged, "holds no integrated reflection"),
        (elsewhere, "no integrated reflection in common"),
    ],
)
def test_tables_that_cannot_be_pooled(replicates, here, change, words):
    table = change_table(replicates, change)
    said = fails([*tables(replicates, 1), table])
    assert words in said
    assert said.count("\n") == 0
    assert not Path("combined.refl").exists()


def test_other_files(replicates, here):
    Path("notes.txt").write_text("no reflections")
    said = fails([*tables(replicates, 1), "notes.txt"])
    assert said == "notes.txt: expected reflections (.refl) or experiments (.expt)"
    assert "is an input and would be overwritten" in fails(
        [*tables(replicates, 1, 2), f"output.reflections={tables(replicates, 1)[0]}"]
    )
