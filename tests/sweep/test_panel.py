from __future__ import annotations

import pytest

from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix.correction.gain import GainEstimate
from dials_truncfix.sweep.panel import LOWEST_TRUSTED, PanelValues, panel_values
from dials_truncfix.sweep.source import SweepSource
from recordings import record, true_frames

RELIABLE = GainEstimate(9.0, -4.0, 0.1, 0.2, 6.0, (1.0, 50.0), True, "")
UNRELIABLE = GainEstimate(2.0, -1.0, 1.0, 1.0, 1.4, (1.0, 1.5), False, "flat")


@pytest.fixture
def source(tmp_path):
    path = record(tmp_path, true_frames(1, 64)).path
    imageset = ExperimentListFactory.from_filenames([str(path)])[0].imageset
    imageset.get_detector()[0].set_gain(3.0)
    return SweepSource(imageset)


@pytest.mark.parametrize(
    "estimate, gain, pedestal, expected",
    [
        (RELIABLE, None, None, (9.0, -4.0)),
        (RELIABLE, 7.0, None, (7.0, -4.0)),
        (RELIABLE, None, -2.0, (9.0, -2.0)),
        (UNRELIABLE, None, None, (3.0, 0.0)),
        (None, None, None, (3.0, 0.0)),
    ],
)
def test_the_user_then_the_estimate_then_the_images(
    source, estimate, gain, pedestal, expected
):
    values = panel_values(source, estimate, gain, pedestal)
    assert (values.gain, values.pedestal) == expected
    # the saturated value of the camera stays untrusted
    assert (values.lowest, values.highest) == (LOWEST_TRUSTED, 65534)


def test_the_offset_makes_the_smallest_pixel_one():
    values = PanelValues(9.0, -4.0, LOWEST_TRUSTED, 65534).with_offset(-30, None)
    assert (values.offset, values.lowest) == (31, -30)
    # stored pixels end at 65534
    assert values.highest + values.offset == 65534


def test_images_without_negative_pixels_need_no_offset():
    assert PanelValues(1.0, 0.0, -5, 100).with_offset(3, None).offset == 0


def test_an_offset_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="at least 31"):
        PanelValues(9.0, -4.0, LOWEST_TRUSTED, 65534).with_offset(-30, 30)
