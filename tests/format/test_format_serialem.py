"""Frames of SerialEM in dxtbx: models, pixels, recipes and dials.import."""

from __future__ import annotations

import json
import logging
import pickle

import numpy as np
import pytest

from dxtbx import flumpy
from dxtbx.format import Registry

from dials_truncfix import compat
from dials_truncfix.format import serialem_images
from dials_truncfix.format.FormatMRCSerialEMStack import FormatMRCSerialEMStack
from dials_truncfix.format.FormatSerialEMRecipe import FormatSerialEMRecipe
from dials_truncfix.format.tem_models import log_once
from dials_truncfix.io import mrc
from dials_truncfix.io.defects import Defects, write_defects
from dials_truncfix.io.mdoc import Mdoc, MdocSection, write_mdoc
from dials_truncfix.io.reduction import reduce_antialiased
from dials_truncfix.io.serialem import FrameTitle, write_frames


@pytest.fixture(autouse=True)
def forget_what_was_logged():
    log_once.cache_clear()


SHAPE = (20, 32)


@pytest.fixture
def frames():
    generator = np.random.default_rng(6)
    return [np.minimum(generator.poisson(2, SHAPE), 14).astype("u1") for _ in range(12)]


@pytest.fixture
def stack(tmp_path, frames):
    def write(name="lys_001.mrc", title=None, **options):
        options.setdefault("compression", "zip")
        write_frames(tmp_path / name, frames, title or FrameTitle(), **options)
        return str(tmp_path / name)

    return write


def metadata(tmp_path, name="lys_001.mrc", **values):
    entries = {
        "TiltAngle": "-30",
        "CameraLength": "1830",
        "RotationAngle": "90",
        "ExposureTime": "2.4",
        "NumSubFrames": "12",
        "DateTime": "08-Oct-21  07:47:29",
        "SubFramePath": rf"X:\frames\{name}",
        **values,
    }
    section = MdocSection("FrameSet", "0", entries)
    write_mdoc(tmp_path / f"{name}.mdoc", Mdoc({"Voltage": "300"}, (), (section,)))


def open_image(path):
    return Registry.get_format_class_for_file(path)(path)


KINDS = {
    "lys_001.mrc": ({}, "FormatMRCSerialEMStack"),
    "lys_001.mrcs": ({"packing": "mode101"}, "FormatMRCSerialEMStack"),
    "lys_001.tif": ({"packing": "squeezed"}, "FormatSerialEMTIFFStack"),
    "lys_001.tiff": ({"compression": "none"}, "FormatSerialEMTIFFStack"),
}


@pytest.mark.parametrize("name", KINDS)
def test_pixels_of_every_frame(stack, frames, name):
    options, expected = KINDS[name]
    image = open_image(stack(name, **options))
    assert type(image).__name__ == expected
    assert image.get_num_images() == 12
    for index in (11, 0, 5):
        data = image.get_raw_data(index)
        assert type(data).__name__ == "int"
        np.testing.assert_array_equal(flumpy.to_numpy(data), frames[index])
    copy = pickle.loads(pickle.dumps(image))
    np.testing.assert_array_equal(flumpy.to_numpy(copy.get_raw_data(3)), frames[3])


