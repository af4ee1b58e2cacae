"""Frames of K2 and K3 that dials.truncfix_simulate writes, read back by our formats."""

from __future__ import annotations

import os

import numpy as np
import pytest

from dials.util import Sorry
from dxtbx import flumpy
from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix.command_line.simulate_options import simulated_sweep
from dials_truncfix.command_line.simulate_phil import phil_scope
from dials_truncfix.command_line.truncfix_simulate import run
from dials_truncfix.io.frame_orientation import inverse, rotate_flip
from dials_truncfix.io.gain_reference import read_reference
from dials_truncfix.io.mdoc import read_mdoc
from dials_truncfix.io.serialem import open_frames
from dials_truncfix.simulate.truth import load_truth

SMALL = [
    "geometry.image_size=128,112",
    "geometry.distance=40",
    "beam_stop.radius=0.05",
    "beam_stop.arm_width=0",
    "scan.n_images=3",
    "scan.width=0.5",
    "crystal.mosaicity=0.1",
]
TURNED = ["camera.rotation_flip=5"]
NOT_TURNED = ["camera.rotation_flip=3", "camera.turned=False"]
DEFECTS = ["camera.normalized=False", "camera.bad_pixels=20", "camera.bad_columns=2"]
K2 = ["camera.model=k2"]
ZIP = ["output.format=tiff", "output.compression=zip"]
SUPER = [*K2, "camera.mode=super_resolution"]
K3 = ["camera.model=k3", "camera.mode=super_resolution"]


@pytest.fixture(autouse=True)
def _in_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def sweep_of(arguments):
    interpreter = phil_scope.command_line_argument_interpreter()
    changes = [interpreter.process(argument) for argument in arguments]
    return simulated_sweep(phil_scope.fetch(sources=changes).extract())


def images_of(arguments):
    """What the camera recorded, frames of an image apart."""
    sweep = sweep_of(arguments)
    return sweep, [
        [
            sweep.record(image, frame).clipped
            for frame in range(sweep.camera.frames_per_image)
        ]
        for image in range(3)
    ]


CASES = {
    "k2-counting": [*K2],
    "k2-counting-tiff": [*K2, *ZIP, "camera.gain=20"],
    "k2-counting-floating": [*K2, "camera.floating=True", *TURNED],
    "k2-linear": [*K2, "camera.mode=linear", *NOT_TURNED],
    "k2-linear-unsigned": [*K2, "camera.mode=linear", "camera.unsigned=True"],
    "k2-raw": [*K2, *DEFECTS, "camera.frames_per_image=2"],
    "k2-super": [*SUPER, "camera.frames_per_image=2"],
    "k2-super-packed": [*SUPER, *DEFECTS, *TURNED, "output.packing=mode101"],
    "k2-super-packed-tiff": [
        *(*SUPER, *DEFECTS, *NOT_TURNED),
        *("output.packing=squeezed", "output.format=tiff", "output.compression=zip"),
    ],
    "k3": [*K3, "camera.frames_per_image=3", *TURNED],
    "k3-binned": ["camera.model=k3", "output.format=tiff", *NOT_TURNED],
    "k3-packed": [*K3, *DEFECTS, "output.packing=squeezed"],
    "k3-linear": ["camera.model=k3", "camera.mode=linear"],
}


@pytest.mark.parametrize("case", CASES)
def test_frames_come_back_exactly_by_the_reader(case):
    arguments = [*SMALL, *CASES[case]]
    sweep, images = images_of(arguments)
    run([*arguments, "output.log=None"])
    (stack,) = (
        name for name in os.listdir("simulated") if name.endswith(("ated.mrc", ".tif"))
    )
    frames = open_frames(f"simulated/{stack}")
    assert frames.from_serialem
    recorded = [frame for image in images for frame in image]
    assert frames.n_frames == len(recorded)
    for k, expected in enumerate(recorded):
        pixels = frames.read_frame(k)
        assert pixels.dtype == expected.dtype
        assert np.array_equal(pixels, expected)
    if "camera.normalized=False" in arguments:
        reference = read_reference("simulated/simulated_gain.mrc")
        operation = sweep_operation(arguments)
        assert np.array_equal(
            reference, rotate_flip(sweep.pattern.reference, inverse(operation))
        )


