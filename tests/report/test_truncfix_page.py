"""The report of a correction."""

from __future__ import annotations

import copy
import json
import re

import numpy as np
import pytest

from dials_truncfix.io.packed import PackedArray, unpack_array
from dials_truncfix.report.truncfix_page import truncfix_page

go = pytest.importorskip("plotly.graph_objects")
pytest.importorskip("jinja2")

SECTIONS = [
    "Verdict",
    "Before and after",
    "Histograms and fits",
    "Zeros",
    "What truncation did to intensities",
    "Along the sweep",
    "Gain and noise",
    "What the verdict rests on",
    "Annuli in numbers",
    "The run",
]
#: 2 small pictures, 2 pieces, 4 annuli, 2 of zeros, bias, 3 of drift, 2 of the gain, 2 of
#: the verdict.
N_FIGURES = 18


@pytest.fixture(scope="module")
def page(reported):
    return (reported / "dials.truncfix.html").read_text()


def plots_of(page):
    found = re.findall(r'class="drawing-data"[^>]*>(.*?)</script>', page, re.DOTALL)
    return [json.loads(text) for text in found]


def test_every_section_is_there(page):
    assert re.findall(r"<h2>(.*?)</h2>", page) == SECTIONS
    assert len(page) < 10e6
    assert "The images were truncated" in page
    assert "43." not in page[:200]


def test_every_figure_is_described_with_numbers(page):
    labels = re.findall(r'role="img" aria-label="([^"]*)"', page)
    assert len(labels) == len(plots_of(page)) == N_FIGURES
    assert len(set(labels)) == N_FIGURES
    told = [label for label in labels if re.search(r"\d", label)]
    assert len(told) >= N_FIGURES - 1
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page, re.DOTALL)
    assert len(captions) == N_FIGURES


def test_every_axis_has_a_name_and_a_unit(page):
    without_unit = {"image", "grey level", "region, from dark to bright"}
    for plot in plots_of(page):
        axes = [v for k, v in plot["layout"].items() if re.match("[xy]axis", k)]
        assert len(axes) >= 2
        for axis in axes:
            title = axis["title"]["text"]
            assert title in without_unit or re.search(r"\(.+\)$", title), title


def test_plotly_knows_every_property(page):
    for plot in plots_of(page):
        go.Figure(plot)  # raises for what it does not know


def test_the_bias_is_that_of_the_background(page, reported_record):
    """169 times what truncation lifted the mean of each annulus by."""
    (bias,) = (
        p
        for p in plots_of(page)
        if p["layout"]["yaxis"]["title"]["text"] == "bias of the intensity (ADU)"
    )
    expected = [
        169
        * np.mean(
            [
                image["annuli"][k]["p_nonpositive"]
                * image["annuli"][k]["mean_nonpositive"]
                for image in reported_record["images"]
            ]
        )
        for k in range(4)
    ]
    np.testing.assert_allclose(bias["data"][0]["y"], expected, rtol=1e-5)
    gain = reported_record["gain_estimate"]["gain"]
    np.testing.assert_allclose(
        np.array(bias["layout"]["yaxis2"]["range"]) * gain,
        bias["layout"]["yaxis"]["range"],
        rtol=1e-5,
    )


def test_the_bars_of_a_histogram_are_all_its_pixels(page, reported_record):
    """Recorded above zero, and restored: together they are the corrected image."""
    counts = reported_record["illustrations"]["histograms"]
    plots = [p for p in plots_of(page) if p["data"][0]["type"] == "bar"][:4]
    recorded, corrected = (
        unpack_array(PackedArray(**counts[name]), 1 << 20)
        for name in ("recorded", "corrected")
    )
    for k, plot in enumerate(plots):
        n_pixels = counts["n_pixels"][k]
        above, below = plot["data"][:2]
        width = above["width"]
        restored = width * sum(below["y"])
        assert restored == pytest.approx(100 * recorded[k, 0] / n_pixels, rel=2e-3)
        assert corrected[k].sum() == recorded[k, 0]
        # no bar holds recorded and restored values
        assert above["x"][0] - width / 2 == below["x"][-1] + width / 2 == 0.5
        shown = recorded[k, 1 : 1 + width * (len(above["y"]) - 1)]
        shown = shown.reshape(-1, width).mean(axis=1)
        np.testing.assert_allclose(above["y"][:-1], 100 * shown / n_pixels, rtol=1e-5)
        line = plot["data"][3]
        assert max(line["y"]) == pytest.approx(max(above["y"] + below["y"]), rel=0.1)


def test_nothing_of_this_machine_is_told(page, reported):
    assert str(reported) not in page
    assert "movie_000.tvips" in page


def test_names_of_files_cannot_become_markup(reported_record):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>.tvips"
    record = copy.deepcopy(reported_record)
    record["source"]["files"][0]["path"] = f"/data/{evil}"
    record["source"]["format_class"] = evil
    record["verdict"]["reason"] = evil
    record["parameters"][evil] = evil
    record["versions"][evil] = evil
    for image in record["images"]:
        image["annuli"][0]["model"] = evil
    page = truncfix_page(record)
    assert "<script>alert" not in page
    assert "<img" not in page
    # only its last part: the folders are nobody's business
    assert "&lt;img src=x onerror=alert(2)&gt;.tvips" in page
    assert "/data/" not in page


def test_the_same_record_gives_the_same_page(page, reported_record):
    assert truncfix_page(reported_record) == page
    assert truncfix_page(json.loads(json.dumps(reported_record))) == page


def test_illustrations_are_modest(reported_record):
    """Their size does not depend on the length of the sweep."""
    assert len(json.dumps(reported_record["illustrations"])) < 150_000


@pytest.mark.parametrize(
    "kind", ["counting", "signed", "offset", "cannot_tell", "no_zeros"]
)
def test_a_verdict_alone(reported_record, kind):
    record = {k: v for k, v in reported_record.items() if k != "images"}
    record["verdict"] = {**record["verdict"], "class": kind}
    page = truncfix_page(record)
    found = re.findall(r"<h2>(.*?)</h2>", page)
    assert found == ["Verdict", "What the verdict rests on", "The run"]
    if kind != "no_zeros":
        assert "force=True" in page


def test_no_measured_pixel(reported_record):
    record = {k: v for k, v in reported_record.items() if k != "images"}
    record["verdict"] = {**record["verdict"], "class": "cannot_tell", "regions": []}
    assert re.findall(r"<h2>(.*?)</h2>", truncfix_page(record)) == [
        "Verdict",
        "The run",
    ]


def places(value, path=()):
    """Every place in a JSON value, but of long lists the first only."""
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value[:1])
    else:
        children = ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


JUNK = [None, "x", -1, [], {}, 1e300]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "shift", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, 6))]
)
def test_damaged_records_are_refused_in_one_sentence(
    reported_record, shift, monkeypatch
):
    """No place in a record leads to anything but a page or a ValueError."""
    monkeypatch.setattr(
        "dials_truncfix.report.truncfix_page.render_page", lambda *_, **__: "page"
    )
    n_refused = 0
    for number, place in enumerate(places(reported_record)):
        record = copy.copy(reported_record)
        inner = record
        for key in place[:-1]:
            inner[key] = copy.copy(inner[key])
            inner = inner[key]
        inner[place[-1]] = JUNK[(number + shift) % len(JUNK)]
        try:
            truncfix_page(record, "the record")
        except ValueError as error:
            assert "\n" not in str(error)
            assert str(error).startswith("the record is a damaged record: ")
            n_refused += 1
    assert n_refused > 50
