"""Pages of gain and dose as a browser shows them."""

from __future__ import annotations

import pytest
from test_report_in_chromium import require_readable

from browser import look_at
from dials_truncfix.calibrate.dose.dose_words import findings as dose_findings
from dials_truncfix.calibrate.dose.image_dose import Scale, image_dose
from dials_truncfix.calibrate.gain.gain_calibration import calibrate_gain
from dials_truncfix.report.dose_page import dose_page
from dials_truncfix.report.gain_page import gain_page
from flat_images import BRIGHT, DARK, flat_pixels, in_memory

pytest.importorskip("plotly")
pytest.importorskip("jinja2")


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