def _by_mrcfile():
    mrcfile = pytest.importorskip("mrcfile")
    with mrcfile.open("simulated/simulated.mrc") as file:
        # it leaves rows as MRC stores them, bottom row first
        return file.data[:, ::-1].copy()


def _by_tifffile():
    return pytest.importorskip("tifffile").imread("simulated/simulated.tif")


@pytest.mark.parametrize(
    "case, read",
    [
        ("k2-counting", _by_mrcfile),
        ("k2-counting-floating", _by_mrcfile),
        ("k2-linear-unsigned", _by_mrcfile),
        ("k3-linear", _by_mrcfile),
        ("k2-counting-tiff", _by_tifffile),
    ],
)
def test_frames_come_back_exactly_by_other_readers(case, read):
    """They know nothing of SerialEM: unsigned bytes of MRC and packed ones are left out."""
    arguments = [*SMALL, *CASES[case]]
    _, images = images_of(arguments)
    run([*arguments, "output.log=None"])
    recorded = np.array([frame for image in images for frame in image])
    frames = read()
    assert frames.dtype == recorded.dtype
    assert np.array_equal(frames, recorded)


def sweep_operation(arguments):
    return next((int(a[-1]) for a in arguments if "rotation_flip" in a), 0)


@pytest.mark.parametrize("case", CASES)
def test_images_come_back_exactly_by_dxtbx(case):
    arguments = [*SMALL, *CASES[case]]
    sweep, images = images_of(arguments)
    run([*arguments, "output.log=None"])
    found = ExperimentListFactory.from_filenames(["simulated/simulated.frames"])[0]
    imageset, camera = found.imageset, sweep.camera
    assert len(imageset) == 3
    good = np.ones(sweep.shape, dtype=bool)
    raw = not getattr(camera, "normalized", True)
    if raw and sweep.pattern.bad is not None:
        good = ~sweep.pattern.bad
    for k, frames in enumerate(images):
        pixels = flumpy.to_numpy(imageset.get_raw_data(k)[0])
        expected = sum(frame.astype(float) for frame in frames)
        saturated = np.max(frames, axis=0) >= camera.saturation
        if raw:
            reference = sweep.pattern.reference
            expected = sum(np.multiply(f, reference, dtype=np.float32) for f in frames)
        assert np.array_equal(pixels[good & ~saturated], expected[good & ~saturated])
        mask = flumpy.to_numpy(imageset.get_mask(k)[0])
        assert np.array_equal(mask, good & ~saturated)
    panel = found.detector[0]
    assert panel.get_gain() == pytest.approx(camera.counts_per_electron)
    assert panel.get_pixel_size()[0] == pytest.approx(camera.pixel_size)
    assert found.scan.get_oscillation() == pytest.approx((0, 0.5))
    assert found.scan.get_exposure_times()[0] == pytest.approx(4)
    assert found.beam.get_wavelength() == pytest.approx(0.02507934, rel=1e-6)


def test_a_whole_sensor_on_its_side_is_recognised():
    run(
        [
            *SMALL,
            *("camera.model=k2", "camera.mode=counting", "scan.n_images=1"),
            *("geometry.image_size=None", "camera.rotation_flip=1", "output.log=None"),
            *("dose.mean_intensity=20", "d_min=3", *ZIP),
        ]
    )
    frames = open_frames("simulated/simulated.tif")
    assert frames.shape == (3838, 3710)
    assert frames.title.rotation_flip == 1
    assert frames.title.scaling == 16


def test_a_camera_sees_as_far_as_an_f416_by_default():
    f416 = sweep_of(["d_min=6", "scan.n_images=1"])
    k3 = sweep_of(["camera.model=k3", "d_min=6", "scan.n_images=1"])
    d_min = [
        sweep.experiment.detector[0].get_max_resolution_ellipse(
            sweep.experiment.beam.get_s0()
        )
        for sweep in (f416, k3)
    ]
    assert d_min[1] == pytest.approx(d_min[0], rel=0.01)
    shares = [s.beam_stop_radius / min(s.shape) for s in (f416, k3)]
    assert shares[1] == pytest.approx(shares[0], rel=1e-3)


