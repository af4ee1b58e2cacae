from __future__ import annotations

import math

import numpy as np
import pytest

from dials_truncfix.calibrate.dose.dose_words import mdoc_findings
from dials_truncfix.calibrate.dose.mdoc_dose import mdoc_doses
from dials_truncfix.camera.coincidence import MANUAL_K2, SERIALEM_K3_200_KV
from dials_truncfix.io.mdoc import parse_mdoc, read_mdoc

TEXT = """PixelSpacing = 2.4
Voltage = 200

[ZValue = 0]
ExposureTime = 2
Binning = 2
PixelSpacing = 2.4
CountsPerElectron = 10
MinMaxMean = 0 900 160
DoseRate = 2.5
ExposureDose = 4.0
PriorRecordDose = 12
FrameDosesAndNumber = 0.5 8
"""


def test_rates_and_doses_of_a_section():
    dose = mdoc_doses(parse_mdoc(TEXT), None)[0]
    # 160 counts of 10 an electron in 2 s and 4 physical pixels
    assert dose.rate == pytest.approx(2.0)
    assert dose.pixel_spacing == pytest.approx(1.2)
    assert dose.stated_rate == 2.5
    assert dose.camera_dose == pytest.approx(2.5 * 2 / 1.2**2)
    assert (dose.stated_dose, dose.frames_dose, dose.prior_dose) == (4.0, 4.0, 12.0)
    words = " ".join(mdoc_findings([dose]))
    assert "states 4 e⁻/Å²" in words
    assert "0.800 times the rate" in words


def test_counts_are_linearised_and_those_beyond_the_curve_left_out():
    assert mdoc_doses(parse_mdoc(TEXT), MANUAL_K2)[0].rate > 2.0 / 0.87
    too_many = parse_mdoc(TEXT.replace("900 160", "9000 1600"))
    assert math.isnan(mdoc_doses(too_many, MANUAL_K2)[0].rate)


def test_a_file_without_doses_says_so():
    with pytest.raises(ValueError, match="states no dose"):
        mdoc_doses(parse_mdoc("[ZValue = 0]\nTiltAngle = 3\nExposureDose = 0\n"), None)


def test_real_sets_of_frames(shared_data):
    single = mdoc_doses(read_mdoc(shared_data / "serialem/frame_set_single.mdoc"), None)
    assert len(single) == 1
    # SerialEM's own sum over frames is its dose of the exposure
    assert single[0].frames_dose == pytest.approx(single[0].stated_dose, rel=1e-4)
    # binning 0.5 is super-resolution: the physical pixel is twice the stated one
    assert single[0].pixel_spacing == pytest.approx(2.5654)
    # through a lamella, slit and aperture a tenth reached the camera
    assert single[0].camera_dose / single[0].stated_dose == pytest.approx(
        0.107, abs=0.001
    )


def test_real_rates_of_a_k3(shared_data):
    """SerialEM's table of 200 kV makes less of the counts than that site's of 300 kV."""
    path = shared_data / "serialem/montage_section_multiple.mdoc"
    doses = mdoc_doses(read_mdoc(path), SERIALEM_K3_200_KV)
    ratio = np.array([d.rate / d.stated_rate for d in doses if d.rate > 2.5])
    assert len(ratio) > 30
    assert ratio.min() > 0.88
    assert ratio.max() < 0.98
    assert np.median(ratio) == pytest.approx(0.90, abs=0.01)
