from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dials.array_family import flex
from dials.util import Sorry
from dxtbx.model import ExperimentList
from iotbx.reflection_file_reader import any_reflection_file

from dials_truncfix.camera.f416 import F416
from dials_truncfix.command_line.truncfix_simulate import run
from dials_truncfix.postrefine.lattice.assemble import refined_settings
from dials_truncfix.simulate.background import Background
from dials_truncfix.simulate.build import Sample, build_stills
from dials_truncfix.simulate.models import Geometry
from dials_truncfix.simulate.scene import SpotShape
from dials_truncfix.simulate.stills import excite_still, simulate_still
from dials_truncfix.simulate.stills_images import spot_positions
from dials_truncfix.simulate.stills_output import load_stills_truth
from simulated_lattices import ELECTRONS, sphere, stills_model

DARK = Background(inner=0, outer=0, ring=0)


@pytest.fixture(scope="module")
def stills():
    """Three crystals on 512 x 512 pixels, without background or beam stop."""
    result, _ = build_stills(
        Sample(d_min=4.0),
        Geometry(beam_stop_radius=0, beam_stop_arm=0, distance=1800),
        stills_model(n_lattices=3),
        F416(binning=8),
        DARK,
        SpotShape(),
        seed=5,
    )
    return result


def test_the_crystals_are_those_of_tables():
    model = stills_model(ELECTRONS, n_lattices=3)
    for number in range(3):
        drawn = simulate_still(sphere(), model, 4, number)
        pattern = excite_still(sphere(), model, 4, number)
        np.testing.assert_array_equal(pattern.still.setting, drawn.setting)
        np.testing.assert_array_equal(pattern.still.parameters, drawn.parameters)
        where = {tuple(h): i for i, h in enumerate(pattern.still.miller_index.tolist())}
        both = [
            (where[tuple(h)], i)
            for i, h in enumerate(drawn.miller_index.tolist())
            if tuple(h) in where
        ]
        theirs, mine = np.array(both).T
        np.testing.assert_allclose(
            pattern.still.partiality[theirs], drawn.partiality[mine], rtol=1e-9
        )
        # counts scatter around what is expected
        score = (drawn.intensity[mine] - pattern.still.intensity[theirs]) / np.sqrt(
            drawn.variance[mine]
        )
        assert abs(score.mean()) < 0.3 and 0.8 < score.std() < 1.2
        assert pattern.still.partiality.min() > 1e-3


def test_rays_belong_to_the_true_orientation():
    model = stills_model(ELECTRONS, n_lattices=1, error=0.5)
    pattern = excite_still(sphere(), model, 1, 0)
    still, s0 = pattern.still, np.array(model.s0)
    true = refined_settings(still.setting[None], s0[None], still.parameters[None])[0]
    np.testing.assert_allclose(pattern.rays, still.miller_index @ true.T + s0)


def test_spots_are_where_dxtbx_puts_them(stills):
    rays = stills.excite(0).rays[:50]
    x, y, ahead = spot_positions(stills.experiment, rays)
    panel = stills.experiment.detector[0]
    assert ahead.all()
    for row, ray in enumerate(rays):
        expected = panel.get_ray_intersection_px(tuple(ray))
        np.testing.assert_allclose((x[row], y[row]), expected, atol=1e-6)
    assert not spot_positions(stills.experiment, -rays)[2].any()


def test_images_hold_the_electrons_of_their_spots(stills):
    """Nothing is lost but spots that the edge cuts: parts in a million."""
    pattern = stills.excite(1)
    x, y, _ = spot_positions(stills.experiment, pattern.rays)
    inside = np.all([(x > 8), (x < 504), (y > 8), (y < 504)], axis=0)
    assert inside.all()
    assert stills.expected(pattern).sum() == pytest.approx(
        pattern.still.intensity.sum(), rel=1e-6
    )


def test_images_do_not_depend_on_each_other(stills):
    recorded = [stills.record(i, stills.excite(i)).clipped for i in (0, 1)]
    again = stills.record(1, stills.excite(1)).clipped
    np.testing.assert_array_equal(again, recorded[1])
    assert not np.array_equal(*recorded)


def test_mosaicity_widens_points_as_turned_blocks_do():
    """The mean over blocks turned at random, over its value on the sphere: 2 %."""
    mosaicity = math.radians(0.3)
    model = stills_model(n_lattices=1, mosaicity=mosaicity, rs=5e-4, rs_spread=0.0)
    pattern = excite_still(sphere(), model, 1, 0)
    s0, rs = np.array(model.s0), 5e-4
    chosen = np.flatnonzero(
        (pattern.still.partiality > 0.2) & (pattern.still.partiality < 0.9)
    )[:40]
    rng = np.random.default_rng(1)
    turns = mosaicity * rng.standard_normal((200_000, 3))
    for row in chosen:
        s1 = pattern.rays[row]
        q = s1 - s0
        r_h = np.linalg.norm(s1) - np.linalg.norm(s0)
        moved = turns @ np.cross(q, s1) / np.linalg.norm(s1)
        there, on = (
            np.exp(-2 * math.log(2) * ((r + moved) / rs) ** 2).mean()
            for r in (r_h, 0.0)
        )
        assert there / on == pytest.approx(pattern.still.partiality[row], abs=0.02)


