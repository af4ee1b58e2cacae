"""Small series and commands that several format tests use."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from dials_truncfix.io.tvips import write_series


@pytest.fixture
def frames():
    """Twelve small frames, saturated pixels and zeros included."""
    generator = np.random.default_rng(4)
    images = generator.poisson(3, (12, 24, 32)).astype(np.uint16)
    images[:, 0, 0] = 65535
    images[:, 0, 1] = 65534
    images[:, 0, 2] = 0
    return images


@pytest.fixture
def series(tmp_path, frames):
    """Write the frames as mov_000.tvips with other headers than the usual."""

    def write(name="mov_000.tvips", **changes):
        arguments = {
            "pixel_size_nm": 31200,
            "high_tension_kv": 200,
            "binning": (2, 2),
            "camera_length_mm": 2640,
            "alpha_deg": -30 + 0.25 * np.arange(12),
            "exposure_s": 0.5,
            "start_time": 1.6e9,
            **changes,
        }
        write_series(tmp_path / name, frames, **arguments)
        return str(tmp_path / name)

    return write


@pytest.fixture
def dials_import(tmp_path):
    """Run dials.import in the temporary folder; experiments and its output."""
    from dxtbx.model.experiment_list import ExperimentListFactory

    def run(*arguments):
        program = "from dials.command_line.dials_import import run; run()"
        finished = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=tmp_path,
            env={**os.environ, "DIALS_NOBANNER": "1"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        imported = tmp_path / "imported.expt"
        if not imported.exists():
            return None, finished.stdout
        experiments = ExperimentListFactory.from_json_file(str(imported))
        imported.unlink()
        return experiments, finished.stdout

    return run
