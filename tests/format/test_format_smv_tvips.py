"""FormatSMVTVIPS: whose files, and their pedestal."""

from __future__ import annotations

import numpy as np
import pytest

from dxtbx import flumpy
from dxtbx.format.Registry import get_format_class_for_file

from dials_truncfix import compat
from dials_truncfix.io import smv

COMMON = {
    "BEAM_CENTER_X": 0.5,
    "BEAM_CENTER_Y": 0.25,
    "BIN": "2x2",
    "DATE": "Sat Nov 21 05:07:00 2015",
    "DISTANCE": 2640,
    "OSC_RANGE": 0.25,
    "OSC_START": -30,
    "PHI": -30,
    "PIXEL_SIZE": 0.0311999992,
    "TIME": 2.0,
    "TWOTHETA": 0,
    "WAVELENGTH": 0.02508,
}
CONVERTER = {**COMMON, "DETECTOR_SN": "unknown"}
LEGINON = {
    **COMMON,
    "ACC_TIME": 2000,
    "ADC": "fast",
    "BEAMLINE": "TVIPS_F416_EMMENU",
    "GAIN": 30.0,
}


@pytest.fixture
def image(tmp_path):
    def load(header, dtype=np.uint16):
        pixels = np.arange(12, dtype=dtype).reshape(3, 4)
        path = str(tmp_path / "a_001.img")
        smv.write(path, pixels, header)
        return get_format_class_for_file(path)(path)

    return load


@pytest.mark.parametrize(
    "header, pedestal",
    [
        ({**CONVERTER, "IMAGE_PEDESTAL": 40}, 40),
        ({**LEGINON, "IMAGE_PEDESTAL": 980, "LEGINON_OFFSET": 900}, 980),
        ({**LEGINON, "LEGINON_OFFSET": 900}, 900),
        (LEGINON, 0),
    ],
)
def test_pedestal_from_the_header(image, header, pedestal):
    loaded = image(header)
    assert type(loaded).__name__ == "FormatSMVTVIPS"
    panel = loaded.get_detector()[0]
    assert panel.get_pedestal() == pedestal
    assert panel.get_gain() == header.get("GAIN", 1.0)
    assert panel.get_type() == "SENSOR_CCD"
    assert panel.get_image_size() == (4, 3)
    assert panel.get_beam_centre(loaded.get_beam().get_s0()) == pytest.approx(
        (0.25, 0.5)
    )
    assert loaded.get_scan().get_oscillation() == pytest.approx((-30, 0.25))
    assert loaded.get_beam().get_polarization_fraction() == 0.5
    # Zeros are trusted whatever the pedestal.
    data = loaded.get_raw_data()
    assert panel.get_trusted_range_mask(data).count(False) == 0
    np.testing.assert_array_equal(flumpy.to_numpy(data).ravel(), np.arange(12))


def test_bare_header_is_left_to_the_class_that_asks_for_it(image, monkeypatch):
    assert type(image(CONVERTER)).__name__ == "FormatSMVTVIPS"
    monkeypatch.setattr(compat, "format_is_registered", lambda name: True)
    assert type(image(CONVERTER)).__name__ == "FormatSMVADSC"
    with_pedestal = {**CONVERTER, "IMAGE_PEDESTAL": 40}
    assert type(image(with_pedestal)).__name__ == "FormatSMVTVIPS"


@pytest.mark.parametrize(
    "change", [{"WAVELENGTH": 0.9795}, {"DETECTOR_SN": "S1"}, {"BEAMLINE": "CETAD_TUI"}]
)
def test_other_headers_are_not_ours(image, change):
    assert type(image({**CONVERTER, **change})).__name__ != "FormatSMVTVIPS"


def test_signed_pixels(image):
    loaded = image({**LEGINON, "IMAGE_PEDESTAL": 0}, np.int32)
    low, high = loaded.get_detector()[0].get_trusted_range()
    assert (low, high) == (-(2**31) + 0.5, 2**31 - 1.5)