def test_models_from_the_mdoc(stack, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    metadata(tmp_path)
    image = FormatMRCSerialEMStack(stack())
    panel = image.get_detector()[0]
    assert panel.get_image_size() == SHAPE[::-1]
    assert panel.get_distance() == pytest.approx(1830)
    beam = image.get_beam()
    assert beam.get_wavelength() == pytest.approx(0.0196875, abs=1e-7)
    assert panel.get_beam_centre_px(beam.get_s0()) == pytest.approx((16, 10))
    assert image.get_goniometer().get_rotation_axis() == pytest.approx((0, 1, 0))
    scan = image.get_scan()
    assert scan.get_image_range() == (1, 12)
    assert list(scan.get_exposure_times()) == pytest.approx([0.2] * 12)
    assert scan.get_epochs()[1] - scan.get_epochs()[0] == pytest.approx(0.2)
    if compat.electron_probe() is not None:
        assert beam.get_probe() == compat.electron_probe()
    for phrase in (
        "RotationAngle 90 of the .mdoc file",
        "detector distance 1830 mm taken from",
        "are no whole ones of a K2 or K3; pixel size 0.005 mm assumed",
        "1 counts an electron",
        "geometry.scan.oscillation=start,width",
    ):
        assert caplog.text.count(phrase) == 1


@pytest.mark.parametrize(
    "title, dtype, gain, kind, high",
    [
        # raw electrons: DIALS may take them for counts
        (FrameTitle(), "u1", 1, "SENSOR_PAD", 254.5),
        (FrameTitle(scaling=16.0), "u1", 16, "SENSOR_CCD", 254.5),
        (FrameTitle(scaling=38.3), "i2", 38.3, "SENSOR_CCD", 32766.5),
        # with negative pixels it must not
        (FrameTitle(), "i2", 1, "SENSOR_CCD", 32766.5),
        (FrameTitle(), "f4", 1, "SENSOR_CCD", 2**30 - 0.5),
    ],
)
def test_gain_and_type_of_the_panel(tmp_path, frames, title, dtype, gain, kind, high):
    path = str(tmp_path / "a.mrc")
    write_frames(path, [f.astype(dtype) for f in frames], title)
    panel = open_image(path).get_detector()[0]
    assert panel.get_gain() == pytest.approx(gain)
    assert panel.get_type() == kind
    low = -0.5 if dtype == "u1" else -high
    assert panel.get_trusted_range() == pytest.approx((low, high), abs=1)


def test_bytes_of_a_normalized_k3_have_32_counts_an_electron(tmp_path):
    frame = np.zeros((4092, 5760), np.uint8)
    frame[0, :3] = 160, 224, 255
    path = str(tmp_path / "k3.mrc")
    write_frames(path, [frame] * 2, FrameTitle())
    image = open_image(path)
    panel = image.get_detector()[0]
    assert panel.get_gain() == 32 and panel.get_type() == "SENSOR_CCD"
    assert panel.get_pixel_size() == pytest.approx((0.005, 0.005))
    data = image.get_raw_data(0)
    assert list(data[:3]) == [160, 224, 255]
    mask = panel.get_trusted_range_mask(data)
    assert list(mask[:3]) == [True, True, False]


def test_packed_pixels_of_15_are_saturated(stack, frames):
    frames[0][0, 0] = 15
    image = open_image(stack(packing="mode101"))
    mask = image.get_detector()[0].get_trusted_range_mask(image.get_raw_data(0))
    assert mask.count(False) == 1 and not mask[0]


def test_linear_mode_has_the_gain_of_the_mdoc(stack, tmp_path):
    metadata(tmp_path, OperatingMode="0", CountsPerElectron="38.5")
    panel = FormatMRCSerialEMStack(stack()).get_detector()[0]
    assert (panel.get_gain(), panel.get_type()) == (38.5, "SENSOR_CCD")


@pytest.fixture
def calibrated(tmp_path, stack):
    """Raw frames with a reference of 1 to 1.5 and one bad pixel."""
    factors = np.linspace(1.0, 1.5, SHAPE[0] * SHAPE[1], dtype=np.float32)
    mrc.write_stack(tmp_path / "ref.mrc", [factors.reshape(SHAPE)[::-1]])
    write_defects(
        tmp_path / "d.txt", Defects(SHAPE[::-1], rotation_flip=0, pixels=((4, 3),))
    )
    title = FrameTitle(gain_reference="ref.mrc", defects="d.txt")
    return stack(title=title), factors.reshape(SHAPE)


def test_reference_and_defects_are_applied(calibrated, frames):
    path, factors = calibrated
    image = open_image(path)
    data = flumpy.to_numpy(image.get_raw_data(1))
    expected = frames[1] * factors
    good = flumpy.to_numpy(image.get_static_mask()[0])
    assert np.argwhere(~good).tolist() == [[3, 4]]
    np.testing.assert_allclose(data[good], expected[good], rtol=1e-6)
    assert expected[2:5, 3:6].min() <= data[3, 4] <= expected[2:5, 3:6].max()
    sequence = type(image).get_imageset(path)
    assert not sequence.get_mask(0)[0][3, 4]
    assert sequence.get_mask(0)[0].count(False) == 1


def test_missing_references_end_the_import_with_a_sentence(
    calibrated, tmp_path, dials_import
):
    (tmp_path / "ref.mrc").unlink()
    experiments, output = dials_import("lys_001.mrc")
    assert experiments is None
    assert "Sorry" in output and "Traceback" not in output
    text = " ".join(output.split())
    assert "its title names the gain reference ref.mrc, which is neither" in text


def recipe(tmp_path, **fields):
    path = tmp_path / "lys.frames"
    path.write_text(
        json.dumps({"serialem_frames": 1, "stack": "lys_001.mrc", **fields})
    )
    return str(path)


def test_recipe_without_calibration(calibrated, tmp_path, frames):
    path = recipe(tmp_path, gain_reference=False, defects=False)
    image = open_image(path)
    assert isinstance(image, FormatSerialEMRecipe)
    assert image.get_static_mask() is None
    np.testing.assert_array_equal(flumpy.to_numpy(image.get_raw_data(0)), frames[0])


def test_recipe_of_sums(stack, tmp_path, frames, dials_import):
    stack(packing="mode101")
    metadata(tmp_path)
    recipe(tmp_path, frames_per_image=5, oscillation=[-30, 0.5])
    experiments, output = dials_import("lys.frames")
    (experiment,) = experiments
    assert "10 of 12 frames are used, 5 in an image" in output
    assert experiment.scan.get_image_range() == (1, 2)
    assert experiment.scan.get_oscillation() == pytest.approx((-30, 0.5))
    assert list(experiment.scan.get_exposure_times()) == pytest.approx([1.0, 1.0])
    panel = experiment.detector[0]
    assert panel.get_trusted_range() == (-0.5, 74.5)
    for index in range(2):
        np.testing.assert_array_equal(
            flumpy.to_numpy(experiment.imageset.get_raw_data(index)[0]),
            np.sum(frames[5 * index : 5 * index + 5], axis=0, dtype=int),
        )


def test_falling_angles_rise_about_the_inverted_axis(stack, tmp_path):
    stack()
    image = open_image(recipe(tmp_path, oscillation=[20, -0.5]))
    assert image.get_goniometer().get_rotation_axis() == (-1, 0, 0)
    assert image.get_scan().get_oscillation() == pytest.approx((-20, 0.5))


def test_recipe_of_a_still(stack, tmp_path, frames):
    stack()
    image = open_image(recipe(tmp_path, frames_per_image=0))
    assert image.get_num_images() == 1
    np.testing.assert_array_equal(
        flumpy.to_numpy(image.get_raw_data(0)), np.sum(frames, axis=0, dtype=int)
    )


def test_recipe_of_reduced_images(stack, tmp_path, frames):
    pytest.importorskip("PIL")
    stack()
    image = open_image(recipe(tmp_path, reduce_by=2, counts_per_electron=1.5))
    panel = image.get_detector()[0]
    assert panel.get_image_size() == (16, 10)
    assert panel.get_pixel_size() == pytest.approx((0.01, 0.01))
    assert (panel.get_gain(), panel.get_type()) == (1.5, "SENSOR_CCD")
    np.testing.assert_array_equal(
        flumpy.to_numpy(image.get_raw_data(2)), reduce_antialiased(frames[2], 2)
    )


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"reduce_by": 3}, "lys_001.mrc: frames of 32 x 20 pixels cannot be reduced"),
        ({"frames_per_image": 13}, "lys.frames: frames 1 to 12 are too few"),
        ({"frame_per_image": 13}, '"frame_per_image" is none of'),
    ],
)
def test_wrong_recipes_end_with_a_sentence(stack, tmp_path, fields, message):
    from libtbx.utils import Sorry

    stack()
    path = recipe(tmp_path, **fields)
    assert FormatSerialEMRecipe.understand(path)
    with pytest.raises(Sorry, match=message):
        FormatSerialEMRecipe(path)


