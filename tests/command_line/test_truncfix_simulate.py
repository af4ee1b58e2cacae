from __future__ import annotations

import os
import pickle
import re
import shlex

import numpy as np
import pytest

from dials.command_line import dials_import
from dials.util import Sorry
from dxtbx import flumpy
from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix.command_line import simulate_images, simulate_stills
from dials_truncfix.command_line.truncfix_simulate import run
from dials_truncfix.io import cbf, smv
from dials_truncfix.io.tvips import TVIPSSeries
from dials_truncfix.simulate.truth import load_truth

SMALL = [
    "geometry.image_size=128,112",
    "geometry.distance=500",
    "scan.n_images=4",
    "scan.width=0.5",
    "crystal.mosaicity=0.1",
]


@pytest.fixture(autouse=True)
def _in_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def import_commands(log_file="dials.truncfix_simulate.log"):
    """Arguments of the dials.import commands that a run has logged."""
    with open(log_file) as stream:
        text = stream.read().replace("\\\n", " ")
    return [
        shlex.split(line)[1:]
        for line in text.splitlines()
        if line.strip().startswith("dials.import")
    ]


def imported(arguments, name="imported.expt"):
    dials_import.run([*arguments, f"output.experiments={name}"])
    return ExperimentListFactory.from_json_file(name, check_format=True)[0]


def test_a_bare_call_prints_help(capsys):
    with pytest.raises(SystemExit) as stop:
        run([])
    assert stop.value.code == 0
    assert (
        "dials.truncfix_simulate output.directory=simulated" in capsys.readouterr().out
    )
    assert os.listdir(".") == []


def test_the_series_holds_the_truncated_images_and_its_models_come_back():
    run([*SMALL, "output.unclipped=True", "geometry.rotation_axis=0.6,-0.8,0"])
    assert sorted(os.listdir("simulated")) == [
        "simulated_000.tvips",
        *(f"simulated_unclipped_0000{k}.cbf" for k in range(1, 5)),
        "truth.expt",
        "truth.npz",
    ]
    series = TVIPSSeries.open("simulated/simulated_000.tvips")
    assert series.n_frames == 4
    assert series.shape == (112, 128)
    for k in range(4):
        before = cbf.read_pixels(f"simulated/simulated_unclipped_0000{k + 1}.cbf")
        assert before.min() < 0
        assert np.array_equal(series.read_frame(k), np.maximum(before, 0))

    truth = ExperimentListFactory.from_json_file(
        "simulated/truth.expt", check_format=False
    )[0]
    for_truncated, for_unclipped = import_commands()
    first = imported(for_truncated)
    second = imported(
        [f"simulated/simulated_unclipped_0000{k}.cbf" for k in range(1, 5)]
    )
    assert for_unclipped == ["simulated/simulated_unclipped_*.cbf"]
    for experiment in (first, second):
        assert experiment.detector[0].get_origin() == pytest.approx(
            truth.detector[0].get_origin(), abs=1e-6
        )
        assert experiment.beam.get_wavelength() == pytest.approx(
            truth.beam.get_wavelength(), rel=1e-6
        )
        assert experiment.goniometer.get_rotation_axis() == pytest.approx(
            (0.6, -0.8, 0)
        )
        assert experiment.scan.get_oscillation() == pytest.approx((0, 0.5))
        assert experiment.scan.get_exposure_times()[0] == pytest.approx(4)
        assert experiment.scan.get_image_range() == (1, 4)
    panel = second.detector[0]
    assert panel.get_gain() == 9
    assert panel.get_pedestal() == -4
    assert second.imageset.get_mask(0)[0].count(False) == 0


