from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dials.util import Sorry

from dials_truncfix.command_line.truncfix_calibrate import run
from dials_truncfix.io.mdoc import write_mdoc
from dials_truncfix.io.mrc import write_stack
from dials_truncfix.simulate.specimen import specimen_electrons
from specimen_images import (
    SHIFT_MATRIX,
    SHIFTS,
    series_mdoc,
    specimen,
    through_camera,
    turned,
)

SHAPE = (256, 256)
SOME = SHIFTS[:6] / 2


def image(number, **changes):
    electrons = specimen_electrons(specimen(1, 256), SHAPE, 40.0, **changes)
    return through_camera(electrons, 1, number).astype(np.uint16)


def series():
    return [image(k + 1, shift=SHIFT_MATRIX @ shift) for k, shift in enumerate(SOME)]


def write_series():
    # rows of MRC files come bottom first
    write_stack("series.mrc", [part[::-1].astype(np.float32) for part in series()])
    write_mdoc("series.mrc.mdoc", series_mdoc(SOME))


def record():
    return json.loads(Path("dials.truncfix_calibrate.json").read_text())


def test_magnification_of_two_files_and_of_one_stack(here):
    pair = [image(1), image(2, matrix=turned(1.05, -3.0), shift=(5, 9))]
    for name, part in zip(("near.tif", "far.tif"), pair):
        tifffile.imwrite(name, part)
    run(["mode=pair", "near.tif", "far.tif"])
    found = record()
    assert found["magnification"] == pytest.approx(1.05, abs=0.003)
    assert found["rotation_deg"] == pytest.approx(-3.0, abs=0.2)
    z = (found["magnification"] - 1.05) / found["magnification_error"]
    assert abs(z) < 4
    page = (here / "dials.truncfix_calibrate.html").read_text()
    assert "Squares of both images in turn" in page
    write_stack("both.mrc", [part[::-1].astype(np.float32) for part in pair])
    run(["mode=pair", "both.mrc", "output.html=None"])
    assert record()["magnification"] == pytest.approx(found["magnification"], abs=1e-6)
    assert record()["rotation_deg"] == pytest.approx(found["rotation_deg"], abs=1e-4)


def test_image_shift_by_mdoc_table_and_arguments(here):
    write_series()
    run(["mode=pair", "series.mrc", "pair.measure=image_shift"])
    found = record()
    assert np.array(found["matrix_px_per_um"]) == pytest.approx(SHIFT_MATRIX, abs=0.6)
    assert found["recorded_pixel_size_nm"] == pytest.approx(12.0)
    assert found["lengths_on_specimen_um_per_um"][0] == pytest.approx(0.97, abs=0.01)
    page = (here / "dials.truncfix_calibrate.html").read_text()
    assert "Laid on the first" in page
    Path("moved.csv").write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in SOME))
    for extra in (
        ["pair.shifts=moved.csv"],
        ["pair.shift=" + ",".join(f"{x},{y}" for x, y in SOME)],
    ):
        run(["mode=pair", "series.mrc", "measure=image_shift", "pair.pixel_size=13",
             "compare_with=previous", "output.html=None", *extra])  # fmt: skip
        again = record()
        assert np.array(again["matrix_px_per_um"]) == pytest.approx(
            SHIFT_MATRIX, abs=0.8
        )
        assert again["recorded_pixel_size_nm"] == 13.0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["one.tif"], "1 image was given: give two"),
        (["one.tif", "blank.tif"], "blank.tif is blank"),
        (["one.tif", "small.tif"], "give images of one size"),
        (["one.tif", "other.tif"], "show nothing in common"),
        (["one.tif", "two.tif", "measure=stage"], "no .mdoc file beside it"),
        (["one.tif", "two.tif", "measure=stage", "pair.shift=0,0"],
         "pair.shift has 2 numbers for 2 images"),
        (["one.tif", "two.tif", "measure=stage", "pair.shift=0,0,1,0"],
         "at least 2 in different directions"),
        (["one.tif", "two.tif", "measure=stage", "mdoc=series.mdoc"],
         "describes 9 images, and 2"),
        (["series.mdoc", "measure=stage"], "no positions of aligned pieces"),
        (["one.tif", "two.tif", "measure=stage", "shifts=none.csv"], "none.csv"),
    ],
)  # fmt: skip
def test_wrong_input_is_named(here, args, words):
    tifffile.imwrite("one.tif", image(1))
    tifffile.imwrite("two.tif", image(2, shift=(20, 0)))
    tifffile.imwrite("blank.tif", np.full(SHAPE, 3, np.uint16))
    tifffile.imwrite("small.tif", image(1)[:, :200])
    elsewhere = specimen_electrons(specimen(9, 256), SHAPE, 40.0)
    tifffile.imwrite("other.tif", through_camera(elsewhere, 1, 1).astype(np.uint16))
    write_mdoc("series.mdoc", series_mdoc())
    before = sorted(p.name for p in here.iterdir())
    with pytest.raises(Sorry, match=words):
        run(["mode=pair", *args, "output.log=None"])
    assert sorted(p.name for p in here.iterdir()) == before
