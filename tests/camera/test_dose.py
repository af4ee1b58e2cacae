from __future__ import annotations

import pytest

from dials_truncfix.camera.coincidence import MANUAL_K2
from dials_truncfix.camera.dose import dose_rate, specimen_dose


def test_a_rate_comes_back_from_super_resolution_counts():
    rate, exposure = 8.0, 0.5
    counted = float(MANUAL_K2.counted(rate))
    # four pixels of 16 counts an electron share a physical one
    mean = counted * exposure * 16 / 4
    assert dose_rate(mean, 16, exposure, 0.5, MANUAL_K2) == pytest.approx(rate)


def test_without_a_loss_counts_are_divided():
    assert dose_rate(320.0, 32, 2.0, binning=2) == pytest.approx(1.25)


def test_dose_on_the_specimen():
    assert specimen_dose(10.0, 3.0, 2.0) == pytest.approx(7.5)
    with pytest.raises(ValueError, match="pixel_spacing 0"):
        specimen_dose(1, 1, 0)


def test_impossible_divisors_are_refused():
    with pytest.raises(ValueError, match="exposure 0"):
        dose_rate(1, 1, 0)
