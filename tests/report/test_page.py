"""Pages of text, figures and tables."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import numpy as np
import pytest

from dials_truncfix.report import page, plotly_js
from dials_truncfix.report.page import (
    Figure,
    FigureGrid,
    Notice,
    Section,
    Table,
    plot_text,
    render_page,
)
from dials_truncfix.report.palette import CYCLE, signed_scale

pytest.importorskip("plotly")
pytest.importorskip("jinja2")

EVIL = "</script><script>alert('x')</script><img src=x onerror=alert(1)>&amp;\u2028"
PLOT = {
    "data": [{"x": np.arange(3), "y": np.array([1.0, np.nan, np.inf])}],
    "layout": {"title": {"text": EVIL}},
}


def evil_page():
    return render_page(
        EVIL,
        [
            Section(
                EVIL,
                [
                    EVIL,
                    Figure(PLOT, EVIL, EVIL, EVIL),
                    FigureGrid([Figure(PLOT, EVIL)], key=[(EVIL, EVIL)]),
                    Table([EVIL], [[EVIL]], EVIL),
                    Notice([EVIL, EVIL], "warning", EVIL),
                ],
            ),
            Section("Folded", [EVIL], folded=True),
            Section("Last", []),
        ],
        program=EVIL,
        summary=EVIL,
    )


def test_text_never_becomes_markup():
    page = evil_page()
    ours = ("plot-template", "plotly-js", "drawing-data")
    scripts = re.findall(r"<script\b[^>]*>", page)
    assert len(scripts) == 5
    assert sum(any(name in tag for name in ours) for tag in scripts) == 4
    assert "<img" not in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page  # as text


def test_figures_come_back_as_they_were_put_in():
    texts = re.findall(
        r'class="drawing-data"[^>]*>(.*?)</script>', evil_page(), re.DOTALL
    )
    assert len(texts) == 2
    for text in texts:
        figure = json.loads(text)
        assert figure["layout"]["title"]["text"] == EVIL
        # what is not finite is missing to plotly
        assert figure["data"][0] == {"x": [0, 1, 2], "y": [1.0, None, None]}


def test_a_page_carries_its_library_and_nothing_from_elsewhere():
    page = evil_page()
    assert len(page) < 10e6
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page)
    assert "@import" not in page and "url(" not in page
    packed = re.search(r'id="plotly-js">(.*?)</script>', page, re.DOTALL)[1]
    library = gzip.decompress(base64.b64decode(packed)).decode()
    from plotly.offline import get_plotlyjs

    assert library == get_plotlyjs()


def test_the_same_page_again():
    first = evil_page()
    plotly_js.plotly_js.cache_clear()
    assert evil_page() == first


def test_numbers_of_tables_are_flush_right():
    table = Table(
        ["a", "b", "c", "d"],
        [["−1.5", "4.0–2.0", None, 3], ["2.0 ± 0.1", "2.0–1.0", "–", 1e-5]],
    )
    assert table.numeric == [True, False, True, True]
    assert Table(["a"], []).numeric == [True]


def test_anchors_lead_to_sections():
    page = render_page("t", [Section(f"Part {i}, α", ["x"]) for i in range(3)])
    links = re.findall(r'href="#([^"]+)"', page)
    assert links == ["part-0", "part-1", "part-2"]
    assert all(f'id="{link}"' in page for link in links)


def test_text_of_plots_is_escaped():
    assert plot_text('<a href="x">&') == '&lt;a href="x"&gt;&amp;'


def test_every_template_is_installed():
    """An editable installation would not notice that one is missing."""
    root = Path(__file__).parents[2]
    config = ConfigParser()
    config.read(root / "setup.cfg")
    patterns = config["options.package_data"]["dials_truncfix.report"].split()
    folder = root / "src" / "dials_truncfix" / "report"
    other = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert len(other) >= 3
    assert all(any(path.match(pattern) for pattern in patterns) for path in other)


def luminance(colour: str) -> float:
    """Relative luminance of the Web Content Accessibility Guidelines."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_the_colours_of_curves_are_okabe_and_itos():
    assert set(CYCLE) <= {
        "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00",
        "#CC79A7",
    }  # fmt: skip
    assert len(set(CYCLE)) == len(CYCLE)


@pytest.mark.parametrize("low, high", [(-20.0, 30.0), (0.0, 5.0), (-1.0, 100.0)])
def test_a_signed_scale_is_white_at_zero_and_darkens_away_from_it(low, high):
    scale = signed_scale(low, high)
    positions = [position for position, _ in scale]
    assert positions == sorted(positions)
    assert (positions[0], positions[-1]) == (0.0, 1.0)
    zero = positions.index(-low / (high - low))
    assert scale[zero][1] == "#FFFFFF"
    light = [luminance(colour) for _, colour in scale]
    assert light[: zero + 1] == sorted(light[: zero + 1])
    assert light[zero:] == sorted(light[zero:], reverse=True)


@pytest.mark.parametrize("missing", [["plotly"], ["jinja2"], ["jinja2", "plotly"]])
def test_absent_packages_are_named(monkeypatch, missing):
    monkeypatch.setattr(
        plotly_js, "find_spec", lambda name: None if name in missing else object()
    )
    told = plotly_js.missing_packages()
    assert all(name in told for name in missing)
    assert "python3-" in told


def test_nothing_is_missing_here():
    assert plotly_js.missing_packages() == ""


def test_numbers_are_shortened_as_by_formatting_them():
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000) * 10.0 ** rng.integers(-40, 30, 4000)
    x = np.concatenate((x, [0.0, -0.0, 1.0, 999999.5, 123456789.0, 1e-7]))
    wanted = [float(f"{value:.6g}") for value in x]
    assert page._plain(x) == wanted
    assert page._plain({"x": list(x)}) == {"x": wanted}
    assert page._plain(np.array([[1.0, np.nan], [np.inf, 2.0]])) == [
        [1, None],
        [None, 2],
    ]


def test_plotly_js_is_found_without_importing_plotly():
    code = (
        "import sys; from dials_truncfix.report.plotly_js import *;"
        "text = plotly_js(); assert 'Plotly' in text;"
        "assert plotly_js_version()[0].isdigit();"
        "print('IPython' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
