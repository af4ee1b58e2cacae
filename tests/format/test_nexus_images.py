"""Corrected images in NeXus: by our class, and by those that dxtbx has anyway."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest

from dials.util import Sorry
from dxtbx import flumpy
from dxtbx.format.FormatNXmx import FormatNXmx
from dxtbx.format.Registry import get_format_class_for_file, get_format_class_index
from dxtbx.model import DetectorFactory, GoniometerFactory
from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix import compat
from dials_truncfix.io import nexus, nexus_data
from dials_truncfix.io.corrected_header import make_header

FIRST = 5
SHAPE = (24, 32)


def models(beam_direction=(0, 0, 1)):
    detector = DetectorFactory.make_detector(
        "PAD",
        (np.cos(0.1), np.sin(0.1), 0),
        (np.sin(0.1) * np.cos(0.2), -np.cos(0.1) * np.cos(0.2), np.sin(0.2)),
        (-0.4, 0.3, -2640.1),
        (0.0312, 0.0310),
        (32, 24),
        (-1, 65535),
    )
    beam = compat.make_electron_beam(0.0250793)
    beam.set_direction(beam_direction)
    goniometer = GoniometerFactory.known_axis((-0.6, 0.8, 0))
    scan = compat.make_scan(
        (FIRST, FIRST + 4),
        (-30.1, 0.3),
        [0.5, 0.5, 0.51, 0.5, 0.5],
        [1.6e9 + 0.5 * i for i in range(5)],
        FIRST - 1,
    )
    return detector, beam, goniometer, scan


def write(folder, detector, beam, goniometer, scan, bad=None, numbers=None):
    """Write five images in two data files; their pixels and the master's path."""
    generator = np.random.default_rng(5)
    pixels = generator.normal(3, 4, (5, *SHAPE)).round().astype(np.int32)
    numbers = numbers or tuple(range(FIRST, FIRST + 5))
    files = []
    for part in (slice(0, 3), slice(3, 5)):
        name = f"truncfix_{numbers[part][0]:05d}.h5"
        shape = (len(pixels[part]), *SHAPE)
        with nexus_data.open_data_file(folder / name, shape) as store:
            for image in pixels[part]:
                store(image)
        files.append(nexus.DataFile(name, numbers[part]))
    plain = compat.models_to_dict(detector, beam, goniometer, None, None)
    plain["scan"] = None if scan is None else compat.scan_to_dict(scan)
    header = make_header(plain, 7.25, -1.375, (-60.5, 65534.5), 0, 42, "0.1.0")
    path = folder / "truncfix_master.h5"
    nexus.write_master(
        path,
        nexus.Master(header, tuple(files), bad),
        rotation_axis=None if scan is None else goniometer.get_rotation_axis(),
        electrons=True,
    )
    return pixels, str(path)


def test_models_come_back_exactly(tmp_path):
    detector, beam, goniometer, scan = models()
    pixels, path = write(tmp_path, detector, beam, goniometer, scan)
    image = get_format_class_for_file(path)(path)
    assert type(image).__name__ == "FormatNXmxTruncfix"
    panel = image.get_detector()[0]
    assert (panel.get_gain(), panel.get_pedestal()) == (7.25, -1.375)
    assert panel.get_trusted_range() == (-60.5, 65534.5)
    # "PAD" would have DIALS model the background by glm, which refuses signed pixels
    assert panel.get_type() == "SENSOR_CCD"
    restored, original = panel.to_dict(), detector[0].to_dict()
    for key in ("gain", "pedestal", "trusted_range", "type"):
        restored.pop(key), original.pop(key)
    assert restored == original
    assert image.get_beam() == beam
    if compat.electron_probe() is not None:
        assert image.get_beam().get_probe() == compat.electron_probe()
    assert image.get_goniometer() == goniometer
    assert image.get_scan() == scan
    assert image.get_scan(FIRST).get_image_range() == (FIRST + 1, FIRST + 1)
    assert image.get_static_mask() is None
    for index, expected in enumerate(pixels):
        (data,) = image.get_raw_data(FIRST - 1 + index)
        np.testing.assert_array_equal(flumpy.to_numpy(data), expected)
        assert panel.get_trusted_range_mask(data).count(False) == 0


