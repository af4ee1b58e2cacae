"""FormatTVIPS: models, pixels and dials.import."""

from __future__ import annotations

import logging
import pickle
import struct

import numpy as np
import pytest

from dxtbx import flumpy
from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix import compat
from dials_truncfix.format.FormatTVIPS import FormatTVIPS
from dials_truncfix.format.tem_models import log_once


@pytest.fixture(autouse=True)
def forget_what_was_logged():
    log_once.cache_clear()


def test_models(series):
    image = FormatTVIPS(series())
    panel = image.get_detector()[0]
    assert panel.get_type() == "SENSOR_CCD"
    assert panel.get_image_size() == (32, 24)
    assert panel.get_pixel_size() == pytest.approx((0.0312, 0.0312))
    assert panel.get_distance() == pytest.approx(2640)
    assert panel.get_trusted_range() == (-0.5, 65534.5)
    beam = image.get_beam()
    assert panel.get_beam_centre_px(beam.get_s0()) == pytest.approx((16, 12))
    assert beam.get_wavelength() == pytest.approx(0.0250793, abs=1e-7)
    assert beam.get_polarization_fraction() == 0.5
    if compat.electron_probe() is not None:
        assert beam.get_probe() == compat.electron_probe()
    assert image.get_goniometer().get_rotation_axis() == (1, 0, 0)
    scan = image.get_scan()
    assert scan.get_image_range() == (1, 12)
    assert scan.get_oscillation() == pytest.approx((-30, 0.25))
    assert list(scan.get_exposure_times()) == pytest.approx([0.5] * 12)
    assert list(scan.get_epochs()) == pytest.approx(1.6e9 + 0.5 * np.arange(12))
    third = image.get_scan(2)
    assert third.get_image_range() == (3, 3)
    assert third.get_oscillation() == pytest.approx((-29.5, 0.25))


def test_zeros_are_trusted_and_saturated_pixels_are_not(series):
    image = FormatTVIPS(series())
    mask = image.get_detector()[0].get_trusted_range_mask(image.get_raw_data(0))
    assert list(mask[:3]) == [False, True, True]
    assert mask.count(False) == 1


def test_pixels_of_every_frame(series, frames):
    image = FormatTVIPS(series(frames_per_part=5))
    assert image.get_num_images() == 12
    for index in (11, 0, 5, 4):
        data = image.get_raw_data(index)
        assert type(data).__name__ == "int"
        np.testing.assert_array_equal(flumpy.to_numpy(data), frames[index])


def test_falling_angles_become_a_rising_scan_about_the_inverted_axis(series):
    image = FormatTVIPS(series(alpha_deg=20 - 0.5 * np.arange(12)))
    assert image.get_goniometer().get_rotation_axis() == (-1, 0, 0)
    assert image.get_scan().get_oscillation() == pytest.approx((-20, 0.5))


def test_eight_bit_frames(tmp_path, series, frames, monkeypatch):
    path = series()
    small = np.minimum(frames, 255).astype(np.uint8)
    from dials_truncfix.io.tvips import write_series

    write_series(path, small)
    image = FormatTVIPS(path)
    assert image.get_detector()[0].get_trusted_range() == (-0.5, 254.5)
    mask = image.get_detector()[0].get_trusted_range_mask(image.get_raw_data(1))
    assert list(mask[:3]) == [False, False, True]


def test_assumptions_are_logged_once(series, caplog):
    caplog.set_level(logging.INFO)
    path = series(pixel_size_nm=156, high_tension_kv=0)
    FormatTVIPS(path)
    FormatTVIPS(path)
    text = caplog.text
    for phrase in (
        "rotation axis (1.0, 0.0, 0.0) assumed",
        "pixel size 0.0312 mm assumed",
        "detector distance 2640 mm taken from",
        "beam centre assumed",
        "200 kV assumed",
        "oscillation 0.25 degrees",
    ):
        assert text.count(phrase) == 1
    assert {r.name for r in caplog.records} == {"dxtbx.format.FormatTVIPS"}