FEW = [
    "source=stills",
    "stills.output=images",
    "stills.n_lattices=3",
    "d_min=4",
    "camera.binning=8",
    "output.log=None",
]


@pytest.mark.parametrize("kind", ["tvips", "smv", "unclipped"])
def test_known_crystals_are_those_of_their_images(tmp_path, monkeypatch, kind):
    """Written images are read back through known.expt: bright where spots are."""
    monkeypatch.chdir(tmp_path)
    image_format = "tvips" if kind == "unclipped" else kind
    run(
        [
            *FEW,
            f"output.format={image_format}",
            f"output.unclipped={kind == 'unclipped'}",
        ]
    )
    folder = tmp_path / "simulated"
    truth = load_stills_truth(folder / "truth.npz")
    known = ExperimentList.from_file(str(folder / "known.expt"), check_format=True)
    assert len(known) == 3
    for number, experiment in enumerate(known):
        assert len(experiment.imageset) == 1
        pixels = experiment.imageset.get_raw_data(0)[0].as_numpy_array()
        part = slice(*truth.offsets[number : number + 2])
        setting = np.reshape(experiment.crystal.get_A(), (3, 3))
        s0 = np.array(experiment.beam.get_s0())
        true = refined_settings(
            setting[None], s0[None], truth.parameters[number : number + 1]
        )[0]
        rays = truth.miller_index[part] @ true.T + s0
        strong = np.argsort(truth.full[part] * truth.partiality[part])[-20:]
        x, y, _ = spot_positions(experiment, rays[strong])
        assert np.median(pixels[y.astype(int), x.astype(int)]) > 20 * np.median(
            pixels + 1
        )


def test_the_command_says_how_to_go_on(tmp_path, monkeypatch, caplog):
    """All or nothing, and the commands of DIALS for what was written."""
    monkeypatch.chdir(tmp_path)
    with caplog.at_level("INFO", logger="dials.truncfix"):
        run(FEW)
    names = sorted(path.name for path in (tmp_path / "simulated").iterdir())
    assert names == ["known.expt", "simulated_000.tvips", "truth.mtz", "truth.npz"]
    text = caplog.text
    assert "dials.import simulated/simulated_000.tvips" in text
    assert "known_orientations=simulated/known.expt" in text
    with pytest.raises(Sorry, match="already holds simulated_000.tvips"):
        run(FEW)
    with pytest.raises(Sorry, match="beam.high_tension"):
        run([*FEW, "stills.wavelength=1", "output.directory=other"])
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_images_through_dials_come_back_as_they_were(tmp_path, monkeypatch, caplog):
    """Twelve images, integrated from the orientations reported, then postrefined.

    Correlation with the true intensities 0.99, R 8 % at most.
    """
    import json

    from dials_truncfix.command_line.truncfix_postrefine import run as postrefine

    monkeypatch.chdir(tmp_path)
    with caplog.at_level("INFO", logger="dials.truncfix"):
        run([*FEW, "stills.n_lattices=12", "camera.binning=4", "camera.pedestal=100"])
    command = re.search(r"dials\.stills_process.*?detector_gain=\S+", caplog.text, re.S)
    words = command[0].replace("\\\n", " ").split()
    program = Path(sys.executable).with_name(words[0])
    subprocess.run(
        [str(program), *words[1:], "mp.nproc=1"], check=True, capture_output=True
    )
    postrefine(
        [
            "idx-0000_integrated.expt",
            "idx-0000_integrated.refl",
            "reference.file=simulated/truth.mtz",
            "nproc=1",
        ]
    )
    record = json.loads(Path("dials.truncfix_postrefine.json").read_text())
    assert sum(entry["accepted"] for entry in record["lattices"]) >= 11
    merged, true = (
        any_reflection_file(name).as_miller_arrays()[0]
        for name in ("merged.mtz", "simulated/truth.mtz")
    )
    ours, theirs = (array.data() for array in merged.common_sets(true))
    assert flex.linear_correlation(ours, theirs).coefficient() > 0.99
    scale = flex.sum(ours * theirs) / flex.sum(theirs * theirs)
    assert flex.sum(flex.abs(ours - scale * theirs)) / flex.sum(ours) < 0.08
