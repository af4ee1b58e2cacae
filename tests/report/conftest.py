from __future__ import annotations

import os

import numpy as np
import pytest

from dials_truncfix.command_line.truncfix import run
from recordings import GAIN, imported, record, true_frames


def frames_with_spots() -> np.ndarray:
    """Frames with some weak spots of nine pixels in their outer part."""
    frames = true_frames()
    generator = np.random.default_rng(3)
    for frame in frames:
        for slow, fast in generator.integers(8, 248, (40, 2)):
            frame[slow : slow + 3, fast : fast + 3] += int(6 * GAIN)
    return frames


@pytest.fixture(scope="session")
def reported(tmp_path_factory):
    """A run with all its outputs, in a folder of its own."""
    folder = tmp_path_factory.mktemp("reported")
    recording = record(folder / "movie", frames_with_spots())
    before = os.getcwd()
    os.chdir(folder)
    try:
        run([str(imported(recording, folder)), "nproc=1", "annuli.count=4"])
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(scope="session")
def reported_record(reported):
    from dials_truncfix.report.sweep_results import read_record

    return read_record(str(reported / "dials.truncfix.json"))


@pytest.fixture(scope="session")
def postrefined(tmp_path_factory):
    """Stills refined against each other, in a folder of their own."""
    from dials_truncfix.command_line.truncfix_postrefine import run as postrefine
    from dials_truncfix.command_line.truncfix_simulate import run as simulate

    folder = tmp_path_factory.mktemp("postrefined")
    before = os.getcwd()
    os.chdir(folder)
    try:
        simulate(
            [
                *("source=stills", "d_min=4", "stills.n_lattices=60"),
                *("stills.orientation_error=0.1", "stills.mean_intensity=200"),
                "output.directory=stills",
            ]
        )
        postrefine(["stills/integrated.expt", "stills/integrated.refl", "nproc=1"])
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def postrefine_record(postrefined):
    from dials_truncfix.report.postrefine_results import read_postrefine_record

    return read_postrefine_record(str(postrefined / "dials.truncfix_postrefine.json"))