def part_of(imageset, start, stop):
    """Slice that counts from 0 in every release."""
    try:
        return imageset[start:stop]
    except OverflowError:
        # older releases count from the batch offset
        offset = imageset.get_scan().get_batch_offset()
        return imageset[start + offset : stop + offset]


def test_a_sweep_survives_import_slicing_and_json(tmp_path):
    pixels, path = write(tmp_path, *models())
    imported = ExperimentListFactory.from_filenames([path])
    imported.as_file(str(tmp_path / "a.expt"))
    again = ExperimentListFactory.from_json_file(str(tmp_path / "a.expt"))
    for loaded in (imported, again, pickle.loads(pickle.dumps(again))):
        (experiment,) = loaded
        imageset = experiment.imageset
        assert len(imageset) == 5
        assert experiment.scan.get_image_range() == (FIRST, FIRST + 4)
        assert experiment.scan.get_oscillation() == pytest.approx((-30.1, 0.3))
        for index in range(5):
            data = flumpy.to_numpy(imageset.get_raw_data(index)[0])
            np.testing.assert_array_equal(data, pixels[index])
        electrons = flumpy.to_numpy(imageset.get_corrected_data(1)[0])
        np.testing.assert_allclose(electrons, (pixels[1] + 1.375) / 7.25, rtol=1e-6)
        part = part_of(imageset, 2, 4)
        assert part.get_scan().get_image_range() == (FIRST + 2, FIRST + 3)
        data = flumpy.to_numpy(part.get_raw_data(1)[0])
        np.testing.assert_array_equal(data, pixels[3])


def test_dials_import(tmp_path, dials_import):
    _, path = write(tmp_path, *models())
    experiments, _ = dials_import(path)
    assert experiments[0].scan.get_image_range() == (FIRST, FIRST + 4)
    assert experiments[0].detector[0].get_gain() == 7.25


@pytest.mark.parametrize("direction", [(0, 0, 1), (0.02, -0.01, 1.0)])
def test_stock_classes_read_geometry_and_pixels(tmp_path, direction):
    """Whatever DIALS finds without this plugin; a tilted beam turns the frame."""
    detector, beam, goniometer, scan = models(direction)
    pixels, path = write(tmp_path, detector, beam, goniometer, scan)
    image = FormatNXmx(path)
    panel, given = image.get_detector()[0], detector[0]
    assert image.get_beam().get_wavelength() == pytest.approx(0.0250793)
    assert panel.get_image_size() == (32, 24)
    assert panel.get_pixel_size() == pytest.approx((0.0312, 0.0310))
    s0, true_s0 = (np.array(b.get_s0()) for b in (image.get_beam(), beam))
    axis = np.array(image.get_goniometer().get_rotation_axis())
    true_axis = np.array(goniometer.get_rotation_axis())
    assert axis @ s0 == pytest.approx(true_axis @ true_s0, abs=1e-9)
    for x, y in ((0, 0), (31.5, 2.5), (10, 24)):
        there = np.array(panel.get_pixel_lab_coord((x, y)))
        expected = np.array(given.get_pixel_lab_coord((x, y)))
        # angles with the beam and the rotation axis say all of a diffracted ray
        assert there @ s0 == pytest.approx(expected @ true_s0, rel=1e-7)
        assert there @ axis == pytest.approx(expected @ true_axis, abs=1e-4)
        assert np.linalg.norm(there) == pytest.approx(np.linalg.norm(expected))
    # inclusive in newer releases, exclusive at its ends in older ones
    assert compat.trusted_limits(panel)[0] in (-60, -61)
    assert compat.trusted_limits(panel)[1] in (65534, 65533)
    assert image.get_scan().get_oscillation()[1] == pytest.approx(0.3)
    assert image.get_scan().get_exposure_times()[0] == 0.5
    # the images before the first take their places, and no pixel of them is trusted
    assert image.get_num_images() == FIRST + 4
    start = image.get_scan().get_oscillation()[0]
    assert start + 0.3 * (FIRST - 1) == pytest.approx(-30.1)
    for index, expected in enumerate(pixels):
        (data,) = image.get_raw_data(FIRST - 1 + index)
        np.testing.assert_array_equal(flumpy.to_numpy(data), expected)
    (absent,) = image.get_raw_data(0)
    assert panel.get_trusted_range_mask(absent).count(True) == 0


