"""Images that dials.truncfix does not correct, and why."""

from __future__ import annotations

import numpy as np
import pytest

from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix.command_line.truncfix import run
from recordings import imported, record, true_frames
from truncfix_runs import SMALL, fails, files_of

COUNTS = np.random.default_rng(3).poisson(0.7, (3, 128, 128)).astype(np.int32)


@pytest.mark.parametrize(
    "true, words",
    [
        pytest.param(COUNTS, "counting", id="counting detector"),
        pytest.param(np.zeros((2, 64, 64), int), "are zero", id="all zeros"),
        pytest.param(np.full((2, 64, 64), 7), "same value", id="one grey level"),
        pytest.param(
            np.clip(true_frames(2, 128) // 12, 0, 1),
            "different values",
            id="few grey levels",
        ),
        pytest.param(
            np.random.default_rng(0).normal(192, 5, (2, 128, 128)).round().astype(int),
            "offset",
            id="offset",
        ),
    ],
)
def test_other_images_are_refused(here, true, words):
    expt = imported(record(here / "movie", true), here)
    told = fails([expt, "nproc=1"])
    assert words in told
    assert files_of(here) == ["movie/movie_000.tvips"]


def test_signed_images_are_refused_unless_forced(corrected, here):
    expt = corrected / "truncfix.expt"
    told = fails([expt, "nproc=1"])
    assert "negative" in told
    assert files_of(here) == []
    run([str(expt), *SMALL, "force=True", "output.directory=again"])
    assert len(list((here / "again").glob("*.cbf"))) == 6


def test_masked_zeros_are_refused_with_the_remedy(recording, here):
    expt = ExperimentListFactory.from_filenames([str(recording.path)])
    expt[0].detector[0].set_trusted_range((0.5, 65534.5))
    expt.as_file("imported.expt")
    told = fails(["imported.expt", "nproc=1"])
    assert "trusted_range=-0.5,65534.5" in told


def test_beam_centre_off_the_detector(recording, here):
    expt = ExperimentListFactory.from_filenames([str(recording.path)])
    panel = expt[0].detector[0]
    panel.set_frame((1, 0, 0), (0, -1, 0), (50.0, 50.0, -2200.0))
    expt.as_file("imported.expt")
    told = fails(["imported.expt"])
    assert "off the detector" in told
    assert "fast_slow_beam_centre" in told


def test_missing_beam(recording, here):
    expt = ExperimentListFactory.from_filenames([str(recording.path)])
    expt[0].beam.set_wavelength(0.0)
    expt.as_file("imported.expt")
    assert "geometry.beam.wavelength" in fails(["imported.expt"])


@pytest.mark.parametrize("mode", ["check", "verify", "report"])
def test_only_corrections_go_on(recording, here, mode):
    told = fails([imported(recording, here), f"mode={mode}", "resume=True"])
    assert "resume=True goes with mode=correct" in told
    assert files_of(here) == []