def test_truth_tells_how_to_make_the_sweep_again():
    run([*SMALL, "seed=5", "dose.mean_intensity=80"])
    truth = load_truth("simulated/truth.npz")
    assert truth.parameters["seed"] == 5
    assert truth.parameters["scan"]["n_images"] == 4
    assert (truth.adu_per_electron, truth.gain, truth.read_noise) == (6, 9, 6)
    inside = (truth.reflections.z >= 0) & (truth.reflections.z < 4)
    assert truth.reflections.intensity[inside].mean() == pytest.approx(80)
    run([*SMALL, "seed=5", "dose.mean_intensity=80", "output.directory=again"])
    for name in ("simulated_000.tvips",):
        with open(f"simulated/{name}", "rb") as a, open(f"again/{name}", "rb") as b:
            assert a.read() == b.read()


def test_split_parts_hold_the_same_frames():
    run([*SMALL, "output.directory=whole"])
    run([*SMALL, "output.directory=split", "output.frames_per_part=3"])
    assert sorted(p for p in os.listdir("split") if p.endswith(".tvips")) == [
        "simulated_000.tvips",
        "simulated_001.tvips",
    ]
    whole = TVIPSSeries.open("whole/simulated_000.tvips")
    split = TVIPSSeries.open("split/simulated_000.tvips")
    for k in range(4):
        assert np.array_equal(whole.read_frame(k), split.read_frame(k))


def test_smv_images_come_back_with_their_geometry():
    run([*SMALL, "output.format=smv", "geometry.beam_centre=60,50"])
    run([*SMALL, "geometry.beam_centre=60,50", "output.directory=series"])
    series = TVIPSSeries.open("series/simulated_000.tvips")
    for k in range(4):
        pixels = smv.read_pixels(f"simulated/simulated_0000{k + 1}.img")
        assert np.array_equal(pixels, series.read_frame(k))
    files = [f"simulated/simulated_0000{k}.img" for k in range(1, 5)]
    # the header alone is enough
    experiment = imported(files)
    panel = experiment.detector[0]
    centre = panel.get_beam_centre_px(experiment.beam.get_s0())
    assert centre == pytest.approx((60, 50), abs=1e-3)
    assert panel.get_distance() == pytest.approx(500)
    assert experiment.scan.get_oscillation() == pytest.approx((0, 0.5))
    assert panel.get_pedestal() == 0
    # the format of ours trusts zeros
    assert experiment.imageset.get_mask(0)[0].count(False) == 0


