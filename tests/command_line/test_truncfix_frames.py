"""What dials.truncfix makes of simulated frames of a K2 and a K3, and DIALS of a sweep."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dials.array_family import flex
from dials.util import Sorry
from dxtbx import flumpy
from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix.command_line import truncfix
from dials_truncfix.command_line.truncfix_simulate import run as simulate
from dials_truncfix.compare.agreement import resolution_bins
from dials_truncfix.compare.matching import match
from dials_truncfix.simulate.truth import load_truth

SMALL = [
    *("geometry.image_size=256,256", "beam_stop.radius=0.05", "beam_stop.arm_width=0"),
    *("scan.n_images=3", "geometry.distance=60", "scan.width=0.5", "output.log=None"),
]
COUNTING = {
    "k2": ["camera.model=k2", "scan.exposure=20"],
    "k2-raw": ["camera.model=k2", "camera.normalized=False", "scan.exposure=20"],
    "k2-super": ["camera.model=k2", "camera.mode=super_resolution"],
    "k3": ["camera.model=k3", "camera.mode=super_resolution"],
    "k3-binned": ["camera.model=k3", "camera.frames_per_image=4"],
}


@pytest.fixture(autouse=True)
def _in_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def imported(raw=False):
    recipe = Path("simulated/simulated.frames")
    if raw:
        fields = {**json.loads(recipe.read_text()), "gain_reference": False}
        recipe.write_text(json.dumps(fields))
    experiments = ExperimentListFactory.from_filenames([str(recipe)])
    experiments.as_file("imported.expt")


@pytest.mark.parametrize("case", COUNTING)
def test_zeros_of_counting_cameras_are_real(case):
    simulate([*SMALL, *COUNTING[case]])
    imported(raw=case == "k2-raw")
    with pytest.raises(Sorry, match="their zeros are real|the zeros are real"):
        truncfix.run(["imported.expt", "output.directory=corrected"])
    assert not Path("corrected").exists()


def test_linear_mode_cut_off_at_zero_is_corrected():
    simulate(
        [*SMALL, "camera.model=k2", "camera.mode=linear", "camera.unsigned=True"]
        + ["scan.exposure=0.1", "output.unclipped=True"]
    )
    imported()
    truncfix.run(["imported.expt", "output.directory=corrected"])
    found = ExperimentListFactory.from_json_file("truncfix.expt", check_format=True)[0]
    corrected = flumpy.to_numpy(found.imageset.get_raw_data(0)[0]).astype(float)
    before = ExperimentListFactory.from_filenames(
        ["simulated/simulated_unclipped_00001.cbf"]
    )[0]
    true = flumpy.to_numpy(before.imageset.get_raw_data(0)[0]).astype(float)
    stored = np.maximum(true, 0)
    assert np.array_equal(corrected[stored > 0], stored[stored > 0])
    assert corrected.mean() == pytest.approx(true.mean(), abs=0.3)
    assert stored.mean() > true.mean() + 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["k2_counting", "k3"])
def test_dials_integrates_counted_sweeps_to_the_truth(name):
    """98 % of strong spots are indexed, and intensities correlate by 0.97 below 4 Å."""
    phil = Path(__file__).parents[2] / "phil" / f"simulate_{name}.phil"
    simulate([str(phil), "scan.n_images=40", "output.log=None"])
    imported()
    folder = Path(sys.executable).parent
    known = ["detector.fix=distance", "space_group=P43212"]
    known += ["unit_cell=67.3,67.3,101,90,90,90"]
    size = json.loads(Path("simulated/truth.expt").read_text())["detector"][0]["panels"]
    distance = abs(size[0]["origin"][2])
    commands = [
        ["dials.import", "simulated/simulated.frames", "geometry.goniometer.axis=1,0,0"]
        + [f"geometry.detector.distance={distance:g}", "output.experiments=known.expt"],
        ["dials.find_spots", "known.expt"],
        ["dials.index", "known.expt", "strong.refl", *known],
        ["dials.integrate", "indexed.expt", "indexed.refl"],
    ]
    for command, *arguments in commands:
        subprocess.run([folder / command, *arguments], check=True, capture_output=True)
    indexed = flex.reflection_table.from_file("indexed.refl")
    strong = flex.reflection_table.from_file("strong.refl")
    n_indexed = indexed.get_flags(indexed.flags.indexed).count(True)
    assert n_indexed >= 0.98 * len(strong)
    matched = match(
        load_truth(Path("simulated/truth.npz")),
        ExperimentListFactory.from_json_file("integrated.expt", False)[0],
        flex.reflection_table.from_file("integrated.refl"),
    )
    low = matched.between(1000.0, 4.0)
    assert resolution_bins(low, (1000.0, 4.0))[0].correlation >= 0.97
