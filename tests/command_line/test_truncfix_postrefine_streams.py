"""CrystFEL streams as input of dials.truncfix_postrefine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dials.util import Sorry
from dxtbx.model import ExperimentList

from crystfel_streams import chunk, head, stream
from dials_truncfix.command_line.truncfix_postrefine import run
from dials_truncfix.simulate.stills import simulate_stills
from dials_truncfix.simulate.stills_output import stills_experiments, stills_reflections
from simulated_lattices import LYSOZYME, sphere, stills_model

GROUP = "stream.space_group=P43212"
QUIET = ["nproc=1", "output.log=None"]


@pytest.fixture(scope="module")
def lattices(tmp_path_factory):
    """The same lattices as a stream and as files of DIALS."""
    folder = tmp_path_factory.mktemp("lattices")
    model = stills_model(n_lattices=40, d_min=4.0, orientation_error=0.001)
    stills = list(simulate_stills(sphere(4.0), model, 3))
    (folder / "a.stream").write_text(stream(stills, np.array(model.s0)))
    experiments = stills_experiments(stills, model, LYSOZYME.space_group())
    experiments.as_file(str(folder / "a.expt"))
    stills_reflections(stills, experiments).as_file(str(folder / "a.refl"))
    return folder


def record(folder, *files):
    args = [str(folder / file) for file in files]
    run([*args, GROUP, "model=gaussian", *QUIET])
    return json.loads(Path("dials.truncfix_postrefine.json").read_text())


def test_a_stream_is_refined_like_tables(lattices, tmp_path, monkeypatch):
    """Angles within a tenth of their standard uncertainties."""
    monkeypatch.chdir(tmp_path)
    ours = record(lattices, "a.stream")["lattices"]
    assert len(ExperimentList.from_file("postrefined.expt")) == 40
    theirs = record(lattices, "a.refl")["lattices"]
    assert all(entry["accepted"] for entry in ours)
    assert ours[3]["identifier"] == "000003:run1.h5//3"
    for name in ("G", "B", "theta_x", "theta_y", "rs"):
        difference = [a[name] - b[name] for a, b in zip(ours, theirs)]
        uncertainty = [entry[f"{name}_sd"] for entry in theirs]
        assert np.abs(np.divide(difference, uncertainty)).max() < 0.1


def test_streams_and_tables_are_refined_together(lattices, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(record(lattices, "a.refl", "a.stream")["lattices"]) == 80


def test_an_image_cut_short_is_left_out_and_said(lattices, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (lattices / "a.stream").read_text()
    Path("cut.stream").write_text(text[: text.rindex("End of reflections")])
    run(["cut.stream", GROUP, "nproc=1"])
    assert len(ExperimentList.from_file("postrefined.expt")) == 39
    log = Path("dials.truncfix_postrefine.log").read_text()
    assert "cut.stream: 1 image is incomplete" in log


@pytest.mark.parametrize(
    ("text", "args", "words"),
    [
        (head() + chunk(), [GROUP], ["bad.stream", "no crystal in 1 complete image"]),
        ("", [GROUP], ["bad.stream", "not a CrystFEL stream"]),
        (head("9.9"), [GROUP], ["bad.stream", "version 9.9"]),
        (None, [], ["a.stream", "tetragonal P", "stream.space_group="]),
        (None, ["stream.space_group=P432"], ["a.stream", "P432", "tetragonal P"]),
        (None, ["stream.space_group=Q9"], ["Q9 is not a space group"]),
        (None, [GROUP, "a.expt"], ["no reflections were given"]),
        (None, [GROUP, "output.json=a.stream"], ["a.stream is an input"]),
    ],
)
def test_bad_streams_are_one_sentence(
    lattices, tmp_path, monkeypatch, text, args, words
):
    monkeypatch.chdir(tmp_path if text is not None else lattices)
    name = "a.stream"
    if text is not None:
        name = "bad.stream"
        Path(name).write_text(text)
    before = sorted(Path().iterdir())
    with pytest.raises(Sorry) as error:
        run([name, *args, *QUIET])
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    assert sorted(Path().iterdir()) == before


def test_real_lattices_run_to_an_honest_end(shared_data, tmp_path, monkeypatch):
    """32 lattices of a membrane protein share few reflections: none for five parameters.

    With the four of protocol=rs some are determined.
    """
    path = shared_data / "stills" / "5HT2B_test.stream"
    monkeypatch.chdir(tmp_path)
    args = [str(path), "stream.space_group=C2221", "nproc=1"]
    with pytest.raises(Sorry, match="no lattice is acceptable"):
        run(args)
    assert (
        "0 of 32 lattices accepted" in Path("dials.truncfix_postrefine.log").read_text()
    )
    assert not Path("merged.mtz").exists()
    run([*args, "protocol=rs", "model=gaussian"])
    entries = json.loads(Path("dials.truncfix_postrefine.json").read_text())["lattices"]
    assert len(entries) == 32
    assert 10 < sum(entry["accepted"] for entry in entries) < 30
    assert any("under-determined" in (entry["reason"] or "") for entry in entries)