def test_images_of_a_counting_detector_pass_through_the_camera(shared_data):
    files = [
        str(shared_data / "l_cysteine_sweep" / f"l-cyst_01_0000{k}.cbf") for k in (1, 2)
    ]
    run(["source=images", *files, "images.uniform=0.5"])
    assert sorted(os.listdir("simulated")) == [
        "pixels.mask",
        "simulated_000.tvips",
        "simulated_unclipped_00001.cbf",
        "simulated_unclipped_00002.cbf",
        "truth.expt",
    ]
    with open("simulated/pixels.mask", "rb") as stream:
        valid = flumpy.to_numpy(pickle.load(stream)[0])
    original = ExperimentListFactory.from_filenames(files)[0]
    counts = flumpy.to_numpy(original.imageset.get_raw_data(0)[0])
    assert not valid[counts < 0].any()
    assert valid.mean() > 0.9
    before = cbf.read_pixels("simulated/simulated_unclipped_00001.cbf")
    series = TVIPSSeries.open("simulated/simulated_000.tvips")
    assert np.array_equal(series.read_frame(0), np.maximum(before, 0))
    bright = valid & (counts > 10)
    assert np.mean(before[bright] / counts[bright]) == pytest.approx(6, rel=0.1)

    experiment = imported(import_commands()[0])
    panel, expected = experiment.detector[0], original.detector[0]
    for vector in ("get_fast_axis", "get_slow_axis", "get_origin", "get_pixel_size"):
        assert getattr(panel, vector)() == pytest.approx(
            getattr(expected, vector)(), abs=1e-5
        )
    assert experiment.goniometer.get_rotation_axis() == pytest.approx(
        original.goniometer.get_rotation_axis()
    )
    assert experiment.scan.get_oscillation() == pytest.approx((-145, 0.1), abs=1e-4)
    assert experiment.beam.get_wavelength() == pytest.approx(0.6889)
    assert experiment.beam.get_polarization_fraction() == pytest.approx(0.999)
    mask = flumpy.to_numpy(experiment.imageset.get_mask(0)[0])
    assert np.array_equal(mask, valid)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["camera.binning=3"], "binning 3 does not divide"),
        (["geometry.beam_centre=500,5"], "off the image"),
        (["crystal.space_group=Q"], "Q is not a space group"),
        (["crystal.unit_cell=50,60,70,90,90,90"], "does not fit"),
        (["structure_factors.file=no.mtz"], "no.mtz: no such file"),
        (["d_min=90"], "no reflection up to 90"),
        (["source=images"], "needs the images of one sweep"),
        (["crystal.mosaicity=0"], "mosaicity 0"),
        (["output.prefix=a/b"], "output.prefix=a/b must be the start"),
        (["output.prefix="], "output.prefix was given no value"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(arguments, message):
    with pytest.raises(Sorry, match=message):
        run([*SMALL, "output.log=None", *arguments])
    assert os.listdir(".") == []


def test_images_without_source_are_refused(shared_data):
    image = shared_data / "l_cysteine_sweep" / "l-cyst_01_00001.cbf"
    with pytest.raises(Sorry, match="source=images"):
        run([str(image), "output.log=None"])
    assert os.listdir(".") == []


def test_a_folder_that_cannot_be_made_is_named():
    with open("taken", "w"):
        pass
    with pytest.raises(Sorry, match="taken: File exists"):
        run([*SMALL, "output.log=None", "output.directory=taken"])
    assert os.listdir(".") == ["taken"]


def test_earlier_images_are_not_overwritten():
    run(SMALL)
    with open("simulated/simulated_000.tvips", "rb") as stream:
        before = stream.read()
    with pytest.raises(Sorry, match="already holds simulated_000.tvips"):
        run([*SMALL, "seed=9"])
    with open("simulated/simulated_000.tvips", "rb") as stream:
        assert stream.read() == before


def test_a_failure_in_mid_write_leaves_nothing(monkeypatch):
    record = "dials_truncfix.simulate.sweep.SimulatedSweep.record"
    monkeypatch.setattr(record, _fails_at_the_third())
    with pytest.raises(Sorry, match="simulated: No space left"):
        run([*SMALL, "output.log=None", "output.unclipped=True"])
    assert os.listdir(".") == []


def _fails_at_the_third():
    from dials_truncfix.simulate.sweep import SimulatedSweep

    original = SimulatedSweep.record

    def record(self, image, frame=0):
        if image == 2:
            raise OSError(28, "No space left on device")
        return original(self, image, frame)

    return record


@pytest.mark.parametrize(
    "arguments",
    [
        SMALL,
        [*SMALL, "source=stills", "stills.output=images", "stills.n_lattices=3"],
        ["source=stills", "stills.n_lattices=60", "d_min=6", "stills.batch=20"],
        [*SMALL, "scan.n_images=2", "camera.model=k2", "camera.frames_per_image=4"],
    ],
    ids=["sweep", "stills as images", "stills as tables", "frames"],
)
def test_files_do_not_depend_on_the_number_of_processes(arguments, monkeypatch):
    for module in (simulate_images, simulate_stills):
        monkeypatch.setattr(module, "WORTH_A_PROCESS", 1)
    files = []
    for nproc in ("1", "2"):
        os.mkdir(nproc)
        with monkeypatch.context() as inside:
            inside.chdir(nproc)
            run([*arguments, f"mp.nproc={nproc}"])
            names = sorted(os.listdir("simulated"))
            # models say where their images are
            here = os.getcwd().encode()
            files.append(
                {
                    name: _content(f"simulated/{name}").replace(here, b"")
                    for name in names
                }
            )
    assert len(files[0]) > 2
    assert files[0] == files[1]


def _content(name):
    """Bytes of a file, but for where and when it was written."""
    with open(name, "rb") as stream:
        content = stream.read().replace(os.getcwd().encode(), b"")
    return re.sub(rb"CREATED_\S+", b"", content)
