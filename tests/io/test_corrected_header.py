"""Headers of corrected images, as text."""

from __future__ import annotations

import time

import pytest

from dials_truncfix.io import smv
from dials_truncfix.io.corrected_header import (
    beam_centre_mm,
    distance_mm,
    format_cbf_lines,
    format_smv_header,
    make_header,
    parse_cbf_lines,
    parse_smv_header,
)


def models(**panel):
    return {
        "detector": {
            "panels": [
                {
                    "fast_axis": [1.0, 0.0, 0.0],
                    "slow_axis": [0.0, -1.0, 0.0],
                    "origin": [-30.0, 40.0, -2640.0],
                    "pixel_size": [0.0312, 0.0312],
                    "image_size": [2048, 2048],
                    "trusted_range": [-0.5, 65534.5],
                    "type": "SENSOR_PAD",
                    "gain": 1.0,
                    "pedestal": 0.0,
                    "identifier": 'a = "b"; {100 %}',
                    **panel,
                }
            ],
            "hierarchy": {"children": [{"panel": 0}]},
        },
        "beam": {"direction": [0.0, 0.0, 1.0], "wavelength": 0.025079},
        "goniometer": {"rotation_axis": [0.1 + 0.2, 0.9, 0.0]},
        "scan": {
            "image_number": 7,
            "oscillation": [-28.5, 0.25],
            "exposure_time": 0.5,
            "epoch": 1479718800.25,
        },
    }


def header(**panel):
    return make_header(
        models(**panel), 7.5, -2.125, (-120.5, 65534.5), 100, 12345, "0.1.0"
    )


def test_results_of_the_correction_go_into_the_panel():
    panel = header().panel
    assert (panel["gain"], panel["pedestal"]) == (7.5, -2.125)
    assert panel["trusted_range"] == [-120.5, 65534.5]
    assert panel["type"] == "SENSOR_CCD"
    assert models()["detector"]["panels"][0]["gain"] == 1.0


@pytest.mark.parametrize("mask", [[], [[i, i, i + 1, i + 1] for i in range(700)]])
def test_cbf_lines_restore_everything(mask):
    written = header(mask=mask)
    lines = format_cbf_lines(written)
    assert parse_cbf_lines(lines) == written
    assert max(map(len, lines)) <= 2046
    assert "Gain 7.5 ADU per electron" in lines
    assert "Beam_xy (961.54, 1282.05) pixels" in lines


def test_smv_header_restores_everything():
    written = header(mask=[[1, 2, 3, 4]])
    packed = smv.format_header(format_smv_header(written))
    assert parse_smv_header(smv.parse_header(packed)) == written


def test_smv_header_speaks_to_other_programs():
    values = format_smv_header(header())
    assert values["IMAGE_PEDESTAL"] == "100"
    assert float(values["GAIN"]) == 7.5
    assert float(values["DISTANCE"]) == 2640
    # As ADSC images have it: X is the slow, Y the fast coordinate.
    assert float(values["BEAM_CENTER_X"]) == pytest.approx(40)
    assert float(values["BEAM_CENTER_Y"]) == pytest.approx(30)
    assert (float(values["OSC_START"]), float(values["OSC_RANGE"])) == (-28.5, 0.25)
    assert values["DATE"] == "Mon Nov 21 09:00:00 2016"
    assert time.strptime(values["DATE"], "%a %b %d %H:%M:%S %Y")
    with pytest.raises(ValueError):
        int(values["DETECTOR_SN"])
    # Readers that look at the first 512 bytes only find all of these.
    start = smv.format_header(values)[: 512 - 100]
    for key in ("WAVELENGTH", "IMAGE_PEDESTAL", "GAIN", "BEAM_CENTER_Y"):
        assert key.encode() in start


def test_tilted_detector():
    tilted = header(
        fast_axis=[0.8, 0.0, -0.6], origin=[-40.0, 40.0, -1000.0], slow_axis=[0, -1, 0]
    )
    # The plane holds z = -1000 - 0.75 (x + 40); the beam runs along x = y = 0.
    assert beam_centre_mm(tilted) == pytest.approx((50, 40))
    assert distance_mm(tilted) == pytest.approx(0.6 * 40 + 0.8 * 1000)


def test_refusals():
    lines = format_cbf_lines(header())
    with pytest.raises(ValueError, match="lacks the beam model"):
        parse_cbf_lines([line for line in lines if "model-beam" not in line])
    with pytest.raises(ValueError, match="lacks version"):
        parse_cbf_lines(lines[1:])
    with pytest.raises(ValueError, match="scan model in the header is damaged"):
        parse_cbf_lines([*lines[:-1], lines[-1][:-3]])
    two_panels = models()
    two_panels["detector"]["panels"] *= 2
    with pytest.raises(ValueError, match="one panel, not 2"):
        make_header(two_panels, 1, 0, (0, 1), 0, 0, "")
    parallel = header(fast_axis=[0, 0, 1])
    with pytest.raises(ValueError, match="does not meet"):
        beam_centre_mm(parallel)


@pytest.mark.parametrize("name", ["detector", "beam", "scan"])
@pytest.mark.parametrize(
    "text", ["[" * 5000, "[]", "3", '{"panels":[]}', '{"panels":[{"origin":"abc"}]}']
)
def test_damaged_models_are_refused(name, text):
    lines = [
        line
        for line in format_cbf_lines(header())
        if not line.startswith(f"Truncfix-model-{name} ")
    ]
    cut = [text[i : i + 1000] for i in range(0, len(text), 1000)]
    lines += [f"Truncfix-model-{name} {part}" for part in cut]
    if name == "scan" and text.startswith("{"):
        parse_cbf_lines(lines)
        return
    with pytest.raises(ValueError, match=r"damaged$"):
        parse_cbf_lines(lines)
