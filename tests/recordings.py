"""Small truncated recordings with known truth, made without the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dxtbx.model.experiment_list import ExperimentList, ExperimentListFactory

from dials_truncfix.io.tvips import write_series

GAIN = 6.0
READ_NOISE = 6.0


@dataclass(frozen=True)
class Recording:
    """A written recording: its file, its truncated and its true pixels."""

    path: Path
    truncated: np.ndarray
    true: np.ndarray


def true_frames(
    n_images: int = 6, size: int = 256, seed: int = 1, level: float = 1.0
) -> np.ndarray:
    """Frames of a camera that truncates nothing, int32; background falls outwards."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(x, y) / (size / 2)
    expected = level * (0.2 + 8 * np.exp(-radius / 0.35))
    generator = np.random.default_rng(seed)
    electrons = generator.poisson(expected, (n_images, size, size))
    noise = generator.normal(0, READ_NOISE, electrons.shape)
    return np.rint(GAIN * electrons + noise).astype(np.int32)


def record(folder: Path, true: np.ndarray, **changes) -> Recording:
    """Write frames as a camera that stores unsigned integers."""
    folder.mkdir(parents=True, exist_ok=True)
    truncated = np.clip(true, 0, 65535).astype(np.uint16)
    path = folder / "movie_000.tvips"
    arguments = {
        "pixel_size_nm": 62400,
        "binning": (4, 4),
        "camera_length_mm": 2200,
        "alpha_deg": 0.5 * np.arange(len(true)),
        "exposure_s": 1.0,
        "start_time": 1.5e9,
        **changes,
    }
    write_series(path, truncated, **arguments)
    return Recording(path, truncated.astype(np.int32), true)


def imported(recording: Recording, folder: Path) -> Path:
    """Import a recording as dials.import does; returns the experiments' path."""
    experiments = ExperimentListFactory.from_filenames([str(recording.path)])
    assert len(experiments) == 1
    path = folder / "imported.expt"
    experiments.as_file(str(path))
    return path


def pixels_of(experiments: Path) -> np.ndarray:
    """Raw pixels of all images of an experiment list, int."""
    imageset = ExperimentList.from_file(str(experiments))[0].imageset
    return np.array(
        [imageset.get_raw_data(i)[0].as_numpy_array() for i in range(len(imageset))]
    )
