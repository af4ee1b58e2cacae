"""Reading EM-MENU TIFF images."""

from __future__ import annotations

import calendar
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dials_truncfix.io import emmenu_tiff

tifffile = pytest.importorskip("tifffile")


@pytest.fixture(scope="module")
def real_file(shared_data):
    return shared_data / "tvips" / "TVIPS_bin4.tif"


def test_metadata_of_a_real_file(real_file):
    header = emmenu_tiff.read_header(real_file)
    assert (header.ny, header.nx, header.dtype) == (1024, 1024, np.uint8)
    assert header.camera == "F416"
    assert header.physical_pixel_mm == pytest.approx(0.0156)
    assert header.binning == (4, 4)
    assert header.pixel_size_mm == (0.0624, 0.0624)
    assert header.exposure_s == pytest.approx(0.4)
    assert header.high_tension_kv == pytest.approx(99)
    assert header.timestamp == calendar.timegm((2017, 4, 12, 9, 1, 17))
    assert header.alpha_deg == pytest.approx(-0.007)
    assert header.beta_deg == pytest.approx(-0.055)
    assert header.flat_field == "gain corrected"
    # Recorded in image mode, where the magnification is no camera length.
    assert header.camera_length_mm is None


def test_pixels_of_a_real_file(real_file):
    pixels = emmenu_tiff.read_pixels(real_file)
    assert pixels.shape == (1024, 1024)
    assert np.unique(pixels).size == 8


def test_other_files_are_told_apart(real_file, tmp_path):
    assert emmenu_tiff.is_emmenu_tiff(real_file)
    tifffile.imwrite(tmp_path / "plain.tif", np.zeros((4, 4), np.uint16))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "short.tif").write_bytes(b"II*\0")
    for name in ("plain.tif", "empty", "short.tif"):
        assert not emmenu_tiff.is_emmenu_tiff(tmp_path / name)
    with pytest.raises(ValueError, match="plain.tif.*no TVIPS metadata"):
        emmenu_tiff.read_header(tmp_path / "plain.tif")


def test_shortened_and_lying_files_are_refused(real_file, tmp_path):
    data = bytearray(real_file.read_bytes())
    path = tmp_path / "a.tif"
    path.write_bytes(data[:-1000])
    with pytest.raises(ValueError, match="a.tif.*does not hold them"):
        emmenu_tiff.read_pixels(path)
    # Width and height are the first two entries of the directory.
    directory = struct.unpack_from("<I", data, 4)[0]
    for entry in (0, 1):
        code, kind = struct.unpack_from("<HH", data, directory + 2 + 12 * entry)
        assert code == 256 + entry and kind in (3, 4)
        struct.pack_into("<H", data, directory + 2 + 12 * entry + 8, 60000)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="a.tif.*claims 60000 x 60000"):
        emmenu_tiff.read_pixels(path)


def test_camera_length_and_time_stamps():
    parse = emmenu_tiff._parse_metadata
    metadata = {"TemMode": 3, "TemMagnification": 1830.0, "Date": 132187148, "Time": 60}
    header = parse(metadata, (2, 3), np.dtype("u2"))
    assert header.camera_length_mm == 1830
    assert header.timestamp == calendar.timegm((2017, 4, 12, 0, 1, 0))
    assert parse({"Date": 0}, (2, 3), np.dtype("u2")).timestamp == 0
    assert header.stage_nm == (0, 0, 0)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"II*\0", b"MM\0*", b""]))
def test_any_bytes_are_refused(tmp_path_factory, data, start):
    path = tmp_path_factory.mktemp("fuzz") / "a.tif"
    path.write_bytes(start + data)
    assert emmenu_tiff.is_emmenu_tiff(path) in (True, False)
    with pytest.raises(ValueError, match="a.tif"):
        emmenu_tiff.read_pixels(path)
