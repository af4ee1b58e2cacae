"""Reports as a browser shows them: everything drawn, nothing cut off, no complaint."""

from __future__ import annotations

import numpy as np
import pytest

from browser import look_at
from dials_truncfix.calibrate.disc.disc import measure_disc
from dials_truncfix.calibrate.distortion.distortion_terms import Terms
from dials_truncfix.calibrate.distortion.overlaps import calibrate_distortion
from dials_truncfix.calibrate.magnifications.chain import chain_magnifications
from dials_truncfix.calibrate.magnifications.magnification_table import Magnification
from dials_truncfix.calibrate.pairs.magnification_pair import measure_magnification
from dials_truncfix.calibrate.pairs.recorded_shifts import RecordedShifts
from dials_truncfix.calibrate.pairs.shift_series import calibrate_shifts
from dials_truncfix.report.disc_page import disc_page
from dials_truncfix.report.distortion_page import distortion_page
from dials_truncfix.report.magnification_page import magnification_page
from dials_truncfix.report.magnifications_page import magnifications_page
from dials_truncfix.report.page import Figure, Section, render_page
from dials_truncfix.report.palette import BLUE
from dials_truncfix.report.shifts_page import shifts_page
from dials_truncfix.simulate.beam_disc import disc_electrons
from dials_truncfix.simulate.specimen import specimen_electrons
from specimen_images import distorted_series, specimen

pytest.importorskip("plotly")
pytest.importorskip("jinja2")

PLOT = {
    "data": [{"x": [1, 2, 3], "y": [2, 1, 3], "line": {"color": BLUE}}],
    "layout": {
        "xaxis": {"title": {"text": "image"}},
        "yaxis": {"title": {"text": "mean (ADU)"}},
    },
}


def small_page() -> str:
    return render_page("A page", [Section("One", [Figure(PLOT, "A line of 3 points")])])


def require_readable(seen, n_figures):
    found = seen.found
    assert seen.console == []
    assert found["trouble"] == ""
    assert found["figures"] == found["drawn"] == n_figures
    assert found["contentWidth"] <= found["width"]
    for plot in found["plots"]:
        assert plot["role"] == "img" and plot["label"]
        assert plot["marks"] > 0, plot["label"]
        assert 0 < plot["svgWidth"] and plot["right"] <= found["width"]
        assert len(plot["titles"]) >= 2 and all(plot["titles"])
        assert plot["smallestText"] >= 11
        assert plot["overlappingTicks"] == 0, plot["label"]
        assert plot["cutTexts"] == [], plot["label"]


def test_a_small_page(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(small_page())
    seen = look_at(page, 400, tmp_path)
    require_readable(seen, 1)
    assert "A page" in seen.found["text"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_a_report(reported, tmp_path, width):
    seen = look_at(reported / "dials.truncfix.html", width, tmp_path)
    require_readable(seen, 18)
    assert "The images were truncated" in seen.found["text"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_a_report_of_postrefinement(postrefined, tmp_path, width):
    seen = look_at(postrefined / "dials.truncfix_postrefine.html", width, tmp_path)
    require_readable(seen, 23)
    assert "lattices accepted" in seen.found["text"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_calibrations_by_pairs_of_images(tmp_path, width):
    particles, rng = specimen(1, 256), np.random.default_rng(1)
    images = [
        rng.poisson(specimen_electrons(particles, (256, 256), 40.0, shift=shift))
        for shift in ((0, 0), (30, 2), (-3, 28), (0, 0))
    ]
    images = [image.astype(float) for image in images]
    names = ["one.mrc", "two.mrc", "three.mrc", "four.mrc"]
    pair = measure_magnification(images[0], images[1], (names[0], names[1]))
    shifts = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    series = calibrate_shifts(
        images, names, RecordedShifts(shifts, None, None, None, ""), "stage"
    )
    page = tmp_path / "page.html"
    page.write_text(magnification_page(pair, images[0], images[1]))
    require_readable(look_at(page, width, tmp_path), 2)
    page.write_text(shifts_page(series, images))
    seen = look_at(page, width, tmp_path)
    require_readable(seen, 4)
    assert "1 µm of stage moves the image" in seen.found["text"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_a_beam(tmp_path, width):
    electrons = disc_electrons((256, 256), (120.0, 110.0), 70.0, 40.0)
    image = np.random.default_rng(1).poisson(electrons).astype(float)
    page = tmp_path / "page.html"
    page.write_text(disc_page([measure_disc(image, "beam.mrc")], [image], 2.0))
    seen = look_at(page, width, tmp_path)
    require_readable(seen, 2)
    assert "the beam is 1" in seen.found["text"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_a_table_of_magnifications(tmp_path, width):
    rows = [
        Magnification("0", m, 120000.0 / m, 0.1, axis, 0.2)
        for m, axis in ((2000.0, 3.0), (5000.0, 20.0), (30000.0, None))
    ]
    page = tmp_path / "page.html"
    page.write_text(magnifications_page({"0": chain_magnifications(rows)}))
    seen = look_at(page, width, tmp_path)
    require_readable(seen, 2)
    assert "nothing links the rotations of 5000 and 30000" in seen.found["text"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_a_distortion(tmp_path, width):
    terms = Terms("lens", (320, 320))
    shifts = ((0, 0), (110, 6), (-8, 120))
    images = distorted_series(terms, np.array([4.0, -3.0]), 1, 50.0, shifts)
    page = tmp_path / "page.html"
    page.write_text(
        distortion_page(calibrate_distortion(images, ["a", "b", "c"], "lens"))
    )
    seen = look_at(page, width, tmp_path)
    require_readable(seen, 3)
    assert "Places on the image are off by up to" in seen.found["text"]


@pytest.mark.slow
def test_an_old_browser_says_what_it_lacks(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        small_page().replace(
            "<script>", "<script>window.DecompressionStream = undefined;"
        )
    )
    seen = look_at(page, 800, tmp_path)
    assert "this browser is too old" in seen.found["trouble"]
    # the words for those who do not see the figure stand in its place
    assert "A line of 3 points" in seen.found["text"]


@pytest.mark.slow
def test_what_goes_wrong_in_one_figure_is_seen_and_spares_the_others(tmp_path):
    broken = Figure({"data": [], "layout": {"xaxis": None}}, "Broken")
    page = tmp_path / "page.html"
    page.write_text(
        render_page(
            "A page", [Section("One", [broken, Figure(PLOT, "A line")])]
        ).replace('"xaxis":null', '"xaxis":', 1)
    )
    seen = look_at(page, 800, tmp_path)
    assert (seen.found["figures"], seen.found["drawn"]) == (2, 1)
    assert len(seen.console) == 1
    assert "This figure could not be drawn" in seen.found["text"]
