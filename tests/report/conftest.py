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
