"""How much memory the work on an image takes, by the arrays of numpy."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix.sweep.check import judge_images
from dials_truncfix.sweep.close_look import LookTask, look_closely
from dials_truncfix.sweep.image_output import Destination
from dials_truncfix.sweep.measure import MeasureTask, fit_images
from dials_truncfix.sweep.options import CorrectionOptions
from dials_truncfix.sweep.panel import LOWEST_TRUSTED, PanelValues
from dials_truncfix.sweep.work import SweepWork, keep_open, pack
from dials_truncfix.sweep.write import FitAndWriteTask, fit_and_write_images
from recordings import record, true_frames

SIDE = 3072
# The mask, the labels of all images and of one, the nodes: a byte each; the image: two.
HELD = 6
# Whatever the size: tables, blocks of pixels that are handled at once.
FIXED = 12e6


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")
    frame = true_frames(1, SIDE)
    # scanned once more from the other side
    recording = record(folder, np.concatenate([frame, frame[:, ::-1]]))
    imageset = ExperimentListFactory.from_filenames([str(recording.path)])[0].imageset
    work = SweepWork(imageset, CorrectionOptions())
    packed = pack(imageset, work.options)
    keep_open(packed, work)
    return work, packed, folder


@contextmanager
def at_most(bytes_per_pixel: float) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < FIXED + bytes_per_pixel * SIDE**2


def test_memory_of_each_step(sweep):
    work, packed, folder = sweep
    # four of them the sorted angles, while the annuli are laid
    with at_most(HELD + 1):
        verdict = judge_images(work, [0, 1])
        assert verdict.statistics["n_images"] == 2
    with at_most(HELD + 1):
        fitted = fit_images(MeasureTask(packed, (0, 1)))
    kept = HELD - 2
    with at_most(kept):
        paths = tuple(str(folder / f"{i}.cbf") for i in range(2))
        panel = PanelValues(6.0, -6.0, LOWEST_TRUSTED, 65534)
        destination = Destination(paths, "cbf", panel, seed=0)
        task = FitAndWriteTask(MeasureTask(packed, (0, 1)), (destination,))
        fit_and_write_images(task)
    # the drawn image, and scores of half of its pixels
    with at_most(kept + 4):
        look_closely(LookTask(packed, 1, fitted[1].fits, picture=True))
