"""dials.truncfix replicates=N as a user runs it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.command_line.truncfix import run
from recordings import imported, pixels_of
from truncfix_runs import SMALL, fails, files_of


@pytest.mark.parametrize("image_format", ["cbf", "smv", "nexus", "sidecar"])
def test_replicates_are_independent_draws_of_one_sweep(
    recording, corrected, here, image_format
):
    arguments = [*SMALL, f"output.format={image_format}", "replicates=3"]
    run([str(imported(recording, here)), *arguments, "output.directory=out"])
    record = json.loads((here / "dials.truncfix.json").read_text())
    draws = []
    for k, replicate in enumerate(record["replicates"], start=1):
        assert replicate["replicate"] == k
        assert replicate["experiments"] == f"truncfix_{k}.expt"
        assert replicate["images"].startswith(f"out/replicate_{k}/truncfix")
        pixels = pixels_of(here / f"truncfix_{k}.expt") - replicate["offset"]
        positive = recording.truncated > 0
        np.testing.assert_array_equal(pixels[positive], recording.truncated[positive])
        assert pixels[~positive].max() <= 0
        draws.append(pixels)
    # the first is what one alone would be
    np.testing.assert_array_equal(draws[0], pixels_of(corrected / "truncfix.expt"))
    zero = recording.truncated == 0
    for one, other in ((0, 1), (0, 2), (1, 2)):
        a, b = draws[one][zero].astype(float), draws[other][zero].astype(float)
        # drawn from one law, each by itself
        assert a.mean() == pytest.approx(b.mean(), abs=0.06)
        by_image = [d[zero] - d[zero].mean() for d in (draws[one], draws[other])]
        assert abs(np.corrcoef(*by_image)[0, 1]) < 0.03
    panels = [
        ExperimentList.from_file(f"truncfix_{k}.expt")[0].detector[0] for k in (1, 2, 3)
    ]
    assert len({panel.get_gain() for panel in panels}) == 1


def test_files(recording, here):
    run([str(imported(recording, here)), *SMALL, "replicates=2"])
    images = [name for name in files_of(here) if "dials.truncfix" not in name]
    assert images == [
        *(f"replicate_1/truncfix_{i:05d}.cbf" for i in range(1, 7)),
        *(f"replicate_2/truncfix_{i:05d}.cbf" for i in range(1, 7)),
        "truncfix_1.expt",
        "truncfix_2.expt",
    ]


def test_any_replicate_can_be_drawn_alone(recording, here):
    """By its seed; gain and pedestal of replicates come from the first alone."""
    expt = str(imported(recording, here))
    run([expt, *SMALL, "replicates=2", "seed=5"])
    record = json.loads((here / "dials.truncfix.json").read_text())
    seed = record["replicates"][1]["seed"]
    run([expt, *SMALL, f"seed={seed}", "output.directory=alone"])
    np.testing.assert_array_equal(
        pixels_of(here / "truncfix.expt"), pixels_of(here / "truncfix_2.expt")
    )


def test_no_experiments_of_a_replicate_replace_an_input(recording, here):
    expt = imported(recording, here)
    expt.rename(here / "truncfix_2.expt")
    before = (here / "truncfix_2.expt").read_bytes()
    words = fails(["truncfix_2.expt", *SMALL, "replicates=2"])
    assert "truncfix_2.expt is an input and would be overwritten" in words
    assert (here / "truncfix_2.expt").read_bytes() == before
    assert files_of(here) == ["truncfix_2.expt"]


def test_means_are_no_draws(recording, here):
    expt = imported(recording, here)
    words = fails([expt, *SMALL, "replicates=2", "assign=expected"])
    assert words.startswith("replicates=2 must be draws")
    assert files_of(here) == []
