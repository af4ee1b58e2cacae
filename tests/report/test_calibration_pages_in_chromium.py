"""Pages of calibrations as a browser shows them."""

from __future__ import annotations

import pytest
from test_report_in_chromium import require_readable

from browser import look_at
from dials_truncfix.calibrate.dose.dose_words import findings as dose_findings
from dials_truncfix.calibrate.dose.image_dose import Scale, image_dose
from dials_truncfix.calibrate.gain.gain_calibration import calibrate_gain
from dials_truncfix.command_line.truncfix_calibrate import run
from dials_truncfix.report.dose_page import dose_page
from dials_truncfix.report.gain_page import gain_page
from distorted_crystals import distorted_files
from flat_images import BRIGHT, DARK, flat_pixels, in_memory
from powder_images import write_powder

pytest.importorskip("plotly")
pytest.importorskip("jinja2")

QUIET = ("log", "json", "experiments", "reflections", "x_map", "y_map", "phil")


@pytest.mark.parametrize(
    ("levels", "n_figures", "words"),
    [(BRIGHT, 3, "pairs of images"), ((*DARK, 30.0), 7, "Both methods")],
)
@pytest.mark.parametrize("width", [1280, 400])
def test_gain(tmp_path, levels, n_figures, words, width):
    page = tmp_path / "page.html"
    page.write_text(gain_page(calibrate_gain(in_memory(flat_pixels(levels)))))
    seen = look_at(page, width, tmp_path)
    require_readable(seen, n_figures)
    assert words in seen.found["text"]


def test_dose(tmp_path):
    scale = Scale(6.0, 0.1, pixel_spacing=2.0)
    found = [image_dose(i, 0.5, scale) for i in in_memory(flat_pixels(BRIGHT))]
    page = tmp_path / "page.html"
    words = dose_findings(found, scale, None)
    page.write_text(dose_page(found, scale, [], words, []))
    seen = look_at(page, 800, tmp_path)
    require_readable(seen, 2)
    assert "e⁻/Å²" in seen.found["text"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Pages of rings and spots, as the command writes them."""
    folder = tmp_path_factory.mktemp("pages")
    image = write_powder(folder, 3, 12.0)
    quiet = [f"output.{name}=None" for name in QUIET]
    rings = folder / "rings.html"
    run(["mode=rings", str(image), "rings.standard=aluminium", f"output.html={rings}",
         *quiet])  # fmt: skip
    (crystal,) = distorted_files(1, noise=0.15)
    table = folder / "crystal.refl"
    crystal.table.as_file(table)
    crystal.experiments.as_file(table.with_suffix(".expt"))
    spots = folder / "spots.html"
    run(["mode=spots", str(table), f"output.html={spots}", *quiet])
    return {"rings": rings, "spots": spots}


@pytest.mark.parametrize(
    ("mode", "n_figures", "words"),
    [("rings", 5, "Are they the standard's rings?"), ("spots", 3, "RMSD of angles")],
)
@pytest.mark.parametrize("width", [1280, 400])
def test_rings_and_spots(tmp_path, written, mode, n_figures, words, width):
    seen = look_at(written[mode], width, tmp_path)
    require_readable(seen, n_figures)
    assert words in seen.found["text"]
