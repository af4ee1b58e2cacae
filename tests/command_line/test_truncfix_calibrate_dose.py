from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dials.util import Sorry

from dials_truncfix.command_line.truncfix_calibrate import run
from dials_truncfix.io.mrc import write_stack
from flat_images import flat_pixels

MDOC = """[ZValue = 0]
ExposureTime = 2
Binning = 2
PixelSpacing = 2.4
CountsPerElectron = 10
MinMaxMean = 0 900 160
DoseRate = 2.5
[ZValue = 1]
ExposureTime = 2
Binning = 2
PixelSpacing = 2.4
CountsPerElectron = 10
MinMaxMean = 0 900 180
DoseRate = 2.8
"""


def record():
    return json.loads(Path("dials.truncfix_calibrate.json").read_text())


def flat(name="flat.tif", level=60.0):
    tifffile.imwrite(name, flat_pixels((level,), n=1)[0].astype(np.uint16))
    return name


def counts(rate=8.0, exposure=0.5):
    rng = np.random.default_rng(0)
    # of a curve that counts 0.87 · 0.9216 of eight electrons
    mean = 0.87 * rate * np.exp(-((rate / 28.0) ** 2)) * exposure
    write_stack("frames.mrc", [rng.poisson(mean, (256, 256)).astype(np.int16)] * 2)
    return "frames.mrc"


def test_counting_camera_at_the_specimen(here):
    run(
        ["mode=dose", counts(), "dose.camera=K2", "dose.loss=manual",
         "dose.counts_per_electron=1", "dose.exposure=0.5", "dose.pixel_spacing=1.25"]
    )  # fmt: skip
    found = record()
    assert found["images"][0]["rate"] == pytest.approx(8.0, rel=0.02)
    assert found["accumulated_dose_e_per_A2"][1] == pytest.approx(8 / 1.5625, rel=0.02)
    assert any("published curves differ" in s for s in found["findings"])
    assert "Linearisation" in (here / "dials.truncfix_calibrate.html").read_text()


def test_magnification_and_lit_area():
    common = ["mode=dose", flat(), "dose.adu_per_electron=6", "dose.exposure=1",
              "output.html=None"]  # fmt: skip
    run([*common, "dose.magnification=10000", "dose.pixel_size=15.6"])
    # 15.6 µm / 10000 = 15.6 Å
    assert record()["images"][0]["dose"] == pytest.approx(60 / 15.6**2, rel=0.02)
    run([*common, "dose.beam_diameter=1"])
    area = np.pi / 4 * 1e8
    assert record()["images"][0]["dose"] == pytest.approx(60 * 256**2 / area, rel=0.02)


def test_metadata_alone(here):
    Path("tilt.mrc.mdoc").write_text(MDOC)
    run(["mode=dose", "tilt.mrc.mdoc"])
    found = record()
    assert [m["rate"] for m in found["metadata"]] == pytest.approx([2.0, 2.25])
    assert found["metadata"][0]["stated_dose"] is None
    assert (
        "Stated and computed rates"
        in (here / "dials.truncfix_calibrate.html").read_text()
    )


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ([], "ADU of an electron as dose.adu_per_electron"),
        (["dose.adu_per_electron=6"], "flat.tif does not say how long"),
        (["dose.camera=K3", "dose.exposure=1"], "dose.counts_per_electron"),
        (["dose.calibration=other.json"], "other.json is not what"),
        (["dose.calibration=blind.json"], "blind.json does not know the ADU"),
        (["dose.calibration=none.json"], "none.json: there is no such file"),
        (["dose.adu_per_electron=6", "dose.exposure=1", "dose.magnification=1000"],
         "dose.pixel_size"),
        (["dose.adu_per_electron=6", "dose.exposure=1", "dose.beam_diameter=1",
          "dose.pixel_spacing=1"], "give one of"),
        (["dose.camera=K2", "dose.loss=manual", "dose.counts_per_electron=1",
          "dose.exposure=1"], "flat.tif: 100 % of the image has up to"),
        (["dose.calibration=blind.json", "output.json=blind.json"], "overwritten"),
    ],
)  # fmt: skip
def test_wrong_input_is_named(here, extra, words):
    flat()
    (here / "other.json").write_text("[1, 2")
    (here / "blind.json").write_text(
        json.dumps({"schema": "dials.truncfix_calibrate.gain/1"})
    )
    before = sorted(here.iterdir())
    with pytest.raises(Sorry, match=words):
        run(["mode=dose", "flat.tif", *extra, "output.log=None"])
    assert sorted(here.iterdir()) == before


def test_metadata_without_doses(here):
    Path("empty.mdoc").write_text("[ZValue = 0]\nTiltAngle = 3\n")
    with pytest.raises(Sorry, match="empty.mdoc: the file states no dose"):
        run(["mode=dose", "empty.mdoc", "output.log=None"])
    Path("binary.mdoc").write_bytes(b"\0\1\2")
    with pytest.raises(Sorry, match="binary.mdoc is no .mdoc file"):
        run(["mode=dose", "binary.mdoc", "output.log=None"])


def test_real_metadata(shared_data):
    path = shared_data / "serialem" / "frame_set_multiple.mdoc"
    run(["mode=dose", str(path), "output.html=None"])
    found = record()
    assert len(found["metadata"]) == 21
    assert any("4.598 % of that reached the camera" in s for s in found["findings"])
