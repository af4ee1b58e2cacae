"""FormatEMMENU: models, pixels and dials.import."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest

from dxtbx import flumpy

from dials_truncfix.format.FormatEMMENU import FormatEMMENU
from dials_truncfix.io import emmenu_tiff

pytest.importorskip("tifffile")


@pytest.fixture(scope="module")
def real_file(shared_data):
    return str(shared_data / "tvips" / "TVIPS_bin4.tif")


def test_models_and_pixels_of_a_real_file(real_file):
    image = pickle.loads(pickle.dumps(FormatEMMENU(real_file)))
    panel = image.get_detector()[0]
    assert panel.get_type() == "SENSOR_CCD"
    assert panel.get_pixel_size() == pytest.approx((0.0624, 0.0624))
    assert panel.get_trusted_range() == (-0.5, 254.5)
    # 99 kV.
    assert image.get_beam().get_wavelength() == pytest.approx(0.03721, abs=1e-5)
    assert image.get_scan().get_exposure_times()[0] == pytest.approx(0.4)
    assert image.get_scan().is_still()
    data = image.get_raw_data()
    assert type(data).__name__ == "int"
    np.testing.assert_array_equal(
        flumpy.to_numpy(data), emmenu_tiff.read_pixels(real_file)
    )


def test_damaged_file_is_explained(real_file, tmp_path, caplog):
    path = tmp_path / "a.tif"
    with open(real_file, "rb") as stream:
        path.write_bytes(stream.read()[:-1000])
    assert not FormatEMMENU.understand(str(path))
    assert "a.tif: no readable EM-MENU TIFF" in caplog.text


def test_numbered_series_imports_as_a_sweep(real_file, tmp_path, dials_import):
    names = [f"em_{number:03d}.tif" for number in range(4, 8)]
    for name in names:
        shutil.copyfile(real_file, tmp_path / name)
    experiments, output = dials_import(*names, "geometry.scan.oscillation=-10,0.5")
    assert len(experiments) == 1
    assert experiments[0].scan.get_image_range() == (4, 7)
    assert experiments[0].scan.get_oscillation() == pytest.approx((-10, 0.5))
    assert len(experiments[0].imageset) == 4
    assert output.count("headers hold no rotation per image") == 1
