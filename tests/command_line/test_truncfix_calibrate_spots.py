from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dials.array_family import flex
from dials.util import Sorry
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.command_line.truncfix_calibrate import run
from distorted_crystals import CELL, ELLIPSE, distorted_files

NOISE = 0.15


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crystals")
    paths = []
    for data in distorted_files(3, noise=NOISE, scales=(1.0, 0.98)):
        path = folder / data.path
        data.table.as_file(path)
        data.experiments.as_file(path.with_suffix(".expt"))
        paths.append(path)
    return paths


def record():
    return json.loads(Path("dials.truncfix_calibrate.json").read_text())


def fails(*arguments):
    with pytest.raises(Sorry) as stop:
        run(["mode=spots", *map(str, arguments), "output.log=None"])
    assert list(Path().iterdir()) == []
    return str(stop.value)


def test_groups_of_other_camera_lengths_come_to_one_scale(files, here):
    """Ellipses to 2·10⁻⁴, camera lengths to 3·10⁻⁴; maps of each group."""
    run(["mode=spots", *map(str, files[:2]), "spots.group_by=file",
         f"spots.unit_cell={','.join(map(str, CELL))}"])  # fmt: skip
    groups = record()["groups"]
    assert [g["scale"] for g in groups] == pytest.approx([1.0, 0.98], abs=3e-4)
    for group in groups:
        assert group["ellipticity"] == pytest.approx(ELLIPSE.ellipticity, abs=2e-4)
    assert {f"d{x}_{n}.pickle" for x in "xy" for n in (1, 2)} < {
        p.name for p in here.iterdir()
    }
    lengths = [
        e.detector[0].get_directed_distance()
        for e in ExperimentList.from_file("calibrated.expt", check_format=False)
    ]
    assert lengths == pytest.approx([1200, 1176], rel=3e-4)
    assert "one cell" in Path("dials.truncfix_calibrate.log").read_text()
    assert "Group 2: ellipses" in Path("dials.truncfix_calibrate.html").read_text()


def test_positions_without_distortion_have_none(files):
    """Measured again, the ellipse is gone and the crystals stay what they are."""
    run(["mode=spots", str(files[0]), str(files[2]), "output.x_map=None",
         "output.y_map=None"])  # fmt: skip
    first = record()
    table = flex.reflection_table.from_file("undistorted.refl")
    assert set(table["id"]) == {0, 1}
    assert len(set(table.experiment_identifiers().values())) == 2
    run(["mode=spots", "undistorted.refl", "calibrated.expt",
         "output.experiments=again.expt", "output.reflections=None"])  # fmt: skip
    again = record()
    assert (
        again["groups"][0]["ellipticity"] < 4 * first["groups"][0]["ellipticity_error"]
    )
    assert again["ellipses"]["unit_cell"] == pytest.approx(
        first["ellipses"]["unit_cell"], rel=2e-4
    )
    # nothing is left that maps could take out
    assert not Path("dx.pickle").exists()
    turned = [np.linalg.norm(c["rotation_deg"]) for c in again["crystals"]]
    assert max(turned) < 0.02


def test_wrong_input_is_named(files, tmp_path):
    assert "needs indexed reflections" in fails(files[0].with_suffix(".expt"))
    assert "is not the cell" in fails(*files, "spots.unit_cell=50,50,50,90,90,90")
    notes = files[0].parent / "notes.txt"
    notes.write_text("x")
    assert "expected reflections" in fails(notes)
    lonely = files[0].parent / "lonely.refl"
    lonely.write_bytes(files[0].read_bytes())
    assert "its experiments are missing" in fails(lonely)
    table = flex.reflection_table.from_file(files[0])
    del table["xyzobs.px.value"]
    bare = files[0].parent / "bare.refl"
    table.as_file(bare)
    bare.with_suffix(".expt").write_bytes(files[0].with_suffix(".expt").read_bytes())
    assert "no xyzobs.px.value" in fails(bare)
    lonely.unlink()