@pytest.mark.parametrize("name", ["lys_001.mrc", "lys_001.tif"])
def test_import_of_a_stack_makes_one_sweep(stack, frames, dials_import, name):
    stack(name)
    experiments, output = dials_import(
        name, "geometry.scan.oscillation=-10,0.25", "geometry.detector.distance=900"
    )
    (experiment,) = experiments
    assert "import with geometry.scan.oscillation=start,width" in output
    assert experiment.scan.get_image_range() == (1, 12)
    assert experiment.scan.get_oscillation() == pytest.approx((-10, 0.25))
    assert experiment.detector[0].get_distance() == pytest.approx(900)
    part = experiment.imageset[6:9]
    np.testing.assert_array_equal(flumpy.to_numpy(part.get_raw_data(1)[0]), frames[7])


@pytest.mark.parametrize("suffix", ["mrc", "tif"])
def test_single_frames_in_numbered_files_make_one_sweep(
    tmp_path, frames, dials_import, suffix
):
    for index, frame in enumerate(frames[:4]):
        path = tmp_path / f"set_{index + 1:03d}.{suffix}"
        write_frames(path, [frame], FrameTitle(), compression="zip")
        assert type(open_image(str(path))).__name__.endswith("Image")
    experiments, _ = dials_import(
        *(f"set_{i}.{suffix}" for i in ("001", "002", "003", "004")),
        "geometry.scan.oscillation=0,0.1",
    )
    (experiment,) = experiments
    assert experiment.scan.get_image_range() == (1, 4)
    np.testing.assert_array_equal(
        flumpy.to_numpy(experiment.imageset.get_raw_data(2)[0]), frames[2]
    )