def test_the_mask_travels_with_the_images(tmp_path):
    bad = np.zeros(SHAPE, dtype=bool)
    bad[4:6, 8:11] = True
    _, path = write(tmp_path, *models(), bad=bad)
    (experiment,) = ExperimentListFactory.from_filenames([path])
    for mask in (
        experiment.imageset.get_mask(1)[0],
        FormatNXmx(path).get_static_mask()[0],
    ):
        np.testing.assert_array_equal(flumpy.to_numpy(mask).astype(bool), ~bad)


def test_stills(tmp_path):
    detector, beam, _, _ = models()
    numbers = (2, 3, 5, 8, 9)
    pixels, path = write(tmp_path, detector, beam, None, None, numbers=numbers)
    experiments = ExperimentListFactory.from_filenames([path])
    experiments.as_file(str(tmp_path / "a.expt"))
    again = ExperimentListFactory.from_json_file(str(tmp_path / "a.expt"))
    for loaded in (experiments, again):
        assert len(loaded) == 5
        for experiment, expected in zip(loaded, pixels):
            assert experiment.detector[0].get_gain() == 7.25
            assert experiment.goniometer is None
            data = flumpy.to_numpy(experiment.imageset.get_raw_data(0)[0])
            np.testing.assert_array_equal(data, expected)


def test_other_nexus_files_keep_their_classes(tmp_path):
    """A file of NXmx without our group goes where it would go without this plugin."""
    _, path = write(tmp_path, *models())
    with h5py.File(path, "r+") as file:
        del file[nexus.GROUP]
    electron_class = "FormatNXmxED"
    known = electron_class in get_format_class_index()
    expected = electron_class if known else "FormatNXmx"
    assert get_format_class_for_file(path).__name__ == expected
    with h5py.File(path, "r+") as file:
        del file["/entry/source/probe"]
    assert get_format_class_for_file(path).__name__ == "FormatNXmx"
    # a data file is no image
    data = str(tmp_path / f"truncfix_{FIRST:05d}.h5")
    found = get_format_class_for_file(data)
    assert found is None or "Truncfix" not in found.__name__


def test_images_of_xrays_are_ours_too(tmp_path):
    """They lack the probe by which releases choose the class of electrons."""
    _, path = write(tmp_path, *models())
    with h5py.File(path, "r+") as file:
        del file["/entry/source/probe"]
    assert get_format_class_for_file(path).__name__ == "FormatNXmxTruncfix"


def test_damage_is_reported(tmp_path, caplog):
    _, path = write(tmp_path, *models())
    (experiment,) = ExperimentListFactory.from_filenames([path])
    (tmp_path / f"truncfix_{FIRST:05d}.h5").unlink()
    with pytest.raises(Sorry, match=r"truncfix_00005\.h5 is missing: put it back"):
        experiment.imageset.get_raw_data(1)
    with h5py.File(path, "r+") as file:
        file[nexus.GROUP].attrs["convention"] = "TRUNCFIX_9"
    get_format_class_for_file(path)
    assert "another version of dials.truncfix" in caplog.text
