"""CPU time of each step of the correction of an image, within one process."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dials.util import tabulate
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.correction.regions.beam_stop import shadowed_tiles
from dials_truncfix.io import byte_offset, cbf
from dials_truncfix.sweep.correct import drawn_runs, image_law
from dials_truncfix.sweep.measure import fit_each, measure_frame
from dials_truncfix.sweep.options import CorrectionOptions
from dials_truncfix.sweep.work import SweepWork

#: Images that are fitted together.
BATCH = 8


class Stopwatch:
    """Times of named steps."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def time(self, step: str, n_images: int = 1) -> Iterator[None]:
        """Add the CPU time of a block, per image."""
        start = time.process_time()
        yield
        self.times[step].append((time.process_time() - start) / n_images)


def step_times(experiments: Path) -> dict[str, float]:
    """Correct the images of a sweep step by step.

    Parameters
    ----------
    experiments : pathlib.Path
        Of a truncated sweep.

    Returns
    -------
    dict of str to float
        Median CPU time of each step, s an image.
    """
    imageset = ExperimentList.from_file(str(experiments))[0].imageset
    work, watch = SweepWork(imageset, CorrectionOptions()), Stopwatch()
    with tempfile.TemporaryDirectory(dir=experiments.parent) as folder:
        for start in range(0, len(work.source), BATCH):
            _correct_batch(work, range(start, start + BATCH), watch, Path(folder))
    return {step: float(np.median(times)) for step, times in watch.times.items()}


def _correct_batch(
    work: SweepWork, indices: range, watch: Stopwatch, folder: Path
) -> None:
    read, measured = [], []
    for index in indices[: len(work.source) - indices.start]:
        with watch.time("read"):
            frame = work.source.read(index, narrow=True)
        with watch.time("shadow of the beam stop"):
            shadow = shadowed_tiles(frame.pixels, frame.valid, work.radius)
        with watch.time("regions"):
            regions = work.image_regions(frame, shadow)
        with watch.time("histograms"):
            measured.append(measure_frame(work, index, frame, regions))
        read.append((index, frame, regions))
    with watch.time("fits", len(read)):
        fitted = fit_each(measured, work.options)
    for image, (index, frame, regions) in zip(fitted, read):
        with watch.time("tables of quantiles"):
            law = image_law(work, frame, regions, image.fits)
        with watch.time("draws"):
            runs = list(drawn_runs(work, index, frame, law, seed=0))
        with watch.time("compression"):
            pieces = list(byte_offset.compress_runs(runs))
        with watch.time("check sum, write"):
            path = folder / f"{index:05d}.cbf"
            cbf.write_compressed(path, pieces, work.source.shape, ["Copy"])


def step_table(steps: dict[str, float]) -> str:
    """Tabulate the steps, with their share of the whole."""
    whole = sum(steps.values())
    rows = [
        [step, f"{1e3 * seconds:.1f}", f"{100 * seconds / whole:.0f}"]
        for step, seconds in {**steps, "all": whole}.items()
    ]
    return str(tabulate(rows, ["step", "ms/image", "%"], disable_numparse=True))