def test_files_of_others_keep_their_classes(tmp_path, frames):
    """What SerialEM's plugin did not write, its own maps among them."""
    for labels in (["IMOD: newstack"], ["SerialEM: Digitized on a Krios"], []):
        for count, expected in ((1, "FormatMRCimages"), (3, "FormatMRCstack")):
            path = tmp_path / f"other{count}.mrc"
            mrc.write_stack(
                path, [f.astype("i2") for f in frames[:count]], labels=labels
            )
            found = Registry.get_format_class_for_file(str(path))
            assert found.__name__ == expected


def test_frames_that_another_program_worked_on(tmp_path, frames, caplog):
    """Normalized by IMOD, they still name their reference: it must not be applied again."""
    labels = [
        "SerialEMCCD: Frames . ., 4 bits packed  r/f 3          08-Oct-21  07:47:29",
        "  Ref.dm4",
        "clip: norm                                              09-Oct-21  10:11:12",
    ]
    path = tmp_path / "a.mrc"
    mrc.write_stack(path, [f.astype("i2") for f in frames], labels=labels)
    assert Registry.get_format_class_for_file(str(path)).__name__ == "FormatMRCstack"
    assert "another program has worked on these frames" in caplog.text


def test_shortened_stacks_end_with_a_sentence(stack):
    """No other class may take what ours cannot read."""
    from libtbx.utils import Sorry

    path = stack()
    with open(path, "r+b") as stream:
        stream.truncate(1024 + 3 * 640 + 5)
    found = Registry.get_format_class_for_file(path)
    assert found is FormatMRCSerialEMStack
    with pytest.raises(Sorry, match="claims 12 images of 32 x 20.*holds 3 of them"):
        found(path)


def test_other_number_of_frames_than_the_mdoc_says(stack, tmp_path, caplog):
    metadata(tmp_path, NumSubFrames="243")
    FormatMRCSerialEMStack(stack())
    assert "the .mdoc file tells of 243 frames, the stack holds 12" in caplog.text


def test_impossible_headers_end_with_a_sentence(stack):
    from libtbx.utils import Sorry

    path = stack()
    with open(path, "r+b") as stream:
        stream.seek(12)
        stream.write(bytes([4]))
    assert FormatMRCSerialEMStack.understand(path)
    with pytest.raises(Sorry, match="mode 4 .complex numbers. is no image"):
        FormatMRCSerialEMStack(path)


def test_reference_is_read_once_for_all_files_of_a_series(
    tmp_path, frames, monkeypatch
):
    mrc.write_stack(tmp_path / "ref.mrc", [np.ones(SHAPE, np.float32)])
    calls = []
    original = serialem_images.load_calibration
    serialem_images._load_calibration.cache_clear()
    monkeypatch.setattr(
        serialem_images,
        "load_calibration",
        lambda *arguments: calls.append(1) or original(*arguments),
    )
    for index in range(3):
        path = tmp_path / f"set_{index + 1:03d}.mrc"
        write_frames(path, [frames[index]], FrameTitle(gain_reference="ref.mrc"))
        open_image(str(path)).get_raw_data()
    assert len(calls) == 1