def test_metadata_and_truth():
    run([*SMALL, *K2, "scan.start=-20", "camera.frames_per_image=2"])
    entries = read_mdoc("simulated/simulated.mrc.mdoc").frame_set("simulated.mrc")
    assert entries.number("NumSubFrames") == 6
    assert entries.number("ExposureTime") == 12
    assert entries.number("OperatingMode") == 1
    assert entries.number("TiltAngle") == -20
    assert entries.number("Voltage") == 200
    assert entries.number("CountsPerElectron") == 16
    truth = load_truth("simulated/truth.npz")
    assert truth.adu_per_electron == pytest.approx(16 * 0.87, rel=1e-4)
    assert (truth.gain, truth.read_noise) == (16, 0)
    with open("dials.truncfix_simulate.log") as log:
        assert "dials.import simulated/simulated.frames" in log.read()


def test_stills_are_frames_too():
    run(
        [
            *(
                "source=stills",
                "stills.output=images",
                "stills.n_lattices=3",
                "d_min=4",
            ),
            *("stills.rs=0.004", "geometry.image_size=128,112", "geometry.distance=40"),
            *("beam_stop.radius=0.05", "camera.model=k3", "scan.exposure=0.32"),
            *("camera.frames_per_image=2", "output.log=None"),
        ]
    )
    assert open_frames("simulated/simulated.mrc").n_frames == 6
    known = ExperimentListFactory.from_json_file(
        "simulated/known.expt", check_format=False
    )
    assert known[2].imageset.get_path(0).endswith("simulated.frames")
    found = ExperimentListFactory.from_filenames(["simulated/simulated.frames"])
    assert len(found) == 3
    assert all(e.scan is None or e.scan.is_still() for e in found)


def test_a_ccd_writes_what_the_formats_of_its_kind_read():
    run(
        [
            *("camera.model=ccd", "geometry.image_size=128,112", "scan.n_images=2"),
            *("geometry.distance=500", "output.unclipped=True"),
            "camera.beam_while_clearing=True",
        ]
    )
    # the images do not say their gain: 6 ADU an electron, which spread by a half more
    with open("dials.truncfix_simulate.log") as log:
        assert "geometry.detector.panel.gain=9\n" in log.read()
    found = ExperimentListFactory.from_filenames(["simulated/simulated_000.tvips"])[0]
    assert found.detector[0].get_pixel_size()[0] == pytest.approx(0.06)
    pixels = flumpy.to_numpy(found.imageset.get_raw_data(1)[0])
    unclipped = ExperimentListFactory.from_filenames(
        ["simulated/simulated_unclipped_00002.cbf"]
    )[0]
    before = flumpy.to_numpy(unclipped.imageset.get_raw_data(0)[0])
    assert np.array_equal(pixels, np.maximum(before, 0))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([*K2, "scan.exposure=4.001"], "nearest that is possible is 4.000000 s"),
        ([*K3, "camera.frames_per_image=7"], "nearest that is possible is 0.571333 s"),
        (
            [*K2, "camera.binning=2"],
            "camera.binning is not a parameter of a camera that",
        ),
        (["camera.frames_per_image=2"], "camera.frames_per_image is not .* of an F416"),
        (["camera.mode=linear"], "camera.mode is not a parameter of an F416"),
        ([*K2, "output.format=tvips"], "written as mrc or tiff, not tvips"),
        (["output.format=mrc"], "output.format=mrc is for frames of a K2 or K3"),
        ([*K2, "output.packing=mode101"], "only raw counts are packed"),
        ([*K2, "output.unclipped=True"], "a camera that counts cuts nothing off"),
        (
            [*K2, "camera.mode=linear", "camera.frames_per_image=2"]
            + ["output.unclipped=True"],
            "not with camera.frames_per_image",
        ),
        ([*K3, "camera.gain=16"], "a K3 stores 32 counts"),
        ([*K2, f"output.prefix={70 * 'a'}"], "is too long"),
        (
            [*SUPER, *DEFECTS, "output.packing=mode101", "output.format=tiff"],
            "a TIFF file cannot hold mode101",
        ),
    ],
)
def test_what_a_camera_cannot_do_is_named_and_leaves_nothing(arguments, message):
    with pytest.raises(Sorry, match=message):
        run([*SMALL, "output.log=None", *arguments])
    assert os.listdir(".") == []


def test_earlier_frames_are_not_overwritten():
    run([*SMALL, *K2, "output.log=None"])
    with pytest.raises(Sorry, match="already holds simulated.mrc"):
        run([*SMALL, *K2, "output.log=None"])