def test_format_and_imageset_can_be_pickled(series, frames):
    path = series()
    image = pickle.loads(pickle.dumps(FormatTVIPS(path)))
    np.testing.assert_array_equal(flumpy.to_numpy(image.get_raw_data(3)), frames[3])
    sequence = FormatTVIPS.get_imageset(path)
    copy = pickle.loads(pickle.dumps(sequence[4:8]))
    assert copy.get_scan().get_image_range() == (5, 8)
    np.testing.assert_array_equal(flumpy.to_numpy(copy.get_raw_data(1)[0]), frames[5])


def test_files_that_cannot_be_read_are_explained(series, tmp_path, caplog):
    path = series(frames_per_part=3)
    (tmp_path / "mov_002.tvips").unlink()
    assert not FormatTVIPS.understand(path)
    assert "mov_002.tvips of the series are missing" in caplog.text
    lying = series("lying_000.tvips")
    with open(lying, "r+b") as stream:
        stream.seek(8)
        stream.write(struct.pack("<2i", 60000, 60000))
    assert not FormatTVIPS.understand(lying)
    assert "claims frames of 60000 x 60000" in caplog.text


def test_import_of_all_parts_makes_one_sweep(series, frames, dials_import):
    series(frames_per_part=5)
    experiments, output = dials_import(
        "mov_000.tvips",
        "mov_001.tvips",
        "mov_002.tvips",
        "geometry.detector.distance=1000",
        "geometry.goniometer.axis=-0.6,0.8,0",
        "geometry.goniometer.invert_rotation_axis=True",
    )
    assert len(experiments) == 1
    (experiment,) = experiments
    assert experiment.scan.get_image_range() == (1, 12)
    assert experiment.detector[0].get_distance() == pytest.approx(1000)
    assert experiment.goniometer.get_rotation_axis() == pytest.approx((0.6, -0.8, 0))
    assert "12 frames in 3 parts, up to mov_002.tvips" in output
    assert "rotation axis (1.0, 0.0, 0.0) assumed" in output
    for index in (0, 7, 11):
        np.testing.assert_array_equal(
            flumpy.to_numpy(experiment.imageset.get_raw_data(index)[0]), frames[index]
        )
    part = experiment.imageset[6:9]
    assert part.get_scan().get_oscillation() == pytest.approx((-28.5, 0.25))
    np.testing.assert_array_equal(flumpy.to_numpy(part.get_raw_data(1)[0]), frames[7])


def test_import_without_stage_angles_asks_for_the_oscillation(series, dials_import):
    series(alpha_deg=[5.0] * 12)
    experiments, output = dials_import("mov_000.tvips")
    assert "import with geometry.scan.oscillation=start,width" in output
    assert len(experiments) == 12
    experiments, _ = dials_import("mov_000.tvips", "geometry.scan.oscillation=-10,0.5")
    assert len(experiments) == 1
    assert experiments[0].scan.get_image_range() == (1, 12)
    assert experiments[0].scan.get_oscillation() == pytest.approx((-10, 0.5))


def test_import_of_a_shortened_series_warns(series, frames, dials_import):
    path = series(version=1)
    with open(path, "r+b") as stream:
        stream.truncate(stream.seek(0, 2) - 10)
    experiments, output = dials_import(
        "mov_000.tvips", "geometry.scan.oscillation=0,0.5"
    )
    assert len(experiments[0].imageset) == 11
    assert output.count("ends in the middle of a frame; 11 complete frames") == 1


def test_experiments_survive_json(series, tmp_path):
    experiments = ExperimentListFactory.from_filenames([series()])
    experiments.as_file(str(tmp_path / "a.expt"))
    again = ExperimentListFactory.from_json_file(str(tmp_path / "a.expt"))
    assert again[0].scan == experiments[0].scan
    assert again[0].detector == experiments[0].detector
    assert len(again[0].imageset) == 12
