"""The report of dials.truncfix_postrefine from records of all kinds."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from dials_truncfix.report.parameter_figures import log_ticks
from dials_truncfix.report.postrefine_cautions import cautions
from dials_truncfix.report.postrefine_page import postrefine_page
from dials_truncfix.report.postrefine_results import postrefine_results

pytest.importorskip("plotly")
pytest.importorskip("jinja2")

N_FIGURES = 6 + 4 + 1 + 1 + 6 + 2 + 3


def plots_of(page):
    """Plots by the titles above them."""
    found = re.findall(
        r'<h3 class="figure-title">(.*?)</h3>.*?class="drawing-data"[^>]*>(.*?)</script>',
        page,
        re.DOTALL,
    )
    return {title: json.loads(text) for title, text in found}


def test_figures_show_what_the_record_holds(postrefine_record):
    record = postrefine_record
    plots = plots_of(postrefine_page(record))
    assert len(plots) == N_FIGURES
    for name in ("G", "B", "θx", "θy", "rs"):
        bars = plots[f"{name} of the accepted lattices"]["data"][0]
        assert sum(bars["y"]) == sum(x["accepted"] for x in record["lattices"])
    points = plots["Observed against calculated partiality"]["data"][1]
    drawn = np.array(record["profiles"]["by_partiality"]["n"]) >= 10
    expected = np.array(record["profiles"]["by_partiality"]["observed"], float)[drawn]
    np.testing.assert_allclose(points["y"], expected, rtol=1e-4)
    completeness = plots["Completeness"]["data"][0]["y"]
    np.testing.assert_allclose(
        completeness,
        [100 * shell["completeness"] for shell in record["shells"][:-1]],
        rtol=1e-4,
    )
    z = plots["Trumpet: I/σ against r_h"]["data"][0]["customdata"]
    assert sum(cell[0] for row in z for cell in row) == np.sum(
        record["profiles"]["trumpet"]["n"]
    )


def test_words_come_first(postrefine_record):
    page = postrefine_page(postrefine_record)
    assert page.index("lattices accepted") < page.index('class="drawing"')
    assert "The Gaussian predicts observations held out best" in page
    assert "false predictions" in page
    assert "It is no size" in page
    assert "exp(-2 B sin²θ/λ²)" in page


def test_every_figure_has_words_for_those_who_do_not_see_it(postrefine_record):
    page = postrefine_page(postrefine_record)
    labels = re.findall(r'role="img" aria-label="([^"]{20,})"', page)
    assert len(labels) == len(set(labels)) == N_FIGURES


def test_outlier_lattices_are_named(postrefine_record):
    postrefine_record["lattices"][7]["G"] *= 1000
    postrefine_record["lattices"][9]["theta_x"] = -3.0
    page = postrefine_page(postrefine_record)
    assert "2 accepted lattices are far from all others" in page
    marks = plots_of(page)["G of the accepted lattices"]["data"][1]
    assert [text.split(":")[0] for text in marks["text"]] == ["still-000007"]
    bars = plots_of(page)["G of the accepted lattices"]["data"][0]
    # one lattice far away does not squeeze all others into one bar
    assert sum(y > 0 for y in bars["y"]) > 8
    assert sum(bars["y"]) == 60
    for name in ("still-000007", "still-000009"):
        assert f"<td>{name}</td>" in page


def test_rejected_lattices_are_counted_by_reason(postrefine_record):
    for lattice in postrefine_record["lattices"][:15]:
        lattice |= {"accepted": False, "reason": "no convergence"}
    page = postrefine_page(postrefine_record)
    row = re.search(r"<td>no convergence</td>(.*?)</tr>", page, re.DOTALL)[1]
    assert ">15<" in row and "still-000004 and 10 more" in row
    assert "15 of 60 lattices were left out" in page


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda r: r["cycles"][-1].update(change=0.1),
            "The cycles have not converged",
        ),
        (
            lambda r: r["shells"][-1].update(completeness=0.5),
            "Only 50 % of the reflections",
        ),
        (lambda r: r["shells"][-1].update(multiplicity=1.5), "rests on 1.5"),
        (lambda r: r.update(n_outliers=r["n_merged"]), "50.0 %"),
        (
            lambda r: [x.update(spread=3.0) for x in r["lattices"]],
            "scatter by 3 times",
        ),
        (
            lambda r: [x.update(dropped=["rs"]) for x in r["lattices"]],
            "rs of 60 of 60 lattices",
        ),
        (
            lambda r: r["profiles"]["by_partiality"].update(
                observed=[0.5] * 20, observed_sd=[0.001] * 20
            ),
            "Calculated partialities are not those observed",
        ),
        (
            lambda r: [h.update(r_free=2 * h["r_work"]) for h in r["held_out"]],
            "more parameters than their observations carry",
        ),
    ],
)
def test_what_calls_for_attention(postrefine_record, change, told):
    assert not any(
        told in text for text in cautions(postrefine_results(postrefine_record))
    )
    change(postrefine_record)
    assert any(told in text for text in cautions(postrefine_results(postrefine_record)))
    postrefine_page(postrefine_record)


def test_what_was_not_refined_is_not_drawn(postrefine_record):
    """protocol=rs: one radius for every lattice, without an uncertainty."""
    for lattice in postrefine_record["lattices"]:
        lattice |= {"rs": 1e-3, "rs_sd": None}
        lattice["correlations"] = {
            pair: value
            for pair, value in lattice["correlations"].items()
            if "rs" not in pair
        }
    page = postrefine_page(postrefine_record)
    assert "It was not refined" in page


def test_a_given_reference(postrefine_record):
    """One cycle, and figures against the reference."""
    record = postrefine_record
    record["cycles"] = record["cycles"][:1]
    record["parameters"]["reference"]["file"] = "/some/where/model.mtz"
    for shell in record["shells"]:
        shell |= {"cc_reference": 0.9, "r_iso": 0.2}
    plots = plots_of(page := postrefine_page(record))
    assert len(plots) == N_FIGURES - 3
    assert len(plots["R split and R iso"]["data"]) == 2
    assert (
        "<td>model.mtz</td>" in page and "/some/where" not in page.split("The run")[0]
    )


def test_nothing_comparable(postrefine_record):
    postrefine_record |= {"held_out": [], "profiles": None, "error_check": []}
    assert len(plots_of(postrefine_page(postrefine_record))) == N_FIGURES - 6


def test_names_cannot_become_markup(postrefine_record):
    evil = "<img src=x onerror=alert(1)>"
    postrefine_record["lattices"][7] |= {"G": 1e5, "identifier": evil}
    postrefine_record["files"] = [f"{evil}.refl"]
    assert "<img" not in postrefine_page(postrefine_record)


def test_damage_is_one_sentence(postrefine_record):
    del postrefine_record["lattices"][3]["G"]
    with pytest.raises(ValueError, match="x.json is a damaged record: KeyError 'G'$"):
        postrefine_page(postrefine_record, "x.json")


def test_a_hundred_thousand_lattices_fit_into_ten_megabytes(postrefine_record):
    """As much as 60 lattices take, as all is binned."""
    small = len(postrefine_page(postrefine_record).encode())
    lattices = postrefine_record["lattices"]
    rng = np.random.default_rng(1)
    factors = np.exp(rng.standard_cauchy(100_000).clip(-20, 20))
    postrefine_record["lattices"] = [
        {**lattices[i % 60], "G": g, "identifier": f"x{i}", "accepted": i % 10 > 0,
         "reason": None if i % 10 else "no convergence"}
        for i, g in enumerate(factors.tolist())
    ]  # fmt: skip
    large = len(postrefine_page(postrefine_record).encode())
    assert large < small + 50_000 < 10_000_000


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.02, 20, ["0.1", "1", "10"]),
        (0.4, 6, ["0.5", "1", "2", "5"]),
        (0.76, 1.31, ["0.8", "0.9", "1", "1.1", "1.2", "1.3"]),
    ],
)
def test_logarithmic_axes_have_round_numbers(low, high, ticks):
    assert log_ticks(np.log10(low), np.log10(high))["ticktext"] == ticks
